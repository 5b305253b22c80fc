//! The baseline: the record of what the active site runs, and the rules that keep it from learning from a sick site.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::inventory::Inventory;
use crate::kind::Kind;
use crate::plan::BaselinePolicy;
use crate::site::{ContentDigest, Epoch, SiteLabel};
use crate::state::State;
use crate::verdict::Verdict;

/// The version of the baseline's format.
pub const BASELINE_FORMAT: u32 = 1;

/// What the active site ran. Stored under its digest and never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Always [`BASELINE_FORMAT`].
    pub format_version: u32,
    /// The epoch in which it was captured.
    pub epoch: Epoch,
    /// Every object and every active run.
    pub inventory: Inventory,
}

/// `baselines/current.json`: which baseline counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselinePointer {
    /// Always [`BASELINE_FORMAT`].
    pub format_version: u32,
    /// Names the baseline document.
    pub digest: ContentDigest,
    /// The site it was captured from.
    pub site: SiteLabel,
    /// When the site was last seen as it says.
    pub captured_at: Timestamp,
    /// Live objects by kind.
    pub live: BTreeMap<Kind, usize>,
    /// All objects.
    pub objects: usize,
}

impl Baseline {
    /// The digest that names it: of everything but the time of reading, so that a site at rest is written once.
    #[must_use]
    pub fn digest(&self) -> ContentDigest {
        let mut still = self.clone();
        still.inventory.read_at = Timestamp::UNIX_EPOCH;
        ContentDigest::of(serde_json::to_vec(&still).unwrap_or_default().as_slice())
    }
}

/// What may be done with a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaptureVerdict {
    /// It becomes the baseline.
    Accept,
    /// It is kept as a candidate and reported; the good one stays.
    Candidate {
        /// Why, for the notice.
        reason: String,
    },
}

/// Whether the site may be captured at all: only a healthy, unfenced active site outside of a run can teach us.
///
/// # Errors
/// The reason in words.
pub fn may_capture(state: &State, site: SiteLabel, verdict: Verdict) -> Result<(), String> {
    if state.active_site != site {
        return Err(format!("the {site} site is not the active one"));
    }
    may_learn(state, site, verdict)
}

/// The rules for both roles.
fn may_learn(state: &State, site: SiteLabel, verdict: Verdict) -> Result<(), String> {
    if state.fences.contains_key(&site) {
        return Err(format!("the {site} site is fenced"));
    }
    if let Some(lock) = &state.lock {
        return Err(format!(
            "run {} is under way; the site may be half paused",
            lock.run
        ));
    }
    if let Some(order) = &state.reset {
        return Err(format!("the {} site is being reset", order.site));
    }
    if let Some(run) = &state.unsettled {
        return Err(format!(
            "run {run} has changed sites and did not complete; resume it, or restore the {site} site and vouch for it with operate `acknowledge`"
        ));
    }
    if verdict != Verdict::Healthy {
        return Err(format!(
            "the verdict on the {site} site is {verdict}, not Healthy"
        ));
    }
    Ok(())
}

/// Whether the standby's posture may be recorded: by the same rules, but that the site must be the standby.
///
/// # Errors
/// The reason in words.
pub fn may_record_posture(state: &State, site: SiteLabel, verdict: Verdict) -> Result<(), String> {
    if state.active_site == site {
        return Err(format!("the {site} site is the active one"));
    }
    may_learn(state, site, verdict)
}

/// Whether this reading of a standby may become its recorded posture: what fires there is no posture, it is a split brain waiting to
/// happen. Warm pools, clusters and warehouses are a choice.
///
/// # Errors
/// The reason in words.
pub fn judge_posture(standby: &Inventory) -> Result<(), String> {
    let fires = |kind: &Kind| {
        matches!(
            kind,
            Kind::Job | Kind::Pipeline | Kind::DashboardSchedule | Kind::Alert
        )
    };
    let live = standby.live_counts();
    let firing: Vec<String> = live
        .iter()
        .filter(|(kind, _)| fires(kind))
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    if firing.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "the {} site is the standby and runs or schedules {}; the posture recorded before stays",
            standby.site,
            firing.join(", ")
        ))
    }
}

/// Whether a capture replaces the baseline: one that would lose many live jobs at once may be a half-paused site.
#[must_use]
pub fn judge_capture(
    current: Option<&Baseline>,
    captured: &Baseline,
    policy: BaselinePolicy,
) -> CaptureVerdict {
    let Some(current) = current.filter(|c| c.inventory.site == captured.inventory.site) else {
        return CaptureVerdict::Accept;
    };
    let still_live: std::collections::BTreeSet<&str> = captured
        .inventory
        .of_kind(Kind::Job)
        .filter(|r| r.is_live())
        .map(|r| r.key.as_str())
        .collect();
    let was_live: Vec<&str> = current
        .inventory
        .of_kind(Kind::Job)
        .filter(|r| r.is_live())
        .map(|r| r.key.as_str())
        .collect();
    let lost = was_live
        .iter()
        .filter(|key| !still_live.contains(**key))
        .count();
    if policy
        .max_live_loss_percent
        .is_exceeded_by(lost, was_live.len())
    {
        CaptureVerdict::Candidate {
            reason: format!(
                "{lost} of {} live jobs are no longer live, more than the plan's {} %",
                was_live.len(),
                policy.max_live_loss_percent.0
            ),
        }
    } else {
        CaptureVerdict::Accept
    }
}
