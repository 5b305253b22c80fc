//! The pass itself: read, act, read again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aws::{Failure, Invocation, Ports};
use databricks::{
    ClusterId, Error, JobId, PipelineId, RunId as PlatformRunId, WarehouseId, Workspace, Writer,
};
use futures::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use recovery::fence::{FenceAct, FenceStep, steps, still_live};
use recovery::inventory::{Inventory, Subject};
use recovery::ledger::{Entry, EntryStatus, Verified};
use recovery::plan::Plan;
use recovery::site::{RunId, RunToken, SiteLabel};
use recovery::state::Fence;
use sites::{Depth, failure_at, read_inventory};

/// Writes in flight at once. The rate limits decide the pace.
const AT_ONCE: usize = 12;
/// Steps between two looks at lock and fence: at the slowest documented rate (5 a second) well under 15 seconds.
const BATCH: usize = 24;
/// An act is repeated on something that is still live after this long: stopping takes time.
const REPEAT_AFTER: Duration = Duration::from_secs(15);
/// The pause between two readings of the site.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// By what right a pass acts.
#[derive(Clone, Debug)]
pub(crate) enum Right {
    /// The run holds the lock.
    Run(RunToken),
    /// A fence stands.
    StandingFence,
}

/// What a pass found at its end.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// The last reading showed nothing live.
    Quiet,
    /// Reached, but these were still live in the last reading.
    Live(Vec<Subject>),
    /// It answers, but not everything could be read, or time was up: nothing is known to be quiet.
    Unread(String),
    /// No answer at the door.
    Unreachable(String),
}

impl Found {
    pub(crate) const fn is_quiet(&self) -> bool {
        matches!(self, Self::Quiet)
    }

    pub(crate) fn words(&self) -> String {
        match self {
            Self::Quiet => "nothing of the protected kinds is live, by its own word".to_owned(),
            Self::Live(subjects) => {
                let names: Vec<String> = subjects
                    .iter()
                    .take(3)
                    .map(|s| format!("{} \"{}\"", s.kind, s.name))
                    .collect();
                format!("{} still live: {}", subjects.len(), names.join(", "))
            }
            Self::Unread(error) => format!("answers, but could not be read whole ({error})"),
            Self::Unreachable(error) => format!("cannot be reached ({error})"),
        }
    }
}

/// One pass over one site.
pub(crate) struct Pass<'a> {
    ports: &'a Ports,
    plan: &'a Plan,
    site: SiteLabel,
    run: RunId,
    right: Right,
    invocation: &'a Invocation,
    /// When each subject was last acted upon in this pass, or in an earlier one that could not verify it.
    acted: BTreeMap<Subject, (Timestamp, Option<Instant>)>,
    /// The subjects that were acted upon by this pass.
    pub(crate) touched: BTreeSet<Subject>,
}

impl<'a> Pass<'a> {
    pub(crate) const fn new(
        ports: &'a Ports,
        plan: &'a Plan,
        site: SiteLabel,
        run: RunId,
        right: Right,
        invocation: &'a Invocation,
    ) -> Self {
        Self {
            ports,
            plan,
            site,
            run,
            right,
            invocation,
            acted: BTreeMap::new(),
            touched: BTreeSet::new(),
        }
    }

    /// [`Self::work`], cut off when the invocation must end: a call that hangs must not be killed with the function.
    pub(crate) async fn work_in_time(
        &mut self,
        door: &Workspace,
        workspace: &Workspace,
        patience: Duration,
    ) -> Result<Found, Failure> {
        let left = self.invocation.left();
        tokio::time::timeout(left, self.work(door, workspace, patience))
            .await
            .unwrap_or_else(|_| Ok(Found::Unread("time was up".to_owned())))
    }

