//! What common readers do with the log at the replica.
//!
//! They start from `_last_checkpoint` if it parses and look at nothing older; else from the newest checkpoint whose
//! parts are all listed. They want unbroken commits after it, and do not fall back to an older checkpoint.

use crate::log::{Checkpoint, Log};
use crate::names::{self, LAST_CHECKPOINT, LOG};
use crate::report::{Blocker, BlockerKind};
use std::collections::{BTreeMap, HashSet};

/// What reading the log has shown about single objects.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// First file of a checkpoint to what is wrong with it.
    pub(crate) checkpoints: BTreeMap<String, String>,
    /// Commits that cannot be used.
    pub(crate) commits: BTreeMap<u64, String>,
}

/// What readers see.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Readable {
    pub(crate) blockers: Vec<Blocker>,
    /// The version they open once the blockers are moved aside.
    pub(crate) version: Option<u64>,
}

/// Follows a reader through the log; each blocker is taken out of the way before the next is looked for.
pub(crate) fn judge(log: &Log, hint: Option<u64>, faults: &Faults) -> Readable {
    let mut log = log.clone();
    let mut hint = hint;
    let mut blockers = Vec::new();
    loop {
        match step(&log, hint, faults) {
            Ok(version) => {
                return Readable {
                    blockers,
                    version: Some(version),
                };
            }
            Err(blocker) => {
                // With its commit put back, a lone checkpoint is what readers open.
                let lone = blocker.kind == BlockerKind::CommitOfCheckpointMissing;
                let stop = blocker.move_aside.is_empty();
                remove(&mut log, &mut hint, &blocker.move_aside);
                blockers.push(blocker);
                if stop {
                    let version = log.complete_checkpoints().next_back().filter(|_| lone);
                    return Readable { blockers, version };
                }
            }
        }
    }
}

/// The version a reader opens, or what stops it first.
fn step(log: &Log, hint: Option<u64>, faults: &Faults) -> Result<u64, Blocker> {
    let newest = log.complete_checkpoints().next_back();
    if let Some(hint) = hint
        && newest.is_none_or(|newest| newest < hint)
    {
        return Err(hint_ahead(hint));
    }
    if let Some(version) = newest {
        let instances = log.checkpoints.get(&version).into_iter().flatten();
        for checkpoint in instances.filter(|checkpoint| checkpoint.has_all_parts()) {
            if let Some(reason) = fault_of(checkpoint, faults) {
                return Err(bad_checkpoint(checkpoint, reason));
            }
        }
    }
    let first = match newest {
        Some(version) => version.saturating_add(1),
        None => 0,
    };
    let mut next = first;
    for version in log.commits.range(first..).map(|(version, _)| *version) {
        if version != next {
            return Err(if newest.is_none() && next == 0 {
                first_missing(version)
            } else {
                gap(log, next, version)
            });
        }
        if let Some(reason) = faults.commits.get(&version) {
            return Err(bad_commit(log, version, reason));
        }
        next += 1;
    }
    match (next.checked_sub(1), newest) {
        (Some(head), Some(version)) if head == version && !log.commits.contains_key(&version) => {
            Err(lone_checkpoint(version))
        }
        (Some(head), _) => Ok(head),
        (None, _) => Err(first_missing(0)),
    }
}

/// Unusable checkpoints that no blocker moves aside, oldest first: readers of an older version start from them.
pub(crate) fn older_checkpoints(log: &Log, faults: &Faults, blockers: &[Blocker]) -> Vec<Blocker> {
    let aside: HashSet<&str> = blockers
        .iter()
        .flat_map(|blocker| blocker.move_aside.iter().map(String::as_str))
        .collect();
    log.checkpoints
        .values()
        .flatten()
        .filter(|checkpoint| checkpoint.has_all_parts())
        .filter_map(|checkpoint| Some(bad_checkpoint(checkpoint, fault_of(checkpoint, faults)?)))
        .filter(|blocker| !aside.contains(blocker.object.as_str()))
        .collect()
}

fn fault_of<'a>(checkpoint: &Checkpoint, faults: &'a Faults) -> Option<&'a String> {
    faults.checkpoints.get(&checkpoint.files.first()?.0)
}

