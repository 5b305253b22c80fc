//! Lag and recovery point of every data set: a marker object written at the active site and read at the standby, and S3's
//! own metrics.

pub mod cloudwatch;

use aws::buckets::Buckets;
use aws::notices::{Audience, Notice};
use aws::{Failure, Ports, keys, metrics};
use jiff::Timestamp;
use recovery::plan::{DataSet, Plan};
use recovery::replication::{
    DataSetStatus, LagLevel, Marker, REPLICATION_FORMAT, ReplicationStatus,
};
use recovery::site::SiteLabel;
use serde::{Deserialize, Serialize};

use crate::cloudwatch::ReplicationCloudWatch;

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
    let before: Option<ReplicationStatus> = ports.read(keys::REPLICATION).await?;
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
    let status = ReplicationStatus {
        format_version: REPLICATION_FORMAT,
        measured_at: now,
        from,
        data_sets,
    };
    ports.put(keys::REPLICATION, &status).await?;
    emit(&plan, &status, now);
    alert(ports, &plan, before.as_ref(), &status, now).await?;
    Ok(Answer {
        data_sets: status.data_sets,
    })
}

fn marker_key(plan: &Plan, from: SiteLabel) -> String {
    format!("databricks-dr-marker/{}/{from}.json", plan.name)
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
    let key = marker_key(plan, from);
    let (source, target) = (
        &plan.sites.get(from).region,
        &plan.sites.get(from.other()).region,
    );
    let now = ports.now();
    let marker = serde_json::to_vec(&Marker {
        written_at: now,
        from,
    })
    .unwrap_or_default();
    let (written, arrived, metrics) = futures::join!(
        buckets.put(source, set.buckets.get(from), &key, marker),
        buckets.get(target, set.buckets.get(from.other()), &key),
        async {
            // The rule of the plan leads from primary to secondary.
            match set
                .replication_rule
                .as_deref()
                .filter(|_| from == SiteLabel::Primary)
            {
                Some(rule) => Some(cloudwatch.read(target, &set.buckets, from, rule, now).await),
                None => None,
            }
        },
    );
    let mut problems = Vec::new();
    if let Err(failure) = written {
        problems.push(format!("no marker could be written: {}", failure.message));
    }
    // What was once seen to have arrived stays known, also when the standby cannot be read now.
    let known = before
        .and_then(|b| b.data_sets.iter().find(|d| d.name == set.name))
        .and_then(|d| d.recovery_point);
    let seen = match arrived {
        Ok(Some(bytes)) => match serde_json::from_slice::<Marker>(&bytes) {
            Ok(marker) if marker.from == from => Some(marker.written_at),
            _ => {
                problems.push("the marker at the standby is not ours".to_owned());
                None
            }
        },
        Ok(None) => {
            problems.push("no marker has arrived at the standby".to_owned());
            None
        }
        Err(failure) => {
            problems.push(format!(
                "the standby's marker could not be read: {}",
                failure.message
            ));
            None
        }
    };
    let metrics = match metrics {
        Some(Ok(metrics)) => {
            if metrics.latency_seconds.is_none() {
                problems.push("S3 publishes no replication metrics for the rule".to_owned());
            }
            Some(metrics)
        }
        Some(Err(failure)) => {
            problems.push(failure.message);
            None
        }
        None => None,
    };
    // Objects arrive in any order: a marker may overtake a queue. The metrics know better if they are worse.
    let by_metrics = metrics
        .and_then(|m| m.latency_seconds)
        .and_then(|s| jiff::SignedDuration::try_from_secs_f64(s).ok())
        .map(|latency| now - latency);
    let seen = match (seen, by_metrics) {
        (Some(marker), Some(metrics)) => Some(marker.min(metrics)),
        (marker, _) => marker,
    };
    if let Some(failed) = metrics
        .and_then(|m| m.operations_failed)
        .filter(|f| *f > 0.0)
    {
        problems.push(format!("S3 failed to replicate {failed} objects"));
    }
    DataSetStatus {
        name: set.name.clone(),
        recovery_point: seen.max(known),
        metrics,
        objective_seconds: plan.objective_of(set).0,
        problems,
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

/// Tells people when a data set's level gets worse or is fine again, not each time.
async fn alert(
    ports: &Ports,
    plan: &Plan,
    before: Option<&ReplicationStatus>,
    status: &ReplicationStatus,
    now: Timestamp,
) -> Result<(), Failure> {
    let mut lines = Vec::new();
    for set in &status.data_sets {
        let level = set.level_at(now);
        let was = before.and_then(|b| {
            let same = b.data_sets.iter().find(|d| d.name == set.name)?;
            Some(same.level_at(b.measured_at))
        });
        // The first measurement has seen no marker arrive yet.
        let changed = was.is_some_and(|was| was != level)
            && (level != LagLevel::Fine || was != Some(LagLevel::Unknown));
        if changed {
            let loss = set
                .loss_seconds_at(now)
                .map_or_else(|| "unknown".to_owned(), |s| format!("{s} s"));
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
