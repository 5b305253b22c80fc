//! Whether a request can still be answered: a decision on what is gone must say so, not count later.

use super::{ApprovalId, Question, Request};
use crate::run::{Outcome, RunDocument};
use crate::state::State;

/// Whether somebody waits for the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    Open,
    /// No: a newer request asks for something else.
    Replaced,
    /// No: the run or the fence has gone its way. Why, in words.
    Gone(String),
}

/// Whether somebody still waits for the answer to the request `id`, of which `newest` is the newest of its question. Expiry and
/// earlier decisions are other matters.
#[must_use]
pub fn standing(id: &ApprovalId, newest: &Request, run: &RunDocument, state: &State) -> Standing {
    if newest.id != *id {
        return Standing::Replaced;
    }
    let gone = |why: String| Standing::Gone(why);
    match &newest.question {
        Question::Start | Question::Fence { .. } | Question::Compute { .. } => match run.outcome {
            Some(outcome) => gone(format!("run {} is over: {}", run.run, outcome.as_str())),
            None if run.attempt != newest.attempt => gone(format!(
                "run {} was resumed; wait for its new request",
                run.run
            )),
            None => Standing::Open,
        },
        Question::Validation { .. } => {
            let waits = run.committed_at.is_none()
                && run.attempt == newest.attempt
                // Until close-run has noted the outcome the run is on its way there.
                && matches!(run.outcome, None | Some(Outcome::ValidationFailed));
            if waits {
                Standing::Open
            } else {
                gone(format!(
                    "run {} does not wait for its validation any more{}",
                    run.run,
                    run.outcome
                        .map_or_else(String::new, |o| format!(": {}", o.as_str()))
                ))
            }
        }
        Question::Unfence { site, since } => {
            let stands = state
                .fences
                .get(site)
                .is_some_and(|fence| fence.since == *since && fence.run == run.run);
            if stands {
                Standing::Open
            } else {
                gone(format!(
                    "the fence of run {} on the {site} site does not stand any more",
                    run.run
                ))
            }
        }
    }
}
