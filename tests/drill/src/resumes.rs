//! One planned move that meets every trouble on its way and is resumed each time, as the runbook says.

use local_cloud::{Execution, ExecutionStatus};
use recovery::run::{Outcome, RunDocument, Stage};
use recovery::site::RunId;
use serde_json::{Value, json};

use crate::plan::NAME;
use crate::script::Drill;
use crate::{DrillError, Summary};

/// The run.
const RUN: &str = "troubled-1";
/// A request is open within this.
const ASKED_SECONDS: u64 = 60;

/// What stands in the way in one attempt.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// A person declines.
    Declined,
    /// Nobody answers.
    Unanswered,
    /// Somebody stops the execution while it asks.
    Stopped,
    /// The standby lacks an object: its list of jobs is empty.
    NothingThere,
    /// No job of the old site can be paused.
    CannotFence,
    /// The target refuses its operator.
    Refused,
    /// A statement fails at the target.
    Statement,
}

/// In this order, and what each ends in.
const TROUBLES: [(Trouble, Outcome); 7] = [
    (Trouble::Declined, Outcome::Declined),
    (Trouble::Unanswered, Outcome::ApprovalExpired),
    (Trouble::Stopped, Outcome::Stopped),
    (Trouble::NothingThere, Outcome::NotReady),
    (Trouble::CannotFence, Outcome::FenceUnverified),
    (Trouble::Refused, Outcome::Failed),
    (Trouble::Statement, Outcome::ValidationFailed),
];

