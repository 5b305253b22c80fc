//! `replication/tables/<data set>.json`: what is known of every table of a Delta data set, from one measurement to the next.
//!
//! Several invocations may work on one book: each adds what it has found, and the newer of two findings stays.

use std::collections::BTreeMap;

use delta_recovery::{RecoveryPoint, SourceState};
use jiff::{SignedDuration, Timestamp};
use recovery::replication::{LogComparison, Proof, TableFacts, TableStatus};
use recovery::site::SiteLabel;
use serde::{Deserialize, Serialize};

/// The version of the document.
pub(crate) const BOOK_FORMAT: u32 = 1;

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TableBook {
    /// Always [`BOOK_FORMAT`].
    pub(crate) format_version: u32,
    /// The site that was active.
    pub(crate) from: SiteLabel,
    /// When the tables were looked for.
    pub(crate) found_at: Option<Timestamp>,
    /// Tables that lie at the standby only, so that the active site does not know them (any more).
    #[serde(default)]
    pub(crate) only_at_standby: usize,
    /// The tables by their path below the data set's prefix.
    pub(crate) tables: BTreeMap<String, TableRecord>,
}

/// One table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TableRecord {
    /// The newest proof.
    #[serde(default)]
    pub(crate) proof: Option<StoredProof>,
    /// The newest comparison of the logs.
    #[serde(default)]
    pub(crate) log: Option<StoredLog>,
    /// The newest state of the source that was read.
    #[serde(default)]
    pub(crate) source: Option<SourceState>,
    /// When the newest proof was tried, and what came in its way.
    #[serde(default)]
    pub(crate) failed: Option<Failed>,
    /// An invocation that is at it since then.
    #[serde(default)]
    pub(crate) claimed_at: Option<Timestamp>,
    /// Its group needs a complete version of this moment or before.
    #[serde(default)]
    pub(crate) history_to_ms: Option<i64>,
}

/// A proof.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredProof {
    /// When it was begun.
    pub(crate) at: Timestamp,
    /// How far it was behind what the logs alone said, in milliseconds.
    pub(crate) behind_log_ms: Option<i64>,
    /// Complete versions were looked for back to this moment.
    #[serde(default)]
    pub(crate) history_to_ms: Option<i64>,
    /// What it has shown.
    pub(crate) point: RecoveryPoint,
}

/// A comparison of the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredLog {
    /// When.
    pub(crate) at: Timestamp,
    /// The newest moment of which the standby's log holds every commit.
    pub(crate) point: Timestamp,
}

/// A proof that was tried in vain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failed {
    /// When.
    pub(crate) at: Timestamp,
    /// Why, in words.
    pub(crate) why: String,
}

impl TableBook {
    /// Nothing is known yet.
    #[must_use]
    pub(crate) fn empty(from: SiteLabel) -> Self {
        Self {
            format_version: BOOK_FORMAT,
            from,
            found_at: None,
            only_at_standby: 0,
            tables: BTreeMap::new(),
        }
    }

    /// Takes over what another invocation has found.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.found_at > self.found_at {
            self.found_at = other.found_at;
            self.only_at_standby = other.only_at_standby;
            self.tables
                .retain(|path, _| other.tables.contains_key(path));
            for path in other.tables.keys() {
                self.tables.entry(path.clone()).or_default();
            }
        }
        for (path, theirs) in &other.tables {
            if let Some(ours) = self.tables.get_mut(path) {
                ours.merge(theirs);
            }
        }
    }
}

impl TableRecord {
    fn merge(&mut self, other: &Self) {
        let (ours, theirs) = (self.tried_at(), other.tried_at());
        if theirs > ours {
            self.proof.clone_from(&other.proof);
            self.failed.clone_from(&other.failed);
            self.history_to_ms = other.history_to_ms;
        } else if theirs == ours {
            self.history_to_ms = min_of(self.history_to_ms, other.history_to_ms);
        }
        if other.log.map(|log| log.at) > self.log.map(|log| log.at) {
            self.log = other.log;
        }
        if observed(other.source) > observed(self.source) {
            self.source = other.source;
        }
        self.claimed_at = self.claimed_at.max(other.claimed_at);
    }

    /// When a proof was last tried, in vain or not.
    #[must_use]
    pub(crate) fn tried_at(&self) -> Option<Timestamp> {
        let proven = self.proof.as_ref().map(|proof| proof.at);
        proven.max(self.failed.as_ref().map(|failed| failed.at))
    }

    /// Notes the outcome of a proof that was begun at `at`.
    pub(crate) fn note(
        &mut self,
        at: Timestamp,
        outcome: Result<RecoveryPoint, delta_recovery::Error>,
    ) {
        self.claimed_at = None;
        let history_to_ms = self.history_to_ms.take();
        match outcome {
            Ok(point) => {
                if let Some(state) = point.source_state {
                    self.source = Some(state);
                }
                let log = self.log.filter(|log| at.duration_since(log.at) < FRESH);
                let behind_log_ms = log
                    .zip(point.complete_until_ms())
                    .map(|(log, until)| log.point.as_millisecond().saturating_sub(until).max(0));
                self.failed = None;
                self.proof = Some(StoredProof {
                    at,
                    behind_log_ms,
                    history_to_ms,
                    point,
                });
            }
            Err(error) => {
                // What was proven stays known while the storage does not answer. A refusal is an answer.
                if !matches!(error, delta_recovery::Error::StorageUnreadable { .. }) {
                    self.proof = None;
                }
                self.failed = Some(Failed {
                    at,
                    why: format!("{}: {error}", error.name()),
                });
            }
        }
    }

    /// The facts that its recovery point follows from.
    #[must_use]
    pub(crate) fn facts(&self, path: &str) -> TableFacts {
        let point = self.proof.as_ref().map(|proof| &proof.point);
        TableFacts {
            proof: self.proof.as_ref().map(|proof| Proof {
                at: proof.at,
                point: proof.point.complete_until_ms().and_then(moment),
                behind_log: proof.behind_log_ms.map(SignedDuration::from_millis),
            }),
            log: self.log.map(|log| LogComparison {
                at: log.at,
                point: log.point,
            }),
            shown: TableStatus {
                path: path.to_owned(),
                recovery_point: None,
                recovery_version: point.and_then(|p| p.recovery_version),
                latest_version: point
                    .map(|p| p.latest_version)
                    .max(self.source.map(|s| s.version)),
                missing_files: point.and_then(|p| p.missing_at_latest),
                readable_now: point.map(|p| p.readable_now),
                problem: self.failed.as_ref().map(|failed| failed.why.clone()),
            },
        }
    }
}

/// A comparison of the logs belongs to a proof that was begun so soon after it.
const FRESH: SignedDuration = SignedDuration::from_mins(15);

/// A moment in milliseconds since 1970.
pub(crate) fn moment(ms: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(ms).ok()
}

fn observed(source: Option<SourceState>) -> Option<i64> {
    source.map(|source| source.observed_at_ms)
}

fn min_of(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
