//! The pass itself: read, act, read again. Reading goes on while it acts, so that what starts meanwhile is seen.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aws::{Failure, Invocation, Ports};
use databricks::Workspace;
use futures::FutureExt;
use recovery::failure::FailureName;
use recovery::fence::{FenceStep, steps, still_live};
use recovery::inventory::{Inventory, Subject};
use recovery::kind::Kind;
use recovery::plan::Plan;
use recovery::site::{RunId, SiteLabel};
use recovery::state::{Fence, QuietReading, Refusal};
use sites::{Depth, failure_at, is_silence, read_inventory, read_unfenceable};

use crate::board::Board;
use crate::guard::{Guard, Halt, Right};
use crate::lanes::Lanes;
use crate::records::Records;

/// An act is repeated on something that is still live after this long: stopping takes time.
const REPEAT_AFTER: Duration = Duration::from_secs(15);
/// The pause between two readings of a site that has little to do.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// When time is up nothing new is begun; what is under way may end, so that its answers reach the ledger. Well within the margin
/// that an invocation keeps.
const GRACE: Duration = Duration::from_secs(8);
/// A site that has much to do is read again after this long, while the acts go on.
const ROUND: Duration = Duration::from_secs(20);
/// And not before so many times as long as the last reading took: a large site is not read without end.
const ACTS_TO_READINGS: u32 = 3;

/// What a pass found at its end.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// The last reading showed nothing live.
    Quiet(QuietReading),
    /// Reached, but these were still live in the last reading.
    Live(Vec<Subject>),
    /// It answers, but not everything could be read, or time was up: nothing is known to be quiet.
    Unread(String),
    /// No answer at the door.
    Unreachable(String),
    /// Others go on: this pass found nothing out.
    GaveWay(String),
}

impl Found {
    pub(crate) const fn is_quiet(&self) -> bool {
        matches!(self, Self::Quiet(_))
    }

    pub(crate) fn words(&self) -> String {
        match self {
            Self::Quiet(_) => "nothing of the protected kinds is live, by its own word".to_owned(),
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
            Self::GaveWay(why) => format!("this pass gave way: {why}"),
        }
    }
}

/// What a reading says.
struct Seen {
    reading: Inventory,
    live: BTreeSet<Subject>,
    /// What is to be done, in the order of danger.
    steps: Vec<FenceStep>,
}

/// One pass over one site.
pub(crate) struct Pass<'a> {
    ports: &'a Ports,
    plan: &'a Plan,
    site: SiteLabel,
    run: RunId,
    invocation: &'a Invocation,
    guard: Guard<'a>,
    pub(crate) records: Records<'a>,
}

impl<'a> Pass<'a> {
    /// Reads what earlier passes left in the ledger.
    pub(crate) async fn begin(
        ports: &'a Ports,
        plan: &'a Plan,
        site: SiteLabel,
        run: RunId,
        right: Right,
        invocation: &'a Invocation,
    ) -> Result<Self, Failure> {
        let request = &invocation.request_id;
        Ok(Self {
            ports,
            plan,
            site,
            guard: Guard::new(ports, site, run.clone(), right, request),
            records: Records::read(ports, run.clone(), site, request).await?,
            run,
            invocation,
        })
    }

    /// Fences until the site is quiet, does not answer, or time is up, and writes into the state what was found. A call that
    /// hangs is cut off before the function is killed.
    pub(crate) async fn work(
        &self,
        door: &Workspace,
        workspace: &Workspace,
        patience: Duration,
    ) -> Result<(Found, Option<Fence>), Failure> {
        let working = self.until_quiet(door, workspace, patience);
        let found = tokio::time::timeout(self.invocation.left() + GRACE, working)
            .await
            .unwrap_or_else(|_| Ok(Found::Unread("time was up".to_owned())));
        let found = match found {
            Ok(found) => found,
            Err(Halt::GiveWay(why)) => Found::GaveWay(why),
            Err(Halt::Failed(failure)) => {
                self.give_up(&failure).await;
                return Err(failure);
            }
        };
        let fence = self.record(&found).await?;
        Ok((found, fence))
    }

    /// `door` asks once and never again: an unreachable site costs one time-out, not one for each list and repeat.
    async fn until_quiet(
        &self,
        door: &Workspace,
        workspace: &Workspace,
        patience: Duration,
    ) -> Result<Found, Halt> {
        self.guard.require().await?;
        if let Err(error) = door.me().boxed().await
            && is_silence(&error)
        {
            return Ok(Found::Unreachable(error.to_string()));
        }
        // It has answered: from here on a silence is a list that cannot be read, not a site that is gone.
        let writer = match workspace.verified().boxed().await {
            Ok(writer) => writer,
            Err(error) if is_silence(&error) => return Ok(Found::Unread(error.to_string())),
            Err(error) => return Err(failure_at(self.site, &error).into()),
        };
        let board = Board::new();
        let lanes = Lanes {
            guard: &self.guard,
            records: &self.records,
            writer: &writer,
            run: &self.run,
            invocation: self.invocation,
            board: &board,
        };
        let looking = async {
            let end = self.look(workspace, &board, patience).await;
            board.close();
            end
        };
        // A lost right ends both at once; else what was announced is done before the pass ends.
        let (end, ()) = futures::try_join!(looking.boxed_local(), lanes.work().boxed_local())?;
        end
    }

