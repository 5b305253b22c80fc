//! The script of a drill: from healthy minutes to the report.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use local_cloud::{Execution, ExecutionStatus};
use recovery::baseline::BaselinePointer;
use recovery::readiness::{Readiness, ReadinessStatus};
use recovery::run::{Outcome, RunDocument, Stage};
use recovery::site::SiteLabel;
use recovery::state::State;
use serde_json::{Value, json};

use crate::estate::Estate;
use crate::permissions::StatementName;
use crate::plan::{self, CONTROL_REGION, NAME, PRIMARY_REGION};
use crate::planted::Planted;
use crate::progress::Progress;
use crate::secrets::{self, Secret};
use crate::stages::stage_in_words;
use crate::world::World;
use crate::{DrillError, Scenario, Summary, live, permissions};

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
    /// A person decides in a browser, and the drill waits.
    pub interactive: bool,
    /// A statement that its role has lost: to see what breaks without it.
    pub without: Option<StatementName>,
}

/// Carries out a drill.
///
/// # Errors
/// If it could not be carried out. Broken promises are in the summary.
pub async fn run(options: &Options, progress: &Progress) -> Result<Summary, DrillError> {
    std::fs::create_dir_all(&options.out).map_err(DrillError::file(&options.out))?;
    let estate = Estate::load(options.inventory.as_deref(), options.scenario)?;
    let original = estate.original.clone();
    let planted = estate.planted.clone();
    let standby = estate.secondary.to_json();
    let mut plan = plan::for_scenario(options.scenario, live::any_warehouse(&original).as_deref());
    if options.interactive {
        plan::wait_for_a_person(&mut plan);
    }
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
    if let Some(statement) = &options.without {
        let (role, sid) = (&statement.role, &statement.sid);
        progress.say(&format!("the role {role} has lost its statement {sid}"));
        world.cloud.remove_statement(role, sid).await?;
    }
    let mut drill = Drill {
        options,
        progress,
        world: &mut world,
        original: &original,
        standby: &standby,
        planted: &planted,
        primary_quiet_at_ms: None,
        primary_returned_at_ms: None,
    };
    let result = drill.play().await;
    let saved = world.save_state(&options.out.join("state")).await;
    let leaked = leaked(&world).await;
    let asked = world.cloud.decisions().await;
    let recordings = world.stop().await;
    progress.end();
    // Before everything else: a permission that was missing explains the rest.
    let refused = permissions::judge(options, asked?)?;
    let mut summary = result.map_err(|error| permissions::explained(error, &refused))?;
    saved?;
    summary.violations.extend(refused);
    let (secrets, leaked) = leaked?;
    summary.violations.extend(leaked);
    summary
        .violations
        .extend(secrets::leaks_below(&options.out, &secrets)?);
    summary.recordings = recordings;
    Ok(summary)
}

/// What must not leak, and where it has leaked into the events of executions.
async fn leaked(world: &World) -> Result<(Vec<Secret>, Vec<String>), DrillError> {
    let key = aws::keys::approval_key(&recovery::site::PlanName::new(NAME));
    let parameter = world.parameter(CONTROL_REGION, &key).await?;
    let mut secrets = Secret::of_link_keys(&parameter.unwrap_or_default());
    for message in world.cloud.messages().await? {
        secrets.extend(Secret::of_message(&message.message));
    }
    let mut found = Vec::new();
    for execution in world.cloud.list_executions().await? {
        for event in world.cloud.execution_history(&execution.arn).await? {
            let place = format!("the history of {}", execution.name);
            found.extend(secrets::leaks(
                &place,
                event.to_string().as_bytes(),
                &secrets,
            ));
        }
    }
    if secrets.is_empty() {
        found.push("no link key and no link were there, so nothing was looked for".to_owned());
    }
    Ok((secrets, found))
}

/// An execution in which nobody is waited for ends within this.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(600);

