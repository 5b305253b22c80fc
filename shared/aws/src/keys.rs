//! The keys of the state bucket and the paths of the parameters, in one place.

use jiff::Timestamp;
use recovery::activation::Phase;
use recovery::approval::{ApprovalId, Question};
use recovery::run::Stage;
use recovery::site::{ContentDigest, DataSetName, PlanName, RunId, SiteLabel};

/// The plan.
pub const PLAN: &str = "plan.json";
/// The state.
pub const STATE: &str = "state.json";
/// Which baseline counts.
pub const BASELINE: &str = "baselines/current.json";
/// A capture that was not accepted.
pub const BASELINE_CANDIDATE: &str = "baselines/candidate.json";
/// What the standby was like when nothing was wrong.
#[must_use]
pub fn posture(site: SiteLabel) -> String {
    format!("postures/{site}.json")
}
/// The newest replication measurement.
pub const REPLICATION: &str = "replication/status.json";
/// The open incident.
pub const INCIDENT: &str = "incidents/current.json";
/// The events of AWS Health that were delivered.
pub const AWS_HEALTH: &str = "provider/aws-health.json";
/// What people were paged for.
pub const PAGING: &str = "incidents/paging.json";
/// Settings of the plan that cannot be meant, as people were notified of them.
pub const UNSAFE_SETTINGS: &str = "incidents/unsafe-settings.json";
/// The newest scheduled readiness.
pub const READINESS: &str = "readiness/status.json";

/// A baseline document.
#[must_use]
pub fn baseline(digest: &ContentDigest) -> String {
    format!("baselines/{}.json.gz", digest.as_str())
}

/// What a reading of the standby in a run was told before its time was up.
#[must_use]
pub fn readiness_details(run: &RunId, attempt: u32, stage: Stage) -> String {
    of_run(
        run,
        &format!("readiness-details/{attempt}-{stage:?}.json.gz"),
    )
}
/// The same of a scheduled one.
pub const READINESS_DETAILS: &str = "readiness/details.json.gz";

/// A list of debts.
#[must_use]
pub fn debts(digest: &ContentDigest) -> String {
    format!("debts/{}.json.gz", digest.as_str())
}

/// What a phase of an attempt of a run left.
#[must_use]
pub fn debts_of_phase(run: &RunId, attempt: u32, phase: Phase) -> String {
    of_run(run, &format!("debts/{attempt:05}-{phase}.json.gz"))
}

/// Whether a key is what some attempt left of a phase.
#[must_use]
pub fn is_of_phase(key: &str, phase: Phase) -> bool {
    key.ends_with(&format!("-{phase}.json.gz"))
}

/// What is known of every table of a Delta data set.
#[must_use]
pub fn table_book(data_set: &DataSetName) -> String {
    format!("replication/tables/{data_set}.json")
}

/// The signals of a vantage.
#[must_use]
pub fn signals(vantage: &str) -> String {
    format!("signals/{vantage}.json")
}

/// The signals of a vantage in one past hour.
#[must_use]
pub fn past_signals(vantage: &str, hour: Timestamp) -> String {
    format!("signals/history/{vantage}/{hour}.json")
}

/// An incident.
#[must_use]
pub fn incident(id: &RunId) -> String {
    format!("incidents/{id}.json")
}

/// What is kept of every run.
pub const HISTORY: &str = "reports/history.json";
/// What runs taught.
pub const LESSONS: &str = "reports/lessons.json";
/// Every act by command line.
pub const ACTS: &str = "acts/";
/// What the fence of a site holds in AWS.
#[must_use]
pub fn aws_fence(site: SiteLabel) -> String {
    format!("fences/{site}.json")
}

/// What the last drill found of the operator's permissions at a site.
#[must_use]
pub fn operator_check(site: SiteLabel) -> String {
    format!("fences/{site}-operator.json")
}

/// A bucket's policy as it was before a fence first changed it.
#[must_use]
pub fn bucket_policy_before(run: &RunId, bucket: &str, millisecond: i64) -> String {
    of_run(
        run,
        &format!("bucket-policies/{bucket}/{millisecond:015}.json"),
    )
}

/// A document of a run.
#[must_use]
pub fn of_run(run: &RunId, name: &str) -> String {
    format!("runs/{run}/{name}")
}

/// Up to when the managers were told what was fenced again at a site.
#[must_use]
pub fn fence_news(run: &RunId, site: SiteLabel) -> String {
    of_run(run, &format!("fence/{site}-told.json"))
}

/// Whether machines were told that a run changed the active site.
#[must_use]
pub fn active_site_told(run: &RunId) -> String {
    of_run(run, "active-site-told.json")
}

/// The newest request of a question of a run.
#[must_use]
pub fn request(run: &RunId, question: &Question) -> String {
    of_run(run, &format!("approvals/{}.json", question.name()))
}

/// Leads from an opaque id to its request.
#[must_use]
pub fn address(id: &ApprovalId) -> String {
    format!("approvals/{id}.json")
}

/// The decisions on a request.
#[must_use]
pub fn decisions(run: &RunId, id: &ApprovalId) -> String {
    of_run(run, &format!("decisions/{id}.json"))
}

/// Who looked at a request.
#[must_use]
pub fn views(run: &RunId, id: &ApprovalId) -> String {
    of_run(run, &format!("views/{id}.json"))
}

/// The key that signs the links to the page.
#[must_use]
pub fn approval_key(plan: &PlanName) -> String {
    format!("/databricks-dr/{plan}/approval/key")
}

/// The URL of a site's workspace.
#[must_use]
pub fn workspace_url(plan: &PlanName, site: SiteLabel) -> String {
    format!("/databricks-dr/{plan}/sites/{site}/workspace-url")
}

/// Whether a site is fenced, for those who deploy to it.
#[must_use]
pub fn fence_pointer(plan: &PlanName, site: SiteLabel) -> String {
    format!("/databricks-dr/{plan}/sites/{site}/fence")
}

/// A site's credential: `observer` or `operator`.
#[must_use]
pub fn credential(plan: &PlanName, site: SiteLabel, role: &str) -> String {
    format!("/databricks-dr/{plan}/sites/{site}/credentials/{role}")
}

/// The pointer to the active site.
#[must_use]
pub fn active_site(plan: &PlanName) -> String {
    format!("/databricks-dr/{plan}/active-site")
}

/// The pointer to the active workspace.
#[must_use]
pub fn active_workspace_url(plan: &PlanName) -> String {
    format!("/databricks-dr/{plan}/active-workspace-url")
}

/// The pointer to a warehouse at the active site. Parameter names allow letters, digits, `.`, `-` and `_`.
#[must_use]
pub fn active_warehouse(plan: &PlanName, name: &str) -> String {
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .collect();
    format!("/databricks-dr/{plan}/active/warehouses/{name}/http-path")
}
