//! What would be lost at a moment, for every data set and group of the plan: the same numbers in the request for approval,
//! in readiness and in the report.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Basis, DataSetStatus, GroupStatus, LagLevel, LastKnown, ReplicationStatus, TablesStatus,
    Thresholds,
};
use crate::plan::{DataSet, Group, Plan, Seconds};
use crate::site::DataSetName;

/// The most problems of a data set that are told as notes.
const MOST_PROBLEMS: usize = 3;

/// Whose loss it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LossOf {
    /// A data set.
    DataSet,
    /// A consistency group.
    Group {
        /// Its data sets.
        members: Vec<DataSetName>,
    },
}

/// What would be lost of one data set or group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredictedLoss {
    /// Its name, unique among data sets and groups.
    pub name: String,
    /// What bears that name.
    pub what: LossOf,
    /// Seconds of data up to the moment; `None` is unknown, the worst. It is the most that can be lost: what was last seen
    /// complete counts, and what came later may have arrived too.
    pub loss_seconds: Option<i64>,
    /// What may be lost.
    pub objective_seconds: Seconds,
    /// Against the objective alone.
    pub level: LagLevel,
    /// What the number rests on.
    pub basis: Option<Basis>,
    /// Whether the source could not be read, so that its last known state was used.
    pub source_is_last_known: bool,
    /// In words: what the number rests on, and what could not be measured.
    pub notes: Vec<String>,
}

impl PredictedLoss {
    /// Whether it is more than the objective allows. What is unknown is.
    #[must_use]
    pub fn is_above_objective(&self) -> bool {
        self.loss_seconds
            .is_none_or(|loss| loss > i64::from(self.objective_seconds.0))
    }

    /// For people, for example `12 s` or `UNKNOWN`.
    #[must_use]
    pub fn in_words(&self) -> String {
        self.loss_seconds
            .map_or_else(|| "UNKNOWN".to_owned(), |loss| format!("{loss} s"))
    }
}

/// What would be lost if the active site ended at `moment`: every data set and group of the plan, worst first. What the
/// status does not hold is unknown, never caught up.
#[must_use]
pub fn predicted_losses(
    plan: &Plan,
    status: Option<&ReplicationStatus>,
    moment: Timestamp,
) -> Vec<PredictedLoss> {
    let sets = plan.data_sets.iter().map(|set| {
        let status = status.and_then(|s| s.data_sets.iter().find(|d| d.name == *set.name()));
        of_set(plan, set, status, moment)
    });
    let groups = plan.groups.iter().map(|group| {
        let status = status.and_then(|s| s.groups.iter().find(|g| g.name == group.name));
        of_group(plan, group, status, moment)
    });
    let mut losses: Vec<PredictedLoss> = sets.chain(groups).collect();
    losses.sort_by(worst_first);
    losses
}

/// What is shown and decided upon while a run asks: what the run froze, unless a newer measurement is worse. A better one
/// changes nothing: the evidence stays as it was frozen. Worst first.
#[must_use]
pub fn worse_of(frozen: Vec<PredictedLoss>, newest: &[PredictedLoss]) -> Vec<PredictedLoss> {
    let mut losses: Vec<PredictedLoss> = frozen
        .into_iter()
        .map(|frozen| {
            let newer = newest
                .iter()
                .find(|n| n.name == frozen.name && n.what == frozen.what);
            match newer {
                Some(newer) if is_worse(newer.loss_seconds, frozen.loss_seconds) => newer.clone(),
                _ => frozen,
            }
        })
        .collect();
    losses.sort_by(worst_first);
    losses
}

/// Unknown is worse than any number.
fn is_worse(newer: Option<i64>, older: Option<i64>) -> bool {
    match (newer, older) {
        (None, Some(_)) => true,
        (Some(newer), Some(older)) => newer > older,
        (_, None) => false,
    }
}

/// Unknown first, then by the share of the objective, then by name.
fn worst_first(a: &PredictedLoss, b: &PredictedLoss) -> std::cmp::Ordering {
    let scaled = |one: &PredictedLoss, other: &PredictedLoss| {
        one.loss_seconds
            .map(|loss| i128::from(loss) * i128::from(other.objective_seconds.0.max(1)))
    };
    let known = a.loss_seconds.is_some().cmp(&b.loss_seconds.is_some());
    known
        .then_with(|| scaled(b, a).cmp(&scaled(a, b)))
        .then_with(|| a.name.cmp(&b.name))
}

