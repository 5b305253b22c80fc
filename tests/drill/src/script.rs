//! The script of a drill: from healthy minutes to the report.

use std::path::{Path, PathBuf};

use local_cloud::{Execution, ExecutionStatus};
use recovery::baseline::BaselinePointer;
use recovery::replication::ReplicationStatus;
use recovery::report::Report;
use recovery::run::{Outcome, RunDocument};
use recovery::signals::Signals;
use recovery::site::SiteLabel;
use recovery::state::State;
use recovery::verdict::Verdict;
use serde_json::{Value, json};

use crate::estate::Estate;
use crate::lake::Lake;
use crate::plan::{self, CONTROL_REGION, NAME, PRIMARY_REGION, SECONDARY_REGION};
use crate::progress::Progress;
use crate::promises::{self, Facts};
use crate::world::World;
use crate::{DrillError, Scenario, Summary, data_promises, live};

/// What a drill is carried out with.
pub struct Options {
    /// The scenario.
    pub scenario: Scenario,
    /// The primary's inventory; the shipped example if none.
    pub inventory: Option<PathBuf>,
    /// Where everything is left: report, state, recordings, logs.
    pub out: PathBuf,
    /// The repository.
    pub root: PathBuf,
    /// The folder of the function binaries.
    pub binaries: PathBuf,
}

/// Carries out a drill.
///
/// # Errors
/// If it could not be carried out. Broken promises are in the summary.
pub async fn run(options: &Options, progress: &Progress) -> Result<Summary, DrillError> {
    std::fs::create_dir_all(&options.out).map_err(DrillError::file(&options.out))?;
    let estate = Estate::load(options.inventory.as_deref(), options.scenario)?;
    let original = estate.original.clone();
    let standby = estate.secondary.to_json();
    let plan = plan::for_scenario(options.scenario, live::any_warehouse(&original).as_deref());
    progress.say(
        "starting two simulated workspaces and the local cloud, deploying infra/template.yaml",
    );
    let mut world = World::start(
        &options.root,
        &options.binaries,
        &options.out,
        estate,
        &plan,
    )
    .await?;
    let mut drill = Drill {
        options,
        progress,
        world: &mut world,
        original: &original,
        standby: &standby,
    };
    let result = drill.play().await;
    let saved = world.save_state(&options.out.join("state")).await;
    let recordings = world.stop().await;
    progress.end();
    let mut summary = result?;
    saved?;
    summary.recordings = recordings;
    Ok(summary)
}

struct Drill<'a> {
    options: &'a Options,
    progress: &'a Progress,
    world: &'a mut World,
    original: &'a Value,
    standby: &'a Value,
}

