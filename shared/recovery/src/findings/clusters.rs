//! The cluster canary: do the clusters run that should?

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Object, text};
use crate::plan::ClusterCanary;
use crate::verdict::{DegradedCause, Outcome, UnknownCause};

/// How one cluster stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterStanding {
    /// It runs.
    Up,
    /// It runs, and lost nodes lately.
    LostNodes,
    /// It was ended by a failure of the cloud or of the platform.
    Failed,
    /// It is on its way up, or somebody stopped it: nothing is learned of the platform.
    Silent,
}

/// Whether the canary is about this cluster. `running` are the names of those that ran when the baseline was captured; they
/// count if the plan names none.
#[must_use]
pub fn is_wanted(canary: &ClusterCanary, running: &BTreeSet<String>, cluster: &Object) -> bool {
    let name = text(cluster, "cluster_name");
    if canary.is_from_baseline() {
        return running.contains(name);
    }
    let tagged = || {
        !canary.tags.is_empty()
            && canary.tags.iter().all(|(key, value)| {
                cluster
                    .get("custom_tags")
                    .and_then(|tags| tags.get(key))
                    .and_then(Value::as_str)
                    == Some(value)
            })
    };
    canary.names.iter().any(|wanted| wanted == name) || tagged()
}

/// How a cluster stands. Who ended one is told by `termination_reason.type`: `SERVICE_FAULT` and `CLOUD_FAILURE` are the
/// platform's, `SUCCESS` and `CLIENT_ERROR` are its users' (databricks-sdk-py 0.156.0, `TerminationReasonType`).
#[must_use]
pub fn standing_of(cluster: &Object, lost_nodes: bool) -> ClusterStanding {
    let reason = cluster
        .get("termination_reason")
        .and_then(|reason| reason.get("type"))
        .and_then(Value::as_str);
    match text(cluster, "state") {
        "RUNNING" | "RESIZING" if lost_nodes => ClusterStanding::LostNodes,
        "RUNNING" | "RESIZING" => ClusterStanding::Up,
        "ERROR" => ClusterStanding::Failed,
        "TERMINATED" | "TERMINATING"
            if matches!(reason, Some("SERVICE_FAULT" | "CLOUD_FAILURE")) =>
        {
            ClusterStanding::Failed
        }
        _ => ClusterStanding::Silent,
    }
}

/// What all wanted clusters together say. A cluster that its users stopped says nothing.
#[must_use]
pub fn clusters_outcome(standings: &[ClusterStanding]) -> Outcome {
    let count = |such: ClusterStanding| standings.iter().filter(|one| **one == such).count();
    let (up, lost, failed) = (
        count(ClusterStanding::Up),
        count(ClusterStanding::LostNodes),
        count(ClusterStanding::Failed),
    );
    if standings.is_empty() {
        UnknownCause::NotConfigured.into()
    } else if up + lost + failed == 0 {
        UnknownCause::Other("ClustersStopped".to_owned()).into()
    } else if up + lost == 0 {
        Outcome::Down(None)
    } else if lost + failed > 0 {
        DegradedCause::PartialFailure.into()
    } else {
        Outcome::Healthy
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn what_users_do_to_clusters_is_no_failure() {
        let ended =
            |kind: &str| json!({"state": "TERMINATED", "termination_reason": {"type": kind}});
        for (cluster, lost, expected) in [
            (json!({"state": "RUNNING"}), false, ClusterStanding::Up),
            (json!({"state": "RESIZING"}), false, ClusterStanding::Up),
            (
                json!({"state": "RUNNING"}),
                true,
                ClusterStanding::LostNodes,
            ),
            (json!({"state": "PENDING"}), false, ClusterStanding::Silent),
            (json!({"state": "NEWSTATE"}), false, ClusterStanding::Silent),
            (
                json!({"state": "TERMINATED"}),
                false,
                ClusterStanding::Silent,
            ),
            (ended("SUCCESS"), false, ClusterStanding::Silent),
            (ended("CLIENT_ERROR"), false, ClusterStanding::Silent),
            (ended("CLOUD_FAILURE"), false, ClusterStanding::Failed),
            (ended("SERVICE_FAULT"), false, ClusterStanding::Failed),
            (json!({"state": "ERROR"}), false, ClusterStanding::Failed),
        ] {
            assert_eq!(
                standing_of(&object(cluster.clone()), lost),
                expected,
                "{cluster}"
            );
        }
    }

    #[test]
    fn only_a_failure_of_all_is_down() {
        use ClusterStanding::{Failed, LostNodes, Silent, Up};
        for (standings, expected) in [
            (vec![], "Unknown (NotConfigured)"),
            (vec![Silent, Silent], "Unknown (ClustersStopped)"),
            (vec![Up, Silent], "Healthy"),
            (vec![Up, Failed], "Degraded (PartialFailure)"),
            (vec![Up, LostNodes], "Degraded (PartialFailure)"),
            (vec![Failed, Silent], "Down"),
            (vec![Failed], "Down"),
        ] {
            assert_eq!(
                clusters_outcome(&standings).to_string(),
                expected,
                "{standings:?}"
            );
        }
    }

    #[test]
    fn clusters_are_wanted_by_name_by_all_tags_or_by_the_baseline() {
        let mut canary: ClusterCanary = serde_json::from_value(json!({})).unwrap();
        let running = BTreeSet::from(["a".to_owned()]);
        let tagged =
            object(json!({"cluster_name": "b", "custom_tags": {"team": "x", "tier": "1"}}));
        let a = object(json!({"cluster_name": "a"}));
        assert!(is_wanted(&canary, &running, &a));
        assert!(!is_wanted(&canary, &running, &tagged));
        canary.tags.insert("team".to_owned(), "x".to_owned());
        assert!(is_wanted(&canary, &running, &tagged));
        assert!(!is_wanted(&canary, &running, &a), "the plan names some");
        canary.tags.insert("tier".to_owned(), "2".to_owned());
        assert!(!is_wanted(&canary, &running, &tagged), "all tags");
        canary.names.push("b".to_owned());
        assert!(is_wanted(&canary, &running, &tagged), "by name, too");
    }
}
