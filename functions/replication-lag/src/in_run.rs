//! In a run every table is proven once at the standby. In a failover people are asked after a first look, and the proof goes on while they
//! decide; whoever can wait is asked when all is proven.

use std::time::Duration;

use aws::{Failure, Invocation, Ports};
use jiff::{SignedDuration, Timestamp};
use recovery::plan::Plan;
use recovery::replication::{MeasureAnswer, ProofProgress};
use recovery::run::{Mode, RunDocument, Stage};
use recovery::site::{RunId, RunToken};

use crate::measure::{
    Opening, Work, as_last_seen, due, measured_sets, newest, open_all, prove, summed,
};
use crate::{Answer, Reach, freeze, held_back, measured, status};

/// A failover's first look ends after this: people are waiting.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// A call between two looks at the decision ends after this: a decision must not wait.
const WHILE_ASKING: Duration = Duration::from_secs(10);
/// And after this in any case, whatever hangs.
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
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// People wait for the request.
    FirstLook,
    /// People decide meanwhile.
    WhileAsking,
    /// As long as the invocation lasts: nobody waits, or the target is touched next.
    ToTheEnd,
}

/// What a call goes on from.
#[derive(Clone, Copy)]
struct Course {
    since: Timestamp,
    /// What went into the proof before.
    spent_ms: i64,
    patience: Patience,
    /// Whether what is known is frozen although tables are still to be tried.
    freezes_early: bool,
}

impl Task<'_> {
    /// Before anybody is asked: a failover's first look, or all of the proof of a run that can wait. A state machine that does not go on with the
    /// proof gets all of it at once, too.
    pub(crate) async fn prove_before_asking(&self) -> Result<Answer, Failure> {
        let stage = Stage::RecoveryPoints;
        let document = self.ports.enter(self.run, self.token, stage).await?;
        if !document.is_in(stage) {
            return Ok(frozen());
        }
        let now = self.ports.now();
        let since = document.entered_at(stage, now);
        let asks_early = document.mode == Mode::Failover && document.is_called_again();
        let course = Course {
            since,
            // Whoever waits for all of it waits no longer than the plan says, whatever the calls did meanwhile.
            spent_ms: if asks_early {
                0
            } else {
                millis(now.duration_since(since))
            },
            patience: if asks_early {
                Patience::FirstLook
            } else {
                Patience::ToTheEnd
            },
            freezes_early: asks_early,
        };
        let (answer, _) = self.proven(&document, course).await?;
        Ok(answer)
    }

    /// After the first look, until every table was tried or the plan's time for it is over. A run that was resumed after its approval goes on
    /// where it was.
    pub(crate) async fn continue_proof(&self, patience: Patience) -> Result<Answer, Failure> {
        self.ports.require_lock(self.run, self.token).await?;
        let document = self.ports.run(self.run).await?;
        let Some(proof) = document.evidence.proof.filter(ProofProgress::is_open) else {
            return Ok(frozen());
        };
        let course = Course {
            since: proof.since,
            spent_ms: proof.spent_ms,
            patience,
            freezes_early: true,
        };
        let proving = self.proven(&document, course);
        let proven = match patience {
            Patience::ToTheEnd => Ok(proving.await),
            Patience::FirstLook | Patience::WhileAsking => {
                tokio::time::timeout(self.scaled(LONGEST_WHILE_ASKING), proving).await
            }
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
        course: Course,
    ) -> Result<(Answer, ProofProgress), Failure> {
        let Self {
            ports,
            plan,
            reach,
            token,
            ..
        } = *self;
        let (now, from, since) = (ports.now(), document.from, course.since);
        let limit_ms = millis(plan.replication.run_limit_seconds.signed());
        let left = limit_ms.saturating_sub(course.spent_ms).max(0);
        let time = self
            .time(course.patience)
            .min(Duration::from_millis(left.unsigned_abs()));
        let end = tokio::time::Instant::now() + time;
        let before = newest(ports, from).await;
        let opening = match course.patience {
            // What the other calls have found is enough for this one.
            Patience::WhileAsking => Opening {
                find_before: Timestamp::MIN,
                compares: false,
                time,
            },
            Patience::FirstLook | Patience::ToTheEnd => Opening {
                find_before: since,
                compares: true,
                time,
            },
        };
        let mut work = open_all(ports, plan, reach, from, opening).await?;
        let time = end.saturating_duration_since(tokio::time::Instant::now());
        let (proven, listed) = futures::join!(
            prove(ports, plan, &mut work, Some(since), time),
            held_back::list(ports, plan, &reach.buckets, document, token, time),
        );
        proven?;
        listed?;
        let spent_ms = course.spent_ms + millis(ports.now().duration_since(now));
        let proof = ProofProgress {
            since,
            total: work.iter().map(|w| w.measured.book.tables.len()).sum(),
            untried: self.untried(&work, since),
            spent_ms,
            is_over: spent_ms >= limit_ms,
        };
        if proof.is_open() && !course.freezes_early {
            let answer = Answer {
                answer: MeasureAnswer::Continue,
                reason: format!("{} tables are still to be proven", proof.untried),
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
        if proof.untried > 0 {
            answer.reason = format!("{}; {}", answer.reason, proof.describe());
        }
        Ok((answer, proof))
    }

    fn time(&self, patience: Patience) -> Duration {
        let left = self.invocation.left();
        match patience {
            Patience::FirstLook => left.min(self.scaled(FIRST_LOOK)),
            Patience::WhileAsking => left.min(self.scaled(WHILE_ASKING)),
            Patience::ToTheEnd => left,
        }
    }

    fn untried(&self, work: &[Work<'_>], since: Timestamp) -> usize {
        let due = |w| due(self.ports, self.plan, w, Some(since)).len();
        work.iter().map(due).sum()
    }

    fn scaled(&self, time: Duration) -> Duration {
        time.div_f64(self.ports.time_scale)
    }
}

fn millis(time: SignedDuration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn frozen() -> Answer {
    Answer {
        answer: MeasureAnswer::Measured,
        reason: "the recovery points of this run are frozen".to_owned(),
    }
}
