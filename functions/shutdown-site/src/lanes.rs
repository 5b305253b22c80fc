//! Doing the steps of a pass: one lane for each documented rate, so that none waits for another, each in the order of danger. They
//! work on while the site is read again: what is between two requests is time that the rate is not used.

use std::time::Duration;

use aws::Invocation;
use databricks::{Error, Writer};
use futures::{StreamExt, TryStreamExt, stream};
use recovery::act::Lane;
use recovery::fence::FenceStep;
use recovery::ledger::{Entry, EntryStatus};
use recovery::site::RunId;
use sites::{carry_out, is_silence};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use crate::board::Board;
use crate::guard::{Guard, Halt};
use crate::records::Records;

/// Writes in flight at once in each lane. The rate limits decide the pace.
const AT_ONCE: usize = 12;
/// Steps that are announced in the ledger together, ahead of those that are being done. What is announced keeps its place before
/// what a newer reading finds.
const BATCH: usize = 16;
/// Answers are written to the ledger this often, or when there are so many.
const WRITE_EVERY: Duration = Duration::from_secs(2);
const LARGEST_PAGE: usize = 200;
/// How often a lane without work looks whether time is up.
const LOOK: Duration = Duration::from_millis(200);

/// What the ledger says of a call that ended like this.
pub(crate) fn status_of(error: Option<&Error>) -> EntryStatus {
    match error {
        None => EntryStatus::Acknowledged,
        // What is gone is quiet.
        Some(error) if error.is_not_found() => EntryStatus::Acknowledged,
        Some(error) if is_silence(error) => EntryStatus::Unreachable {
            error: error.to_string(),
        },
        Some(error) => EntryStatus::Failed {
            error: error.to_string(),
        },
    }
}

/// The lanes of one pass.
pub(crate) struct Lanes<'a> {
    pub(crate) guard: &'a Guard<'a>,
    pub(crate) records: &'a Records<'a>,
    pub(crate) writer: &'a Writer,
    pub(crate) run: &'a RunId,
    pub(crate) invocation: &'a Invocation,
    pub(crate) board: &'a Board,
}

impl Lanes<'_> {
    /// Does what comes to the board, until it is closed or time is up. What was announced is done then.
    pub(crate) async fn work(&self) -> Result<(), Halt> {
        let (answers, inbox) = mpsc::unbounded_channel();
        let working = Lane::ALL
            .map(|lane| self.lane(lane, answers.clone()))
            .into_iter();
        drop(answers);
        let lanes = futures::future::try_join_all(working);
        futures::try_join!(lanes, self.write_answers(inbox)).map(|_| ())
    }

    async fn lane(&self, lane: Lane, answers: mpsc::UnboundedSender<Entry>) -> Result<(), Halt> {
        let (announce, announced) = mpsc::channel(1);
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
        futures::try_join!(self.announce(lane, announce), acting).map(|_| ())
    }

    /// Hands steps over in batches, each after it stands in the ledger.
    async fn announce(&self, lane: Lane, acting: mpsc::Sender<FenceStep>) -> Result<(), Halt> {
        let mut news = self.board.news();
        while !self.must_stop() {
            news.borrow_and_update();
            if !self.board.has(lane) {
                let _ = timeout(LOOK, news.changed()).await;
                continue;
            }
            self.guard.require().await?;
            let batch = self.board.take(lane, BATCH);
            self.records.attempt(&batch).await?;
            for step in batch {
                if acting.send(step).await.is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn one(&self, step: FenceStep) -> Result<Entry, Halt> {
        let acting = carry_out(self.writer, &step.act, self.run);
        let status = status_of(self.guard.during(acting).await?.as_ref().err());
        let entry = self.records.answered(&step, status);
        self.board.settle(&step);
        Ok(entry)
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

    fn must_stop(&self) -> bool {
        self.board.is_closed() || self.invocation.is_over()
    }
}
