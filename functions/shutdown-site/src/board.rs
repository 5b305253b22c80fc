//! What is to be done, in the order of danger, and what is under way: readings put it there, lanes take it away.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use recovery::act::Lane;
use recovery::fence::FenceStep;
use recovery::inventory::Subject;
use tokio::sync::watch;

/// Steps that wait for their turn or for their answer.
pub(crate) struct Board {
    steps: Mutex<Steps>,
    /// Changes with everything above.
    news: watch::Sender<()>,
}

#[derive(Default)]
struct Steps {
    queues: BTreeMap<Lane, VecDeque<FenceStep>>,
    /// What was taken and is not answered yet.
    under_way: BTreeSet<Option<Subject>>,
    /// What others wait for, as long as it is queued or under way: a run waits for the pause of its job, else the job would start
    /// another.
    awaited: BTreeSet<Subject>,
    is_closed: bool,
}

impl Steps {
    fn is_idle(&self) -> bool {
        self.under_way.is_empty() && self.queues.values().all(VecDeque::is_empty)
    }

    /// The places in a queue of the first steps that wait for nothing.
    fn ready(&self, lane: Lane, most: usize) -> Vec<usize> {
        let queue = self.queues.get(&lane).into_iter().flatten();
        let waits = |step: &FenceStep| {
            let job = step.after.as_ref();
            job.is_some_and(|job| self.awaited.contains(job))
        };
        queue
            .enumerate()
            .filter(|(_, step)| !waits(step))
            .map(|(place, _)| place)
            .take(most)
            .collect()
    }
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            steps: Mutex::default(),
            news: watch::Sender::new(()),
        }
    }

    fn steps(&self) -> MutexGuard<'_, Steps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.news.send_replace(());
    }

    /// A newer reading says what is to be done. What is under way stays so, and is not done twice.
    pub(crate) fn replace(&self, steps: Vec<FenceStep>) {
        {
            let mut board = self.steps();
            board.queues.clear();
            let under_way = board.under_way.iter().flatten();
            let unsettled: HashSet<&Subject> = steps
                .iter()
                .filter_map(|step| step.subject.as_ref())
                .chain(under_way)
                .collect();
            let awaited = steps.iter().filter_map(|step| step.after.as_ref());
            board.awaited = awaited
                .filter(|job| unsettled.contains(job))
                .cloned()
                .collect();
            for step in steps {
                if !board.under_way.contains(&step.subject) {
                    let queue = board.queues.entry(step.act.lane()).or_default();
                    queue.push_back(step);
                }
            }
        }
        self.tell();
    }

    /// Takes the first steps of a lane that wait for nothing.
    pub(crate) fn take(&self, lane: Lane, most: usize) -> Vec<FenceStep> {
        let mut board = self.steps();
        let ready = board.ready(lane, most);
        let Some(queue) = board.queues.get_mut(&lane) else {
            return vec![];
        };
        // From the back, so that places stay what they were.
        let places = ready.into_iter().rev();
        let mut taken: Vec<FenceStep> = places.filter_map(|place| queue.remove(place)).collect();
        taken.reverse();
        let subjects = taken.iter().map(|step| step.subject.clone());
        board.under_way.extend(subjects);
        taken
    }

    /// Whether a lane has a step that waits for nothing.
    pub(crate) fn has(&self, lane: Lane) -> bool {
        !self.steps().ready(lane, 1).is_empty()
    }

    /// The platform has answered, or did not.
    pub(crate) fn settle(&self, step: &FenceStep) {
        {
            let mut board = self.steps();
            board.under_way.remove(&step.subject);
            if let Some(subject) = &step.subject {
                board.awaited.remove(subject);
            }
        }
        self.tell();
    }

    /// Nothing more is to be taken.
    pub(crate) fn close(&self) {
        self.steps().is_closed = true;
        self.tell();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.steps().is_closed
    }

    /// Waits until nothing is to be done and nothing is under way.
    pub(crate) async fn idle(&self) {
        let mut news = self.news();
        while !self.steps().is_idle() {
            if news.changed().await.is_err() {
                return;
            }
        }
    }

    /// Tells when something has changed since.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use recovery::act::Act;

    use super::*;

    fn subject(kind: &str, id: i64) -> Subject {
        Subject {
            kind: kind.to_owned(),
            id: id.to_string(),
            name: String::new(),
        }
    }

    fn pause(job_id: i64) -> FenceStep {
        FenceStep {
            subject: Some(subject("job", job_id)),
            act: Act::UpdateJob {
                job_id,
                updates: vec![],
            },
            after: None,
        }
    }

    fn cancel(run_id: i64, job: i64) -> FenceStep {
        FenceStep {
            subject: Some(subject("run", run_id)),
            act: Act::CancelRun { run_id },
            after: Some(subject("job", job)),
        }
    }

    #[test]
    fn a_newer_reading_sets_the_order_anew_and_repeats_nothing_that_is_under_way() {
        let board = Board::new();
        board.replace(vec![pause(1), pause(2), pause(3)]);
        assert_eq!(board.take(Lane::Jobs, 1), [pause(1)]);
        board.replace(vec![pause(4), pause(1), pause(3)]);
        assert_eq!(board.take(Lane::Jobs, 9), [pause(4), pause(3)]);
        board.settle(&pause(1));
        board.replace(vec![pause(1)]);
        assert_eq!(board.take(Lane::Jobs, 9), [pause(1)]);
    }

    #[test]
    fn a_run_waits_for_the_answer_to_the_pause_of_its_own_job_only() {
        let board = Board::new();
        board.replace(vec![pause(1), pause(2), cancel(10, 2), cancel(11, 3)]);
        assert_eq!(board.take(Lane::Runs, 9), [cancel(11, 3)]);
        assert_eq!(board.take(Lane::Jobs, 9).len(), 2);
        assert!(!board.has(Lane::Runs), "the pause is not answered yet");
        board.settle(&pause(2));
        assert_eq!(board.take(Lane::Runs, 9), [cancel(10, 2)]);
    }

    #[test]
    fn it_is_idle_when_all_that_was_taken_is_answered() {
        let board = Board::new();
        assert!(board.idle().now_or_never().is_some());
        board.replace(vec![pause(1)]);
        let taken = board.take(Lane::Jobs, 9);
        assert!(board.idle().now_or_never().is_none());
        board.settle(&taken[0]);
        assert!(board.idle().now_or_never().is_some());
    }
}
