//! Heartbeats and S3's own metrics: a small object written at the active site and read at the standby, and what S3 says of
//! its replication rule.

use aws::buckets::Buckets as Storage;
use aws::{Failure, Ports};
use jiff::{SignedDuration, Timestamp};
use recovery::plan::{Buckets, DataSet, Plan};
use recovery::replication::{Basis, Marker, ReplicationMetrics};
use recovery::site::SiteLabel;

use crate::cloudwatch::ReplicationCloudWatch;

/// What is watched by a marker.
pub(crate) struct Watched<'a> {
    pub(crate) buckets: &'a Buckets,
    pub(crate) prefix: &'a str,
    /// Whether the data set has replication rules at all.
    pub(crate) is_ruled: bool,
    /// The rule that leads away from the active site.
    pub(crate) rule: Option<&'a str>,
}

impl<'a> Watched<'a> {
    /// What of a data set is watched by a marker, if it is one that is.
    pub(crate) fn of(set: &'a DataSet, from: SiteLabel) -> Option<Self> {
        match set {
            DataSet::Delta(_) => None,
            DataSet::Bucket(set) => Some(Self {
                buckets: &set.buckets,
                prefix: &set.prefix,
                is_ruled: true,
                rule: set.rules.from(from),
            }),
            DataSet::Marker(set) => Some(Self {
                buckets: &set.buckets,
                prefix: &set.prefix,
                is_ruled: false,
                rule: None,
            }),
        }
    }
}

/// What a marker and the metrics say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) recovery_point: Option<Timestamp>,
    pub(crate) basis: Option<Basis>,
    pub(crate) metrics: Option<ReplicationMetrics>,
    pub(crate) problems: Vec<String>,
}

/// What the calls answered.
struct Answers {
    status: Result<Option<String>, Failure>,
    written: Result<(), Failure>,
    arrived: Result<Option<Vec<u8>>, Failure>,
    metrics: Option<Result<ReplicationMetrics, Failure>>,
}

