//! What differs between two JSON values: paths with both values.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Where: dotted, an entry of a list by its key or its place, as in `settings.tasks[load].timeout_seconds`.
    pub path: String,
    /// The value at the active site, called as the standby calls it; none if it is not there.
    pub active: Option<Value>,
    /// The value at the standby; none if it is not there.
    pub standby: Option<Value>,
}

/// Fields that tell the entries of a list apart.
const KEYS: [&str; 6] = [
    "task_key",
    "job_cluster_key",
    "environment_key",
    "key",
    "name",
    "label",
];
/// Longer texts are cut in documents; the baseline holds them whole.
const LONGEST_TEXT: usize = 300;

/// Everything that differs, `ignored` paths (and what is below them) aside. There, lists are written as `[]`.
///
/// A field that is absent and one with the platform's empty value (null, false, 0, empty, unpaused) are the same.
#[must_use]
pub fn differences(
    active: &Value,
    standby: &Value,
    ignored: &dyn Fn(&str) -> bool,
) -> Vec<Difference> {
    let mut found = Vec::new();
    let walk = Walk { ignored };
    walk.compare(&Path::default(), Some(active), Some(standby), &mut found);
    found
}

/// A place under both its spellings.
#[derive(Clone, Debug, Default)]
struct Path {
    pattern: String,
    shown: String,
}

impl Path {
    fn field(&self, name: &str) -> Self {
        let join = |before: &str| match before {
            "" => name.to_owned(),
            before => format!("{before}.{name}"),
        };
        Self {
            pattern: join(&self.pattern),
            shown: join(&self.shown),
        }
    }

    fn entry(&self, key: &str) -> Self {
        Self {
            pattern: format!("{}[]", self.pattern),
            shown: format!("{}[{key}]", self.shown),
        }
    }

    fn last(&self) -> &str {
        self.pattern.rsplit('.').next().unwrap_or_default()
    }
}

struct Walk<'a> {
    ignored: &'a dyn Fn(&str) -> bool,
}

impl Walk<'_> {
    fn compare(
        &self,
        path: &Path,
        active: Option<&Value>,
        standby: Option<&Value>,
        found: &mut Vec<Difference>,
    ) {
        if (self.ignored)(&path.pattern) {
            return;
        }
        match (active, standby) {
            (Some(Value::Object(a)), Some(Value::Object(b))) => {
                let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
                for name in names {
                    self.compare(&path.field(name), a.get(name), b.get(name), found);
                }
            }
            (Some(Value::Array(a)), Some(Value::Array(b))) => self.lists(path, a, b, found),
            (a, b) if a == b || (self.is_empty(path, a) && self.is_empty(path, b)) => {}
            (a, b) => found.push(Difference {
                path: path.shown.clone(),
                active: a.map(cut),
                standby: b.map(cut),
            }),
        }
    }

    fn lists(&self, path: &Path, a: &[Value], b: &[Value], found: &mut Vec<Difference>) {
        match key_of(a, b) {
            Some(field) => {
                let by_key = |list: &[Value]| -> Vec<String> {
                    list.iter()
                        .filter_map(|entry| Some(entry.get(field)?.as_str()?.to_owned()))
                        .collect()
                };
                let find = |list: &[Value], key: &str| {
                    list.iter()
                        .find(|entry| entry.get(field).and_then(Value::as_str) == Some(key))
                        .cloned()
                };
                let keys: BTreeSet<String> = by_key(a).into_iter().chain(by_key(b)).collect();
                for key in keys {
                    let (a, b) = (find(a, &key), find(b, &key));
                    self.compare(&path.entry(&key), a.as_ref(), b.as_ref(), found);
                }
            }
            None => {
                for index in 0..a.len().max(b.len()) {
                    let place = path.entry(&index.to_string());
                    self.compare(&place, a.get(index), b.get(index), found);
                }
            }
        }
    }

    /// Whether the value says no more than an absent one.
    fn is_empty(&self, path: &Path, value: Option<&Value>) -> bool {
        if (self.ignored)(&path.pattern) {
            return true;
        }
        match value {
            None | Some(Value::Null) => true,
            Some(Value::Bool(flag)) => !flag,
            Some(Value::Number(number)) => number.as_f64() == Some(0.0),
            Some(Value::String(text)) => {
                text.is_empty() || (path.last() == "pause_status" && text == "UNPAUSED")
            }
            Some(Value::Array(list)) => list.is_empty(),
            Some(Value::Object(object)) => object
                .iter()
                .all(|(name, value)| self.is_empty(&path.field(name), Some(value))),
        }
    }
}

/// The field by which the entries of both lists are told apart, if each has it and none has it twice.
fn key_of(a: &[Value], b: &[Value]) -> Option<&'static str> {
    let tells_apart = |list: &[Value], field: &str| {
        let mut seen = BTreeSet::new();
        list.iter().all(|entry| {
            entry
                .get(field)
                .and_then(Value::as_str)
                .is_some_and(|key| seen.insert(key))
        })
    };
    if a.is_empty() && b.is_empty() {
        return None;
    }
    KEYS.into_iter()
        .find(|field| tells_apart(a, field) && tells_apart(b, field))
}

fn cut(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.char_indices().nth(LONGEST_TEXT) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()).into(),
            None => value.clone(),
        },
        Value::Array(list) => list.iter().map(cut).collect(),
        Value::Object(object) => object.iter().map(|(k, v)| (k.clone(), cut(v))).collect(),
        other => other.clone(),
    }
}
