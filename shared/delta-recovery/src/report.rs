//! What is reported for one table.

use serde::{Deserialize, Serialize};

/// Where a version's time comes from, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeSource {
    /// `inCommitTimestamp` of the commit.
    InCommit,
    /// `timestamp` of the commit's `commitInfo`: the writer's clock.
    CommitInfo,
    /// The modification time of the commit file, at the source if that could be read.
    File,
}

/// How the source's state is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceView {
    /// The source's log was read.
    Read,
    /// The source could not be read: its last known state was used.
    LastKnown,
    /// The source could not be read and no earlier state was given: the newest commit at the replica was used, so
    /// `latest_version` is a lower bound.
    Unreadable,
}

/// The state of a table at the source when it was last read. Keep it: it answers when the source is dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    /// The newest version.
    pub version: u64,
    /// Its time in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// When this was read, in milliseconds since 1970.
    pub observed_at_ms: i64,
}

/// What keeps common readers from opening the table at the replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlockerKind {
    /// `_last_checkpoint` names a checkpoint that is not there; readers do not look for an older one.
    HintAheadOfCheckpoint,
    /// The newest checkpoint cannot be read: half-written, or a sidecar is missing.
    CheckpointUnusable,
    /// Commits follow after a missing one.
    CommitGap,
    /// Neither a checkpoint nor the first commits are there. A reader that opens the table anyway loses files silently.
    FirstCommitsMissing,
    /// A commit cannot be read.
    CommitUnusable,
    /// A checkpoint arrived without any commit at or after it; some readers need that commit.
    CommitOfCheckpointMissing,
}

/// One object that blocks readers at the replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// What is wrong.
    pub kind: BlockerKind,
    /// The object, relative to the table's root. It may be one that is missing.
    pub object: String,
    /// What was found.
    pub detail: String,
    /// What a human can do about it.
    pub repair: String,
    /// Objects to move aside, relative to the table's root; empty if moving does not help.
    pub move_aside: Vec<String>,
}

/// A complete version and the time in which it is known to have been the newest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSpan {
    /// The version, complete at the replica.
    pub version: u64,
    /// When it was made, in milliseconds since 1970.
    pub from_ms: i64,
    /// The last moment at which it is known to have been the newest version, in milliseconds since 1970.
    pub through_ms: i64,
}

/// The newest usable state of one table at its replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryPoint {
    /// The newest version that is known of, see `source`.
    pub latest_version: u64,
    /// Its time in milliseconds since 1970.
    pub latest_timestamp_ms: Option<i64>,
    /// The newest version that is complete at the replica; None if there is none.
    pub recovery_version: Option<u64>,
    /// Its time in milliseconds since 1970.
    pub recovery_timestamp_ms: Option<i64>,
    /// Where `recovery_timestamp_ms` comes from.
    pub recovery_timestamp_from: Option<TimeSource>,
    /// Milliseconds of commits that would be lost, None if a time is unknown. Time since the source was last read is not in it.
    pub loss_ms: Option<i64>,
    /// Distinct data and deletion vector files of `latest_version` that the replica lacks. None if that version's
    /// files are not known, because the source is dark and its commits have not arrived.
    pub missing_at_latest: Option<u64>,
    /// Live files of `latest_version`, known if `missing_at_latest` is.
    pub files_at_latest: Option<u64>,
    /// Some of the missing files, relative to the table's root.
    pub missing_examples: Vec<String>,
    /// The newest version that the log at the replica describes; its files may be missing.
    pub replica_log_version: Option<u64>,
    /// Files of `replica_log_version` that the replica lacks.
    pub missing_at_replica_log: Option<u64>,
    /// Whether common readers open the table at the replica, with its right state.
    pub readable_now: bool,
    /// What blocks them otherwise, in the order in which it must be repaired.
    pub blocked_by: Vec<Blocker>,
    /// The version that readers open, now or after what `blocked_by` says was moved aside. None if they cannot.
    pub readable_version: Option<u64>,
    /// Unusable checkpoints that do not stop readers of the newest version: RESTORE to a version that would start from one
    /// fails until it is moved aside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restore_blocked_by: Vec<Blocker>,
    /// Whether the log at the replica holds streaming `txn` markers, at the recovery version or after it. RESTORE keeps
    /// those of newer versions.
    pub has_txn: bool,
    /// How the source's state is known.
    pub source: SourceView,
    /// Why the source could not be read, and other remarks.
    pub notes: Vec<String>,
    /// Complete versions, newest first, for groups of tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<VersionSpan>,
    /// The source's state to keep for later.
    pub source_state: Option<SourceState>,
    /// LIST requests of 1000 objects that this took at the replica.
    pub list_requests: u64,
}

impl RecoveryPoint {
    /// The last moment of which the replica is known to hold everything, in milliseconds since 1970: until then the recovery
    /// version was the newest. None if no version is complete, or its time is unknown.
    #[must_use]
    pub fn complete_until_ms(&self) -> Option<i64> {
        let version = self.recovery_version?;
        let span = self.history.iter().find(|span| span.version == version);
        span.map(|span| span.through_ms)
            .or(self.recovery_timestamp_ms)
    }
}
