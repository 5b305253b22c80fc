//! `replication/status.json`: the newest measurement, bounded in size however many tables there are.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Standing;
use crate::plan::Plan;
use crate::site::{DataSetName, GroupName, SiteLabel};

/// The version of `replication/status.json`.
pub const REPLICATION_FORMAT: u32 = 2;

/// The most tables of one data set that stand in the status. All of them are in `replication/tables/<data set>.json`.
pub const MOST_TABLES_SHOWN: usize = 10;

/// `replication/status.json`, and frozen in a run its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplicationStatus {
    /// Always [`REPLICATION_FORMAT`].
    pub format_version: u32,
    /// When it was measured.
    pub measured_at: Timestamp,
    /// The site that was active then.
    pub from: SiteLabel,
    /// One entry per data set of the plan, worst first.
    pub data_sets: Vec<DataSetStatus>,
    /// One entry per consistency group of the plan, worst first.
    pub groups: Vec<GroupStatus>,
}

/// How far a run has come with proving its tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofProgress {
    /// When it began: each table is tried once since then.
    pub since: Timestamp,
    /// Tables.
    pub total: usize,
    /// Tables that were not tried yet.
    pub untried: usize,
    /// Milliseconds that went into it. Only these count against the plan's time: nobody proves while a run reads its target or waits.
    pub spent_ms: i64,
    /// The plan's time is over: what was not tried stays as it was known before, or unknown.
    pub is_over: bool,
}

impl ProofProgress {
    /// Whether it goes on.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.untried > 0 && !self.is_over
    }

    /// In words, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let (total, tried) = (self.total, self.total.saturating_sub(self.untried));
        if self.is_open() {
            format!("{tried} of {total} tables are proven so far; it goes on while people decide")
        } else if self.untried > 0 {
            format!("only {tried} of {total} tables could be proven within the plan's time")
        } else {
            format!("all {total} tables were tried")
        }
    }
}

/// The state machine's answer of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MeasureAnswer {
    /// Everything is measured as far as the plan's time allows.
    Measured,
    /// Tables are still to be proven, or data is still on its way: call again.
    Continue,
    /// Everything that a quiet site has written is at the standby.
    Drained,
    /// It is not, and the plan's time is over.
    NotDrained,
}

/// What a recovery point rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Basis {
    /// Every file of the version was looked for at the standby.
    Proof,
    /// The logs of both sides were compared, less what the newest proof found missing behind the log.
    Log,
    /// A marker object that arrived.
    Marker,
    /// S3's replication metrics.
    Metrics,
    /// The `replication_point` of a group of Databricks' managed disaster recovery. Nothing reads it yet.
    ManagedReplication,
}

/// The standing of one data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataSetStatus {
    /// Its name.
    pub name: DataSetName,
    /// The newest moment whose data is known to be complete at the standby, in all tables. `None`: unknown.
    pub recovery_point: Option<Timestamp>,
    /// What that rests on; for several tables the weakest of them.
    pub basis: Option<Basis>,
    /// The recovery point of the newest proof, which is older than `recovery_point` between two proofs.
    #[serde(default)]
    pub proven_point: Option<Timestamp>,
    /// Set if the source could not be read: what is said of it is its last known state.
    #[serde(default)]
    pub last_known: Option<LastKnown>,
    /// What the replication metrics said, if there were any.
    #[serde(default)]
    pub metrics: Option<ReplicationMetrics>,
    /// The tables of a Delta data set.
    #[serde(default)]
    pub tables: Option<TablesStatus>,
    /// Its objective, seconds.
    pub objective_seconds: u32,
    /// What people were told of it.
    #[serde(default)]
    pub standing: Standing,
    /// What could not be measured, in words.
    pub problems: Vec<String>,
}

/// The source's last known state was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastKnown {
    /// When the source was last read; for several tables the earliest. `None`: never.
    pub read_at: Option<Timestamp>,
}

/// The standing of a consistency group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// Its name.
    pub name: GroupName,
    /// Its members.
    pub members: Vec<DataSetName>,
    /// The newest moment at which all tables of all members are complete together. `None`: unknown.
    pub recovery_point: Option<Timestamp>,
    /// What that rests on.
    pub basis: Option<Basis>,
    /// The common moment of the newest proof.
    #[serde(default)]
    pub proven_point: Option<Timestamp>,
    /// Set if the source of a member could not be read.
    #[serde(default)]
    pub last_known: Option<LastKnown>,
    /// Its objective, seconds.
    pub objective_seconds: u32,
    /// What people were told of it.
    #[serde(default)]
    pub standing: Standing,
    /// What could not be measured, in words.
    pub problems: Vec<String>,
}

