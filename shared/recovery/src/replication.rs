//! How far the standby's data is behind. Missing data is never "caught up".

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::site::{DataSetName, SiteLabel};

/// The version of `replication/status.json`.
pub const REPLICATION_FORMAT: u32 = 1;

/// `replication/status.json`: the newest measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicationStatus {
    /// Always [`REPLICATION_FORMAT`].
    pub format_version: u32,
    /// When it was measured.
    pub measured_at: Timestamp,
    /// The site that was active then.
    pub from: SiteLabel,
    /// One entry per data set of the plan.
    pub data_sets: Vec<DataSetStatus>,
}

/// The standing of one data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSetStatus {
    /// Its name.
    pub name: DataSetName,
    /// The newest moment whose data is known to be complete at the standby. `None`: unknown.
    pub recovery_point: Option<Timestamp>,
    /// What the replication metrics said, if there were any.
    pub metrics: Option<ReplicationMetrics>,
    /// Its objective, seconds.
    pub objective_seconds: u32,
    /// What could not be measured, in words.
    pub problems: Vec<String>,
}

/// CloudWatch `AWS/S3` replication metrics. `None` means no data, which is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicationMetrics {
    /// `ReplicationLatency`, seconds, maximum.
    pub latency_seconds: Option<f64>,
    /// `OperationsPendingReplication`.
    pub operations_pending: Option<f64>,
    /// `BytesPendingReplication`.
    pub bytes_pending: Option<f64>,
    /// `OperationsFailedReplication`.
    pub operations_failed: Option<f64>,
}

/// How a data set stands against its objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LagLevel {
    /// Within three quarters of the objective.
    Fine,
    /// Above three quarters.
    Warning,
    /// At or above the objective.
    Critical,
    /// Not known, which is worse than a number.
    Unknown,
}

impl DataSetStatus {
    /// Seconds of data that would be lost if the active site ended at `moment`; `None` if unknown. Never below 0: clocks
    /// differ.
    #[must_use]
    pub fn loss_seconds_at(&self, moment: Timestamp) -> Option<i64> {
        self.recovery_point
            .map(|point| moment.duration_since(point).as_secs().max(0))
    }

    /// Its level at `moment`.
    #[must_use]
    pub fn level_at(&self, moment: Timestamp) -> LagLevel {
        let objective = i64::from(self.objective_seconds);
        match self.loss_seconds_at(moment) {
            None => LagLevel::Unknown,
            Some(loss) if loss >= objective => LagLevel::Critical,
            Some(loss) if loss * 4 >= objective * 3 => LagLevel::Warning,
            Some(_) => LagLevel::Fine,
        }
    }
}

/// The marker object that is written at the active site and read at the standby.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    /// When it was written, by the writer's clock.
    pub written_at: Timestamp,
    /// Which site was active.
    pub from: SiteLabel,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_lag_is_not_zero_lag() {
        let mut status = DataSetStatus {
            name: DataSetName::new("d"),
            recovery_point: None,
            metrics: None,
            objective_seconds: 100,
            problems: vec![],
        };
        let at = |s: i64| Timestamp::from_second(s).unwrap();
        assert_eq!(status.level_at(at(1000)), LagLevel::Unknown);
        status.recovery_point = Some(at(1000));
        for (moment, level) in [
            (990, LagLevel::Fine),
            (1074, LagLevel::Fine),
            (1075, LagLevel::Warning),
            (1100, LagLevel::Critical),
        ] {
            assert_eq!(status.level_at(at(moment)), level, "{moment}");
        }
    }
}
