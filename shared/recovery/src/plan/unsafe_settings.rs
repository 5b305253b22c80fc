//! What no plan can mean, although a function accepts it.
//!
//! Purpose: a plan that fails people at night should be refused in the daytime. `plan-check` refuses all of these. A function that meets one
//! in a stored plan goes on, treats it as off where it can, and people are told: a plan that is not read at all protects nobody.

use std::fmt;

use super::{Plan, Seconds};
use crate::kind::Kind;
use crate::site::{Region, SiteLabel};

/// Fewer failed probes in a row than this are noise too often to move a workspace without a person.
const LEAST_CONFIRMATIONS_OF_AUTOMATIC: u32 = 3;
/// A site that was silent or refused for less than this may just have been slow: a blip is no disaster.
pub const LEAST_PROCEED: Seconds = Seconds(120);
/// How often replication is measured (`ReplicationLagSchedule` in the template): what is not measured more often is always late.
const REPLICATION_PERIOD: Seconds = Seconds(300);
/// How often sites are probed (`ProbeSchedule` in the template).
const PROBE_PERIOD: Seconds = Seconds(60);
/// A history ends the execution at 25,000 events (AWS Step Functions quotas); some are kept for what is no loop.
const MOST_EVENTS: u64 = 24_000;
/// Events of one turn of a loop: a task's four, a choice's two, a wait's two, and one for a retry now and then.
const EVENTS_PER_TURN: u64 = 9;
/// Events that a turn of the decision has beside while the proof goes on: a task's four, a choice's two, and one for a retry now and then.
const EVENTS_PER_PROOF: u64 = 7;

/// AWS regions that this version knows. One that is missing here is refused by `plan-check` only, since a typing error is likelier.
const REGIONS: [&str; 36] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// One such setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsafeSetting {
    /// Where it stands in the plan.
    pub path: String,
    /// What is wrong with it, and what to write instead.
    pub problem: String,
}

impl fmt::Display for UnsafeSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

#[derive(Default)]
struct Found(Vec<UnsafeSetting>);

impl Found {
    fn add(&mut self, is_unsafe: bool, path: &str, problem: impl FnOnce() -> String) {
        if is_unsafe {
            self.0.push(UnsafeSetting {
                path: path.to_owned(),
                problem: problem(),
            });
        }
    }
}

impl Plan {
    /// Everything in this plan that cannot be meant.
    #[must_use]
    pub fn unsafe_settings(&self) -> Vec<UnsafeSetting> {
        let mut found = Found::default();
        found.add(self.drill_timing, "drill_timing", || {
            "is for the local drill only: with it a blip of seconds counts as a disaster; leave it out".to_owned()
        });
        self.add_automatic(&mut found);
        self.add_waits(&mut found);
        self.add_blind_spots(&mut found);
        self.add_regions(&mut found);
        let events = self.loop_events();
        found.add(events > MOST_EVENTS, "poll_seconds", || {
            format!(
                "the loops of a run may take {events} events, and an execution's history ends at 25000: poll less often, or wait less long"
            )
        });
        found.0
    }

    /// The same plan as functions use it: a wait that is too short to mean anything is as long as it must be. Automatic failover is
    /// judged where the plan approves. `is_local`: the process runs against a local cloud, where alone `drill_timing` holds.
    #[must_use]
    pub fn with_safe_waits(mut self, is_local: bool) -> Self {
        if is_local && self.drill_timing {
            return self;
        }
        // Its own problem is named first, then those that it would hide.
        let mut found = if self.drill_timing {
            self.unsafe_settings()
        } else {
            Vec::new()
        };
        found.truncate(1);
        self.drill_timing = false;
        found.extend(self.unsafe_settings());
        self.unsafe_at_load = found;
        for wait in [
            &mut self.fence.proceed_when_unreachable_for_seconds,
            &mut self.fence.proceed_when_refusing_for_seconds,
        ] {
            wait.0 = wait.0.max(LEAST_PROCEED.0);
        }
        self
    }

