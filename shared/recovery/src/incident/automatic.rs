//! Automatic failover: when the plan may approve by itself what the probe has started. Everything that speaks against it is
//! named, not only the first.

use jiff::Timestamp;

use super::Incident;
use crate::approval::{Asked, Question, Request};
use crate::state::State;
use crate::verdict::{Judgement, Verdict};

/// What the plan's approval is judged by, all of it as it is now.
#[derive(Clone, Copy, Debug)]
pub struct Automatic<'a> {
    /// What is asked now.
    pub asked: &'a Asked<'a>,
    /// What was asked: people have been told.
    pub request: &'a Request,
    /// The incident of the same name as the run; none if a person started it.
    pub incident: Option<&'a Incident>,
    /// The active site.
    pub judged: &'a Judgement,
    /// The target.
    pub target: &'a Judgement,
    /// The state.
    pub state: &'a State,
}

/// Whether the plan may approve now. `Ok` holds the reason for the record.
///
/// # Errors
/// Everything that speaks against it, in words.
pub fn may_approve(known: Automatic<'_>, now: Timestamp) -> Result<String, Vec<String>> {
    let Automatic {
        asked,
        request,
        incident,
        judged,
        target,
        state,
    } = known;
    let mut against = Vec::new();
    let mut found = |is: bool, what: String| {
        if is {
            against.push(what);
        }
    };
    let Some(automatic) = &asked.plan.automatic_failover else {
        return Err(vec!["the plan has no automatic failover".to_owned()]);
    };
    found(
        asked.question != Question::Start,
        "only the start of a run is approved by the plan".to_owned(),
    );
    found(
        incident.is_none_or(|incident| {
            incident.site != asked.run.from || !incident.has_started(&asked.run.run)
        }),
        "a person started this run, and a person decides on it".to_owned(),
    );
    found(
        asked.run.attempt != 1,
        "a person resumed this run, and a person decides on it".to_owned(),
    );
    found(
        !judged.actionable,
        format!(
            "the verdict is {} now, which calls for no failover",
            judged.verdict
        ),
    );
    found(
        judged.actionable && !automatic.verdicts.contains(&judged.verdict),
        format!(
            "the verdict is {}, which the plan leaves to a person",
            judged.verdict
        ),
    );
    for setting in asked.plan.unsafe_automatic() {
        found(true, setting.to_string());
    }
    let name_lost =
        judged.rests_on_name_lost || incident.is_some_and(|incident| incident.rests_on_name_lost);
    found(
        name_lost,
        "the verdict rests on a name that is lost".to_owned(),
    );
    match judged.since {
        Some(since) => {
            let from = since + automatic.grace_seconds.signed();
            found(
                now < from,
                format!("the failure has not lasted long enough; not before {from}"),
            );
        }
        None => found(true, "nobody knows when the failure began".to_owned()),
    }
    found(
        target.verdict != Verdict::Healthy,
        format!("the verdict on the target is {}", target.verdict),
    );
    if let Some(hold) = &state.hold {
        found(true, format!("hold by {} ({})", hold.who, hold.why));
    }
    for needed in &asked.overrides {
        found(true, needed.to_string());
    }
    found(
        asked.overrides.is_empty() && !request.overrides.is_empty(),
        "what was asked held something that a person must accept".to_owned(),
    );
    found(
        asked
            .run
            .evidence
            .proof
            .is_some_and(|proof| proof.is_open()),
        "the recovery points are still being proven".to_owned(),
    );
    found(
        asked.losses.is_empty(),
        "nobody knows how much data would be lost".to_owned(),
    );
    if against.is_empty() {
        Ok(format!(
            "{} since {}, longer than the plan's {} s; the target is Healthy and no loss is above its objective",
            judged.verdict,
            judged
                .since
                .map_or_else(String::new, |since| since.to_string()),
            automatic.grace_seconds.0
        ))
    } else {
        Err(against)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::approval::{ApprovalId, Loss};
    use crate::plan::{AutomaticFailover, Plan, Seconds};
    use crate::run::RunDocument;
    use crate::site::{Epoch, PlanName, SiteLabel};
    use crate::state::Hold;
    use crate::verdict::Layers;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn judged(verdict: Verdict) -> Judgement {
        Judgement {
            verdict,
            actionable: verdict.is_actionable(),
            why_not: vec![],
            evidence: vec![],
            since: Some(at(0)),
            rests_on_name_lost: false,
            layers: Layers::default(),
            probes: vec![],
            fresh: vec![],
            isolated: vec![],
            stale: vec![],
        }
    }

    /// Everything that may be made worse.
    struct World {
        plan: Plan,
        run: RunDocument,
        losses: Vec<Loss>,
        incident: Option<Incident>,
        judged: Judgement,
        target: Judgement,
        state: State,
        now: Timestamp,
    }

    impl World {
        fn new() -> Self {
            let example = include_str!("../../../../infra/plan.example.json");
            let mut plan = Plan::parse(example.as_bytes()).unwrap();
            plan.automatic_failover = Some(AutomaticFailover {
                grace_seconds: Seconds(600),
                verdicts: BTreeSet::from([Verdict::RegionDown]),
            });
            let second = crate::site::Region::new("eu-west-1");
            plan.detection.vantages.push(second);
            let down = judged(Verdict::RegionDown);
            let run = serde_json::from_value(json!({
                "format_version": 1, "run": "incident-0-0", "plan": "lakehouse", "mode": "failover", "attempt": 1, "token": "t",
                "epoch": 0, "from": "primary", "target": "secondary", "begun_at": at(0),
                "evidence": {"verdict": "RegionDown", "actionable": true, "failing_since": at(0), "signals": [], "replication": null,
                    "workspace_urls": {}, "baseline": {"format_version": 1, "digest": "d", "site": "primary",
                    "captured_at": at(0), "live": {}, "objects": 0}},
                "stages": [], "committed_at": null, "outcome": null, "reason": null, "closed_at": null, "told_at": null,
            }));
            Self {
                plan,
                run: run.unwrap(),
                losses: vec![Loss {
                    name: "lake".into(),
                    loss_seconds: Some(10),
                    objective_seconds: 900,
                }],
                incident: Incident::from_judgement(
                    &down,
                    SiteLabel::Primary,
                    Epoch::first(),
                    at(0),
                ),
                judged: down,
                target: judged(Verdict::Healthy),
                state: State::initial(PlanName::new("lakehouse")),
                now: at(600),
            }
        }

        fn against(&self) -> Vec<String> {
            let asked = Asked::start(&self.plan, &self.run, self.losses.clone());
            let request = asked.request(ApprovalId::from_bits(1), at(0));
            let known = Automatic {
                asked: &asked,
                request: &request,
                incident: self.incident.as_ref(),
                judged: &self.judged,
                target: &self.target,
                state: &self.state,
            };
            may_approve(known, self.now).err().unwrap_or_default()
        }
    }

    #[test]
    fn the_plan_approves_only_when_nothing_speaks_against_it() {
        assert_eq!(World::new().against(), Vec::<String>::new());
        type Worse = fn(&mut World);
        let table: [(&str, Worse); 15] = [
            ("no automatic failover", |w| {
                w.plan.automatic_failover = None
            }),
            ("a person started", |w| w.incident = None),
            ("a person started", |w| {
                w.run.run = crate::site::RunId::new("incident-0-0-2");
            }),
            ("a person resumed", |w| w.run.attempt = 2),
            ("calls for no failover", |w| {
                w.judged = judged(Verdict::Degraded)
            }),
            ("leaves to a person", |w| {
                w.judged = judged(Verdict::ControlPlaneDown)
            }),
            ("confirmations 3 or more", |w| {
                w.plan.detection.policy.confirmations = 2
            }),
            ("two vantages", |w| w.plan.detection.vantages.truncate(1)),
            ("name that is lost", |w| w.judged.rests_on_name_lost = true),
            ("not before 1970-01-01T00:10:00Z", |w| w.now = at(599)),
            ("when the failure began", |w| w.judged.since = None),
            ("target is Suspect", |w| w.target = judged(Verdict::Suspect)),
            ("above the objective of 900 s", |w| {
                w.losses[0].loss_seconds = Some(901)
            }),
            ("nobody knows how much data is lost", |w| {
                w.losses[0].loss_seconds = None
            }),
            ("nobody knows how much data would be lost", |w| {
                w.losses.clear()
            }),
        ];
        for (expected, worse) in table {
            let mut world = World::new();
            worse(&mut world);
            let against = world.against();
            assert_eq!(against.len(), 1, "{against:?}");
            assert!(against[0].contains(expected), "{against:?}");
        }
        // A run that the incident has started again is the plan's to approve as the first one was.
        let mut again = World::new();
        again.run.run = crate::site::RunId::new("incident-0-0-2");
        if let Some(incident) = &mut again.incident {
            incident.restarts = 1;
        }
        assert_eq!(again.against(), Vec::<String>::new());
        let mut held = World::new();
        held.state.hold = Some(Hold {
            who: "w".into(),
            why: "y".into(),
            since: at(1),
        });
        held.judged = judged(Verdict::Healthy);
        assert_eq!(held.against().len(), 2, "all of it is named");
    }
}