impl Drill<'_> {
    async fn play(&mut self) -> Result<Summary, DrillError> {
        let scenario = self.options.scenario;
        if scenario == Scenario::BadPlan {
            return self.bad_plan().await;
        }
        self.world.start_schedules().await?;
        self.healthy_minutes().await?;
        if scenario == Scenario::WrongMode {
            return self.wrong_mode().await;
        }
        if matches!(
            scenario,
            Scenario::ValidationFails | Scenario::ResumeAfterRepair
        ) {
            let broken = json!({"statement": "SELECT 1", "failure": "the metastore of this region is not attached"});
            self.world.secondary.control("statements", &broken).await?;
        }
        self.progress
            .say("disaster: the primary's region goes dark");
        let lag = scenario.replication_ends_before();
        self.world.disaster(scenario.keeps_running(), lag).await?;
        let execution = self.noticed().await?;
        let ended = self.follow(&execution).await?;
        let ended =
            if scenario == Scenario::ResumeAfterRepair && ended.status == ExecutionStatus::Failed {
                self.repair_and_resume(&ended).await?
            } else {
                ended
            };
        let run = execution.name.clone();
        let report = self.report(&run).await?;
        if report
            .as_ref()
            .is_some_and(|r| r.outcome == Outcome::Completed)
        {
            self.primary_returns().await?;
        }
        self.summary(&run, &ended).await
    }

    /// Until the probe calls the primary healthy, a baseline is there, and the data is known to arrive.
    async fn healthy_minutes(&mut self) -> Result<(), DrillError> {
        let world = &*self.world;
        world
            .wait("three healthy probes of both sites", 60, || async {
                let signals: Option<Signals> =
                    world.read(&aws::keys::signals(CONTROL_REGION)).await?;
                let healthy = |site| {
                    signals
                        .iter()
                        .flat_map(|s| &s.observations)
                        .filter(|o| o.site == site && o.signals.iter().all(|s| s.cause().is_none()))
                        .count()
                };
                Ok(
                    (healthy(SiteLabel::Primary) >= 3 && healthy(SiteLabel::Secondary) >= 3)
                        .then_some(()),
                )
            })
            .await?;
        self.progress.say("healthy: both sites answer");
        let baseline = world
            .wait("a baseline", 60, || {
                world.read::<BaselinePointer>(aws::keys::BASELINE)
            })
            .await?;
        let counts: Vec<String> = baseline
            .live
            .iter()
            .map(|(kind, n)| format!("{n} {kind}"))
            .collect();
        self.progress.say(&format!(
            "the baseline is recorded: {} objects, live: {}",
            baseline.objects,
            counts.join(", ")
        ));
        world
            .wait("replicated data at the standby", 60, || async {
                let status: Option<ReplicationStatus> = world.read(aws::keys::REPLICATION).await?;
                let known =
                    status.is_some_and(|s| s.data_sets.iter().all(|d| d.recovery_point.is_some()));
                Ok(known.then_some(()))
            })
            .await?;
        self.progress.say("the replication lag is measured");
        Ok(())
    }

    /// Until the probe has opened an incident and its run is under way.
    async fn noticed(&self) -> Result<Execution, DrillError> {
        let world = &*self.world;
        let execution = world
            .wait("the probe to notice and start a run", 90, || async {
                Ok(world.cloud.list_executions().await?.into_iter().next())
            })
            .await?;
        self.progress.say(&format!(
            "the probe noticed and started run {}",
            execution.name
        ));
        Ok(execution)
    }

    /// Plays the person at the approval and tells each stage, until the execution ends.
    async fn follow(&self, execution: &Execution) -> Result<Execution, DrillError> {
        let world = &*self.world;
        let key = aws::keys::of_run(&recovery::site::RunId::new(&execution.name), "run.json");
        let mut told = 0;
        let mut decided = false;
        let told_ref = &mut told;
        let decided_ref = &mut decided;
        let end = std::time::Instant::now() + std::time::Duration::from_secs(300);
        loop {
            if let Some(run) = world.read::<RunDocument>(&key).await? {
                for record in run
                    .stages
                    .iter()
                    .filter(|s| s.finished_at.is_some())
                    .skip(*told_ref)
                {
                    self.progress.say(stage_in_words(record.stage));
                    *told_ref += 1;
                }
            }
            if !*decided_ref && self.is_asked(&execution.name).await? {
                *decided_ref = true;
                self.person(execution).await?;
            }
            let now = world.cloud.describe_execution(&execution.arn).await?;
            if now.status != ExecutionStatus::Running {
                return Ok(now);
            }
            if std::time::Instant::now() >= end {
                return Err(DrillError::TimedOut {
                    what: format!("execution {} to end", execution.name),
                    seconds: 300,
                });
            }
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
    }

    /// A person has the message: that, and not the document, is what counts.
    async fn is_asked(&self, run: &str) -> Result<bool, DrillError> {
        let messages = self.world.cloud.messages().await?;
        Ok(messages.iter().any(|m| {
            m.subject
                .as_deref()
                .is_some_and(|s| s.contains("approve or decline"))
                && m.message.contains(run)
        }))
    }

    async fn person(&self, execution: &Execution) -> Result<(), DrillError> {
        let decision = match self.options.scenario {
            Scenario::NobodyApproves => {
                self.progress.say("a person is asked; nobody answers");
                return Ok(());
            }
            Scenario::Stopped => {
                self.progress
                    .say("a person is asked; somebody stops the execution in the console");
                self.world
                    .cloud
                    .stop_execution(&execution.arn, "stopped by hand")
                    .await?;
                return Ok(());
            }
            Scenario::Declined => "decline",
            _ => "approve",
        };
        self.progress
            .say(&format!("a person is asked and decides: {decision}"));
        let act = json!({"act": "decide", "run": execution.name, "decision": decision,
            "who": "drill", "why": "the evidence is plain", "confirm": NAME});
        self.world.operate(&act).await.map(|_| ())
    }

    async fn repair_and_resume(&self, ended: &Execution) -> Result<Execution, DrillError> {
        self.progress.say(&format!(
            "the run ended in {}; the target is repaired and the run resumed",
            ended.error.as_deref().unwrap_or("?")
        ));
        self.world
            .secondary
            .control("statements", &json!({"statement": "SELECT 1"}))
            .await?;
        let input = json!({"mode": "resume", "run": ended.name});
        let arn = self
            .world
            .cloud
            .start_execution(Some("resume-1"), &input)
            .await?;
        self.wait_for_end(&arn).await
    }

    async fn wait_for_end(&self, arn: &str) -> Result<Execution, DrillError> {
        let world = &*self.world;
        world
            .wait("the execution to end", 200, || async {
                let execution = world.cloud.describe_execution(arn).await?;
                Ok((execution.status != ExecutionStatus::Running).then_some(execution))
            })
            .await
    }

    async fn primary_returns(&mut self) -> Result<(), DrillError> {
        self.progress
            .say("the primary's region is back; its schedules start to fire");
        self.world.recover().await?;
        let world = &*self.world;
        world
            .wait("the standing fence to catch the primary", 120, || async {
                let state: Option<State> = world.read(aws::keys::STATE).await?;
                let fence = state.and_then(|s| s.fences.get(&SiteLabel::Primary).cloned());
                Ok(fence.and_then(|f| f.verified_at))
            })
            .await?;
        self.progress
            .say("the standing fence has caught it: everything is quiet there, by its own word");
        let active = aws::keys::active_site(&recovery::site::PlanName::new(NAME));
        world
            .wait("the pointers in the primary's region", 60, || async {
                Ok((world.parameter(PRIMARY_REGION, &active).await?.as_deref()
                    == Some("secondary"))
                .then_some(()))
            })
            .await
    }

    async fn wrong_mode(&self) -> Result<Summary, DrillError> {
        let before = self.world.read::<State>(aws::keys::STATE).await?;
        self.progress
            .say("the state machine is started with {\"mode\":\"fail-over\"}");
        let arn = self
            .world
            .cloud
            .start_execution(Some("typo"), &json!({"mode": "fail-over"}))
            .await?;
        let ended = self.wait_for_end(&arn).await?;
        let mut summary = self.summary("typo", &ended).await?;
        if self.world.read::<State>(aws::keys::STATE).await? != before {
            summary
                .violations
                .push("a refused start changed state.json".to_owned());
        }
        summary.violations.extend(self.written_for("typo").await?);
        Ok(summary)
    }

    /// The schedules do not run: nothing but the refused functions could write.
    async fn bad_plan(&self) -> Result<Summary, DrillError> {
        self.progress
            .say("the state machine is started on a plan with an objective of 0");
        let arn = self
            .world
            .cloud
            .start_execution(Some("bad-plan"), &json!({"mode": "failover"}))
            .await?;
        let ended = self.wait_for_end(&arn).await?;
        let mut violations = Vec::new();
        for function in [
            "HealthProbeFunction",
            "CaptureBaselineFunction",
            "ReplicationLagFunction",
        ] {
            let event = match function {
                "ReplicationLagFunction" => json!({"phase": "scheduled"}),
                _ => json!({"scheduled": true}),
            };
            let answer = self.world.cloud.invoke(function, &event).await?;
            if answer.payload.get("errorType").and_then(Value::as_str) != Some("InvalidPlan") {
                violations.push(format!(
                    "{function} accepted a bad plan: {}",
                    answer.payload
                ));
            }
        }
        let mut summary = self.summary("bad-plan", &ended).await?;
        summary.violations.extend(violations);
        use aws::store::Store;
        let keys = self.world.store().list("").await?;
        if keys != ["plan.json"] {
            summary.violations.push(format!(
                "a bad plan was acted upon: the bucket holds {keys:?}"
            ));
        }
        Ok(summary)
    }

    /// The loss that people were shown is the loss of the report, and both follow from what had really arrived.
    async fn data_promises(&self, run: &str, report: &Report) -> Result<Vec<String>, DrillError> {
        let id = recovery::site::RunId::new(run);
        let of_run = |name: &str| aws::keys::of_run(&id, name);
        let request: Option<Value> = self.world.read(&of_run("approvals/start.json")).await?;
        let points: Option<Value> = self.world.read(&of_run("recovery-points.json")).await?;
        let arrived = self.world.lake.as_ref().map(Lake::complete_versions);
        Ok(data_promises::violations(
            request.as_ref(),
            points.as_ref(),
            &arrived.unwrap_or_default(),
            report,
        ))
    }

    async fn written_for(&self, run: &str) -> Result<Vec<String>, DrillError> {
        use aws::store::Store;
        let keys = self.world.store().list(&format!("runs/{run}/")).await?;
        Ok(keys
            .into_iter()
            .map(|key| format!("a refused start wrote {key}"))
            .collect())
    }

    async fn report(&self, run: &str) -> Result<Option<Report>, DrillError> {
        let key = aws::keys::of_run(&recovery::site::RunId::new(run), "report.json");
        if self.options.scenario == Scenario::Stopped {
            // The event that closes a stopped run arrives on its own.
            let world = &*self.world;
            return world
                .wait("the report of the stopped run", 60, || {
                    world.read::<Report>(&key)
                })
                .await
                .map(Some);
        }
        self.world.read(&key).await
    }

    async fn summary(&self, run: &str, ended: &Execution) -> Result<Summary, DrillError> {
        let report = self.report(run).await?;
        let state: Option<State> = self.world.read(aws::keys::STATE).await?;
        let primary = self.world.primary.inventory().await?;
        let secondary = self.world.secondary.inventory().await?;
        let (primary_events, secondary_events) = (
            self.world.primary.events().await?,
            self.world.secondary.events().await?,
        );
        let fence = state
            .as_ref()
            .and_then(|s| s.fences.get(&SiteLabel::Primary));
        let facts = Facts {
            original: self.original,
            primary: &primary,
            secondary: &secondary,
            standby: self.standby,
            primary_events: &primary_events,
            secondary_events: &secondary_events,
            committed_at_ms: state
                .as_ref()
                .and_then(|s| s.last_commit.as_ref())
                .map(|c| c.at.as_millisecond()),
            fence_verified_at_ms: fence
                .and_then(|f| f.verified_at)
                .map(|t| t.as_millisecond()),
        };
        let mut violations = promises::violations(&facts);
        violations.extend(self.state_promises(state.as_ref(), report.as_ref()).await?);
        if let Some(report) = &report {
            violations.extend(self.data_promises(run, report).await?);
        }
        let outcome = report.as_ref().map_or(Outcome::Failed, |r| r.outcome);
        if outcome != self.options.scenario.expected() {
            violations.push(format!(
                "the run ended in {}, this scenario must end in {}",
                outcome.as_str(),
                self.options.scenario.expected().as_str()
            ));
        }
        let said = ended.error.as_deref().unwrap_or("Completed");
        let console_agrees = said == outcome.as_str() || ended.status == ExecutionStatus::Aborted;
        if !console_agrees {
            violations.push(format!(
                "the console says {said}, the report {}",
                outcome.as_str()
            ));
        }
        let path = self.save_report(run, report.as_ref()).await?;
        Ok(Summary {
            scenario: self.options.scenario.name(),
            outcome,
            reason: report
                .as_ref()
                .map(|r| r.reason.clone())
                .or_else(|| ended.cause.clone())
                .unwrap_or_else(|| "no reason was given".to_owned()),
            verdict: report
                .as_ref()
                .and_then(|r| r.verdict)
                .map(|v: Verdict| v.to_string()),
            violations,
            parity_differences: promises::parity(&facts),
            order: report
                .iter()
                .flat_map(|r| &r.stages)
                .map(|s| format!("{:?}", s.stage))
                .collect(),
            stages: report
                .iter()
                .flat_map(|r| &r.stages)
                .map(|s| (format!("{:?}", s.stage), s.seconds))
                .collect(),
            rto_seconds: report.as_ref().and_then(|r| r.rto_seconds),
            rpo: report.as_ref().map(|r| r.rpo.clone()).unwrap_or_default(),
            fenced: self.fenced(run).await?,
            restored: report
                .as_ref()
                .map(|r| r.restored.clone())
                .unwrap_or_default(),
            runs_through_fence: promises::runs_through_fence(&facts),
            next: report.as_ref().map(|r| r.next.clone()),
            report: path,
            recordings: vec![],
        })
    }

    /// What the ledger says of the old site now: the watch has added to it since the report was made.
    async fn fenced(
        &self,
        run: &str,
    ) -> Result<std::collections::BTreeMap<String, usize>, DrillError> {
        let id = recovery::site::RunId::new(run);
        let Some(document) = self
            .world
            .read::<RunDocument>(&aws::keys::of_run(&id, "run.json"))
            .await?
        else {
            return Ok(std::collections::BTreeMap::new());
        };
        let mut pages = Vec::new();
        use aws::store::Store;
        for key in self
            .world
            .store()
            .list(&aws::keys::of_run(&id, "ledger/"))
            .await?
        {
            pages.extend(self.world.read(&key).await?);
        }
        Ok(recovery::report::fenced(&document, &pages))
    }

    /// What the stored state and the parameters promise whatever the outcome.
    async fn state_promises(
        &self,
        state: Option<&State>,
        report: Option<&Report>,
    ) -> Result<Vec<String>, DrillError> {
        let mut found = Vec::new();
        let Some(state) = state else { return Ok(found) };
        if let Some(lock) = &state.lock {
            found.push(format!("run {} still holds the lock", lock.run));
        }
        let Some(report) = report else {
            return Ok(found);
        };
        let completed = report.outcome == Outcome::Completed;
        let expected = if completed {
            SiteLabel::Secondary
        } else {
            SiteLabel::Primary
        };
        if state.active_site != expected {
            found.push(format!(
                "the {} site is active after {}",
                state.active_site,
                report.outcome.as_str()
            ));
        }
        if completed {
            let pointer = aws::keys::active_site(&recovery::site::PlanName::new(NAME));
            for region in [CONTROL_REGION, SECONDARY_REGION, PRIMARY_REGION] {
                let says = self.world.parameter(region, &pointer).await?;
                if says.as_deref() != Some(expected.as_str()) {
                    found.push(format!("{pointer} in {region} says {says:?}"));
                }
            }
            if !report.unverified.is_empty() {
                found.push(format!(
                    "{} resources were attempted and never verified",
                    report.unverified.len()
                ));
            }
            if !state.fences.contains_key(&SiteLabel::Primary) {
                found.push("no fence stands on the primary".to_owned());
            }
        }
        Ok(found)
    }

    async fn save_report(
        &self,
        run: &str,
        report: Option<&Report>,
    ) -> Result<Option<PathBuf>, DrillError> {
        let Some(report) = report else {
            return Ok(None);
        };
        let path: &Path = &self.options.out.join("report.json");
        let text = serde_json::to_vec_pretty(report).unwrap_or_default();
        std::fs::write(path, text).map_err(DrillError::file(path))?;
        use aws::store::Store;
        let key = aws::keys::of_run(&recovery::site::RunId::new(run), "report.html");
        if let Some(page) = self.world.store().get(&key).await? {
            let path: &Path = &self.options.out.join("report.html");
            std::fs::write(path, page.bytes).map_err(DrillError::file(path))?;
        }
        Ok(Some(path.to_owned()))
    }
}

const fn stage_in_words(stage: recovery::run::Stage) -> &'static str {
    use recovery::run::Stage;
    match stage {
        Stage::Begin => "the run has the lock and has frozen its evidence",
        Stage::RecoveryPoints => "what would be lost is proven and frozen",
        Stage::Readiness => "the standby holds every object of the baseline",
        Stage::Approval => "approved",
        Stage::Fence => "the primary is fenced as far as it can be reached; the fence stands",
        Stage::Recheck => "the standby is still ready",
        Stage::Pools => "pools keep their idle instances at the standby",
        Stage::Compute => "clusters and warehouses run at the standby",
        Stage::Validation => "the standby has proven that it works",
        Stage::Commit => "COMMIT: the standby is the active site",
        Stage::JobConcurrency => "jobs have their concurrency",
        Stage::OneTimeRuns => {
            "interrupted runs are started again where a job asks for it, the others are listed"
        }
        Stage::Schedules => "schedules, triggers and continuous jobs are as they were",
        Stage::Endpoints => "pointers and workspace URLs are switched",
    }
}