    /// What speaks against approving by itself under this plan.
    #[must_use]
    pub fn unsafe_automatic(&self) -> Vec<UnsafeSetting> {
        let mut found = Found::default();
        self.add_automatic(&mut found);
        found.0
    }

    fn add_automatic(&self, found: &mut Found) {
        let Some(automatic) = &self.automatic_failover else {
            return;
        };
        let confirmations = self.detection.policy.confirmations;
        found.add(
            confirmations < LEAST_CONFIRMATIONS_OF_AUTOMATIC,
            "automatic_failover",
            || {
                format!(
                    "needs detection.policy.confirmations {LEAST_CONFIRMATIONS_OF_AUTOMATIC} or more, and it is {confirmations}"
                )
            },
        );
        let vantages = self.detection.vantages.len();
        found.add(vantages < 2, "automatic_failover", || {
            "needs two vantages or more".to_owned()
        });
        for verdict in &automatic.verdicts {
            found.add(
                !verdict.is_actionable(),
                "automatic_failover.verdicts",
                || format!("{verdict} calls for no failover"),
            );
        }
    }

    fn add_waits(&self, found: &mut Found) {
        for (path, wait) in [
            (
                "fence.proceed_when_unreachable_for_seconds",
                self.fence.proceed_when_unreachable_for_seconds,
            ),
            (
                "fence.proceed_when_refusing_for_seconds",
                self.fence.proceed_when_refusing_for_seconds,
            ),
        ] {
            let is_short = wait.0 < LEAST_PROCEED.0 && !self.drill_timing;
            found.add(is_short, path, || {
                format!(
                    "is {}; a site that was away for so short a time may still run: {} or more",
                    wait.0, LEAST_PROCEED.0
                )
            });
        }
        let approval = self.approval;
        found.add(
            approval.escalate_after_seconds.0 >= approval.expires_after_seconds.0,
            "approval.escalate_after_seconds",
            || {
                format!(
                    "is {}, and the request expires after {}: nobody would ever be woken",
                    approval.escalate_after_seconds.0, approval.expires_after_seconds.0
                )
            },
        );
        let policy = &self.detection.policy;
        let detected = u64::from(policy.grace_seconds)
            .max(u64::from(policy.confirmations) * u64::from(PROBE_PERIOD.0));
        let least = detected + u64::from(self.fence.proceed_when_unreachable_for_seconds.0);
        let rto = self.objectives.rto_seconds.0;
        found.add(
            u64::from(rto) <= least && !self.drill_timing,
            "objectives.rto_seconds",
            || {
                format!(
                    "is {rto}, and the plan takes {least} s to notice a dark site and to go on without it: no failover could meet it"
                )
            },
        );
        let objectives = std::iter::once((
            "objectives.rpo_seconds".to_owned(),
            self.objectives.rpo_seconds,
        ))
        .chain(self.data_sets.iter().map(|set| {
            let path = format!("data_sets.{}.rpo_seconds", set.name());
            (path, self.objective_of(set))
        }));
        for (path, rpo) in objectives {
            found.add(
                rpo.0 < REPLICATION_PERIOD.0 && !self.drill_timing,
                &path,
                || {
                    format!(
                        "is {}, and replication is measured every {} s: it would always be missed",
                        rpo.0, REPLICATION_PERIOD.0
                    )
                },
            );
        }
    }

    fn add_blind_spots(&self, found: &mut Found) {
        let is_alone = self.detection.vantages.len() < 2;
        found.add(
            is_alone && self.detection.probes.references.is_empty(),
            "detection.probes.references",
            || {
                "is empty with one vantage, which could not tell its own network from the site: no run would start by itself".to_owned()
            },
        );
        let validation = &self.validation;
        // A plan without warehouses and jobs has nothing to try.
        let has_compute = self.kinds.contains(&Kind::Warehouse) || self.kinds.contains(&Kind::Job);
        found.add(
            has_compute && validation.statements.is_empty() && validation.canaries.is_empty(),
            "validation",
            || "proves nothing: name a statement or a canary job that must succeed at the target before the commit".to_owned(),
        );
    }

