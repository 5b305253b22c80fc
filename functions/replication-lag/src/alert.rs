//! Metrics of every measurement, and a message when a level changes.

use aws::notices::{Audience, Notice};
use aws::{Failure, Ports, metrics};
use jiff::Timestamp;
use recovery::plan::Plan;
use recovery::replication::{LagLevel, ReplicationStatus, Standing, Thresholds};

/// One EMF line per data set and group.
pub(crate) fn emit(plan: &Plan, status: &ReplicationStatus, now: Timestamp) {
    for set in &status.data_sets {
        let mut values = lag(set.loss_seconds_at(now));
        if let Some(tables) = &set.tables {
            for (name, count) in [
                ("Tables", tables.total),
                ("TablesKnown", tables.known),
                ("TablesBehind", tables.behind),
                ("TablesUnreadable", tables.unreadable),
            ] {
                values.push((name, count as f64, "Count"));
            }
            values.push(("FilesMissing", tables.missing_files as f64, "Count"));
        }
        metrics::emit(&plan.name, &[("DataSet", set.name.as_str())], &values, now);
    }
    for group in &status.groups {
        let values = lag(group.loss_seconds_at(now));
        metrics::emit(&plan.name, &[("Group", group.name.as_str())], &values, now);
    }
}

fn lag(loss: Option<i64>) -> Vec<(&'static str, f64, &'static str)> {
    let known = ("LagKnown", f64::from(u8::from(loss.is_some())), "Count");
    let seconds = loss.map(|loss| ("LagSeconds", loss as f64, "Seconds"));
    [Some(known), seconds].into_iter().flatten().collect()
}

/// What is told of one data set or group.
struct Told<'a> {
    name: &'a str,
    loss: Option<i64>,
    thresholds: Thresholds,
    problems: &'a [String],
}

/// Tells people when the level of a data set or group changes, not each time.
///
/// # Errors
/// What SNS said.
pub(crate) async fn alert(
    ports: &Ports,
    plan: &Plan,
    before: Option<&ReplicationStatus>,
    status: &mut ReplicationStatus,
    now: Timestamp,
) -> Result<(), Failure> {
    let mut lines = Vec::new();
    for set in &mut status.data_sets {
        let was = before.and_then(|b| b.data_sets.iter().find(|d| d.name == set.name));
        let Some(planned) = plan.data_sets.iter().find(|d| *d.name() == set.name) else {
            continue;
        };
        let told = Told {
            name: set.name.as_str(),
            loss: set.loss_seconds_at(now),
            thresholds: Thresholds {
                objective: plan.objective_of(planned),
                expected_interval: planned.expected_interval_seconds(),
            },
            problems: &set.problems,
        };
        let was = was.map(|d| d.standing).unwrap_or_default();
        set.standing = follow(plan, &told, was, now, &mut lines);
    }
    for group in &mut status.groups {
        let was = before.and_then(|b| b.groups.iter().find(|g| g.name == group.name));
        let Some(planned) = plan.groups.iter().find(|g| g.name == group.name) else {
            continue;
        };
        let told = Told {
            name: group.name.as_str(),
            loss: group.loss_seconds_at(now),
            thresholds: Thresholds {
                objective: plan.objective_of_group(planned),
                expected_interval: None,
            },
            problems: &group.problems,
        };
        let was = was.map(|g| g.standing).unwrap_or_default();
        group.standing = follow(plan, &told, was, now, &mut lines);
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

fn follow(
    plan: &Plan,
    told: &Told<'_>,
    was: Standing,
    now: Timestamp,
    lines: &mut Vec<String>,
) -> Standing {
    let level = told.thresholds.level(told.loss);
    let next = was.next(level, plan.replication.unknown_after_seconds, now);
    if next.tell {
        let loss = told
            .loss
            .map_or_else(|| "unknown".to_owned(), |s| format!("{s} s"));
        lines.push(format!(
            "  {}: {level:?}, lag {loss}, objective {} s",
            told.name, told.thresholds.objective.0
        ));
        if level != LagLevel::Fine {
            lines.extend(told.problems.iter().take(2).map(|p| format!("    {p}")));
        }
    }
    next.standing
}
