//! Brings a site up from a record: a target from the baseline, one phase a call, or a site back to what it was, by an operator's
//! order. Level-triggered: it reads the site, does what differs from the record, and reads it again; done is what a reading shows.

mod act;
mod debts;
mod effort;
mod leave;
mod phase;
mod promotion;
mod reset;
mod standby;

use std::time::Duration;

use aws::{Failure, Invocation, Ports};
use recovery::activation::Phase;
use recovery::reset::StandbyAnswer;
use recovery::site::{RunId, RunToken};
use serde::{Deserialize, Serialize};

/// The pause between two readings.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What starts the function.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "by", rename_all = "lowercase", deny_unknown_fields)]
pub enum Event {
    /// The state machine.
    Run {
        /// The run.
        run: RunId,
        /// Its token.
        token: RunToken,
        /// The phase.
        phase: Phase,
    },
    /// The state machine, at the end of a switchover or a drill: the site that is left as a standby goes into its posture.
    Standby {
        /// The run.
        run: RunId,
        /// Its token.
        token: RunToken,
    },
    /// The schedule: works off promotions and orders to reset a site, if any stand, and takes from the debts what is up by now.
    Schedule,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// To the state machine.
    Phase(Answer),
    /// To the state machine, of a standby.
    Standby {
        /// What became of it.
        answer: StandbyAnswer,
        /// In words.
        reason: String,
    },
    /// To the logs.
    Reset {
        /// What was found, in words.
        found: String,
    },
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Progress {
    /// A reading shows the phase as done.
    Done,
    /// Call again.
    Continue,
}

/// The answer to the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Whether to go on.
    pub answer: Progress,
    /// Objects as the baseline says, by the last reading.
    pub as_wanted: usize,
    /// What is not done yet.
    pub remaining: usize,
}

impl Answer {
    /// Time was up before anything was known.
    const UNKNOWN: Self = Self {
        answer: Progress::Continue,
        as_wanted: 0,
        remaining: 0,
    };
}

/// One pass of one phase, or over the standing order.
///
/// # Errors
/// `LockLost`, `SiteUnreachable`, `WrongWorkspace`, `CredentialRefused`, `ActivationIncomplete` when the plan's patience
/// is over, or what the store said.
pub async fn handle(
    event: Event,
    ports: &Ports,
    invocation: &Invocation,
) -> Result<Reply, Failure> {
    let plan = ports.plan().await?;
    match event {
        Event::Run { run, token, phase } => {
            let task = phase::Task {
                run: &run,
                token: &token,
                phase,
            };
            let answer = phase::one(task, ports, &plan, invocation).await?;
            Ok(Reply::Phase(answer))
        }
        Event::Standby { run, token } => {
            let (answer, reason) = standby::one(ports, &plan, &run, &token, invocation).await?;
            Ok(Reply::Standby { answer, reason })
        }
        Event::Schedule => {
            promotion::work_off(ports, &plan).await?;
            let found = reset::work_off(ports, &plan, invocation).await?;
            promotion::finish(ports, &plan).await?;
            debts::settle(ports).await?;
            Ok(Reply::Reset { found })
        }
    }
}