    fn add_regions(&self, found: &mut Found) {
        let sites = SiteLabel::ALL.map(|label| {
            let path = format!("sites.{label}.region");
            (path, &self.sites.get(label).region)
        });
        let vantages = self.detection.vantages.iter();
        let all = sites
            .into_iter()
            .chain([("control_region".to_owned(), &self.control_region)])
            .chain(vantages.map(|region| ("detection.vantages".to_owned(), region)));
        for (path, region) in all {
            found.add(!REGIONS.contains(&region.as_str()), &path, || {
                format!("{region} is no AWS region that this version knows")
            });
        }
        for twin in &self.readiness.mapping.zones {
            let lies_in = |zone: &str, region: &Region| {
                zone.strip_prefix(region.as_str())
                    .is_some_and(|rest| rest.len() <= 1)
            };
            for (label, zone) in [
                (SiteLabel::Primary, &twin.primary),
                (SiteLabel::Secondary, &twin.secondary),
            ] {
                let region = &self.sites.get(label).region;
                found.add(!lies_in(zone, region), "readiness.mapping.zones", || {
                    format!("{zone} stands for the {label} site, which is in {region}")
                });
            }
        }
    }

    /// How many events the loops of one run may take at most: the longest of the modes, each loop until it gives up.
    fn loop_events(&self) -> u64 {
        let turns = |seconds: u64, poll: Seconds| seconds / u64::from(poll.0.max(1)) + 1;
        let replication = self.replication;
        let (approval, fence, activation) = (self.approval, self.fence, &self.activation);
        let decision = u64::from(approval.expires_after_seconds.0);
        let measure = turns(
            u64::from(replication.run_limit_seconds.0),
            replication.poll_seconds,
        );
        let validation = &self.validation;
        let validate = turns(
            u64::from(validation.canary_timeout_seconds.0)
                .max(u64::from(validation.statement_timeout_seconds.0))
                + u64::from(validation.soak_seconds.0),
            validation.poll_seconds,
        );
        let sources = turns(
            u64::from(self.data_sources.wait_at_most_seconds.0),
            self.data_sources.poll_seconds,
        );
        let give_up = u64::from(activation.give_up_after_seconds.0);
        // Pools and compute may wait for people; the three phases after the commit wait for nobody.
        let before_commit =
            2 * turns(give_up, activation.poll_seconds) + turns(decision, activation.poll_seconds);
        let after_commit = 3 * turns(give_up, activation.poll_seconds);
        let ask = turns(decision, approval.poll_seconds);
        // In a failover the proof goes on in the loop of the decision, once a turn at most, and is finished after the fence.
        let proof = turns(
            u64::from(replication.run_limit_seconds.0).min(decision),
            approval.poll_seconds,
        );
        let shared = measure + ask + sources + before_commit + validate + after_commit;
        let failover = turns(
            u64::from(fence.give_up_after_seconds.0) + decision,
            fence.poll_seconds,
        );
        let standby = turns(give_up, activation.poll_seconds);
        let drain = measure;
        let switchover =
            turns(u64::from(fence.give_up_after_seconds.0), fence.poll_seconds) + drain + standby;
        (shared + failover.max(switchover)).saturating_mul(EVENTS_PER_TURN)
            + proof.saturating_mul(EVENTS_PER_PROOF)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan(change: impl FnOnce(&mut Value)) -> Plan {
        let example = include_str!("../../../../infra/plan.example.json");
        let mut plan: Value = serde_json::from_str(example).unwrap();
        change(&mut plan);
        Plan::parse(plan.to_string().as_bytes()).unwrap()
    }

    fn automatic(plan: &mut Value, settings: Value) {
        plan["automatic_failover"] = settings;
        plan["detection"]["vantages"] = json!(["us-west-2", "eu-west-1"]);
        plan["detection"]["policy"]["quorum"] = json!(2);
    }

    #[test]
    fn the_example_can_be_meant() {
        assert_eq!(plan(|_| {}).unsafe_settings(), []);
    }

    #[test]
    fn what_fails_people_at_night_is_refused_by_name() {
        type Change = fn(&mut Value);
        let table: [(&str, Change); 14] = [
            ("fence.proceed_when_unreachable_for_seconds", |p| {
                p["fence"]["proceed_when_unreachable_for_seconds"] = json!(0);
            }),
            ("fence.proceed_when_refusing_for_seconds", |p| {
                p["fence"]["proceed_when_refusing_for_seconds"] = json!(119);
            }),
            ("approval.escalate_after_seconds", |p| {
                p["approval"]["expires_after_seconds"] = json!(300);
            }),
            ("detection.probes.references", |p| {
                p["detection"]["probes"]["references"] = json!([]);
            }),
            ("validation", |p| {
                p["validation"]["statements"] = json!([]);
                p["validation"]["canaries"] = json!([]);
            }),
            ("objectives.rpo_seconds", |p| {
                p["objectives"]["rpo_seconds"] = json!(60);
            }),
            ("objectives.rto_seconds", |p| {
                p["objectives"]["rto_seconds"] = json!(60);
            }),
            ("readiness.mapping.zones", |p| {
                p["readiness"]["mapping"]["zones"] =
                    json!([{"primary": "us-east-2a", "secondary": "us-east-1a"}]);
            }),
            ("sites.primary.region", |p| {
                p["sites"]["primary"]["region"] = json!("us-east-9");
                p["readiness"]["mapping"]["zones"] = json!([]);
            }),
            ("drill_timing", |p| p["drill_timing"] = json!(true)),
            ("automatic_failover", |p| {
                automatic(p, json!({"grace_seconds": 600}));
                p["detection"]["policy"]["confirmations"] = json!(2);
            }),
            ("automatic_failover.verdicts", |p| {
                automatic(p, json!({"grace_seconds": 600, "verdicts": ["Degraded"]}));
            }),
            // The review's example: each loop is bounded, and their sum is 35,577 events.
            ("poll_seconds", |p| {
                p["approval"]["expires_after_seconds"] = json!(19_630);
                p["approval"]["poll_seconds"] = json!(10);
                p["data_sources"]["wait_at_most_seconds"] = json!(3000);
                p["data_sources"]["poll_seconds"] = json!(3);
            }),
            ("poll_seconds", |p| p["fence"]["poll_seconds"] = json!(1)),
        ];
        for (path, change) in table {
            let found = plan(change).unsafe_settings();
            assert!(
                found.iter().any(|setting| setting.path == path),
                "{path}: {found:?}"
            );
        }
    }

    #[test]
    fn a_wait_that_is_too_short_is_as_long_as_it_must_be_except_in_the_drill() {
        let short = |p: &mut Value| {
            p["fence"]["proceed_when_unreachable_for_seconds"] = json!(0);
            p["fence"]["proceed_when_refusing_for_seconds"] = json!(400);
        };
        let fence = plan(short).with_safe_waits(true).fence;
        assert_eq!(fence.proceed_when_unreachable_for_seconds, LEAST_PROCEED);
        assert_eq!(fence.proceed_when_refusing_for_seconds, Seconds(400));
        let in_drill = plan(|p| {
            short(p);
            p["drill_timing"] = json!(true);
        });
        let deployed = in_drill.clone().with_safe_waits(false).fence;
        assert_eq!(deployed.proceed_when_unreachable_for_seconds, LEAST_PROCEED);
        let fence = in_drill.with_safe_waits(true).fence;
        assert_eq!(fence.proceed_when_unreachable_for_seconds, Seconds(0));
    }
}
