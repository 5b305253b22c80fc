//! One look at a decision, for every question that a run waits for: opens the request, sends, reminds, escalates, and answers what the
//! decision document says. Idempotent: the documents in the store decide what the next call does.
//!
//! A message that cannot be sent is no error: the state machine would end the run after a few, although people can decide by the command
//! line. It is sent by a later call, and stands in the reason meanwhile.

use recovery::approval::{
    ApprovalAnswer, ApprovalId, Asked, Decisions, Override, Question, Request, Step, Telling, next,
};
use recovery::run::RunDocument;

use crate::notices::Audience;
use crate::{Failure, Ports};

/// What one look at a decision found.
#[derive(Clone, Debug)]
pub struct DecisionPoll {
    /// What the state machine does with it.
    pub answer: ApprovalAnswer,
    /// In words.
    pub reason: String,
    /// What became of the message that this call sent, or tried to; none if none was due.
    pub notification: Option<String>,
    /// The request that people decide on.
    pub request: Request,
    /// Whether it was sent by an earlier call: before that nobody has had time to read it.
    pub was_sent: bool,
    was_notified: bool,
}

impl Ports {
    /// One look at the decision on this question.
    ///
    /// # Errors
    /// What the store said. What SNS said stands in the reason.
    pub async fn poll_decision(&self, asked: &Asked<'_>) -> Result<DecisionPoll, Failure> {
        let run = asked.run;
        let stored = self.request(&run.run, &asked.question).await?;
        let decisions = match &stored {
            Some(request) => self.decisions_on(request).await?,
            None => None,
        };
        let fresh = ApprovalId::from_bits(self.random_bits()?);
        let (stored_request, decided) = (stored.as_ref(), decisions.as_ref());
        match next(asked, stored_request, decided, fresh, self.now()) {
            Step::Open { request, void } => self.open(asked, *request, void, stored_request).await,
            Step::Tell(telling, request) => self.send_due(asked, *request, telling).await,
            Step::Answer(answer) => {
                let request = stored.clone().ok_or_else(|| {
                    Failure::internal("an answer to a request that is not stored")
                })?;
                Ok(DecisionPoll {
                    answer,
                    reason: describe(answer, &request, decided),
                    notification: None,
                    was_sent: request.sent_at.is_some(),
                    was_notified: false,
                    request,
                })
            }
        }
    }

    async fn open(
        &self,
        asked: &Asked<'_>,
        mut request: Request,
        void: Option<String>,
        stored: Option<&Request>,
    ) -> Result<DecisionPoll, Failure> {
        if asked.question == Question::Start {
            request.forecast = Some(self.forecast(asked.plan, asked.run).await);
        }
        if !self.open_request(&request, stored).await? {
            return Ok(DecisionPoll {
                answer: ApprovalAnswer::Pending,
                reason: "another call of this function was faster".to_owned(),
                notification: None,
                request,
                was_sent: false,
                was_notified: false,
            });
        }
        // Before the start the machine looks at the target again; on its way a run has just looked, and people must hear what is new.
        match void.filter(|_| asked.question == Question::Start) {
            Some(changed) => Ok(DecisionPoll {
                answer: ApprovalAnswer::Void,
                reason: changed,
                notification: None,
                request,
                was_sent: false,
                was_notified: false,
            }),
            None => self.send(asked, request, Telling::Ask).await,
        }
    }

    /// An escalation that cannot be sent is due again at each call. It must not hold back the reminders to those who can be reached.
    async fn send_due(
        &self,
        asked: &Asked<'_>,
        request: Request,
        telling: Telling,
    ) -> Result<DecisionPoll, Failure> {
        let reminded_at = request.reminded_at;
        let poll = self.send(asked, request, telling).await?;
        let every = asked.plan.approval.remind_every_seconds.signed();
        let now = self.now();
        if telling != Telling::Escalate || poll.was_notified || now < reminded_at + every {
            return Ok(poll);
        }
        let stored = self.request(&asked.run.run, &asked.question).await?;
        let Some(mut due) = stored.filter(|stored| stored.id == poll.request.id) else {
            return Ok(poll);
        };
        due.reminded_at = now;
        let reminded = self.send(asked, due, Telling::Remind).await?;
        Ok(DecisionPoll {
            reason: format!("{}; {}", poll.reason, reminded.reason),
            ..reminded
        })
    }

    /// At-least-once: sends, then persists the marker. A message that could not be sent is not noted, so that the next call sends it.
    async fn send(
        &self,
        asked: &Asked<'_>,
        mut request: Request,
        telling: Telling,
    ) -> Result<DecisionPoll, Failure> {
        let (audience, occasion, done) = match telling {
            Telling::Ask => (Audience::Managers, "", "asked"),
            Telling::Remind => (Audience::Managers, "reminder", "reminded"),
            Telling::Escalate => (Audience::Escalation, "nobody has answered", "escalated"),
        };
        // Who is asked now stands in this very message, beside those who were asked before.
        for listener in self.listeners(audience).await {
            if !request.told.contains(&listener) {
                request.told.push(listener);
            }
        }
        let sent = self
            .ask(asked.plan, asked.run, &request, audience, occasion)
            .await;
        let now = self.now();
        let reason = match &sent {
            Ok(()) => done.to_owned(),
            Err(failure) => {
                format!("waiting for a decision, but people could not be notified: {failure}")
            }
        };
        let stored = self.request(&request.run, &request.question).await?;
        // Only this request is noted as sent; a newer one must be sent itself.
        if sent.is_ok()
            && let Some(stored) = stored.filter(|s| s.id == request.id)
        {
            let mut noted = request.clone();
            if telling == Telling::Ask {
                noted.sent_at = Some(now);
            }
            self.note_request(&noted, Some(&stored)).await?;
        }
        Ok(DecisionPoll {
            answer: ApprovalAnswer::Pending,
            notification: Some(reason.clone()),
            reason,
            was_sent: telling != Telling::Ask,
            was_notified: sent.is_ok(),
            request,
        })
    }

    /// What people have accepted by name in this attempt of the run. What they accepted beforehand with its start holds for later attempts
    /// that go on without asking again; nothing else outlives its attempt.
    ///
    /// # Errors
    /// `StateCorrupt`, or what the store said.
    pub async fn accepted_overrides(&self, run: &RunDocument) -> Result<Vec<Override>, Failure> {
        let mut accepted = Vec::new();
        for request in self.requests(&run.run).await? {
            let decisions = self.decisions_on(&request).await?;
            // A decision on another digest is none on this.
            let decisions = decisions.filter(|d| d.id == request.id && d.digest == request.digest);
            let beforehand = request.question == Question::Start;
            if !beforehand && request.attempt != run.attempt {
                continue;
            }
            let of_this = decisions.iter().flat_map(Decisions::accepted);
            accepted.extend(of_this.filter(|one| !beforehand || request.offers.contains(one)));
        }
        Ok(accepted)
    }
}

fn describe(answer: ApprovalAnswer, request: &Request, decisions: Option<&Decisions>) -> String {
    match (answer, decisions.and_then(Decisions::last)) {
        (ApprovalAnswer::Approved | ApprovalAnswer::Declined, Some(d)) => {
            format!(
                "{:?}d by {} {}: {}",
                d.decision,
                d.who,
                d.via.words(),
                d.why
            )
        }
        (ApprovalAnswer::Expired, _) => format!(
            "nobody decided until {}; by the plan that counts as a decline",
            request.expires_at
        ),
        _ => "waiting for a decision".to_owned(),
    }
}
