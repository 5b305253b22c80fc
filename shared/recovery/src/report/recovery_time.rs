//! The RTO of a run, and where its clock starts and ends.

use jiff::Timestamp;

use super::clock::between;
use crate::run::{Mode, RunDocument, Stage};

pub(super) struct RecoveryTime {
    pub(super) from: Timestamp,
    pub(super) seconds: Option<f64>,
    pub(super) clock: String,
}

impl RecoveryTime {
    pub(super) fn of(run: &RunDocument) -> Self {
        let (from, words) = start(run);
        let until = run
            .stages
            .iter()
            .filter(|s| s.stage == Stage::Endpoints)
            .filter_map(|s| s.finished_at)
            .max();
        Self {
            from,
            seconds: until.map(|until| between(from, until)),
            clock: if run.mode.moves_users() {
                format!("{words} until the endpoints were switched")
            } else {
                "none: a drill moves nobody".to_owned()
            },
        }
    }
}

/// When users were first without their workspace: in a failover since the failure, in a planned move since the first act of the fence.
fn start(run: &RunDocument) -> (Timestamp, &'static str) {
    let fenced = run.stages.iter().find(|s| s.stage == Stage::Fence);
    match (run.mode, fenced, run.evidence.failing_since) {
        (Mode::Switchover, Some(fence), _) => (
            fence.started_at,
            "from the first act of the fence (until then the old site worked)",
        ),
        (Mode::Failover, _, Some(since)) => (since, "from the first failed signal"),
        _ => (
            run.begun_at,
            "from the beginning of the run (no failure was seen)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(mode: &str, failing_since: Option<&str>) -> RunDocument {
        let stage = |name: &str, from: &str, to: &str| json!({"stage": name, "attempt": 1, "started_at": format!("2026-03-01T{from}Z"), "finished_at": format!("2026-03-01T{to}Z")});
        serde_json::from_value(json!({
            "format_version": 1, "run": "r", "plan": "lakehouse", "mode": mode, "attempt": 1, "token": "t", "epoch": 0,
            "from": "primary", "target": "secondary", "begun_at": "2026-03-01T03:00:00Z",
            "evidence": {
                "verdict": null, "actionable": false, "failing_since": failing_since, "signals": [], "replication": null,
                "workspace_urls": {},
                "baseline": {"format_version": 1, "digest": "d", "site": "primary", "captured_at": "2026-03-01T02:00:00Z", "live": {}, "objects": 0},
            },
            "stages": [
                stage("Approval", "03:00:00", "03:10:00"), stage("Fence", "03:10:00", "03:11:00"),
                stage("Endpoints", "03:12:00", "03:13:00"), stage("Standby", "03:13:00", "03:20:00"),
            ],
            "committed_at": null, "outcome": null, "reason": null, "closed_at": null, "told_at": null,
        }))
        .unwrap()
    }

    #[test]
    fn the_clock_runs_while_users_are_without_a_workspace_and_no_longer() {
        let seconds = |mode, since| RecoveryTime::of(&run(mode, since)).seconds;
        let since = Some("2026-03-01T02:57:00Z");
        assert_eq!(seconds("failover", since), Some(16.0 * 60.0));
        assert_eq!(seconds("failover", None), Some(13.0 * 60.0));
        assert_eq!(seconds("switchover", None), Some(3.0 * 60.0));
        assert_eq!(
            seconds("switchover", since),
            Some(3.0 * 60.0),
            "a doubt is no outage"
        );
    }

    #[test]
    fn the_phases_of_the_clock_add_up_to_no_more_than_the_recovery_time() {
        let of = |mode| {
            let run = run(mode, None);
            (
                super::super::Clock::of(&run, run.begun_at),
                RecoveryTime::of(&run),
            )
        };
        let (clock, recovery) = of("failover");
        let sum: f64 = clock.phases().iter().filter_map(|(_, s)| *s).sum();
        assert!(sum <= recovery.seconds.unwrap(), "{clock:?}");
        let (clock, recovery) = of("switchover");
        assert!(
            clock.fence + clock.switch <= recovery.seconds.unwrap(),
            "{clock:?}"
        );
    }
}