fn hint_ahead(version: u64) -> Blocker {
    let object = format!("{LOG}/{LAST_CHECKPOINT}");
    Blocker {
        kind: BlockerKind::HintAheadOfCheckpoint,
        detail: format!(
            "it names the checkpoint of version {version}, which is not complete at the replica"
        ),
        repair: "move it aside: readers then list the log".to_owned(),
        move_aside: vec![object.clone()],
        object,
    }
}

fn bad_checkpoint(checkpoint: &Checkpoint, reason: &str) -> Blocker {
    let files: Vec<String> = checkpoint
        .files
        .iter()
        .map(|(path, _)| path.clone())
        .collect();
    Blocker {
        kind: BlockerKind::CheckpointUnusable,
        object: files.first().cloned().unwrap_or_default(),
        detail: reason.to_owned(),
        repair: "move the checkpoint aside: readers then use an older one and the commits after it"
            .to_owned(),
        move_aside: files,
    }
}

fn gap(log: &Log, missing: u64, next: u64) -> Blocker {
    Blocker {
        kind: BlockerKind::CommitGap,
        object: names::commit(missing),
        detail: format!("it is missing, but the commit of version {next} is there"),
        repair:
            "move the objects of later versions aside: readers then open the version before the gap"
                .to_owned(),
        move_aside: after(log, missing),
    }
}

fn bad_commit(log: &Log, version: u64, reason: &str) -> Blocker {
    Blocker {
        kind: BlockerKind::CommitUnusable,
        object: names::commit(version),
        detail: reason.to_owned(),
        repair: "move it and the objects of later versions aside: readers then open the version before it".to_owned(),
        move_aside: after(log, version),
    }
}

fn first_missing(next: u64) -> Blocker {
    Blocker {
        kind: BlockerKind::FirstCommitsMissing,
        object: names::commit(0),
        detail: if next == 0 {
            "the log is empty".to_owned()
        } else {
            format!(
                "the log starts at version {next} without a complete checkpoint; a reader that opens it loses files silently"
            )
        },
        repair: "keep readers away until the first commits or a checkpoint have arrived".to_owned(),
        move_aside: Vec::new(),
    }
}

fn lone_checkpoint(version: u64) -> Blocker {
    Blocker {
        kind: BlockerKind::CommitOfCheckpointMissing,
        object: names::commit(version),
        detail: format!(
            "the checkpoint of version {version} is there, but no commit at or after it: Spark and the Java kernel refuse this, delta-rs opens it"
        ),
        repair: "put a commit with one commitInfo line there: the checkpoint holds its actions"
            .to_owned(),
        move_aside: Vec::new(),
    }
}

/// Every object of `version` and later.
fn after(log: &Log, version: u64) -> Vec<String> {
    let commits = log.commits.range(version..).map(|(v, _)| names::commit(*v));
    let checksums = log.checksums.range(version..).map(|v| names::checksum(*v));
    let compacted = log
        .compacted
        .iter()
        .filter(|(_, to)| *to >= version)
        .map(|(from, to)| format!("{LOG}/{from:020}.{to:020}.compacted.json"));
    let checkpoints = log
        .checkpoints
        .range(version..)
        .flat_map(|(_, instances)| instances)
        .flat_map(|checkpoint| checkpoint.files.iter().map(|(path, _)| path.clone()));
    commits
        .chain(checksums)
        .chain(compacted)
        .chain(checkpoints)
        .collect()
}

fn remove(log: &mut Log, hint: &mut Option<u64>, paths: &[String]) {
    let paths: HashSet<&str> = paths.iter().map(String::as_str).collect();
    let gone = |path: &str| paths.contains(path);
    if gone(&format!("{LOG}/{LAST_CHECKPOINT}")) {
        *hint = None;
    }
    log.commits
        .retain(|version, _| !gone(&names::commit(*version)));
    log.checksums
        .retain(|version| !gone(&names::checksum(*version)));
    for instances in log.checkpoints.values_mut() {
        instances.retain(|checkpoint| !checkpoint.files.iter().any(|(path, _)| gone(path)));
    }
    log.checkpoints.retain(|_, instances| !instances.is_empty());
}
