//! The pass itself: read, act, read again. Reading goes on while it acts, so that what starts meanwhile is seen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aws::{Failure, Invocation, Ports};
use databricks::{Timeouts, Workspace, Writer};
use futures::FutureExt;
use recovery::failure::FailureName;
use recovery::fence::{FenceStep, steps, steps_without_jobs, still_live};
use recovery::inventory::{Inventory, Subject};
use recovery::kind::Kind;
use recovery::plan::Plan;
use recovery::site::{RunId, SiteLabel};
use recovery::state::{Fence, QuietReading, Refusal};
use sites::{PartialReading, Unread, failure_at, is_our_own, read_parts, read_unfenceable};

use crate::blind::{AGAIN_AFTER, Blind};
use crate::board::Board;
use crate::finding::{Found, Remains, gone};
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
/// One request of a list is repeated for as long as so many calls may take.
const CALLS_PER_LIST: u32 = 3;
/// Why nothing is believed of an answer.
const NAMELESS: &str = "what answers does not say which workspace it is";

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
    blind: Blind<'a>,
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
            blind: Blind::new(ports, plan, site, run.clone()),
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
            .unwrap_or_else(|_| {
                let remains = Remains::unknown(&self.plan.kinds, "time was up");
                Ok(Found::NotQuiet(remains))
            });
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

    /// `door` asks once and never again: a site that is gone costs a few time-outs, not one for each list and repeat.
    async fn until_quiet(
        &self,
        door: &Workspace,
        workspace: &Workspace,
        patience: Duration,
    ) -> Result<Found, Halt> {
        self.guard.require().await?;
        let writer = match self.open_site(door, workspace).await? {
            Ok(writer) => writer,
            Err(gone) => return Ok(gone),
        };
        self.note_answer().await?;
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
            let end = self.look(door, workspace, &board, patience).await;
            board.close();
            end
        };
        // A lost right ends both at once; else what was announced is done before the pass ends.
        let (end, ()) = futures::try_join!(looking.boxed_local(), lanes.work().boxed_local())?;
        end
    }

    /// The right to write, or that the site is gone. A site that does not let us sign in may still do what it is told, so the lists and the
    /// most dangerous pauses are tried before it is called silent or refusing.
    async fn open_site(
        &self,
        door: &Workspace,
        workspace: &Workspace,
    ) -> Result<Result<Writer, Found>, Halt> {
        let signed_in = match door.me().boxed().await {
            Ok(_) => workspace.verified().boxed().await,
            Err(error) => Err(error),
        };
        match signed_in {
            Ok(writer) => return Ok(Ok(writer)),
            Err(error) if is_our_own(&error) => return Err(failure_at(self.site, &error).into()),
            Err(_) => {}
        }
        // Read first: if another workspace answers at this address nothing is written to it.
        let reading = read_parts(door, self.site, &self.plan.kinds, self.ports.now()).boxed_local();
        self.guard.during(reading).await?;
        self.unverified(door)?;
        let blind = self.blind.first_acts(door, &self.records, &self.run);
        self.guard.during(blind.boxed_local()).await??;
        self.unverified(door)?;
        let contacts = door.take_contacts().and(workspace.take_contacts());
        match gone(&contacts) {
            // It refuses every read, and has obeyed a moment ago: what it was told holds or not, nobody knows.
            Some(Found::Refusing(why)) if self.records.has_accepted_within(AGAIN_AFTER) => Ok(Err(
                Found::NotQuiet(Remains::unknown(&self.plan.kinds, &why)),
            )),
            Some(found) => Ok(Err(found)),
            // More than these first tries is sent only to a workspace that has said who it is.
            None if !door.has_named_itself() => {
                let remains = Remains::unknown(&self.plan.kinds, NAMELESS);
                Ok(Err(Found::NotQuiet(remains)))
            }
            None => Ok(Ok(self.unverified(workspace)?)),
        }
    }

    fn unverified(&self, workspace: &Workspace) -> Result<Writer, Failure> {
        workspace
            .unverified()
            .map_err(|error| failure_at(self.site, &error))
    }

    /// Reads the site again and again, while the lanes do what it shows, until it is quiet, time is up, or it is gone.
    async fn look(
        &self,
        door: &Workspace,
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
        let mut whole_readings = 0_u32;
        let quick = self.quick(workspace)?;
        loop {
            let is_whole = kinds.len() == self.plan.kinds.len();
            let reading_began = Instant::now();
            let reading = read_parts(&quick, self.site, kinds, self.ports.now()).boxed_local();
            let PartialReading { inventory, unread } = self.guard.during(reading).await?;
            let took = reading_began.elapsed();
            kinds = &self.plan.kinds;
            if let Some(ours) = unread.values().find(|one| is_our_own(&one.error)) {
                return Ok(Err(failure_at(self.site, &ours.error).into()));
            }
            self.unverified(workspace)?;
            if is_whole && let Some(found) = self.is_gone(door, workspace).await? {
                return Ok(Ok(found));
            }
            let Seen {
                reading,
                live,
                steps,
            } = self.see(inventory, &unread).await?;
            if !live.is_empty() || !unread.is_empty() {
                self.retract_quiet().await?;
            }
            self.records
                .verify(&reading, &live, |kind| {
                    (is_whole || matches!(kind, "job" | "run")) && !unread.contains_key(kind)
                })
                .await?;
            let shows_nothing = is_whole && live.is_empty() && unread.is_empty();
            // A front that answers everything with nothing proves nothing of what is behind it.
            let is_quiet = shows_nothing && workspace.has_named_itself();
            whole_readings += u32::from(is_whole);
            // What people are shown is what is left after the acts of this pass, so the first whole reading is not its last.
            let patience_is_over = began.elapsed() >= patience && whole_readings > 1;
            let is_over = self.invocation.is_over() || patience_is_over;
            if is_whole && is_over && !is_quiet {
                if shows_nothing {
                    let remains = Remains::unknown(&self.plan.kinds, NAMELESS);
                    return Ok(Ok(Found::NotQuiet(remains)));
                }
                return Ok(Ok(Found::NotQuiet(Remains {
                    live: live.into_iter().collect(),
                    unread: unread
                        .into_iter()
                        .map(|(kind, one)| (kind, one.error.to_string()))
                        .collect(),
                })));
            }
            let repeat_after = self.scaled(REPEAT_AFTER);
            let read_at = reading.read_at;
            let due = |step: &FenceStep| self.records.is_due(step, read_at, repeat_after);
            let mut all: Vec<FenceStep> = steps.into_iter().filter(due).collect();
            let unseen = unread
                .into_iter()
                .map(|(kind, one)| (kind, one.ids))
                .collect();
            let blind = self.blind.due_steps(&unseen, &self.records, repeat_after);
            all.extend(blind.await);
            board.replace(all);
            drop(tokio::task::spawn_blocking(move || drop(reading)));
            if is_whole && !unfenceable_told {
                let found = self.guard.during(read_unfenceable(&quick).boxed_local());
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

    /// No list may hold up the others for as long as a call of the fence may be repeated.
    fn quick(&self, workspace: &Workspace) -> Result<Workspace, Failure> {
        let timeouts = workspace.settings().timeouts;
        let total = timeouts.total.min(timeouts.call * CALLS_PER_LIST);
        workspace
            .with_timeouts(Timeouts { total, ..timeouts })
            .map_err(|error| failure_at(self.site, &error))
    }

    /// Whether nothing succeeded since this was asked last, and the site does not say who is signed in either.
    async fn is_gone(
        &self,
        door: &Workspace,
        workspace: &Workspace,
    ) -> Result<Option<Found>, Halt> {
        let contacts = workspace.take_contacts();
        if gone(&contacts).is_none() {
            return Ok(None);
        }
        let _before = door.take_contacts();
        let _: Result<_, _> = self.guard.during(door.me().boxed()).await?;
        Ok(gone(&contacts.and(door.take_contacts())))
    }

    /// What this reading says, worked out beside the lanes: of 12,000 jobs that takes long enough to leave the rate unused.
    async fn see(
        &self,
        reading: Inventory,
        unread: &BTreeMap<String, Unread>,
    ) -> Result<Seen, Failure> {
        let (kinds, now) = (self.plan.kinds.clone(), self.ports.now());
        if unread
            .get(Kind::Job.as_str())
            .is_some_and(|one| one.ids.is_none())
        {
            let record = self.blind.record().await;
            let (steps, live) = steps_without_jobs(&reading, record, &kinds, now);
            return Ok(Seen {
                live: live.into_iter().collect(),
                steps,
                reading,
            });
        }
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

    fn scaled(&self, time: Duration) -> Duration {
        time.div_f64(self.ports.time_scale)
    }

    /// The site is there: whatever this pass finds, it is neither silent nor refusing from now on.
    async fn note_answer(&self) -> Result<(), Failure> {
        self.ports
            .change_state(|state| {
                self.guard.require_right(state)?;
                if let Some(fence) = state.fences.get_mut(&self.site) {
                    fence.note_answer();
                }
                Ok(())
            })
            .await
    }

    /// Takes the proof of quiet back before anything is done: an operator who lifts the fence now would lift it from a live site.
    async fn retract_quiet(&self) -> Result<(), Failure> {
        self.ports
            .change_state(|state| {
                self.guard.require_right(state)?;
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
                self.guard.require_right(state)?;
                state.end_pass(self.site, &self.invocation.request_id);
                let Some(fence) = state.fences.get_mut(&self.site) else {
                    return if matches!(found, Found::GaveWay(_)) {
                        Ok(None)
                    } else {
                        Err(Refusal::NoFence { site: self.site })
                    };
                };
                if let Some(condition) = found.condition() {
                    fence.note_condition(condition, now);
                }
                Ok(Some(fence.clone()))
            })
            .await
    }
}