impl Drill<'_> {
    /// Each attempt ends in the outcome of its trouble; the trouble is repaired and the run resumed, until it completes.
    pub(crate) async fn resume_everywhere(&mut self) -> Result<Summary, DrillError> {
        let mut broken = Vec::new();
        for (attempt, (trouble, outcome)) in (1..).zip(TROUBLES) {
            self.orders_are_done_or_fenced().await?;
            self.healthy_for_a_while().await?;
            self.make(trouble).await?;
            let ended = self.attempt(attempt, Some(trouble)).await?;
            self.repair(trouble).await?;
            let said = self.outcome().await?;
            self.progress.say(&format!(
                "{trouble:?}: ended in {said:?}; repaired, resumed"
            ));
            if said != Some(outcome) {
                let why = ended.cause.unwrap_or_default();
                broken.push(format!(
                    "{trouble:?} ended in {said:?}, not in {outcome:?}: {why}"
                ));
            }
        }
        self.orders_are_done_or_fenced().await?;
        let last = u32::try_from(TROUBLES.len()).unwrap_or(0) + 1;
        let ended = self.attempt(last, None).await?;
        let mut summary = self.summary(RUN, &ended).await?;
        summary.violations.extend(broken);
        Ok(summary)
    }

    async fn attempt(
        &self,
        attempt: u32,
        trouble: Option<Trouble>,
    ) -> Result<Execution, DrillError> {
        let (name, input) = if attempt == 1 {
            (RUN.to_owned(), json!({"mode": "switchover"}))
        } else {
            let input = json!({"mode": "resume", "run": RUN});
            (format!("{RUN}-resumed-{attempt}"), input)
        };
        let cloud = &self.world.cloud;
        let arn = cloud.start_execution(Some(&name), &input).await?;
        let decision = match trouble {
            Some(Trouble::Declined) => Some("decline"),
            Some(Trouble::Unanswered | Trouble::NothingThere) => None,
            Some(Trouble::Stopped) => {
                self.asking(attempt).await?;
                cloud.stop_execution(&arn, "stopped by hand").await?;
                None
            }
            _ => Some("approve"),
        };
        if let Some(decision) = decision {
            self.decide(attempt, decision, &arn).await?;
        }
        let ended = self.wait_for_end(&arn).await?;
        // A stopped execution is closed by an event of its own.
        let world = &*self.world;
        world
            .wait("the run to be closed", 60, || async {
                Ok(self.outcome().await?.map(|_| ()))
            })
            .await?;
        Ok(ended)
    }

    async fn document(&self) -> Result<Option<RunDocument>, DrillError> {
        let key = aws::keys::of_run(&RunId::new(RUN), "run.json");
        self.world.read(&key).await
    }

    async fn outcome(&self) -> Result<Option<Outcome>, DrillError> {
        Ok(self.document().await?.and_then(|run| run.outcome))
    }

    /// Until this attempt asks.
    async fn asking(&self, attempt: u32) -> Result<(), DrillError> {
        let world = &*self.world;
        world
            .wait("the attempt to ask", ASKED_SECONDS, || async {
                let run = self.document().await?;
                let asks = run.is_some_and(|r| r.attempt == attempt && r.is_in(Stage::Approval));
                Ok(asks.then_some(()))
            })
            .await
    }

    /// An attempt that is resumed from the fence does not ask again.
    async fn decide(&self, attempt: u32, decision: &str, arn: &str) -> Result<(), DrillError> {
        let world = &*self.world;
        world
            .wait("the request to be open", ASKED_SECONDS, || async {
                let now = world.cloud.describe_execution(arn).await?;
                let past = self.document().await?.is_some_and(|run| {
                    run.attempt == attempt
                        && run
                            .stages
                            .iter()
                            .any(|s| s.attempt == attempt && s.stage > Stage::Approval)
                });
                if past || now.status != ExecutionStatus::Running {
                    return Ok(Some(()));
                }
                let asks = self
                    .document()
                    .await?
                    .is_some_and(|r| r.attempt == attempt && r.is_in(Stage::Approval));
                if !asks {
                    return Ok(None);
                }
                let act = json!({"act": "decide", "run": RUN, "decision": decision,
                    "who": "drill", "why": "it is planned", "confirm": NAME});
                // The request of this attempt may not be out yet.
                Ok(world.operate(&act).await.ok().map(|_| ()))
            })
            .await
    }

    async fn make(&self, trouble: Trouble) -> Result<(), DrillError> {
        let fault = |path: &str, status: u16, body: Value| json!({"path": path, "kind": "status", "status": status, "body": body});
        let (primary, secondary) = (&self.world.primary, &self.world.secondary);
        match trouble {
            Trouble::Declined | Trouble::Unanswered | Trouble::Stopped => Ok(()),
            Trouble::NothingThere => {
                let empty = fault("/api/2.2/jobs/list", 200, json!({"has_more": false}));
                secondary.control("faults", &empty).await
            }
            Trouble::CannotFence => {
                let body =
                    json!({"error_code": "INVALID_STATE", "message": "The job is being edited."});
                let refused = fault("/api/2.2/jobs/update", 400, body);
                primary.control("faults", &refused).await
            }
            Trouble::Refused => {
                let body = json!({"error_code": "PERMISSION_DENIED", "message": "No."});
                let refused = fault("/api/2.0/instance-pools/list", 403, body);
                secondary.control("faults", &refused).await
            }
            Trouble::Statement => {
                let broken = json!({"statement": "SELECT 1", "failure": "the metastore of this region is not attached"});
                secondary.control("statements", &broken).await
            }
        }
    }

    async fn repair(&self, trouble: Trouble) -> Result<(), DrillError> {
        match trouble {
            Trouble::Declined | Trouble::Unanswered | Trouble::Stopped => Ok(()),
            Trouble::NothingThere | Trouble::Refused => self.world.secondary.end_faults().await,
            Trouble::CannotFence => self.world.primary.end_faults().await,
            Trouble::Statement => {
                let works = json!({"statement": "SELECT 1"});
                self.world.secondary.control("statements", &works).await
            }
        }
    }

    /// Between two attempts: nothing is being reset. A fence may stand, which is what a resumed run finds.
    async fn orders_are_done_or_fenced(&self) -> Result<(), DrillError> {
        let world = &*self.world;
        world
            .wait("nothing to be reset", 120, || async {
                let state: Option<recovery::state::State> = world.read(aws::keys::STATE).await?;
                let done = state.is_none_or(|s| s.resets.is_empty() && s.lock.is_none());
                Ok(done.then_some(()))
            })
            .await
    }
}
