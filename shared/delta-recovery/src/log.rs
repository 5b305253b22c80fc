//! The listing of a Delta log.

use crate::error::Error;
use crate::location::Location;
use crate::names::{LOG, LogName};
use futures::TryStreamExt;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One object of a log, as listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Bytes.
    pub(crate) size: u64,
    /// Milliseconds since 1970.
    pub(crate) modified_ms: i64,
}

/// One checkpoint: a single file, or the parts of one multi-part checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Paths relative to the table, in order of their parts.
    pub(crate) files: Vec<(String, Listed)>,
    /// How many files make it complete.
    pub(crate) needs: usize,
    /// Whether its name is unique, so that two copies must be equal.
    pub(crate) unique_name: bool,
}

impl Checkpoint {
    pub(crate) fn has_all_parts(&self) -> bool {
        self.files.len() == self.needs
    }
}

/// What lies below `_delta_log/`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    pub(crate) commits: BTreeMap<u64, Listed>,
    pub(crate) checkpoints: BTreeMap<u64, Vec<Checkpoint>>,
    pub(crate) checksums: BTreeSet<u64>,
    /// Ranges of `<from>.<to>.compacted.json`.
    pub(crate) compacted: Vec<(u64, u64)>,
    /// Name to bytes.
    pub(crate) sidecars: HashMap<String, u64>,
}

impl Log {
    /// Lists the log of the table at `location`. A table without a log gives an empty one.
    pub(crate) async fn list(location: &Location) -> Result<Self, Error> {
        let mut log = Self::default();
        let mut parts: BTreeMap<(u64, u32), BTreeMap<u32, (String, Listed)>> = BTreeMap::new();
        let mut items = location.list(LOG);
        while let Some((name, meta)) = items.try_next().await? {
            let listed = Listed {
                size: meta.size,
                modified_ms: meta.last_modified.timestamp_millis(),
            };
            let path = format!("{LOG}/{name}");
            match LogName::parse(&name) {
                LogName::Commit(version) => {
                    log.commits.insert(version, listed);
                }
                LogName::Classic(version) => {
                    log.add_checkpoint(version, vec![(path, listed)], 1, false)
                }
                LogName::V2(version) => log.add_checkpoint(version, vec![(path, listed)], 1, true),
                LogName::Part { version, part, of } => {
                    parts
                        .entry((version, of))
                        .or_default()
                        .insert(part, (path, listed));
                }
                LogName::Compacted { from, to } => log.compacted.push((from, to)),
                LogName::Checksum(version) => {
                    log.checksums.insert(version);
                }
                LogName::Sidecar(name) => {
                    log.sidecars.insert(name, listed.size);
                }
                LogName::LastCheckpoint | LogName::Other => {}
            }
        }
        for ((version, of), files) in parts {
            let needs = usize::try_from(of).unwrap_or(usize::MAX);
            log.add_checkpoint(version, files.into_values().collect(), needs, false);
        }
        Ok(log)
    }

    fn add_checkpoint(
        &mut self,
        version: u64,
        files: Vec<(String, Listed)>,
        needs: usize,
        unique_name: bool,
    ) {
        self.checkpoints
            .entry(version)
            .or_default()
            .push(Checkpoint {
                files,
                needs,
                unique_name,
            });
    }

    /// The newest version that any commit or complete checkpoint names.
    pub(crate) fn newest(&self) -> Option<u64> {
        let checkpoint = self.complete_checkpoints().next_back();
        self.commits.keys().next_back().copied().max(checkpoint)
    }

    /// Versions with a checkpoint of which every part is listed, oldest first.
    pub(crate) fn complete_checkpoints(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.checkpoints
            .iter()
            .filter(|(_, instances)| instances.iter().any(Checkpoint::has_all_parts))
            .map(|(version, _)| *version)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.commits.is_empty() && self.checkpoints.is_empty()
    }

    /// The last version of the unbroken run of commits that starts after `version`.
    pub(crate) fn run_end(&self, version: u64) -> u64 {
        let mut end = version;
        for next in self
            .commits
            .range(version.saturating_add(1)..)
            .map(|(v, _)| *v)
        {
            if next != end + 1 {
                break;
            }
            end = next;
        }
        end
    }
}
