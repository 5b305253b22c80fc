//! What was lost of each data set.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::replication::{Basis, ReplicationStatus};

/// What is known of one data set or group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataLoss {
    /// Its name.
    pub name: String,
    /// Whether it is a group that is recovered to one common moment.
    pub group: bool,
    /// The newest moment whose data is complete at the target. `null`: unknown.
    pub recovery_point: Option<Timestamp>,
    /// Seconds of data lost at most, against the moment the failure began. `null`: unknown.
    pub loss_seconds: Option<i64>,
    /// The objective, seconds.
    pub objective_seconds: u32,
    /// What the recovery point rests on, in words.
    pub basis: String,
}

impl DataLoss {
    /// Whether the loss is known and within the objective.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.loss_seconds
            .is_some_and(|loss| loss <= i64::from(self.objective_seconds))
    }
}

const fn in_words(basis: Option<Basis>) -> &'static str {
    match basis {
        None => "nothing was measured",
        Some(Basis::Proof) => "every file looked for",
        Some(Basis::Log) => "table logs since the last proof",
        Some(Basis::Marker) => "marker object",
        Some(Basis::Metrics) => "S3 replication metrics",
        Some(Basis::ManagedReplication) => "managed replication",
    }
}

/// Unknown losses first, then the largest shares of the objective.
pub(super) fn losses(status: Option<&ReplicationStatus>, moment: Timestamp) -> Vec<DataLoss> {
    let Some(status) = status else {
        return Vec::new();
    };
    let sets = status.data_sets.iter().map(|set| DataLoss {
        name: set.name.as_str().to_owned(),
        group: false,
        recovery_point: set.recovery_point,
        loss_seconds: set.loss_seconds_at(moment),
        objective_seconds: set.objective_seconds,
        basis: in_words(set.basis).to_owned(),
    });
    let groups = status.groups.iter().map(|group| DataLoss {
        name: group.name.as_str().to_owned(),
        group: true,
        recovery_point: group.recovery_point,
        loss_seconds: group.loss_seconds_at(moment),
        objective_seconds: group.objective_seconds,
        basis: in_words(group.basis).to_owned(),
    });
    let mut all: Vec<DataLoss> = sets.chain(groups).collect();
    let share = |set: &DataLoss| {
        set.loss_seconds.map_or(f64::INFINITY, |loss| {
            loss as f64 / f64::from(set.objective_seconds.max(1))
        })
    };
    all.sort_by(|a, b| share(b).total_cmp(&share(a)));
    all
}