fn of_set(
    plan: &Plan,
    set: &DataSet,
    status: Option<&DataSetStatus>,
    moment: Timestamp,
) -> PredictedLoss {
    let objective = plan.objective_of(set);
    let loss_seconds = status.and_then(|s| s.loss_seconds_at(moment));
    let mut notes = Vec::new();
    match status {
        None => notes.push("it was never measured".to_owned()),
        Some(status) => {
            notes.extend(basis_in_words(status.basis));
            notes.extend(last_known_in_words(status.last_known));
            notes.extend(status.tables.as_ref().and_then(tables_in_words));
            notes.extend(status.problems.iter().take(MOST_PROBLEMS).cloned());
        }
    }
    PredictedLoss {
        name: set.name().as_str().to_owned(),
        what: LossOf::DataSet,
        loss_seconds,
        objective_seconds: objective,
        level: against(objective, loss_seconds),
        basis: status.and_then(|s| s.basis),
        source_is_last_known: status.is_some_and(|s| s.last_known.is_some()),
        notes,
    }
}

fn of_group(
    plan: &Plan,
    group: &Group,
    status: Option<&GroupStatus>,
    moment: Timestamp,
) -> PredictedLoss {
    let objective = plan.objective_of_group(group);
    // A status of other members is of another group.
    let status = status.filter(|s| s.members == group.members);
    let loss_seconds = status.and_then(|s| s.loss_seconds_at(moment));
    let mut notes = Vec::new();
    match status {
        None => notes.push("no common moment was ever proven".to_owned()),
        Some(status) => {
            notes.extend(basis_in_words(status.basis));
            notes.extend(last_known_in_words(status.last_known));
            notes.extend(status.problems.iter().take(MOST_PROBLEMS).cloned());
        }
    }
    PredictedLoss {
        name: group.name.as_str().to_owned(),
        what: LossOf::Group {
            members: group.members.clone(),
        },
        loss_seconds,
        objective_seconds: objective,
        level: against(objective, loss_seconds),
        basis: status.and_then(|s| s.basis),
        source_is_last_known: status.is_some_and(|s| s.last_known.is_some()),
        notes,
    }
}

fn against(objective: Seconds, loss: Option<i64>) -> LagLevel {
    let thresholds = Thresholds {
        objective,
        expected_interval: None,
    };
    thresholds.level(loss)
}

fn basis_in_words(basis: Option<Basis>) -> Option<String> {
    let words = match basis? {
        Basis::Proof => return None,
        Basis::Log => "by the log; whether every file has arrived is not proven",
        Basis::Marker => "by a marker object, which may have overtaken other objects",
        Basis::Metrics => "by S3's replication metrics",
        Basis::ManagedReplication => "by Databricks' managed replication",
    };
    Some(words.to_owned())
}

fn last_known_in_words(last_known: Option<LastKnown>) -> Option<String> {
    Some(match last_known?.read_at {
        Some(at) => format!("the source cannot be read; what is said of it was read at {at}"),
        None => {
            "the source cannot be read and never was: what is newest at the standby counts as its newest"
                .to_owned()
        }
    })
}

fn tables_in_words(tables: &TablesStatus) -> Option<String> {
    let mut words = Vec::new();
    let unknown = tables.total.saturating_sub(tables.known);
    for (count, what) in [
        (unknown, "not known"),
        (tables.behind, "behind"),
        (tables.unreadable, "not readable at the standby"),
    ] {
        if count > 0 {
            words.push(format!("{count} {what}"));
        }
    }
    if tables.missing_files > 0 {
        words.push(format!("{} files missing", tables.missing_files));
    }
    let worst = tables.worst.first().filter(|table| !table.path.is_empty());
    if let (Some(worst), false) = (worst, words.is_empty()) {
        words.push(format!("the worst is {}", worst.path));
    }
    (!words.is_empty()).then(|| format!("of {} tables {}", tables.total, words.join(", ")))
}

#[cfg(test)]
#[path = "loss_tests.rs"]
mod tests;
