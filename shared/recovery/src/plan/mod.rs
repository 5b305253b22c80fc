//! The plan: one protected pair of sites, its objectives and its policies.
//!
//! A plan is read from `plan.json` in the state bucket. It names no URL and no secret: those live in SSM.

mod access_points;
mod address;
mod check;
mod data_sets;
mod data_sets_check;
mod data_sources;
mod decision;
mod detection;
mod fences;
mod fences_check;
mod probes;
mod probes_check;
mod readiness;
mod readiness_check;
mod units;
mod unsafe_settings;
mod validation;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::access_points::AccessPoint;
pub use self::address::{Address, Scheme};
pub use self::check::{PlanError, PlanProblem};
pub use self::data_sets::{
    BucketPrefix, BucketSet, Buckets, DataSet, DeltaSet, Group, Holds, Locations, MarkerSet,
    ReplicationPolicy, Rules,
};
pub use self::data_sources::{DataSource, DataSources, SourceAddress};
pub use self::decision::{AutomaticFailover, Support};
pub use self::detection::{Detection, Pace, ProbePace};
pub use self::fences::{BucketsToFence, Exemption, HardFence, ReplicationFence, RolesBySite};
pub use self::probes::{
    AwsHealth, Bound, ClusterCanary, JobSuccess, Kpi, ObjectStore, PageRegions, Probes, Reference,
    SqlCanary, StatusFormat, StatusPage, WarehouseRule,
};
pub use self::readiness::{Accepted, IgnoredField, Mapping, ReadinessPolicy, Twin};
pub use self::units::{Percent, Seconds};
pub use self::unsafe_settings::{LEAST_PROCEED, UnsafeSetting};
pub use self::validation::{CanaryJob, PermissionCheck, StatementCheck, ValidationPolicy};
use crate::kind::Kind;
use crate::site::{PlanName, Region, SiteLabel, WorkspaceId};

/// The version of the plan's format that this code reads.
pub const PLAN_FORMAT: u32 = 1;

/// The document that describes one protected pair of sites, its objectives and its policies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Always 1 for this format.
    pub format_version: u32,
    /// 1 to 21 of `a-z`, `0-9` and `-`; the same as the stack's parameter `PlanName`.
    pub name: PlanName,
    /// Where the stack runs and keeps its state. Never the primary's region; a third region is best.
    pub control_region: Region,
    /// The two sites.
    pub sites: Sites,
    /// What the business asked for.
    pub objectives: Objectives,
    /// How a disaster is told from noise.
    pub detection: Detection,
    /// The kinds of objects that are fenced and restored.
    pub kinds: Vec<Kind>,
    /// The data whose replication is watched.
    #[serde(default)]
    pub data_sets: Vec<DataSet>,
    /// Data sets that are recovered to one common moment.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// How patiently replication is measured.
    #[serde(default)]
    pub replication: ReplicationPolicy,
    /// When a capture is trusted.
    pub baseline: BaselinePolicy,
    /// How the standby may differ, and what must be there beside it.
    #[serde(default)]
    pub readiness: ReadinessPolicy,
    /// What the jobs read from outside, and must reach from the other region.
    #[serde(default)]
    pub data_sources: DataSources,
    /// Who is asked, how often and how long.
    pub approval: ApprovalPolicy,
    /// When a failover may go on although the old site is not verified.
    pub fence: FencePolicy,
    /// Which replication the other site's buckets deny while a site is fenced.
    #[serde(default)]
    pub replication_fence: ReplicationFence,
    /// Which roles of a fenced site are denied everything but stopping. Off if absent.
    #[serde(default)]
    pub hard_fence: Option<HardFence>,
    /// S3 Multi-Region Access Points whose routes lead to the active site. Right after the commit the target's bucket becomes
    /// active and the other one passive.
    #[serde(default)]
    pub access_points: Vec<AccessPoint>,
    /// Pace and patience of the activation.
    pub activation: ActivationPolicy,
    /// What must hold at the target before the commit.
    pub validation: ValidationPolicy,
    /// When a switchover or a drill may begin.
    #[serde(default)]
    pub planned: PlannedPolicy,
    /// How long automatic starts are blocked after a run ended. People may still start one.
    pub cool_down_seconds: Seconds,
    /// The vendor's support, for the message of an incident.
    #[serde(default)]
    pub support: Option<Support>,
    /// Whether the plan may approve a failover by itself. Left out: a person decides.
    #[serde(default)]
    pub automatic_failover: Option<AutomaticFailover>,
    /// For the local drill, which cannot wait: the shortest waits that a plan may name do not hold. `plan-check` refuses it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drill_timing: bool,
    /// What a function found in the stored plan and treats as off; see [`Plan::with_safe_waits`].
    #[serde(skip)]
    pub unsafe_at_load: Vec<UnsafeSetting>,
}

/// The two sites of the pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sites {
    /// The home of the active role.
    pub primary: Site,
    /// The home of the standby role.
    pub secondary: Site,
}

impl Sites {
    /// The site with this label.
    #[must_use]
    pub const fn get(&self, label: SiteLabel) -> &Site {
        match label {
            SiteLabel::Primary => &self.primary,
            SiteLabel::Secondary => &self.secondary,
        }
    }
}

/// One workspace and its region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The workspace's AWS region.
    pub region: Region,
    /// The workspace's numeric id. Before any write it is compared with what the workspace says of itself.
    pub workspace_id: WorkspaceId,
}

