//! The plan of a drill: the shape of a real one, with short durations.

use std::collections::BTreeMap;

use recovery::kind::Kind;
use recovery::plan::{
    AccessPoint, ActivationPolicy, ApprovalPolicy, BaselinePolicy, BucketPrefix, Buckets,
    CanaryJob, DataSet, DataSource, DataSources, DeltaSet, Detection, FencePolicy, Group, Holds,
    LEAST_PROCEED, Locations, Mapping, MarkerSet, Named, Objectives, OnExpiry, PLAN_FORMAT, Pace,
    Percent, PermissionCheck, Plan, PlannedPolicy, Probes, ReadinessPolicy, Reference,
    ReplicationFence, ReplicationPolicy, RolesBySite, Seconds, Site, Sites, StatementCheck, Twin,
    ValidationPolicy,
};
use recovery::site::{
    AccessPointArn, DataSetName, GroupName, PlanName, Region, RoleArn, WorkspaceId,
};
use recovery::verdict::Policy;

use crate::Scenario;
use crate::estate::CANARY;

/// The plan's name.
pub const NAME: &str = "drill";
/// Where the stack runs.
pub const CONTROL_REGION: &str = "us-west-2";
/// The primary's region.
pub const PRIMARY_REGION: &str = "us-east-1";
/// The secondary's region.
pub const SECONDARY_REGION: &str = "us-east-2";
/// The primary's workspace.
pub const PRIMARY_WORKSPACE: u64 = 1_444_828_305_810_485;
/// The secondary's workspace.
pub const SECONDARY_WORKSPACE: u64 = 2_893_746_510_293_847;
/// The data bucket in the primary's region.
pub const PRIMARY_BUCKET: &str = "drill-lake-us-east-1";
/// The data bucket in the secondary's region.
pub const SECONDARY_BUCKET: &str = "drill-lake-us-east-2";
/// The role by which the primary's bucket is replicated.
pub const REPLICATION_ROLE: &str = "arn:aws:iam::123456789012:role/drill-replication";

/// The access point in front of both data buckets.
pub const ACCESS_POINT: &str = "arn:aws:s3::123456789012:accesspoint/drill1a2b3c.mrap";
/// The role by which the secondary's bucket is replicated.
pub const HOMEWARD_ROLE: &str = "arn:aws:iam::123456789012:role/drill-replication-home";

/// Where the tables of a drill lie in both buckets.
pub const TABLES_PREFIX: &str = "tables/sales";
/// The tables of a drill.
pub const TABLES: [&str; 2] = ["lines", "orders"];

/// The plan of somebody who deploys: as that of a drill, and such that `plan-check` lets it pass.
#[must_use]
pub fn for_deployment(warehouse: Option<&str>, reference: &str) -> Plan {
    let mut plan = for_scenario(Scenario::FailoverAndFailback, warehouse);
    plan.drill_timing = false;
    plan.fence.proceed_when_unreachable_for_seconds = LEAST_PROCEED;
    plan.fence.proceed_when_refusing_for_seconds = LEAST_PROCEED;
    plan.objectives.rto_seconds = Seconds(3600);
    plan.objectives.rpo_seconds = Seconds(300);
    // Two hosts, as the plan's rules ask; here both are this machine.
    let hosts = ["127.0.0.1", "localhost"].into_iter();
    let references = hosts.map(|host| Reference {
        name: host.replace('.', "-"),
        url: reference.replace("127.0.0.1", host),
        pace: Pace::default(),
    });
    plan.detection.probes.references = references.collect();
    plan
}

