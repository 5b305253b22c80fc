//! The naive check: every version from every base, with whole JSON documents, sets of strings and file system stats.

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

/// What the naive check finds in one folder.
pub(crate) struct Brute {
    /// Every version that some base gives, with the objects each needs: path to (bytes, exact).
    pub(crate) states: BTreeMap<u64, HashMap<String, (u64, bool)>>,
    /// Newest version that is whole.
    pub(crate) recovery: Option<u64>,
    /// Whether a reader opens the log as it is.
    pub(crate) readable: bool,
}

/// Checks the table in `folder`. `intact` holds commits of the source: others of the same name count as absent.
pub(crate) fn check(folder: &Path, intact: Option<&Path>) -> Brute {
    let log = folder.join("_delta_log");
    let names = super::support::files(&log);
    let number = |name: &str| name.get(..20).and_then(|text| text.parse::<u64>().ok());
    let mut commits: BTreeMap<u64, Option<Vec<Value>>> = BTreeMap::new();
    let mut checkpoints: Vec<(u64, Option<Vec<Value>>)> = Vec::new();
    let mut parts: BTreeMap<(u64, String), Vec<String>> = BTreeMap::new();
    for name in &names {
        let Some(version) = number(name) else {
            continue;
        };
        match name[20..].split('.').collect::<Vec<_>>().as_slice() {
            ["", "json"] => {
                let same = intact.is_none_or(|source| {
                    let other = source.join("_delta_log").join(name);
                    !other.exists()
                        || fs::metadata(other).unwrap().len()
                            == fs::metadata(log.join(name)).unwrap().len()
                });
                commits.insert(version, lines(&log.join(name)).filter(|_| same));
            }
            ["", "checkpoint", "parquet"] => checkpoints.push((version, rows(&log.join(name)))),
            ["", "checkpoint", _, "parquet"] => checkpoints.push((version, rows(&log.join(name)))),
            ["", "checkpoint", _, "json"] => checkpoints.push((version, lines(&log.join(name)))),
            ["", "checkpoint", _, of, "parquet"] => {
                parts
                    .entry((version, (*of).to_owned()))
                    .or_default()
                    .push(name.clone());
            }
            _ => {}
        }
    }
    for ((version, of), files) in parts {
        if of.parse::<usize>().unwrap() == files.len() {
            let all: Option<Vec<Vec<Value>>> =
                files.iter().map(|name| rows(&log.join(name))).collect();
            checkpoints.push((version, all.map(|parts| parts.concat())));
        }
    }
    let listed: Vec<u64> = checkpoints.iter().map(|(version, _)| *version).collect();
    let whole: Vec<(u64, Vec<Value>)> = checkpoints
        .iter()
        .filter_map(|(version, actions)| Some((*version, with_sidecars(&log, actions.clone()?)?)))
        .collect();
    let mut states = BTreeMap::new();
    let newest = commits.keys().copied().chain(listed.iter().copied()).max();
    for version in 0..=newest.unwrap_or(0) {
        let bases = whole
            .iter()
            .map(|(at, actions)| (Some(*at), actions.clone()))
            .chain([(None, Vec::new())]);
        for (at, mut actions) in bases.filter(|(at, _)| at.is_none_or(|at| at <= version)) {
            let first = at.map_or(0, |at| at + 1);
            let needed: Option<Vec<&Vec<Value>>> = (first..=version)
                .map(|v| commits.get(&v).and_then(Option::as_ref))
                .collect();
            let Some(needed) = needed else { continue };
            actions.extend(needed.into_iter().flatten().cloned());
            if let Some(objects) = state(&actions) {
                states.insert(version, objects);
            }
        }
    }
    let recovery = states
        .iter()
        .rev()
        .find(|(_, objects)| lacking(folder, objects) == 0)
        .map(|(v, _)| *v);
    let readable = opens(
        &log,
        &commits,
        &listed,
        &whole,
        checkpoints.len() - whole.len(),
    );
    Brute {
        states,
        recovery,
        readable,
    }
}

/// How many of `objects` are not in `folder` as they should be.
pub(crate) fn lacking(folder: &Path, objects: &HashMap<String, (u64, bool)>) -> u64 {
    let fits = |(path, (size, exact)): &(&String, &(u64, bool))| {
        let found = fs::metadata(folder.join(path)).map(|meta| meta.len());
        found.is_ok_and(|found| {
            if *exact {
                found == *size
            } else {
                found >= *size
            }
        })
    };
    objects
        .iter()
        .filter(|object| !fits(object))
        .count()
        .try_into()
        .unwrap()
}