fn key(plan: &Plan, prefix: &str, from: SiteLabel) -> String {
    let folder = match prefix {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    format!("{folder}databricks-dr-marker/{}/{from}.json", plan.name)
}

/// Writes the next marker and looks for the newest that has arrived. Every call has the SDK's short time limits of its own.
pub(crate) async fn measure(
    ports: &Ports,
    plan: &Plan,
    watched: &Watched<'_>,
    from: SiteLabel,
    storage: &Storage,
    cloudwatch: &ReplicationCloudWatch,
) -> Seen {
    let key = key(plan, watched.prefix, from);
    let source = (&plan.sites.get(from).region, watched.buckets.get(from));
    let target = (
        &plan.sites.get(from.other()).region,
        watched.buckets.get(from.other()),
    );
    let now = ports.now();
    let marker = Marker {
        written_at: now,
        from,
    };
    let bytes = serde_json::to_vec(&marker).unwrap_or_default();
    let at_source = async {
        // Before it is overwritten: what S3 says is of the marker of the last measurement.
        let status = match watched.is_ruled {
            true => storage.replication_status(source.0, source.1, &key).await,
            false => Ok(None),
        };
        (status, storage.put(source.0, source.1, &key, bytes).await)
    };
    let metrics = async {
        match watched.rule {
            Some(rule) => Some(
                cloudwatch
                    .read(target.0, watched.buckets, from, rule, now)
                    .await,
            ),
            None => None,
        }
    };
    let ((status, written), arrived, metrics) =
        futures::join!(at_source, storage.get(target.0, target.1, &key), metrics);
    let answers = Answers {
        status,
        written,
        arrived,
        metrics,
    };
    seen(watched, from, answers)
}

fn seen(watched: &Watched<'_>, from: SiteLabel, answers: Answers) -> Seen {
    let mut problems = Vec::new();
    match (answers.status, &answers.written) {
        (Ok(Some(status)), _) if status == "FAILED" => {
            problems.push("S3 says that the marker failed to replicate".to_owned());
        }
        (Ok(None), Ok(())) if watched.rule.is_some() => {
            problems.push("S3 names no replication status of the marker: no rule covers it, or it was never written before".to_owned());
        }
        (Ok(_), _) => {}
        (Err(failure), _) => problems.push(failure.message),
    }
    if let Err(failure) = answers.written {
        problems.push(format!("no marker could be written: {}", failure.message));
    }
    let marker = match answers.arrived {
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
    if watched.is_ruled && watched.rule.is_none() {
        problems.push(format!(
            "the plan names no replication rule away from the {from} site"
        ));
    }
    let metrics = match answers.metrics {
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
    if let Some(failed) = metrics
        .and_then(|m| m.operations_failed)
        .filter(|f| *f > 0.0)
    {
        problems.push(format!("S3 failed to replicate {failed} objects"));
    }
    let by_metrics = metrics.and_then(|m| {
        let latency = SignedDuration::try_from_secs_f64(m.latency_seconds?).ok()?;
        m.at?.checked_sub(latency).ok()
    });
    // Objects arrive in any order: a marker may overtake a queue, and the metrics know better if they are worse. Metrics
    // without a marker say nothing: a rule that is switched off has no latency.
    let (recovery_point, basis) = match (marker, by_metrics) {
        (Some(marker), Some(metrics)) if metrics < marker => (Some(metrics), Some(Basis::Metrics)),
        (Some(marker), _) => (Some(marker), Some(Basis::Marker)),
        (None, _) => (None, None),
    };
    Seen {
        recovery_point,
        basis,
        metrics,
        problems,
    }
}

#[cfg(test)]
mod tests {
    use recovery::failure::FailureName;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn marker(second: i64, from: SiteLabel) -> Vec<u8> {
        let marker = Marker {
            written_at: at(second),
            from,
        };
        serde_json::to_vec(&marker).unwrap()
    }

    fn dark() -> Failure {
        Failure::new(FailureName::Transient, "no answer")
    }

    fn answers() -> Answers {
        Answers {
            status: Ok(Some("COMPLETED".to_owned())),
            written: Ok(()),
            arrived: Ok(Some(marker(900, SiteLabel::Primary))),
            metrics: Some(Ok(ReplicationMetrics {
                at: Some(at(950)),
                latency_seconds: Some(10.0),
                ..ReplicationMetrics::default()
            })),
        }
    }

    fn look(answers: Answers) -> Seen {
        let buckets = Buckets {
            primary: "one".to_owned(),
            secondary: "two".to_owned(),
        };
        let watched = Watched {
            buckets: &buckets,
            prefix: "",
            is_ruled: true,
            rule: Some("rule"),
        };
        seen(&watched, SiteLabel::Primary, answers)
    }

    #[test]
    fn the_worse_of_marker_and_metrics_counts() {
        let seen = look(answers());
        assert_eq!(
            (seen.recovery_point, seen.basis),
            (Some(at(900)), Some(Basis::Marker))
        );
        assert_eq!(seen.problems, Vec::<String>::new());
        let mut queue = answers();
        queue.metrics = Some(Ok(ReplicationMetrics {
            at: Some(at(950)),
            latency_seconds: Some(400.0),
            ..ReplicationMetrics::default()
        }));
        let seen = look(queue);
        assert_eq!(
            (seen.recovery_point, seen.basis),
            (Some(at(550)), Some(Basis::Metrics))
        );
    }

    #[test]
    fn missing_data_is_never_caught_up() {
        type Change = fn(&mut Answers);
        let table: [(Change, Option<i64>, &str); 7] = [
            (|a| a.arrived = Ok(None), None, "no marker has arrived"),
            (|a| a.arrived = Err(dark()), None, "could not be read"),
            (
                |a| a.arrived = Ok(Some(marker(900, SiteLabel::Secondary))),
                None,
                "not ours",
            ),
            (
                |a| a.metrics = Some(Ok(ReplicationMetrics::default())),
                Some(900),
                "publishes no replication metrics",
            ),
            (|a| a.metrics = Some(Err(dark())), Some(900), "no answer"),
            (
                |a| a.status = Ok(Some("FAILED".to_owned())),
                Some(900),
                "failed to replicate",
            ),
            (
                |a| a.written = Err(dark()),
                Some(900),
                "no marker could be written",
            ),
        ];
        for (change, point, problem) in table {
            let mut answers = answers();
            change(&mut answers);
            let seen = look(answers);
            assert_eq!(seen.recovery_point, point.map(at), "{problem}");
            assert!(
                seen.problems.iter().any(|p| p.contains(problem)),
                "{:?} lacks {problem:?}",
                seen.problems
            );
        }
    }
}