    /// Fences until the site is quiet, does not answer, or time is up. `door` asks once and never again: an unreachable
    /// site costs one time-out, not one for each list and repeat.
    async fn work(
        &mut self,
        door: &Workspace,
        workspace: &Workspace,
        patience: Duration,
    ) -> Result<Found, Failure> {
        let began = Instant::now();
        if let Err(error) = door.me().boxed().await
            && is_silence(&error)
        {
            return Ok(Found::Unreachable(error.to_string()));
        }
        // It has answered: from here on a silence is a list that cannot be read, not a site that is gone.
        let writer = match workspace.verified().boxed().await {
            Ok(writer) => writer,
            Err(error) if is_silence(&error) => return Ok(Found::Unread(error.to_string())),
            Err(error) => return Err(failure_at(self.site, &error)),
        };
        self.resume_ledger().await?;
        loop {
            self.require_right().await?;
            let inventory = match read_inventory(
                workspace,
                self.site,
                &self.plan.kinds,
                Depth::Live,
                self.ports.now(),
            )
            .await
            {
                Ok(inventory) => inventory,
                Err(error) if is_silence(&error) => return Ok(Found::Unread(error.to_string())),
                Err(error) => return Err(failure_at(self.site, &error)),
            };
            let live = still_live(&inventory, &self.plan.kinds);
            self.verify(&inventory, &live).await?;
            if live.is_empty() {
                return Ok(Found::Quiet);
            }
            if self.invocation.is_over() || began.elapsed() >= patience {
                return Ok(Found::Live(live));
            }
            self.act(
                &writer,
                steps(&inventory, &self.plan.kinds, self.ports.now()),
            )
            .await?;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Writes what was found into the state: since when the site is verified or unreachable.
    pub(crate) async fn record(&self, found: &Found) -> Result<Fence, Failure> {
        let now = self.ports.now();
        self.ports
            .change_state(|state| {
                let fence = state
                    .fences
                    .get_mut(&self.site)
                    .ok_or(recovery::state::Refusal::NoFence { site: self.site })?;
                match found {
                    Found::Quiet => {
                        fence.verified_at.get_or_insert(now);
                        fence.unreachable_since = None;
                    }
                    Found::Live(_) | Found::Unread(_) => {
                        fence.verified_at = None;
                        fence.unreachable_since = None;
                    }
                    Found::Unreachable(_) => {
                        fence.verified_at = None;
                        fence.unreachable_since.get_or_insert(now);
                    }
                }
                Ok(fence.clone())
            })
            .await
    }

    /// What earlier passes attempted and nobody has verified yet is verified by this one.
    async fn resume_ledger(&mut self) -> Result<(), Failure> {
        for page in self.ports.ledger(&self.run).await? {
            if page.site != self.site || page.stage != "Fence" {
                continue;
            }
            for entry in page.entries {
                let Some(subject) = entry.subject else {
                    continue;
                };
                if entry.status == "Verified" {
                    self.acted.remove(&subject);
                } else {
                    self.acted.insert(subject, (entry.at, None));
                }
            }
        }
        Ok(())
    }

    async fn require_right(&self) -> Result<(), Failure> {
        match &self.right {
            Right::Run(token) => self.ports.require_lock(&self.run, token).await.map(|_| ()),
            Right::StandingFence => {
                let state = self.ports.state().await?;
                if state.fences.contains_key(&self.site) {
                    Ok(())
                } else {
                    Err(recovery::state::Refusal::NoFence { site: self.site }.into())
                }
            }
        }
    }

    /// Notes what this reading shows as quiet and was acted upon before it.
    async fn verify(&mut self, inventory: &Inventory, live: &[Subject]) -> Result<(), Failure> {
        let live: BTreeSet<&Subject> = live.iter().collect();
        let mut entries = Vec::new();
        self.acted.retain(|subject, (attempted, _)| {
            let proof =
                Verified::by_reading(inventory, Some(*attempted), |_| !live.contains(subject));
            match proof {
                Some(proof) => {
                    entries.push(Entry {
                        subject: Some(subject.clone()),
                        act: "read back".to_owned(),
                        at: inventory.read_at,
                        status: EntryStatus::Verified { read_at: proof },
                    });
                    false
                }
                None => true,
            }
        });
        self.write(entries).await
    }

    async fn act(&mut self, writer: &Writer, steps: Vec<FenceStep>) -> Result<(), Failure> {
        let due: Vec<FenceStep> = steps
            .into_iter()
            .filter(|step| {
                let before = step
                    .subject
                    .as_ref()
                    .and_then(|s| self.acted.get(s))
                    .and_then(|(_, at)| *at);
                before.is_none_or(|at| at.elapsed() >= REPEAT_AFTER)
            })
            .collect();
        for batch in due.chunks(BATCH) {
            if self.invocation.is_over() {
                return Ok(());
            }
            self.require_right().await?;
            let at = self.ports.now();
            for subject in batch.iter().filter_map(|s| s.subject.clone()) {
                self.touched.insert(subject.clone());
                self.acted.insert(subject, (at, Some(Instant::now())));
            }
            self.write(
                batch
                    .iter()
                    .map(|s| entry(s, at, EntryStatus::Attempted))
                    .collect(),
            )
            .await?;
            let clock = &self.ports.clock;
            let results: Vec<Entry> = stream::iter(batch)
                .map(|step| async move {
                    let status = match carry_out(writer, &step.act).await {
                        Ok(()) => EntryStatus::Acknowledged,
                        Err(error) => EntryStatus::Failed {
                            error: error.to_string(),
                        },
                    };
                    entry(step, clock(), status)
                })
                .buffered(AT_ONCE)
                .collect()
                .await;
            self.write(results).await?;
        }
        Ok(())
    }

    async fn write(&self, entries: Vec<Entry>) -> Result<(), Failure> {
        self.ports
            .add_to_ledger(
                &self.run,
                self.site,
                "Fence",
                &self.invocation.request_id,
                entries,
            )
            .await
    }
}

fn entry(step: &FenceStep, at: Timestamp, status: EntryStatus) -> Entry {
    Entry {
        subject: step.subject.clone(),
        act: step.words().to_owned(),
        at,
        status,
    }
}

/// The platform gave no answer of its own, or one that says that it is not itself.
fn is_silence(error: &Error) -> bool {
    error.is_unreachable()
        || matches!(
            error.cause(),
            databricks::Cause::Http5xx | databricks::Cause::DeadlineExceeded
        )
}

/// What is gone is quiet, too.
async fn carry_out(writer: &Writer, act: &FenceAct) -> Result<(), Error> {
    let result = match act {
        FenceAct::PauseJob { job_id, updates } => pause(writer, JobId(*job_id), updates).await,
        FenceAct::CancelQueuedRuns => writer.cancel_all_queued_runs().await,
        FenceAct::CancelRun { run_id } => writer.cancel_run(PlatformRunId(*run_id)).await,
        FenceAct::StopPipeline { id } => writer.stop_pipeline(&PipelineId(id.clone())).await,
        FenceAct::TerminateCluster { id } => writer.terminate_cluster(&ClusterId(id.clone())).await,
        FenceAct::StopWarehouse { id } => writer
            .stop_warehouse(&WarehouseId(id.clone()))
            .await
            .map(|_| ()),
        FenceAct::DrainPool { pool } => writer.edit_pool(pool.clone()).await,
    };
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

async fn pause(writer: &Writer, job: JobId, updates: &[databricks::Object]) -> Result<(), Error> {
    for update in updates {
        writer.update_job(job, update.clone()).await?;
    }
    Ok(())
}