/// The tables of a Delta data set, counted; the worst by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablesStatus {
    /// How many there are.
    pub total: usize,
    /// How many have a recovery point that is proven or follows from a proof.
    pub known: usize,
    /// How many lack their newest known version at the standby.
    pub behind: usize,
    /// How many cannot be opened at the standby as they lie there.
    pub unreadable: usize,
    /// Data and deletion vector files of the newest known versions that the standby lacks, where they could be counted.
    pub missing_files: u64,
    /// The worst tables, worst first.
    pub worst: Vec<TableStatus>,
    /// How many more there are than those shown.
    pub not_shown: usize,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableStatus {
    /// Its path below the data set's prefix; empty if the data set is the table.
    pub path: String,
    /// The newest moment at which it is known to be complete.
    pub recovery_point: Option<Timestamp>,
    /// The newest version that is complete at the standby.
    pub recovery_version: Option<u64>,
    /// The newest known version at the source.
    pub latest_version: Option<u64>,
    /// Files of the newest known version that the standby lacks, if they could be counted.
    pub missing_files: Option<u64>,
    /// Whether common readers can open it at the standby.
    pub readable_now: Option<bool>,
    /// Why nothing is known of it, in words.
    pub problem: Option<String>,
}

/// CloudWatch `AWS/S3` replication metrics. `None` means no data, which is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplicationMetrics {
    /// When S3 published the latency.
    pub at: Option<Timestamp>,
    /// `ReplicationLatency`, seconds, maximum.
    pub latency_seconds: Option<f64>,
    /// `OperationsPendingReplication`.
    pub operations_pending: Option<f64>,
    /// `BytesPendingReplication`.
    pub bytes_pending: Option<f64>,
    /// `OperationsFailedReplication`.
    pub operations_failed: Option<f64>,
}

/// The marker object that is written at the active site and read at the standby.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// When it was written, by the writer's clock.
    pub written_at: Timestamp,
    /// Which site was active.
    pub from: SiteLabel,
}

/// Seconds of data that would be lost if the active site ended at `moment`; `None` if unknown. Never below 0: clocks differ.
pub(super) fn loss_seconds(point: Option<Timestamp>, moment: Timestamp) -> Option<i64> {
    point.map(|point| moment.duration_since(point).as_secs().max(0))
}

impl ReplicationStatus {
    /// What a site that is quiet since `since` has written and what is not known to have arrived, in words.
    #[must_use]
    pub fn on_its_way(&self, plan: &Plan, since: Timestamp) -> Vec<String> {
        let sets = plan.data_sets.iter().filter_map(|set| {
            let status = self.data_sets.iter().find(|d| d.name == *set.name());
            match status {
                Some(status) if status.has_arrived(since) => None,
                Some(status) => Some(status.describe(since)),
                None => Some(format!("{}: it was never measured", set.name())),
            }
        });
        sets.collect()
    }
}

impl DataSetStatus {
    fn has_arrived(&self, since: Timestamp) -> bool {
        let whole = |tables: &TablesStatus| {
            tables.known == tables.total && tables.behind == 0 && tables.missing_files == 0
        };
        match &self.tables {
            // The newest commit of a table that nobody writes to may be old.
            Some(tables) => whole(tables) && self.problems.is_empty() && self.last_known.is_none(),
            None => self.recovery_point.is_some_and(|point| point >= since),
        }
    }

    fn describe(&self, since: Timestamp) -> String {
        let what = match (&self.tables, self.recovery_point) {
            (Some(tables), _) => format!(
                "{} of {} tables lack their newest version, {} files are missing",
                tables.behind, tables.total, tables.missing_files
            ),
            (None, Some(point)) => format!("complete at {point}, the site is quiet since {since}"),
            (None, None) => "nobody knows what has arrived".to_owned(),
        };
        let problems = if self.problems.is_empty() {
            String::new()
        } else {
            format!(" ({})", self.problems.join("; "))
        };
        format!("{}: {what}{problems}", self.name)
    }
    /// Seconds of data that would be lost if the active site ended at `moment`; `None` if unknown. Never below 0.
    #[must_use]
    pub fn loss_seconds_at(&self, moment: Timestamp) -> Option<i64> {
        loss_seconds(self.recovery_point, moment)
    }
}

impl GroupStatus {
    /// Seconds of data that would be lost if the active site ended at `moment`; `None` if unknown. Never below 0.
    #[must_use]
    pub fn loss_seconds_at(&self, moment: Timestamp) -> Option<i64> {
        loss_seconds(self.recovery_point, moment)
    }
}
