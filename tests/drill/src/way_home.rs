//! The way home after a failover: a switchover back to the primary, and both sites as they were at the start.

use recovery::baseline::BaselinePointer;
use recovery::replication::{HeldBackDocument, ReplicationStatus};
use recovery::report::Report;
use recovery::run::{Mode, Outcome, RunDocument, Stage};
use recovery::site::{PlanName, RunId, SiteLabel};
use recovery::state::State;
use serde::Serialize;
use serde_json::json;

use crate::plan::{CONTROL_REGION, NAME, PRIMARY_REGION, SECONDARY_REGION};
use crate::script::Drill;
use crate::way_back::differences;
use crate::{DrillError, Summary, promises};

/// The execution of the switchover.
const HOME: &str = "failback-1";

/// The second run of a drill, beside the first one's summary.
#[derive(Clone, Debug, Serialize)]
pub struct Second {
    /// What it did.
    pub mode: Mode,
    /// Its named outcome.
    pub outcome: Outcome,
    /// In one sentence.
    pub reason: String,
    /// Seconds by stage, in order.
    pub stages: Vec<(String, f64)>,
    /// Where its report lies.
    pub report: Option<std::path::PathBuf>,
}

impl Drill<'_> {
    /// The primary has returned, is fenced and quiet. Gives what came of the switchover home.
    pub(crate) async fn go_home(&mut self, summary: &mut Summary) -> Result<(), DrillError> {
        self.progress.say(
            "the standby's tables are repaired by hand; the secondary writes on and is replicated to the primary",
        );
        self.world.turn_replication_round().await?;
        self.ready_to_go_home().await?;
        self.progress
            .say("a person starts the planned move home: {\"mode\":\"switchover\"}");
        let input = json!({"mode": "switchover"});
        let cloud = &self.world.cloud;
        let arn = cloud.start_execution(Some(HOME), &input).await?;
        let execution = cloud.describe_execution(&arn).await?;
        let ended = self.follow(&execution).await?;
        let id = RunId::new(HOME);
        let report: Option<Report> = self
            .world
            .read(&aws::keys::of_run(&id, "report.json"))
            .await?;
        let path = self
            .save_report(HOME, report.as_ref(), "report-home")
            .await?;
        let outcome = report.as_ref().map_or(Outcome::Failed, |r| r.outcome);
        let reason = report
            .as_ref()
            .map(|r| r.reason.clone())
            .or_else(|| ended.cause.clone())
            .unwrap_or_else(|| "no reason was given".to_owned());
        if outcome != Outcome::Completed {
            summary.outcome = outcome;
            summary.reason.clone_from(&reason);
            summary.violations.push(format!(
                "the switchover home ended in {}: {reason}",
                outcome.as_str()
            ));
        }
        summary.second = Some(Second {
            mode: Mode::Switchover,
            outcome,
            reason,
            stages: report
                .iter()
                .flat_map(|r| &r.stages)
                .map(|s| (format!("{:?}", s.stage), s.seconds))
                .collect(),
            report: path,
        });
        let broken = self.judge_held_back(report.as_ref()).await?;
        summary.violations.extend(broken);
        self.judge_home(summary).await
    }

    /// The switchover has listed what the fence on the primary held back.
    async fn judge_held_back(&self, report: Option<&Report>) -> Result<Vec<String>, DrillError> {
        use aws::store::Store;
        let Some(lake) = &self.world.lake else {
            return Ok(Vec::new());
        };
        let id = RunId::new(HOME);
        let held = lake.still_held_back().await?;
        let key = aws::keys::of_run(&id, "held-back.json");
        let listing: Option<HeldBackDocument> = self.world.read(&key).await?;
        let mut manifests = [String::new(), String::new()];
        for (text, name) in manifests
            .iter_mut()
            .zip(["held-back.csv", "held-back-overwrites.csv"])
        {
            let key = aws::keys::of_run(&id, &format!("repair/{name}"));
            if let Some(stored) = self.world.store().get(&key).await? {
                *text = String::from_utf8_lossy(&stored.bytes).into_owned();
            }
        }
        self.progress.say(&format!(
            "of the refused objects {} lie at the primary only; the switchover has listed {}",
            held.len(),
            listing
                .iter()
                .flat_map(|l| &l.data_sets)
                .map(|set| set.count)
                .sum::<u64>()
        ));
        let there = crate::plan::PRIMARY_BUCKET;
        Ok(crate::data_promises::held_back_violations(
            listing.as_ref(),
            &manifests,
            &held,
            there,
            report,
        ))
    }

    /// Until the secondary is recorded as the active site, both sites have been healthy for long enough, and its data arrives.
    async fn ready_to_go_home(&self) -> Result<(), DrillError> {
        let world = &*self.world;
        world
            .wait("a baseline of the secondary", 90, || async {
                let pointer: Option<BaselinePointer> = world.read(aws::keys::BASELINE).await?;
                Ok(pointer.filter(|p| p.site == SiteLabel::Secondary))
            })
            .await?;
        world
            .wait("the secondary's data at the primary", 90, || async {
                let status: Option<ReplicationStatus> = world.read(aws::keys::REPLICATION).await?;
                let known = status.is_some_and(|s| {
                    s.from == SiteLabel::Secondary
                        && s.data_sets.iter().all(|d| {
                            d.loss_seconds_at(jiff::Timestamp::now())
                                .is_some_and(|loss| loss < 30)
                        })
                });
                Ok(known.then_some(()))
            })
            .await?;
        self.healthy_for_a_while().await?;
        self.progress
            .say("both sites are healthy, the secondary is recorded, its data arrives");
        Ok(())
    }

    async fn judge_home(&self, summary: &mut Summary) -> Result<(), DrillError> {
        let primary = self.world.primary.inventory().await?;
        let secondary = self.world.secondary.inventory().await?;
        for (site, before, now) in [
            ("primary", self.original, &primary),
            ("standby", self.standby, &secondary),
        ] {
            let found = differences(before, now).into_iter();
            let told = found.map(|d| format!("after the way home {d} at the {site}"));
            summary.parity_differences.extend(told);
        }
        let mut broken = Vec::new();
        let state: Option<State> = self.world.read(aws::keys::STATE).await?;
        if let Some(state) = &state {
            if state.active_site != SiteLabel::Primary {
                broken.push(format!("the {} site is active", state.active_site));
            }
            let fenced = state.fences.keys();
            broken.extend(fenced.map(|site| format!("a fence still stands on the {site} site")));
            let orders = state.resets.keys();
            broken.extend(orders.map(|site| format!("the {site} site is still being reset")));
            if let Some(run) = &state.unsettled {
                broken.push(format!("run {run} is not settled"));
            }
            if let Some(lock) = &state.lock {
                broken.push(format!("run {} still holds the lock", lock.run));
            }
        }
        broken.extend(self.announced(HOME, SiteLabel::Primary).await?);
        let pointer = aws::keys::active_site(&PlanName::new(NAME));
        for region in [CONTROL_REGION, SECONDARY_REGION, PRIMARY_REGION] {
            let says = self.world.parameter(region, &pointer).await?;
            if says.as_deref() != Some("primary") {
                broken.push(format!("{pointer} in {region} says {says:?}"));
            }
        }
        let run: Option<RunDocument> = self
            .world
            .read(&aws::keys::of_run(&RunId::new(HOME), "run.json"))
            .await?;
        if let Some(run) = run {
            broken.extend(self.never_both(&run).await?);
            let drained = run.is_finished(Stage::Drain);
            if let Some(homeward) = &self.world.homeward {
                let lost = homeward.lost();
                if !drained || !lost.is_empty() {
                    broken.push(format!("written last and not at the primary: {lost:?}"));
                }
            }
        }
        let told = broken
            .into_iter()
            .map(|b| format!("after the way home {b}"));
        summary.violations.extend(told);
        Ok(())
    }

    /// From the moment at which the primary was seen quiet after the disaster no job was live at both sites, and none ran at the
    /// primary before it was the active site again, nor at the secondary after that.
    async fn never_both(&self, run: &RunDocument) -> Result<Vec<String>, DrillError> {
        let primary = self.world.primary.events().await?;
        let secondary = self.world.secondary.events().await?;
        let mut found = Vec::new();
        if let Some(quiet) = self.primary_quiet_at_ms {
            found.extend(promises::live_at_both(
                self.original,
                &primary,
                &secondary,
                quiet,
            ));
            if let Some(commit) = run.committed_at {
                let commit = commit.as_millisecond();
                found.extend(promises::ran_between(
                    self.original,
                    &primary,
                    (quiet, commit),
                    "primary",
                ));
                found.extend(promises::ran_between(
                    self.original,
                    &secondary,
                    (commit, i64::MAX),
                    "secondary",
                ));
            }
        }
        Ok(found)
    }
}