    /// Reads the site again and again, while the lanes do what it shows, until it is quiet, time is up, or it cannot be read.
    async fn look(
        &self,
        workspace: &Workspace,
        board: &Board,
        patience: Duration,
    ) -> Result<Result<Found, Halt>, Halt> {
        let began = Instant::now();
        // What fires and writes first is read first: the other lists may be slow.
        let jobs: Vec<Kind> = self
            .plan
            .protected_kinds()
            .filter(|kind| *kind == Kind::Job)
            .collect();
        let (mut kinds, mut unfenceable_told) = (jobs.as_slice(), false);
        loop {
            let is_whole = kinds.len() == self.plan.kinds.len();
            let reading_began = Instant::now();
            let reading = self.read(workspace, kinds).boxed_local();
            let reading = match self.guard.during(reading).await? {
                Ok(inventory) => inventory,
                Err(end) => return Ok(end),
            };
            let took = reading_began.elapsed();
            kinds = &self.plan.kinds;
            let Seen {
                reading,
                live,
                steps,
            } = self.see(reading).await?;
            if !live.is_empty() {
                self.retract_quiet().await?;
            }
            self.records.verify(&reading, &live, is_whole).await?;
            let is_quiet = is_whole && live.is_empty();
            let is_over = self.invocation.is_over() || began.elapsed() >= patience;
            if is_whole && is_over && !is_quiet {
                return Ok(Ok(Found::Live(live.into_iter().collect())));
            }
            let repeat_after = self.scaled(REPEAT_AFTER);
            let read_at = reading.read_at;
            let due = |step: &FenceStep| self.records.is_due(step, read_at, repeat_after);
            board.replace(steps.into_iter().filter(due).collect());
            drop(tokio::task::spawn_blocking(move || drop(reading)));
            if is_whole && !unfenceable_told {
                let found = self.guard.during(read_unfenceable(workspace).boxed_local());
                self.records.not_fenced(found.await?).await?;
                unfenceable_told = true;
            }
            if is_quiet {
                return Ok(Ok(Found::Quiet(QuietReading {
                    began_at: read_at,
                    ended_at: self.ports.now(),
                })));
            }
            if is_whole {
                let wait = self.scaled(ROUND).max(took * ACTS_TO_READINGS);
                self.guard.during(self.rest(board, wait)).await?;
            }
        }
    }

    /// What this reading says, worked out beside the lanes: of 12,000 jobs that takes long enough to leave the rate unused.
    async fn see(&self, reading: Inventory) -> Result<Seen, Failure> {
        let (kinds, now) = (self.plan.kinds.clone(), self.ports.now());
        tokio::task::spawn_blocking(move || Seen {
            live: still_live(&reading, &kinds).into_iter().collect(),
            steps: steps(&reading, &kinds, now),
            reading,
        })
        .await
        .map_err(|e| Failure::internal(format!("a reading could not be worked out: {e}")))
    }

    /// Waits before the site is read again: so long, or until all is done.
    async fn rest(&self, board: &Board, wait: Duration) {
        let wait = wait.min(self.invocation.left());
        let done = async {
            board.idle().await;
            tokio::time::sleep(self.scaled(LOOK_AGAIN)).await;
        };
        // Whichever comes first.
        let _ = tokio::time::timeout(wait, done).await;
    }

    /// Reads these kinds, or says how the pass ends.
    async fn read(
        &self,
        workspace: &Workspace,
        kinds: &[Kind],
    ) -> Result<Inventory, Result<Found, Halt>> {
        let reading =
            read_inventory(workspace, self.site, kinds, Depth::Live, self.ports.now()).await;
        reading.map_err(|error| {
            if is_silence(&error) {
                Ok(Found::Unread(error.to_string()))
            } else {
                Err(failure_at(self.site, &error).into())
            }
        })
    }

    fn scaled(&self, time: Duration) -> Duration {
        time.div_f64(self.ports.time_scale)
    }

    /// Takes the proof of quiet back before anything is done: an operator who lifts the fence now would lift it from a live site.
    async fn retract_quiet(&self) -> Result<(), Failure> {
        self.ports
            .change_state(|state| {
                if let Some(fence) = state.fences.get_mut(&self.site) {
                    fence.retract_quiet();
                }
                Ok(())
            })
            .await
    }

    /// Ends a pass that failed. It keeps no proof: nobody knows what runs there by now. A pass that lost its right knows nothing that
    /// whoever took it does not, and writes nothing. What fails here must not hide why the pass failed.
    async fn give_up(&self, failure: &Failure) {
        if failure.name != FailureName::LockLost
            && let Err(second) = self.retract_quiet().await
        {
            tracing::warn!(%second, "the proof of quiet could not be taken back");
        }
        if let Err(second) = self.guard.release().await {
            tracing::warn!(%second, "the pass could not be ended; its lease runs out by itself");
        }
    }

    /// Writes what was found into the state: since when the site is verified or unreachable. The pass is over then.
    async fn record(&self, found: &Found) -> Result<Option<Fence>, Failure> {
        let now = self.ports.now();
        self.ports
            .change_state(|state| {
                state.end_pass(self.site, &self.invocation.request_id);
                let Some(fence) = state.fences.get_mut(&self.site) else {
                    return if matches!(found, Found::GaveWay(_)) {
                        Ok(None)
                    } else {
                        Err(Refusal::NoFence { site: self.site })
                    };
                };
                match found {
                    Found::Quiet(reading) => fence.note_quiet(*reading),
                    Found::Live(_) | Found::Unread(_) => {
                        fence.retract_quiet();
                        fence.unreachable_since = None;
                    }
                    Found::Unreachable(_) => {
                        fence.retract_quiet();
                        fence.unreachable_since.get_or_insert(now);
                    }
                    Found::GaveWay(_) => {}
                }
                Ok(Some(fence.clone()))
            })
            .await
    }
}