pub(crate) struct Drill<'a> {
    pub(crate) options: &'a Options,
    pub(crate) progress: &'a Progress,
    pub(crate) world: &'a mut World,
    pub(crate) original: &'a Value,
    pub(crate) standby: &'a Value,
    pub(crate) planted: &'a [Planted],
    /// When the primary was first seen quiet after its return.
    pub(crate) primary_quiet_at_ms: Option<i64>,
    /// When the primary could be reached again.
    pub(crate) primary_returned_at_ms: Option<i64>,
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
        match scenario {
            Scenario::Rehearsal | Scenario::RehearsalStopped | Scenario::RehearsalPreempted => {
                return self.rehearse().await;
            }
            Scenario::SwitchoverGivenUp => return self.give_up_everywhere().await,
            Scenario::SwitchoverUnverified => return self.cannot_be_verified().await,
            Scenario::ResumedEverywhere => return self.resume_everywhere().await,
            _ => {}
        }
        if matches!(
            scenario,
            Scenario::ValidationFails
                | Scenario::ResumeAfterRepair
                | Scenario::ValidationAccepted
                | Scenario::AbandonedAndReset
        ) {
            let broken = json!({"statement": "SELECT 1", "failure": "the metastore of this region is not attached"});
            self.world.secondary.control("statements", &broken).await?;
        }
        if scenario == Scenario::LeftBehind {
            let refused = json!({"method": "POST", "path": "/api/2.1/clusters/start", "kind": "status", "status": 400,
                "body": {"error_code": "INVALID_PARAMETER_VALUE", "message": "the node type is not there"}});
            self.world.secondary.control("faults", &refused).await?;
        }
        let execution = self.strike().await?;
        let ended = self.follow(&execution).await?;
        if scenario == Scenario::SecondDisaster {
            self.progress
                .say("disaster: the secondary's workspace goes dark");
            self.world.secondary.darken(false).await?;
        }
        let ended = match (scenario, ended.status) {
            (Scenario::ResumeAfterRepair, ExecutionStatus::Failed) => {
                self.repair_and_resume(&ended).await?
            }
            (Scenario::ValidationAccepted, ExecutionStatus::Failed) => {
                self.accept_and_resume(&ended).await?
            }
            _ => ended,
        };
        let run = execution.name.clone();
        if scenario == Scenario::AbandonedAndReset {
            self.give_up_and_go_back(&run).await?;
            let mut summary = self.summary(&run, &ended).await?;
            self.judge_way_back(&mut summary).await?;
            return Ok(summary);
        }
        let report = self.report(&run).await?;
        if report
            .as_ref()
            .is_some_and(|r| r.outcome == Outcome::Completed)
        {
            let broken = self.primary_returns().await?;
            let mut summary = self.summary(&run, &ended).await?;
            summary.violations.extend(broken);
            match scenario {
                Scenario::SecondDisaster => self.go_back_to_the_well_site(&mut summary).await?,
                Scenario::FailoverAndFailback => self.go_home(&mut summary).await?,
                Scenario::Promotion => self.promote(&mut summary).await?,
                Scenario::LeftBehind => self.bring_up_what_is_owed(&mut summary).await?,
                _ => {}
            }
            return Ok(summary);
        }
        let mut summary = self.summary(&run, &ended).await?;
        if !self.planted.is_empty() {
            summary.violations.extend(self.not_reported(&run).await?);
        }
        Ok(summary)
    }

    /// The disaster, until its run is under way.
    async fn strike(&mut self) -> Result<Execution, DrillError> {
        let scenario = self.options.scenario;
        let refuses = |method: Value, path: &str| {
            json!({"method": method, "path": path, "kind": "status", "status": 503,
                "body": {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "the service is down"}})
        };
        match scenario {
            Scenario::FailoverRefusing => {
                self.progress.say(
                    "disaster: the primary answers every request with 503; its platform goes on",
                );
                self.world.limp(&[refuses(Value::Null, "/")]).await?;
                self.noticed().await
            }
            Scenario::FailoverHalfDead => {
                self.progress.say(
                    "the primary's list of warehouses fails; a person starts a failover by hand",
                );
                let list = refuses("GET".into(), "/api/2.0/sql/warehouses");
                self.world.limp(&[list]).await?;
                let input = json!({"mode": "failover"});
                let cloud = &self.world.cloud;
                let arn = cloud.start_execution(Some("by-hand"), &input).await?;
                Ok(cloud.describe_execution(&arn).await?)
            }
            _ => {
                self.progress
                    .say("disaster: the primary's region goes dark");
                let lag = scenario.replication_ends_before();
                self.world.disaster(scenario.keeps_running(), lag).await?;
                self.noticed().await
            }
        }
    }

    /// What readiness has not said of the planted differences, and what it said beside them.
    async fn not_reported(&self, run: &str) -> Result<Vec<String>, DrillError> {
        #[derive(serde::Deserialize)]
        struct Seen {
            readiness: Readiness,
        }
        let run = recovery::site::RunId::new(run);
        let key = aws::keys::of_run(&run, "readiness.json");
        let seen: Option<Seen> = self.world.read(&key).await?;
        let told: BTreeSet<Planted> = seen
            .iter()
            .flat_map(|seen| &seen.readiness.findings)
            .filter(|finding| finding.status != ReadinessStatus::InSync)
            .map(Planted::of)
            .collect();
        let planted: BTreeSet<Planted> = self.planted.iter().cloned().collect();
        self.progress.say(&format!(
            "of {} planted differences readiness reports {}",
            planted.len(),
            planted.intersection(&told).count()
        ));
        let missed = planted.difference(&told);
        let missed = missed.map(|p| format!("a difference was not reported: {p:?}"));
        let invented = told.difference(&planted);
        let invented =
            invented.map(|p| format!("a difference was reported that nobody planted: {p:?}"));
        Ok(missed.chain(invented).collect())
    }

    /// Until the probe calls the primary healthy, a baseline is there, and the data is known to arrive.
    async fn healthy_minutes(&mut self) -> Result<(), DrillError> {
        self.healthy_for_a_while().await?;
        let world = &*self.world;
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
        world.data_arrives().await?;
        self.progress.say("the replication lag is measured");
        Ok(())
    }

    pub(crate) async fn healthy_for_a_while(&self) -> Result<(), DrillError> {
        self.world.healthy_for_a_while().await
    }

    /// Until the probe has opened an incident and its run is under way.
    pub(crate) async fn noticed(&self) -> Result<Execution, DrillError> {
        let world = &*self.world;
        let execution = world
            .wait("the probe to notice and start a run", 90, || async {
                let mut all = world.cloud.list_executions().await?.into_iter();
                Ok(all.find(|execution| execution.name.starts_with("incident-")))
            })
            .await?;
        self.progress.say(&format!(
            "the probe noticed and started run {}",
            execution.name
        ));
        Ok(execution)
    }

    /// Plays the person at the approval and tells each stage, until the execution ends.
    pub(crate) async fn follow(&self, execution: &Execution) -> Result<Execution, DrillError> {
        let world = &*self.world;
        let key = aws::keys::of_run(&recovery::site::RunId::new(&execution.name), "run.json");
        let mut told = BTreeSet::new();
        let mut decided = false;
        let mut accepted = false;
        let told_ref = &mut told;
        let decided_ref = &mut decided;
        let patience = match self.options.interactive {
            true => PATIENCE + plan::INTERACTIVE.duration(),
            false => PATIENCE,
        };
        let end = std::time::Instant::now() + patience;
        loop {
            if let Some(run) = world.read::<RunDocument>(&key).await? {
                let finished = run.stages.iter().filter(|s| s.finished_at.is_some());
                for record in finished.filter(|s| told_ref.insert((s.stage, s.attempt))) {
                    self.progress.say(&stage_in_words(&run, record.stage));
                    if record.stage == Stage::Commit
                        && self.options.scenario == Scenario::SecondDisaster
                        && run.target == SiteLabel::Secondary
                    {
                        // Only captures read these now; the next run could otherwise start from a record of the secondary.
                        let unreadable = json!({"method": "GET", "path": "/api/2.0/permissions", "kind": "status", "status": 503});
                        world.secondary.control("faults", &unreadable).await?;
                    }
                    if record.stage == Stage::Capture
                        && let Some(homeward) = &world.homeward
                    {
                        homeward.quiet();
                    }
                }
            }
            if !*decided_ref && let Some(message) = self.asked(&execution.name).await? {
                *decided_ref = true;
                self.person(execution, &message).await?;
            }
            if *decided_ref && !accepted && self.asked_on_the_way(&execution.name).await? {
                accepted = true;
                self.accept_on_the_way(&execution.name).await?;
            }
            let now = world.cloud.describe_execution(&execution.arn).await?;
            if now.status != ExecutionStatus::Running {
                return Ok(now);
            }
            if std::time::Instant::now() >= end {
                return Err(DrillError::TimedOut {
                    what: format!("execution {} to end", execution.name),
                    seconds: patience.as_secs(),
                });
            }
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
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
        self.resume(&ended.name).await
    }

    pub(crate) async fn resume(&self, run: &str) -> Result<Execution, DrillError> {
        let input = json!({"mode": "resume", "run": run});
        let arn = self
            .world
            .cloud
            .start_execution(Some("resume-1"), &input)
            .await?;
        self.wait_for_end(&arn).await
    }

    pub(crate) async fn wait_for_end(&self, arn: &str) -> Result<Execution, DrillError> {
        let world = &*self.world;
        world
            .wait("the execution to end", 200, || async {
                let execution = world.cloud.describe_execution(arn).await?;
                Ok((execution.status != ExecutionStatus::Running).then_some(execution))
            })
            .await
    }

    /// The region is back. Gives the promises of the data that were broken by it.
    pub(crate) async fn primary_returns(&mut self) -> Result<Vec<String>, DrillError> {
        self.progress
            .say("the primary's region is back; its schedules start to fire");
        self.world.recover().await?;
        self.primary_returned_at_ms = Some(Timestamp::now().as_millisecond());
        let broken = self.replication_goes_on().await?;
        let quiet = self.fence_has_caught_primary().await?;
        self.primary_quiet_at_ms = Some(quiet.as_millisecond());
        self.progress
            .say("the standing fence has caught it: everything is quiet there, by its own word");
        let active = aws::keys::active_site(&recovery::site::PlanName::new(NAME));
        let world = &*self.world;
        world
            .wait("the pointers in the primary's region", 60, || async {
                Ok((world.parameter(PRIMARY_REGION, &active).await?.as_deref()
                    == Some("secondary"))
                .then_some(()))
            })
            .await?;
        Ok(broken)
    }

    pub(crate) async fn fence_has_caught_primary(&self) -> Result<Timestamp, DrillError> {
        let world = &*self.world;
        world
            .wait("the standing fence to catch the primary", 120, || async {
                let state: Option<State> = world.read(aws::keys::STATE).await?;
                let fence = state.and_then(|s| s.fences.get(&SiteLabel::Primary).cloned());
                Ok(fence.and_then(|f| f.verified_at))
            })
            .await
    }

    /// S3 delivers what was pending when the region died, while the standby has written on.
    async fn replication_goes_on(&self) -> Result<Vec<String>, DrillError> {
        let Some(lake) = &self.world.lake else {
            return Ok(Vec::new());
        };
        lake.write_on_at_standby().await?;
        let before = lake.at_standby().await?;
        let delivery = lake.deliver().await?;
        let after = lake.at_standby().await?;
        self.progress.say(&format!(
            "S3 replication goes on: of {} objects that were held back the standby's bucket refuses {}",
            delivery.arrived.len() + delivery.refused.len(),
            delivery.refused.len()
        ));
        Ok(crate::data_promises::delivery_violations(
            &delivery, &before, &after,
        ))
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
        let after = self.world.read::<State>(aws::keys::STATE).await?;
        if !differs_by_ended_tokens_only(before, after) {
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
                "CaptureBaselineFunction" => json!({"by": "schedule"}),
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
        let state = self.world.read::<State>(aws::keys::STATE).await?;
        let others = keys
            .iter()
            .any(|key| key != "plan.json" && key != aws::keys::STATE);
        if others || !differs_by_ended_tokens_only(None, state) {
            summary.violations.push(format!(
                "a bad plan was acted upon: the bucket holds {keys:?}"
            ));
        }
        Ok(summary)
    }

    async fn written_for(&self, run: &str) -> Result<Vec<String>, DrillError> {
        use aws::store::Store;
        let keys = self.world.store().list(&format!("runs/{run}/")).await?;
        Ok(keys
            .into_iter()
            .map(|key| format!("a refused start wrote {key}"))
            .collect())
    }
}

/// What a refused start leaves: the note that its execution has ended, so that no slow function of it takes the lock later.
fn differs_by_ended_tokens_only(before: Option<State>, after: Option<State>) -> bool {
    let rest = |state: State| State {
        ended_tokens: recovery::state::EndedTokens::default(),
        swap: None,
        ..state
    };
    match (before, after) {
        (None, None) => true,
        (Some(before), Some(after)) => rest(before) == rest(after),
        (None, Some(after)) => State::initial(after.plan.clone()) == rest(after),
        (Some(_), None) => false,
    }
}
