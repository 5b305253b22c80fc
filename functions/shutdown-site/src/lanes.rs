//! Doing the steps of a pass: one lane for each documented rate, so that none waits for another, each in the order of danger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws::Invocation;
use databricks::Writer;
use futures::{StreamExt, TryStreamExt, stream};
use recovery::act::Lane;
use recovery::fence::FenceStep;
use recovery::inventory::Subject;
use recovery::ledger::{Entry, EntryStatus};
use recovery::site::RunId;
use sites::{carry_out, is_silence};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout, timeout_at};

use crate::guard::{Guard, Halt};
use crate::records::Records;

/// Writes in flight at once in each lane. The rate limits decide the pace.
const AT_ONCE: usize = 12;
/// Steps that are announced in the ledger together, ahead of those that are being done.
const BATCH: usize = 24;
/// Answers are written to the ledger this often, or when there are so many.
const WRITE_EVERY: Duration = Duration::from_secs(2);
const LARGEST_PAGE: usize = 200;
/// How often a lane looks whether what it waits for is done, if nobody tells.
const LOOK: Duration = Duration::from_millis(200);

/// The lanes of one round.
pub(crate) struct Lanes<'a> {
    guard: &'a Guard<'a>,
    records: &'a Records<'a>,
    writer: &'a Writer,
    run: &'a RunId,
    invocation: &'a Invocation,
    /// Set when a newer reading is there: what was announced is done, nothing more is begun.
    stop: &'a AtomicBool,
    /// Jobs of this round that are not paused yet.
    pending: Mutex<BTreeSet<Subject>>,
    settled: Notify,
}

impl<'a> Lanes<'a> {
    pub(crate) fn new(
        guard: &'a Guard<'a>,
        records: &'a Records<'a>,
        writer: &'a Writer,
        run: &'a RunId,
        invocation: &'a Invocation,
        stop: &'a AtomicBool,
    ) -> Self {
        Self {
            guard,
            records,
            writer,
            run,
            invocation,
            stop,
            pending: Mutex::new(BTreeSet::new()),
            settled: Notify::new(),
        }
    }

    /// Does these steps, until all are done or the round is over.
    pub(crate) async fn work(&self, steps: Vec<FenceStep>) -> Result<(), Halt> {
        let mut lanes: BTreeMap<Lane, Vec<FenceStep>> = BTreeMap::new();
        for step in steps {
            if step.act.lane() == Lane::Jobs {
                self.pending().extend(step.subject.clone());
            }
            lanes.entry(step.act.lane()).or_default().push(step);
        }
        let (answers, inbox) = mpsc::unbounded_channel();
        let working = lanes
            .into_values()
            .map(|steps| self.lane(steps, answers.clone()))
            .collect::<Vec<_>>();
        drop(answers);
        let lanes = futures::future::try_join_all(working);
        futures::try_join!(lanes, self.write_answers(inbox)).map(|_| ())
    }

    async fn lane(
        &self,
        steps: Vec<FenceStep>,
        answers: mpsc::UnboundedSender<Entry>,
    ) -> Result<(), Halt> {
        let (announce, announced) = mpsc::channel(BATCH);
        let acting = stream::unfold(announced, |mut inbox| async move {
            inbox.recv().await.map(|step| (step, inbox))
        })
        .map(|step| self.one(step))
        .buffer_unordered(AT_ONCE)
        .try_for_each(|entry| {
            // The inbox is open as long as this lane is.
            let _ = answers.send(entry);
            async { Ok(()) }
        });
        futures::try_join!(self.announce(steps, announce), acting).map(|_| ())
    }

    /// Hands steps over in batches, each after it stands in the ledger.
    async fn announce(
        &self,
        steps: Vec<FenceStep>,
        lane: mpsc::Sender<FenceStep>,
    ) -> Result<(), Halt> {
        let mut batch = Vec::new();
        for step in steps {
            if self.waits(&step) && !batch.is_empty() {
                self.hand_over(std::mem::take(&mut batch), &lane).await?;
            }
            while self.waits(&step) && !self.must_stop() {
                let _ = timeout(LOOK, self.settled.notified()).await;
            }
            if self.must_stop() {
                break;
            }
            batch.push(step);
            if batch.len() >= BATCH {
                self.hand_over(std::mem::take(&mut batch), &lane).await?;
            }
        }
        if self.must_stop() {
            return Ok(());
        }
        self.hand_over(batch, &lane).await
    }

    async fn hand_over(
        &self,
        batch: Vec<FenceStep>,
        lane: &mpsc::Sender<FenceStep>,
    ) -> Result<(), Halt> {
        self.guard.require().await?;
        self.records.attempt(&batch).await?;
        for step in batch {
            if lane.send(step).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn one(&self, step: FenceStep) -> Result<Entry, Halt> {
        let acting = carry_out(self.writer, &step.act, self.run);
        let status = match self.guard.during(acting).await? {
            Ok(()) => EntryStatus::Acknowledged,
            // What is gone is quiet.
            Err(error) if error.is_not_found() => EntryStatus::Acknowledged,
            Err(error) if is_silence(&error) => EntryStatus::Unreachable {
                error: error.to_string(),
            },
            Err(error) => EntryStatus::Failed {
                error: error.to_string(),
            },
        };
        if let Some(subject) = &step.subject {
            self.pending().remove(subject);
            self.settled.notify_waiters();
        }
        Ok(self.records.answered(&step, status))
    }

    async fn write_answers(&self, mut inbox: mpsc::UnboundedReceiver<Entry>) -> Result<(), Halt> {
        while let Some(first) = inbox.recv().await {
            let mut page = vec![first];
            let until = Instant::now() + WRITE_EVERY;
            while page.len() < LARGEST_PAGE
                && let Ok(Some(entry)) = timeout_at(until, inbox.recv()).await
            {
                page.push(entry);
            }
            self.records.write(page).await?;
        }
        Ok(())
    }

    /// A run waits for the pause of its job: else the job would start another.
    fn waits(&self, step: &FenceStep) -> bool {
        step.after
            .as_ref()
            .is_some_and(|job| self.pending().contains(job))
    }

    fn must_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.invocation.is_over()
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, BTreeSet<Subject>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
