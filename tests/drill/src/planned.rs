//! Planned runs that move nobody: rehearsals by the state machine's own drill mode, and switchovers that are given up.

use local_cloud::Execution;
use recovery::baseline::BaselinePointer;
use recovery::run::{RunDocument, Stage};
use recovery::site::{RunId, SiteLabel};
use recovery::state::State;
use serde_json::json;

use crate::script::Drill;
use crate::way_back::differences;
use crate::{DrillError, Scenario, Summary};

/// The execution of a rehearsal.
const REHEARSAL: &str = "rehearsal-1";
/// A stage of a run is waited for as long, seconds.
const STAGE_SECONDS: u64 = 120;

/// The stages before the commit in which people may give a switchover up.
pub const BEFORE_THE_COMMIT: [Stage; 10] = [
    Stage::RecoveryPoints,
    Stage::Readiness,
    Stage::Approval,
    Stage::Capture,
    Stage::Fence,
    Stage::Drain,
    Stage::Recheck,
    Stage::Pools,
    Stage::Compute,
    Stage::Validation,
];

impl Drill<'_> {
    /// A drill of the deployed system itself: undisturbed, stopped in the middle, or overtaken by a disaster.
    pub(crate) async fn rehearse(&mut self) -> Result<Summary, DrillError> {
        self.posture_is_recorded().await?;
        self.progress
            .say("the schedule starts a rehearsal: {\"mode\":\"drill\"}");
        let input = json!({"mode": "drill"});
        let cloud = &self.world.cloud;
        let arn = cloud.start_execution(Some(REHEARSAL), &input).await?;
        let execution = cloud.describe_execution(&arn).await?;
        match self.options.scenario {
            Scenario::RehearsalPreempted => return self.disaster_meets(&execution).await,
            Scenario::RehearsalStopped => {
                self.reached(REHEARSAL, Stage::Compute).await?;
                self.progress
                    .say("somebody stops the execution in the console");
                let cloud = &self.world.cloud;
                cloud
                    .stop_execution(&execution.arn, "stopped by hand")
                    .await?;
            }
            _ => {}
        }
        let ended = self.follow(&execution).await?;
        // A stopped execution is closed by an event of its own.
        self.report(REHEARSAL).await?;
        self.orders_are_done().await?;
        let mut summary = self.summary(REHEARSAL, &ended).await?;
        self.judge_unmoved(&mut summary).await?;
        Ok(summary)
    }

    /// The region dies while a rehearsal has the lock: the failover goes first.
    async fn disaster_meets(&mut self, rehearsal: &Execution) -> Result<Summary, DrillError> {
        self.reached(REHEARSAL, Stage::Pools).await?;
        self.progress
            .say("disaster: the primary's region goes dark in the middle of the rehearsal");
        self.world
            .disaster(false, std::time::Duration::ZERO)
            .await?;
        let failover = self.noticed().await?;
        let ended = self.follow(&failover).await?;
        let broken = self.primary_returns().await?;
        let mut summary = self.summary(&failover.name, &ended).await?;
        summary.violations.extend(broken);
        let rehearsal = self.world.cloud.describe_execution(&rehearsal.arn).await?;
        let said = rehearsal.error.as_deref().unwrap_or("nothing");
        if said != "Preempted" {
            summary.violations.push(format!(
                "the rehearsal that a failover overtook ended with {said}, not with Preempted"
            ));
        }
        Ok(summary)
    }

    /// A switchover is begun again and again, and given up in each stage before its commit.
    pub(crate) async fn give_up_everywhere(&mut self) -> Result<Summary, DrillError> {
        self.posture_is_recorded().await?;
        let mut last = None;
        let mut broken = Vec::new();
        for stage in BEFORE_THE_COMMIT {
            let run = format!("given-up-{stage:?}").to_lowercase();
            self.healthy_for_a_while().await?;
            let input = json!({"mode": "switchover"});
            let cloud = &self.world.cloud;
            let arn = cloud.start_execution(Some(&run), &input).await?;
            self.reached_by_approval(&run, stage).await?;
            self.progress.say(&format!("given up in {stage:?}"));
            let act = json!({"act": "abandon", "run": run, "who": "drill", "why": "not today"});
            self.world.operate(&act).await?;
            let ended = self.wait_for_end(&arn).await?;
            self.orders_are_done().await?;
            let mut one = self.summary(&run, &ended).await?;
            self.judge_unmoved(&mut one).await?;
            broken.extend(one.violations.iter().map(|b| format!("{stage:?}: {b}")));
            let differ = one.parity_differences.iter();
            broken.extend(differ.map(|d| format!("{stage:?}: {d}")));
            one.violations.clear();
            one.parity_differences.clear();
            last = Some(one);
        }
        let mut summary = last.ok_or_else(|| DrillError::Aws("no stage was tried".to_owned()))?;
        summary.violations = broken;
        Ok(summary)
    }

    /// A switchover cannot verify its fence: it leads back by itself.
    pub(crate) async fn cannot_be_verified(&mut self) -> Result<Summary, DrillError> {
        self.posture_is_recorded().await?;
        self.progress
            .say("no job of the primary can be paused; a switchover is started");
        let refused = json!({"path": "/api/2.2/jobs/update", "kind": "status", "status": 400,
            "body": {"error_code": "INVALID_STATE", "message": "The job is being edited."}});
        self.world.primary.control("faults", &refused).await?;
        let input = json!({"mode": "switchover"});
        let cloud = &self.world.cloud;
        let arn = cloud.start_execution(Some("unverified-1"), &input).await?;
        let execution = cloud.describe_execution(&arn).await?;
        let ended = self.follow(&execution).await?;
        self.world.primary.end_faults().await?;
        self.progress
            .say("it ended before anything was activated, and leads back by itself");
        let mut summary = self.summary("unverified-1", &ended).await?;
        self.orders_are_done().await?;
        self.judge_unmoved(&mut summary).await?;
        Ok(summary)
    }

    /// Until the standby's posture is recorded: what a clean-up goes back to.
    async fn posture_is_recorded(&self) -> Result<(), DrillError> {
        let world = &*self.world;
        let key = aws::keys::posture(SiteLabel::Secondary);
        world
            .wait("the standby's posture", 60, || {
                world.read::<BaselinePointer>(&key)
            })
            .await
            .map(|_| ())
    }

    async fn reached(&self, run: &str, stage: Stage) -> Result<(), DrillError> {
        let world = &*self.world;
        let key = aws::keys::of_run(&RunId::new(run), "run.json");
        world
            .wait(&format!("{stage:?} of {run}"), STAGE_SECONDS, || async {
                let Some(run) = world.read::<RunDocument>(&key).await? else {
                    return Ok(None);
                };
                if run.stages.iter().any(|s| s.stage == stage) {
                    return Ok(Some(()));
                }
                match run.outcome {
                    Some(outcome) => Err(DrillError::Aws(format!(
                        "run {} ended in {} before {stage:?}: {}",
                        run.run,
                        outcome.as_str(),
                        run.reason.unwrap_or_default()
                    ))),
                    None => Ok(None),
                }
            })
            .await
    }

    /// The same, with a person who approves as soon as it is asked.
    async fn reached_by_approval(&self, run: &str, stage: Stage) -> Result<(), DrillError> {
        if stage > Stage::Approval {
            self.reached(run, Stage::Approval).await?;
            let world = &*self.world;
            world
                .wait("the request", STAGE_SECONDS, || self.asked(run))
                .await?;
            let act = json!({"act": "decide", "run": run, "decision": "approve", "who": "drill",
                "why": "it is planned", "confirm": crate::plan::NAME});
            world.operate(&act).await?;
        }
        self.reached(run, stage).await
    }

    /// Until nothing is left of what was to be brought back, and every site that is to be fenced is quiet.
    pub(crate) async fn orders_are_done(&self) -> Result<(), DrillError> {
        let world = &*self.world;
        world
            .wait("both sites to be brought back", 120, || async {
                let state: Option<State> = world.read(aws::keys::STATE).await?;
                let done = state
                    .filter(|s| s.resets.is_empty() && s.lock.is_none() && s.unsettled.is_none());
                Ok(done.map(|_| ()))
            })
            .await
    }

    /// Nobody was moved: both sites are as they were when the drill began.
    async fn judge_unmoved(&self, summary: &mut Summary) -> Result<(), DrillError> {
        let primary = self.world.primary.inventory().await?;
        let secondary = self.world.secondary.inventory().await?;
        for (site, before, now) in [
            ("primary", self.original, &primary),
            ("standby", self.standby, &secondary),
        ] {
            let found = differences(before, now).into_iter();
            summary
                .parity_differences
                .extend(found.map(|d| format!("{d} at the {site}")));
        }
        let state: Option<State> = self.world.read(aws::keys::STATE).await?;
        if let Some(state) = state {
            if state.active_site != SiteLabel::Primary {
                summary
                    .violations
                    .push(format!("the {} site is active", state.active_site));
            }
            let fenced = state.fences.keys();
            let fenced = fenced.map(|site| format!("a fence stands on the {site} site"));
            summary.violations.extend(fenced);
        }
        let told = self.world.cloud.messages().await?;
        let moved = told.iter().filter_map(|m| m.subject.as_deref());
        let moved = moved.filter(|s| s.contains("moved to") || s.contains("move is done"));
        summary
            .violations
            .extend(moved.map(|s| format!("users were told: {s}")));
        Ok(())
    }
}
