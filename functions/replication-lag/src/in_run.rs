//! In a run every table is proven once at the standby. In a failover people are asked after a first look, and the proof goes on while they
//! decide; whoever can wait is asked when all is proven.

use std::time::Duration;

use aws::{Failure, Invocation, Ports};
use jiff::Timestamp;
use recovery::plan::Plan;
use recovery::replication::{MeasureAnswer, ProofProgress};
use recovery::run::{Mode, RunDocument, Stage};
use recovery::site::{RunId, RunToken};

use crate::measure::{Work, as_last_seen, due, measured_sets, newest, open_all, prove, summed};
use crate::{Answer, Reach, freeze, held_back, measured, status};

/// A failover's first look ends after this: people are waiting.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// A call between two looks at the decision ends after this: a decision must not wait.
const WHILE_ASKING: Duration = Duration::from_secs(10);

/// And after this in any case.
const LONGEST_WHILE_ASKING: Duration = Duration::from_secs(30);

/// What every call of a run has.
pub(crate) struct Task<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) plan: &'a Plan,
    pub(crate) reach: &'a Reach,
    pub(crate) invocation: &'a Invocation,
    pub(crate) run: &'a RunId,
    pub(crate) token: &'a RunToken,
}

/// How long a call keeps at it.
#[derive(Clone, Copy)]
pub(crate) enum Patience {
    /// People decide meanwhile.
    WhileAsking,
    /// The target is touched next: as long as the invocation lasts.
    ToTheEnd,
}

impl Task<'_> {
    /// Before anybody is asked: a failover's first look, or all of the proof of a run that can wait.
    pub(crate) async fn look(&self) -> Result<Answer, Failure> {
        let stage = Stage::RecoveryPoints;
        let document = self.ports.enter(self.run, self.token, stage).await?;
        if !document.is_in(stage) {
            return Ok(frozen());
        }
        let since = document.entered_at(stage, self.ports.now());
        let asks_early = document.mode == Mode::Failover;
        let time = if asks_early {
            self.invocation.left().min(self.scaled(FIRST_LOOK))
        } else {
            self.invocation.left()
        };
        let (answer, _) = self.proven(&document, since, time, asks_early).await?;
        Ok(answer)
    }

    /// After the first look, until every table was tried or the plan's time for it is over. A run that was resumed after its approval goes on
    /// where it was.
    pub(crate) async fn go_on(&self, patience: Patience) -> Result<Answer, Failure> {
        self.ports.require_lock(self.run, self.token).await?;
        let document = self.ports.run(self.run).await?;
        let Some(proof) = document.evidence.proof.filter(ProofProgress::is_open) else {
            return Ok(frozen());
        };
        let time = match patience {
            Patience::WhileAsking => self.invocation.left().min(self.scaled(WHILE_ASKING)),
            Patience::ToTheEnd => self.invocation.left(),
        };
        let proving = self.proven(&document, proof.since, time, true);
        let proven = match patience {
            // Whatever hangs, people's decision does not wait for it; what was found by then is stored, table by table.
            Patience::WhileAsking => tokio::time::timeout(LONGEST_WHILE_ASKING, proving).await,
            Patience::ToTheEnd => Ok(proving.await),
        };
        let Ok(proven) = proven else {
            return Ok(Answer {
                answer: MeasureAnswer::Continue,
                reason: "this part of the proof did not end in time".to_owned(),
            });
        };
        let (answer, proof) = proven?;
        Ok(Answer {
            answer: if proof.is_open() {
                MeasureAnswer::Continue
            } else {
                answer.answer
            },
            ..answer
        })
    }

    /// Proves for so long, and freezes what is known then; if not early, only once nothing is open. Nothing is asked of the source's region but
    /// whether it answers. In a switchover to a fenced site what its fence held back is listed meanwhile.
    async fn proven(
        &self,
        document: &RunDocument,
        since: Timestamp,
        time: Duration,
        freezes_early: bool,
    ) -> Result<(Answer, ProofProgress), Failure> {
        let Self {
            ports,
            plan,
            reach,
            token,
            ..
        } = *self;
        let (now, from) = (ports.now(), document.from);
        let limit = plan.replication.run_limit_seconds.signed() - now.duration_since(since);
        let limit = Duration::try_from(limit).unwrap_or_default();
        let time = time.min(limit);
        let before = newest(ports, from).await;
        let mut work = open_all(ports, plan, reach, from, since, time).await?;
        let (proven, listed) = futures::join!(
            prove(ports, plan, &mut work, Some(since), time),
            held_back::list(ports, plan, &reach.buckets, document, token, time),
        );
        proven?;
        listed?;
        let passed = Duration::try_from(ports.now().duration_since(now)).unwrap_or_default();
        let open = if passed < limit {
            self.open(&work, since)
        } else {
            0
        };
        let proof = ProofProgress {
            since,
            total: work.iter().map(|w| w.measured.book.tables.len()).sum(),
            open,
        };
        if open > 0 && !freezes_early {
            let answer = Answer {
                answer: MeasureAnswer::Continue,
                reason: format!("{open} tables are still to be proven"),
            };
            return Ok((answer, proof));
        }
        let groups = status::of_groups(plan, &measured_sets(&work));
        let watched = as_last_seen(plan, before.as_ref());
        let status = summed(plan, from, &watched, &work, &groups, ports.now());
        let frozen = freeze::Frozen {
            status: &status,
            proof,
            sets: &measured_sets(&work),
            groups: &groups,
        };
        freeze::freeze(ports, plan, document, token, frozen).await?;
        let mut answer = measured(&status);
        if proof.is_open() {
            answer.reason = format!("{}; {}", answer.reason, proof.in_words());
        }
        Ok((answer, proof))
    }

    fn open(&self, work: &[Work<'_>], since: Timestamp) -> usize {
        let due = |w| due(self.ports, self.plan, w, Some(since)).len();
        work.iter().map(due).sum()
    }

    fn scaled(&self, time: Duration) -> Duration {
        time.div_f64(self.ports.time_scale)
    }
}

fn frozen() -> Answer {
    Answer {
        answer: MeasureAnswer::Measured,
        reason: "the recovery points of this run are frozen".to_owned(),
    }
}
