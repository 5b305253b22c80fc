//! Every given table, complete and damaged in every way that replication can leave it.

use crate::brute;
use crate::steps::compare;
use crate::support::{ask, copy, files, given};
use std::fs;
use std::path::Path;

const REFUSED: [(&str, &str); 3] = [
    ("basic-catalog-managed", "CatalogManaged"),
    ("canonicalized-paths-normal-a", "NotSelfContained"),
    ("deltalog-invalid-protocol-version", "UnknownReaderFeature"),
];

/// Copies a given table, with files of the right size where it ships its log only.
fn source(from: &Path, to: &Path) {
    copy(from, to, |file| {
        !file.ends_with(".crc") || !file.contains("/.")
    });
    for objects in brute::check(to, None).states.values() {
        for (path, (size, _)) in objects {
            let file = to.join(path);
            if !file.exists() {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::File::create(file).unwrap().set_len(*size).unwrap();
            }
        }
    }
}

fn each(test: impl Fn(&Path, &str)) {
    let Some(folder) = given() else { return };
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && !REFUSED.iter().any(|(refused, _)| *refused == name) {
            let root = tempfile::tempdir().unwrap();
            source(&path, root.path());
            test(root.path(), &name);
        }
    }
}

/// Compares a replica for which `change` does its damage.
fn damaged(source: &Path, what: &str, change: impl FnOnce(&Path)) {
    let replica = tempfile::tempdir().unwrap();
    copy(source, replica.path(), |_| true);
    change(replica.path());
    compare(source, replica.path(), what);
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len().saturating_sub(3)]).unwrap();
}

#[test]
fn complete_tables_lose_nothing() {
    each(|source, name| {
        damaged(source, name, |_| {});
        let point = ask(Some(source), source).unwrap();
        assert_eq!(point.recovery_version, Some(point.latest_version), "{name}");
    });
}

#[test]
fn refused_tables_name_the_reason() {
    let Some(folder) = given() else { return };
    for (name, expected) in REFUSED {
        let error = ask(Some(&folder.join(name)), &folder.join(name)).unwrap_err();
        assert_eq!(error.name(), expected, "{name}");
    }
}

#[test]
fn tables_that_ship_their_log_only_are_judged_as_they_are() {
    let Some(folder) = given() else { return };
    for name in [
        "with_checkpoint_no_last_checkpoint",
        "deltalog-state-reconstruction-from-checkpoint-missing-metadata",
    ] {
        let table = folder.join(name);
        assert_eq!(
            ask(Some(&table), &table).unwrap().recovery_version,
            brute::check(&table, None).recovery,
            "{name}"
        );
    }
}

#[test]
fn each_object_missing_or_cut_alone() {
    each(|source, name| {
        for file in files(source) {
            damaged(source, &format!("{name} without {file}"), |replica| {
                fs::remove_file(replica.join(&file)).unwrap();
            });
            // The hint is overwritten in place and a checksum is only a cross-check.
            if !file.ends_with(".crc") && !file.ends_with("_last_checkpoint") {
                damaged(source, &format!("{name} with {file} cut"), |replica| {
                    cut(&replica.join(&file))
                });
            }
        }
    });
}

#[test]
fn commits_held_back() {
    each(|source, name| {
        let commits: Vec<String> = files(source)
            .into_iter()
            .filter(|file| {
                file.starts_with("_delta_log/0") && file.ends_with(".json") && file.len() == 36
            })
            .collect();
        for from in 0..commits.len() {
            damaged(
                source,
                &format!("{name} without commits from {from}"),
                |replica| {
                    for file in &commits[from..] {
                        fs::remove_file(replica.join(file)).unwrap();
                    }
                },
            );
            // What is later in the log, checkpoints too, has not arrived.
            damaged(
                source,
                &format!("{name} with the log before {from}"),
                |replica| {
                    for file in files(replica)
                        .iter()
                        .filter(|file| file.starts_with("_delta_log/0") && **file >= commits[from])
                    {
                        fs::remove_file(replica.join(file)).unwrap();
                    }
                },
            );
            damaged(
                source,
                &format!("{name} with the log after {from}"),
                |replica| {
                    for file in &commits[..from] {
                        fs::remove_file(replica.join(file)).unwrap();
                    }
                },
            );
        }
    });
}

#[test]
fn recent_data_files_missing() {
    each(|source, name| {
        let states = brute::check(source, None).states;
        for (version, objects) in &states {
            let before = states
                .range(..version)
                .next_back()
                .map(|(_, objects)| objects);
            let added: Vec<&String> = objects
                .keys()
                .filter(|path| before.is_none_or(|b| !b.contains_key(*path)))
                .collect();
            damaged(
                source,
                &format!("{name} without the files of {version}"),
                |replica| {
                    for path in &added {
                        fs::remove_file(replica.join(path)).unwrap();
                    }
                },
            );
        }
    });
}

#[test]
fn the_hint_ahead_of_its_checkpoint() {
    each(|source, name| {
        for version in [0, 2, 10, 11, 4000] {
            damaged(
                source,
                &format!("{name} with a hint to {version}"),
                |replica| {
                    let hint = format!("{{\"version\":{version},\"size\":7}}");
                    fs::write(replica.join("_delta_log/_last_checkpoint"), hint).unwrap();
                },
            );
        }
    });
}
