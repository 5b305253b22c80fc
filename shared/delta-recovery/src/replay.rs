//! Replays a stretch of the log once and tells for every version in it whether all its files are there.
//!
//! A file that is missing makes each version incomplete in which it is live, from the one that adds it to the one
//! before its removal. So one pass forward answers for all versions; files that are there need no more than their key.

use crate::action::Protocol;
use crate::checkpoint::CheckpointFacts;
use crate::commit::Commit;
use crate::error::Error;
use crate::join::{Added, Missing};
use crate::protocol;
use crate::report::TimeSource;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// Keys are hashes already.
#[derive(Debug, Default)]
pub(crate) struct Passed(u64);

impl Hasher for Passed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u128(&mut self, key: u128) {
        let low = key & u128::from(u64::MAX);
        self.0 = u64::try_from(low).unwrap_or_default();
    }
}

pub(crate) type Keys = HashSet<u128, BuildHasherDefault<Passed>>;

/// One version of the replayed stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VersionFacts {
    pub(crate) version: u64,
    /// Milliseconds since 1970, as the commit states it.
    pub(crate) time: Option<(i64, TimeSource)>,
    /// Live logical files.
    pub(crate) live: usize,
    /// Whether a txn action was seen up to here.
    pub(crate) has_txn: bool,
    /// Protocol and metadata are known, and no live file is missing.
    pub(crate) complete: bool,
}

/// The state of a table while its log is replayed.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    live: Keys,
    /// Live files that lack something.
    open: HashMap<u128, Box<Missing>, BuildHasherDefault<Passed>>,
    /// Live files that lack something when the base ends.
    pub(crate) open_at_base: Vec<u128>,
    pub(crate) versions: Vec<VersionFacts>,
    has_protocol: bool,
    has_metadata: bool,
    has_txn: bool,
}

impl Replay {
    /// A live file of the checkpoint that the replay starts from.
    pub(crate) fn base_file(&mut self, added: Added) {
        self.add(added);
    }

    /// Ends the base: the state is that of `version`.
    pub(crate) fn end_base(
        &mut self,
        version: u64,
        facts: &CheckpointFacts,
        time: Option<(i64, TimeSource)>,
        location: &str,
    ) -> Result<(), Error> {
        self.note_protocol(facts.protocol.as_ref(), location)?;
        self.has_metadata = facts.has_metadata;
        self.has_txn = facts.has_txn;
        self.open_at_base = self.open.keys().copied().collect();
        self.end_version(version, time);
        Ok(())
    }

    /// Applies the commit that makes `version`.
    pub(crate) fn apply(
        &mut self,
        version: u64,
        commit: Commit,
        location: &str,
    ) -> Result<(), Error> {
        self.note_protocol(commit.protocol.as_ref(), location)?;
        self.has_metadata |= commit.has_metadata;
        self.has_txn |= commit.has_txn;
        for key in commit.removes {
            self.live.remove(&key);
            self.open.remove(&key);
        }
        for added in commit.adds {
            self.add(added);
        }
        self.end_version(version, commit.time);
        Ok(())
    }

    fn add(&mut self, added: Added) {
        self.live.insert(added.key);
        match added.missing {
            Some(missing) => {
                self.open.insert(added.key, missing);
            }
            // Added again, with a size that fits.
            None => {
                self.open.remove(&added.key);
            }
        }
    }

    fn note_protocol(&mut self, protocol: Option<&Protocol>, location: &str) -> Result<(), Error> {
        if let Some(protocol) = protocol {
            protocol::check(protocol, location)?;
            self.has_protocol = true;
        }
        Ok(())
    }

    fn end_version(&mut self, version: u64, time: Option<(i64, TimeSource)>) {
        self.versions.push(VersionFacts {
            version,
            time,
            live: self.live.len(),
            has_txn: self.has_txn,
            complete: self.has_protocol && self.has_metadata && self.open.is_empty(),
        });
    }

    /// The newest version replayed so far.
    pub(crate) fn head(&self) -> Option<&VersionFacts> {
        self.versions.last()
    }

    /// Distinct objects that live files of the newest version lack. Outside files count as one each.
    pub(crate) fn missing(&self) -> u64 {
        let objects: Keys = self
            .open
            .values()
            .flat_map(|missing| missing.objects.iter().map(|(hash, _)| *hash))
            .collect();
        let outside = self
            .open
            .values()
            .filter(|missing| missing.outside.is_some())
            .count();
        u64::try_from(objects.len() + outside).unwrap_or(u64::MAX)
    }

    /// Up to `limit` names of missing objects, sorted.
    pub(crate) fn missing_names(&self, limit: usize) -> Vec<String> {
        let mut names: Vec<&str> = self
            .open
            .values()
            .flat_map(|missing| {
                missing
                    .objects
                    .iter()
                    .filter_map(|(_, name)| name.as_deref())
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().take(limit).map(str::to_owned).collect()
    }

    /// Refuses a newest version that has files outside of the table.
    pub(crate) fn check_self_contained(&self, location: &str) -> Result<(), Error> {
        let outside = || {
            self.open
                .values()
                .filter_map(|missing| missing.outside.as_deref())
        };
        let (Some(example), Some(head)) = (outside().min(), self.head()) else {
            return Ok(());
        };
        Err(Error::NotSelfContained {
            location: location.to_owned(),
            version: head.version,
            count: u64::try_from(outside().count()).unwrap_or(u64::MAX),
            example: example.to_owned(),
        })
    }
}