/// The plan for a scenario; `warehouse` is one that the statement check may run on.
#[must_use]
pub fn for_scenario(scenario: Scenario, warehouse: Option<&str>) -> Plan {
    let expires = match scenario {
        Scenario::NobodyApproves => 6,
        Scenario::ResumedEverywhere => 15,
        _ => 180,
    };
    let site = |region: &str, id: u64| Site {
        region: Region::new(region),
        workspace_id: WorkspaceId::new(id.to_string()),
    };
    Plan {
        format_version: PLAN_FORMAT,
        name: PlanName::new(NAME),
        control_region: Region::new(CONTROL_REGION),
        sites: Sites {
            primary: site(PRIMARY_REGION, PRIMARY_WORKSPACE),
            secondary: site(SECONDARY_REGION, SECONDARY_WORKSPACE),
        },
        objectives: Objectives {
            rto_seconds: Seconds(if scenario == Scenario::BadPlan {
                0
            } else {
                600
            }),
            rpo_seconds: Seconds(60),
        },
        detection: Detection {
            vantages: vec![Region::new(CONTROL_REGION)],
            policy: Policy {
                window: 5,
                confirmations: 3,
                grace_seconds: 3,
                quorum: 1,
                freshness_seconds: 30,
            },
            probe_timeout_seconds: Seconds(1),
            latency_objective_ms: 900,
            interval_seconds: Seconds(2),
            probes: Probes::default(),
            page_after: BTreeMap::new(),
        },
        kinds: Kind::ALL.to_vec(),
        data_sets: vec![marker(), tables()],
        groups: vec![Group {
            name: GroupName::new("sales-together"),
            members: vec![DataSetName::new("sales")],
            // A loss that somebody must accept by name.
            rpo_seconds: (scenario == Scenario::LossAboveObjective).then_some(Seconds(1)),
        }],
        replication: ReplicationPolicy {
            prove_every_seconds: Seconds(5),
            source_timeout_seconds: Seconds(2),
            run_limit_seconds: Seconds(30),
            poll_seconds: Seconds(1),
            ..ReplicationPolicy::default()
        },
        baseline: BaselinePolicy {
            max_live_loss_percent: Percent(30),
            max_age_seconds: Seconds(3600),
            permissions: vec![Named {
                kind: Kind::Warehouse,
                names: vec!["*".to_owned()],
            }],
        },
        readiness: readiness(),
        data_sources: data_sources(),
        approval: ApprovalPolicy {
            expires_after_seconds: Seconds(expires),
            remind_every_seconds: Seconds(60),
            escalate_after_seconds: Seconds(90),
            poll_seconds: Seconds(1),
            on_expiry: OnExpiry::Decline,
            required_approvals: if scenario == Scenario::TwoPeople {
                2
            } else {
                1
            },
            loss_tolerance_seconds: Seconds(300),
        },
        fence: FencePolicy {
            poll_seconds: Seconds(1),
            proceed_when_unreachable_for_seconds: Seconds(4),
            proceed_when_refusing_for_seconds: Seconds(6),
            approvals_when_half_dead: 2,
            give_up_after_seconds: Seconds(match scenario {
                Scenario::SwitchoverUnverified
                | Scenario::ResumedEverywhere
                | Scenario::FailoverHalfDead => 8,
                // A denial that is raised soon after it was lifted lingers for half a minute.
                Scenario::SwitchoverGivenUp => 180,
                _ => 60,
            }),
            call_timeout_seconds: Seconds(1),
        },
        replication_fence: ReplicationFence {
            roles: RolesBySite {
                primary: vec![RoleArn::new(REPLICATION_ROLE)],
                secondary: vec![RoleArn::new(HOMEWARD_ROLE)],
            },
            exempt: vec![],
        },
        hard_fence: None,
        access_points: vec![AccessPoint {
            arn: AccessPointArn::new(ACCESS_POINT),
            buckets: buckets(),
        }],
        activation: ActivationPolicy {
            poll_seconds: Seconds(1),
            give_up_after_seconds: Seconds(120),
            waves: vec![],
        },
        validation: ValidationPolicy {
            statements: warehouse
                .map(|name| StatementCheck {
                    warehouse: name.to_owned(),
                    sql: "SELECT 1".to_owned(),
                    expect: Some("1".to_owned()),
                    required: true,
                })
                .into_iter()
                .collect(),
            statement_timeout_seconds: Seconds(60),
            permissions: vec![PermissionCheck {
                kind: Kind::Warehouse,
                names: vec!["*".to_owned()],
                required: true,
            }],
            canaries: match scenario {
                Scenario::ResumeAfterRepair => vec![CanaryJob {
                    job: CANARY.to_owned(),
                    required: true,
                }],
                _ => vec![],
            },
            canary_timeout_seconds: Seconds(150),
            soak_seconds: Seconds(2),
            poll_seconds: Seconds(1),
        },
        planned: PlannedPolicy {
            healthy_seconds: Seconds(4),
            live_rehearsal: false,
        },
        cool_down_seconds: Seconds(600),
        support: None,
        automatic_failover: None,
        drill_timing: true,
        unsafe_at_load: Vec::new(),
    }
}

