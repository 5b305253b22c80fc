//! Lag and recovery point of every data set: a marker object written at the active site and read at the standby, and S3's
//! own metrics.

pub mod cloudwatch;
mod markers;

use aws::buckets::Buckets;
use aws::notices::{Audience, Notice};
use aws::{Failure, Ports, keys, metrics};
use jiff::Timestamp;
use recovery::plan::{DataSet, Plan};
use recovery::replication::{
    DataSetStatus, REPLICATION_FORMAT, ReplicationStatus, Standing, Thresholds,
};
use recovery::site::SiteLabel;
use serde::{Deserialize, Serialize};

use crate::cloudwatch::ReplicationCloudWatch;
use crate::markers::{Seen, Watched};

/// What starts the function.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Always true: the schedule says so.
    pub scheduled: bool,
}

/// What the function tells its logs.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The standing of every data set.
    pub data_sets: Vec<DataSetStatus>,
}

/// One measurement.
///
/// # Errors
/// `InvalidPlan`, or what the store said. What cannot be measured is a problem in the answer, not an error.
pub async fn handle(
    _: Event,
    ports: &Ports,
    buckets: &Buckets,
    cloudwatch: &ReplicationCloudWatch,
) -> Result<Answer, Failure> {
    let plan = ports.plan().await?;
    let state = ports.state().await?;
    let from = state.active_site;
    // A status of another format is as good as none.
    let before: Option<ReplicationStatus> = ports.read(keys::REPLICATION).await.unwrap_or_default();
    let before = before.filter(|b| b.from == from);
    let data_sets = futures::future::join_all(plan.data_sets.iter().map(|set| {
        measure(
            ports,
            &plan,
            set,
            from,
            buckets,
            cloudwatch,
            before.as_ref(),
        )
    }))
    .await;
    let now = ports.now();
    let mut status = ReplicationStatus {
        format_version: REPLICATION_FORMAT,
        measured_at: now,
        from,
        data_sets,
        groups: vec![],
    };
    emit(&plan, &status, now);
    // Told first, kept then: a function that dies in between tells twice, never not at all.
    alert(ports, &plan, before.as_ref(), &mut status, now).await?;
    ports.put(keys::REPLICATION, &status).await?;
    Ok(Answer {
        data_sets: status.data_sets,
    })
}

async fn measure(
    ports: &Ports,
    plan: &Plan,
    set: &DataSet,
    from: SiteLabel,
    buckets: &Buckets,
    cloudwatch: &ReplicationCloudWatch,
    before: Option<&ReplicationStatus>,
) -> DataSetStatus {
    let watched = match set {
        DataSet::Delta(_) => None,
        DataSet::Bucket(set) => Some(Watched {
            buckets: &set.buckets,
            prefix: &set.prefix,
            is_ruled: true,
            rule: set.rules.from(from),
        }),
        DataSet::Marker(set) => Some(Watched {
            buckets: &set.buckets,
            prefix: &set.prefix,
            is_ruled: false,
            rule: None,
        }),
    };
    let seen = match &watched {
        Some(watched) => markers::measure(ports, plan, watched, from, buckets, cloudwatch).await,
        None => Seen::default(),
    };
    // What was once seen to have arrived stays known, also when the standby cannot be read now.
    let known = before
        .and_then(|b| b.data_sets.iter().find(|d| d.name == *set.name()))
        .and_then(|d| d.recovery_point.zip(d.basis));
    let newest = seen.recovery_point.zip(seen.basis).max(known);
    DataSetStatus {
        name: set.name().clone(),
        recovery_point: newest.map(|(point, _)| point),
        basis: newest.map(|(_, basis)| basis),
        proven_point: None,
        last_known: None,
        metrics: seen.metrics,
        tables: None,
        objective_seconds: plan.objective_of(set).0,
        standing: Standing::default(),
        problems: seen.problems,
    }
}

fn emit(plan: &Plan, status: &ReplicationStatus, now: Timestamp) {
    for set in &status.data_sets {
        let mut values = vec![(
            "LagKnown",
            f64::from(u8::from(set.recovery_point.is_some())),
            "Count",
        )];
        if let Some(loss) = set.loss_seconds_at(now) {
            values.push(("LagSeconds", loss as f64, "Seconds"));
        }
        metrics::emit(&plan.name, &[("DataSet", set.name.as_str())], &values, now);
    }
}

/// Tells people when a data set's level changes, not each time.
async fn alert(
    ports: &Ports,
    plan: &Plan,
    before: Option<&ReplicationStatus>,
    status: &mut ReplicationStatus,
    now: Timestamp,
) -> Result<(), Failure> {
    let mut lines = Vec::new();
    for set in &mut status.data_sets {
        let Some(planned) = plan.data_sets.iter().find(|d| *d.name() == set.name) else {
            continue;
        };
        let thresholds = Thresholds {
            objective: plan.objective_of(planned),
            expected_interval: planned.expected_interval_seconds(),
        };
        let loss = set.loss_seconds_at(now);
        let level = thresholds.level(loss);
        let was = before
            .and_then(|b| b.data_sets.iter().find(|d| d.name == set.name))
            .map(|d| d.standing)
            .unwrap_or_default();
        let next = was.next(level, plan.replication.unknown_after_seconds, now);
        set.standing = next.standing;
        if next.tell {
            let loss = loss.map_or_else(|| "unknown".to_owned(), |s| format!("{s} s"));
            lines.push(format!(
                "  {}: {level:?}, lag {loss}, objective {} s",
                set.name, set.objective_seconds
            ));
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    ports
        .notices
        .publish(Notice {
            audience: Audience::Managers,
            subject: format!("[{}] replication lag", plan.name),
            message: format!("{}\n", lines.join("\n")),
        })
        .await
}