fn opens(
    log: &Path,
    commits: &BTreeMap<u64, Option<Vec<Value>>>,
    listed: &[u64],
    whole: &[(u64, Vec<Value>)],
    broken: usize,
) -> bool {
    let hint = fs::read(log.join("_last_checkpoint")).ok();
    let hint =
        hint.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()?["version"].as_u64());
    let newest = listed.iter().max().copied();
    if hint > newest {
        return false;
    }
    if let Some(newest) = newest {
        let good = whole
            .iter()
            .filter(|(version, actions)| *version == newest && state(actions).is_some())
            .count();
        let all = listed.iter().filter(|version| **version == newest).count();
        if good != all {
            assert!(broken > 0 || whole.iter().any(|(_, actions)| state(actions).is_none()));
            return false;
        }
    }
    let first = newest.map_or(0, |version| version + 1);
    let after: Vec<u64> = commits
        .range(first..)
        .map(|(version, _)| *version)
        .collect();
    let unbroken = after
        .iter()
        .zip(first..)
        .all(|(version, expected)| *version == expected);
    let sound = commits.range(first..).all(|(_, actions)| actions.is_some());
    let anything =
        !after.is_empty() || newest.is_some_and(|version| commits.contains_key(&version));
    unbroken && sound && anything
}

/// The objects that the last of these actions leave live; None without protocol and metadata.
fn state(actions: &[Value]) -> Option<HashMap<String, (u64, bool)>> {
    let mut live: HashMap<String, &Value> = HashMap::new();
    for action in actions {
        if let Some(remove) = action.get("remove") {
            live.remove(&id(remove));
        }
        if let Some(add) = action.get("add") {
            live.insert(id(add), add);
        }
    }
    for kind in ["protocol", "metaData"] {
        actions.iter().find(|action| action.get(kind).is_some())?;
    }
    let mut objects = HashMap::new();
    for add in live.values() {
        objects.insert(
            decode(add["path"].as_str().unwrap()),
            (add["size"].as_u64().unwrap(), true),
        );
        if let Some(vector) = add
            .get("deletionVector")
            .filter(|vector| vector["storageType"] == "u")
        {
            let name = vector["pathOrInlineDv"].as_str().unwrap();
            let end = vector["offset"].as_u64().unwrap_or(0)
                + vector["sizeInBytes"].as_u64().unwrap()
                + 8;
            let entry = objects.entry(vector_file(name)).or_insert((end, false));
            entry.0 = entry.0.max(end);
        }
    }
    Some(objects)
}

fn id(file: &Value) -> String {
    let path = file["path"].as_str().unwrap();
    match file
        .get("deletionVector")
        .filter(|vector| vector.is_object())
    {
        Some(vector) => format!(
            "{path} {} {} {}",
            vector["storageType"], vector["pathOrInlineDv"], vector["offset"]
        ),
        None => path.to_owned(),
    }
}

fn decode(text: &str) -> String {
    let (mut bytes, mut out) = (text.bytes(), Vec::new());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
            out.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).unwrap()
}

fn vector_file(name: &str) -> String {
    const ALPHABET: &str =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    let (prefix, encoded) = name.split_at(name.len() - 20);
    let mut hex = String::new();
    for chunk in encoded.as_bytes().chunks(5) {
        let digit = |c: &u8| ALPHABET.find(char::from(*c)).unwrap() as u32;
        let number = chunk
            .iter()
            .fold(0_u32, |sum, c| sum.wrapping_mul(85).wrapping_add(digit(c)));
        hex.push_str(&format!("{number:08x}"));
    }
    for at in [20, 16, 12, 8] {
        hex.insert(at, '-');
    }
    let slash = if prefix.is_empty() { "" } else { "/" };
    format!("{prefix}{slash}deletion_vector_{hex}.bin")
}

fn with_sidecars(log: &Path, mut actions: Vec<Value>) -> Option<Vec<Value>> {
    let sidecars: Vec<Value> = actions
        .iter()
        .filter_map(|action| action.get("sidecar").cloned())
        .collect();
    for sidecar in sidecars {
        let path = log
            .join("_sidecars")
            .join(decode(sidecar["path"].as_str().unwrap()));
        if fs::metadata(&path).ok()?.len() != sidecar["sizeInBytes"].as_u64().unwrap() {
            return None;
        }
        actions.extend(rows(&path)?);
    }
    state(&actions).map(|_| actions)
}

fn lines(path: &Path) -> Option<Vec<Value>> {
    let text = fs::read_to_string(path)
        .ok()
        .filter(|text| !text.is_empty())?;
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn rows(path: &Path) -> Option<Vec<Value>> {
    let reader = SerializedFileReader::new(fs::File::open(path).ok()?).ok()?;
    let rows = reader.get_row_iter(None).ok()?;
    rows.map(|row| Some(object(&row.ok()?))).collect()
}

fn object(row: &Row) -> Value {
    let mut map = Map::new();
    for (name, field) in row.get_column_iter() {
        // A file's tombstone in a checkpoint is no removal after it.
        let value = match field {
            Field::Null => continue,
            _ if name == "remove" || name == "stats_parsed" => continue,
            Field::Group(row) => object(row),
            Field::Str(text) => json!(text),
            Field::Long(number) => json!(number),
            Field::Int(number) => json!(number),
            _ => continue,
        };
        map.insert(name.clone(), value);
    }
    Value::Object(map)
}