fn buckets() -> Buckets {
    Buckets {
        primary: PRIMARY_BUCKET.to_owned(),
        secondary: SECONDARY_BUCKET.to_owned(),
    }
}

/// The lake that the jobs read.
fn data_sources() -> DataSources {
    let lake = |bucket: &str| vec![format!("s3://{bucket}/{TABLES_PREFIX}/")];
    DataSources {
        sources: vec![DataSource {
            name: "lake".to_owned(),
            primary: lake(PRIMARY_BUCKET),
            secondary: lake(SECONDARY_BUCKET),
            at_least: None,
            required: true,
        }],
        green_for_seconds: Seconds(1),
        wait_at_most_seconds: Seconds(60),
        poll_seconds: Seconds(1),
        timeout_seconds: Seconds(5),
    }
}

/// What is called otherwise in the secondary's region.
fn readiness() -> ReadinessPolicy {
    let zone = |letter: &str| Twin {
        primary: format!("{PRIMARY_REGION}{letter}"),
        secondary: format!("{SECONDARY_REGION}{letter}"),
    };
    ReadinessPolicy {
        mapping: Mapping {
            zones: ["a", "b", "c"].map(zone).into(),
            ..Mapping::default()
        },
        ..ReadinessPolicy::default()
    }
}

fn marker() -> DataSet {
    DataSet::Marker(MarkerSet {
        name: DataSetName::new("lake"),
        buckets: buckets(),
        prefix: String::new(),
        rpo_seconds: None,
        expected_interval_seconds: None,
    })
}

fn tables() -> DataSet {
    let at = |bucket: &str| BucketPrefix {
        bucket: bucket.to_owned(),
        prefix: TABLES_PREFIX.to_owned(),
    };
    DataSet::Delta(DeltaSet {
        name: DataSetName::new("sales"),
        holds: Holds::Tables,
        locations: Locations {
            primary: at(PRIMARY_BUCKET),
            secondary: at(SECONDARY_BUCKET),
        },
        exclude: vec![],
        rpo_seconds: None,
        expected_interval_seconds: None,
    })
}

/// A person in a browser has this long. The plan's rules allow 2,000 looks at the decision, and this plan looks each second.
pub const INTERACTIVE: Seconds = Seconds(1800);

/// Lets the plan wait for a person in a browser, who is not reminded.
pub const fn wait_for_a_person(plan: &mut Plan) {
    plan.approval.expires_after_seconds = INTERACTIVE;
    plan.approval.remind_every_seconds = INTERACTIVE;
    plan.approval.escalate_after_seconds = INTERACTIVE;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_of_a_drill_with_a_person_is_a_plan() {
        let mut plan = for_scenario(Scenario::Failover, Some("bi"));
        wait_for_a_person(&mut plan);
        let text = serde_json::to_vec(&plan).unwrap();
        assert!(Plan::parse(&text).is_ok(), "{:?}", Plan::parse(&text));
    }
}
