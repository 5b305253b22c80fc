//! Lag and recovery point of every data set. On its schedule it compares the logs of Delta tables, proves now and then that
//! every file has arrived, writes and looks for marker objects and reads S3's own metrics; in a run it proves every table
//! once and freezes what would be lost, in a failover while people decide. A switchover to a fenced site lists what that fence held back.

mod alert;
mod book;
pub mod cloudwatch;
mod freeze;
mod held_back;
mod in_run;
mod markers;
mod measure;
mod status;
mod tables;

use aws::buckets::Buckets;
use aws::{Failure, Invocation, Ports};
use recovery::replication::{MeasureAnswer, ReplicationStatus};
use recovery::site::{RunId, RunToken};
use serde::{Deserialize, Serialize};

use crate::cloudwatch::ReplicationCloudWatch;
use crate::in_run::Patience;
pub use crate::tables::OpenPrefix;

/// What starts the function.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "phase", rename_all = "lowercase", deny_unknown_fields)]
pub enum Event {
    /// By the schedule.
    Scheduled,
    /// In a run, as evidence before the approval; in a failover a first look.
    Run {
        /// The run.
        run: RunId,
        /// Its token.
        token: RunToken,
    },
    /// In a failover, while people decide: the proof goes on.
    Prove {
        /// The run.
        run: RunId,
        /// Its token.
        token: RunToken,
    },
    /// In a run, before the target is touched: what is left of the proof.
    Finish {
        /// The run.
        run: RunId,
        /// Its token.
        token: RunToken,
    },
    /// In a switchover, once the old site is quiet: has everything arrived?
    Drain {
        /// The run.
        run: RunId,
        /// Its token.
        token: RunToken,
    },
}

/// What data sets are read with.
#[derive(Clone)]
pub struct Reach {
    /// Markers.
    pub buckets: Buckets,
    /// S3's own metrics.
    pub cloudwatch: ReplicationCloudWatch,
    /// Delta tables.
    pub open: OpenPrefix,
}

/// What the function tells the state machine and its logs.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// Whether all was measured.
    pub answer: MeasureAnswer,
    /// In one sentence.
    pub reason: String,
}

/// One measurement, or the next step of a run's.
///
/// # Errors
/// `InvalidPlan`, `LockLost`, or what the store said. What cannot be measured is a problem in the documents, not an error.
pub async fn handle(
    event: Event,
    ports: &Ports,
    reach: &Reach,
    invocation: &Invocation,
) -> Result<Answer, Failure> {
    let plan = ports.plan().await?;
    let task = |run, token| in_run::Task {
        ports,
        plan: &plan,
        reach,
        invocation,
        run,
        token,
    };
    match &event {
        Event::Scheduled => measure::scheduled(ports, &plan, reach, invocation).await,
        Event::Run { run, token } => task(run, token).prove_before_asking().await,
        Event::Prove { run, token } => task(run, token).continue_proof(Patience::WhileAsking).await,
        Event::Finish { run, token } => task(run, token).continue_proof(Patience::ToTheEnd).await,
        Event::Drain { run, token } => {
            measure::drain(ports, &plan, reach, invocation, run, token).await
        }
    }
}

/// The answer when all is measured, in numbers.
fn measured(status: &ReplicationStatus) -> Answer {
    let known = |points: &mut dyn Iterator<Item = bool>| {
        let all: Vec<bool> = points.collect();
        format!("{} of {}", all.iter().filter(|k| **k).count(), all.len())
    };
    let sets = known(&mut status.data_sets.iter().map(|d| d.recovery_point.is_some()));
    let groups = known(&mut status.groups.iter().map(|g| g.recovery_point.is_some()));
    Answer {
        answer: MeasureAnswer::Measured,
        reason: format!("the recovery point is known of {sets} data sets and {groups} groups"),
    }
}