/// What the business asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objectives {
    /// Recovery time objective.
    pub rto_seconds: Seconds,
    /// Recovery point objective of a data set that names none of its own.
    pub rpo_seconds: Seconds,
}

/// When a capture is trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaselinePolicy {
    /// A capture that would lose more than this share of the live jobs is kept as a candidate and reported.
    pub max_live_loss_percent: Percent,
    /// A baseline older than this is named in the evidence.
    pub max_age_seconds: Seconds,
    /// Objects whose permissions are recorded and compared. Each costs one request at each capture and check, 20 a second.
    #[serde(default)]
    pub permissions: Vec<Named>,
}

/// Objects of a kind, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The kind.
    pub kind: Kind,
    /// Names; `*` stands for any characters.
    pub names: Vec<String>,
}

/// What an approval that nobody answered means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnExpiry {
    /// The run ends in `ApprovalExpired` and the escalation topic is told.
    Decline,
}

/// Who is asked, how often and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalPolicy {
    /// After this the request expires.
    pub expires_after_seconds: Seconds,
    /// A reminder goes out this often.
    pub remind_every_seconds: Seconds,
    /// After this the escalation topic is told, once.
    pub escalate_after_seconds: Seconds,
    /// How often the state machine looks for the decision.
    pub poll_seconds: Seconds,
    /// The outcome of an expired request.
    pub on_expiry: OnExpiry,
    /// How many different people must approve: 1 to 5. With more than one, only principals count that AWS vouches for (the
    /// signed function URL of `operate`); a name typed on the page or in a plain invoke proves nobody. One decline is always
    /// enough, by any door.
    #[serde(default = "one_approval")]
    pub required_approvals: u32,
    /// The predicted loss of a data set may grow by so much after it was shown; beyond it the request is void and asked again.
    #[serde(default = "five_minutes")]
    pub loss_tolerance_seconds: Seconds,
}

const fn one_approval() -> u32 {
    1
}

const fn five_minutes() -> Seconds {
    Seconds(300)
}

// A setting that was left out stays out: the digest of an open request holds the plan, and must not change because the functions were
// replaced by newer ones.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_five_minutes(seconds: &Seconds) -> bool {
    seconds.0 == five_minutes().0
}

const fn two_approvals() -> u32 {
    2
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_two(approvals: &u32) -> bool {
    *approvals == two_approvals()
}

/// When a failover may go on although the old site is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FencePolicy {
    /// The pause between two passes of a run.
    pub poll_seconds: Seconds,
    /// A failover goes on when the old site could not be reached for this long. The fence stays and is watched.
    pub proceed_when_unreachable_for_seconds: Seconds,
    /// A failover may go on when the old site has answered nothing but 5xx, 429, 401 and 403 for this long, if somebody has accepted
    /// that by name, or if the plan approves by itself and both AWS fences are verified. The fence stays and is watched.
    #[serde(default = "five_minutes", skip_serializing_if = "is_five_minutes")]
    pub proceed_when_refusing_for_seconds: Seconds,
    /// A site that answers and is not verified after this ends a planned run in `FenceUnverified`. In a failover people are asked whether it
    /// goes on all the same.
    pub give_up_after_seconds: Seconds,
    /// How many different people must agree to leave a site that still answers and is not quiet: 1 to 5. More than one must be known to
    /// AWS, as with `approval.required_approvals`.
    #[serde(default = "two_approvals", skip_serializing_if = "is_two")]
    pub approvals_when_half_dead: u32,
    /// No call to the old site waits longer than this.
    pub call_timeout_seconds: Seconds,
}

/// When a switchover or a drill may begin: nothing forces it, so everything must be well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedPolicy {
    /// Both sites must have been healthy for this long without a break: 0 to 3600.
    #[serde(default = "ten_minutes")]
    pub healthy_seconds: Seconds,
    /// Whether a switchover may be started with `"rehearsal": true`, as the schedule of a live rehearsal does.
    #[serde(default)]
    pub live_rehearsal: bool,
}

impl Default for PlannedPolicy {
    fn default() -> Self {
        Self {
            healthy_seconds: ten_minutes(),
            live_rehearsal: false,
        }
    }
}

const fn ten_minutes() -> Seconds {
    Seconds(600)
}

/// Pace and patience of the activation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivationPolicy {
    /// The pause between two looks at what is starting.
    pub poll_seconds: Seconds,
    /// A phase that is not done after this ends the run; it can be resumed.
    pub give_up_after_seconds: Seconds,
    /// Groups of jobs and other scheduled objects that are released one after the other, each confirmed before the next. What is in
    /// none comes last. Each has an equal share of `give_up_after_seconds`; after that the next one opens all the same.
    #[serde(default)]
    pub waves: Vec<Wave>,
}

/// A group of objects that is released together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// For people.
    pub name: String,
    /// Patterns of names; `*` stands for any characters.
    #[serde(default)]
    pub names: Vec<String>,
    /// A tag that its objects bear.
    #[serde(default)]
    pub tag: Option<Tag>,
}

/// A tag of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl Plan {
    /// The kinds that are protected, in the order of activation.
    pub fn protected_kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        Kind::ALL
            .into_iter()
            .filter(|kind| self.kinds.contains(kind))
    }
}
