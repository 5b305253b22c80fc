//! One pass of fencing within its deadline; level-triggered, so it needs no memory of how it was started: it reads the
//! site, quiets what is live, and reads it again.

mod accept;
mod aws_fence;
mod blind;
mod board;
mod finding;
mod guard;
mod lanes;
mod news;
mod pass;
mod records;
mod rehearsal;
mod target;
mod watch;

use std::time::Duration;

use aws::fences::Fences;
use aws::{Failure, Invocation, Ports};
use jiff::SignedDuration;
use recovery::aws_fence::answer_with;
use recovery::fence::{FenceAnswer, FenceDecision, decide, is_patience_over};
use recovery::plan::Plan;
use recovery::run::{Mode, RehearsalAnswer, RunDocument, Stage};
use recovery::site::{RunId, RunToken};
use recovery::state::Refusal;
use serde::{Deserialize, Serialize};
use sites::{Purpose, Role, connect_to, frozen_url};

pub use aws_fence::{Lifting, WatchedAws};
pub use rehearsal::FenceRehearsal;
pub use watch::Watched;

use crate::aws_fence::{AwsPass, By, Held};
use crate::guard::Right;
use crate::pass::Pass;

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
    },
    /// The state machine, in a drill: what a fence would do, and whether it may. Nothing is changed.
    Rehearsal {
        /// The run.
        run: RunId,
        /// Its token.
        token: RunToken,
    },
    /// The schedule: the watch over standing fences.
    Schedule,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To the state machine.
    Fenced {
        /// Whether to go on.
        answer: FenceAnswer,
        /// In words.
        reason: String,
    },
    /// To the state machine, in a drill.
    Rehearsed {
        /// Whether all is allowed.
        answer: RehearsalAnswer,
        /// In words.
        reason: String,
    },
    /// To the logs of the watch.
    Watched {
        /// One line per standing fence.
        watched: Vec<Watched>,
        /// What each standing fence holds in AWS.
        aws: Vec<WatchedAws>,
        /// What lifted fences have left in AWS.
        lifting: Vec<Lifting>,
    },
}

/// One pass.
///
/// # Errors
/// `LockLost`, `WrongWorkspace`, `CredentialRefused`, or what the store said. A site that cannot be reached is a status,
/// not an error; so is a bucket whose policy cannot be changed.
pub async fn handle(
    event: Event,
    ports: &Ports,
    fences: &Fences,
    invocation: &Invocation,
) -> Result<Answer, Failure> {
    let plan = ports.plan().await?;
    match event {
        Event::Run { run, token } => in_run(ports, fences, &plan, &run, &token, invocation).await,
        Event::Rehearsal { run, token } => {
            rehearsal::rehearse(ports, &plan, &run, &token, invocation).await
        }
        Event::Schedule => {
            // A failure of one does not keep the other from its work.
            let in_aws = aws_fence::watch(ports, fences, &plan, invocation).await;
            let watched = watch::all(ports, &plan, invocation).await?;
            let (aws, lifting) = in_aws?;
            Ok(Answer::Watched {
                watched,
                aws,
                lifting,
            })
        }
    }
}

async fn in_run(
    ports: &Ports,
    fences: &Fences,
    plan: &Plan,
    run_id: &RunId,
    token: &RunToken,
    invocation: &Invocation,
) -> Result<Answer, Failure> {
    let run = ports.enter(run_id, token, Stage::Fence).await?;
    let now = ports.now();
    let site = run.from;
    // The fence is a fact before anything is attempted, so that the watch goes on whatever becomes of this execution.
    let state = ports
        .change_state(|state| {
            state.raise_fence(site, run_id, token, now)?;
            Ok(state.clone())
        })
        .await?;
    let in_aws = AwsPass {
        ports,
        fences,
        plan,
        site,
        run: run_id,
        by: By::Run(token),
        invocation,
    };
    // A switchover reads the site once more before it denies replication: what woke since the drain has written, and that must arrive.
    // A failover denies it first, since that is quick and nothing may write at the target without it.
    let reads_first = run.mode == Mode::Switchover;
    let mut held = if reads_first {
        Held::default()
    } else {
        in_aws.hold_buckets().await?
    };
    if held.is_impossible() {
        return Ok(cannot_deny_replication(&held));
    }
    let call = plan.fence.call_timeout_seconds.duration();
    let url = frozen_url(&run, site)?;
    let door = connect_to(
        ports,
        plan,
        site,
        url.clone(),
        Role::Operator,
        Purpose::Probe(call),
    )
    .await?;
    let workspace =
        connect_to(ports, plan, site, url, Role::Operator, Purpose::Fence(call)).await?;
    let began = run.entered_at(Stage::Fence, now);
    let patience = patience(ports, plan, now.duration_since(began));
    let right = Right::Run(token.clone());
    let pass = Pass::begin(ports, plan, site, run_id.clone(), right, invocation).await?;
    let (worked, (), told) = tokio::join!(
        pass.work(&door, &workspace, patience),
        in_aws.hold_roles(),
        ports.announce_fences(&state)
    );
    warn_untold(told);
    let (found, fence) = worked?;
    news::nothing_yet(ports, run_id, site).await?;
    let mut fence = fence.ok_or(Refusal::NoFence { site })?;
    if reads_first && found.is_quiet() {
        let is_denied = in_aws.denies_replication().await?;
        let has_drained = ports
            .change_state(|state| state.stop_replication(site, run_id, token, is_denied))
            .await?;
        if !has_drained {
            return wait_for_drain(ports, &run, token).await;
        }
        fence.drains = false;
        held = in_aws.hold_buckets().await?;
        if held.is_impossible() {
            return Ok(cannot_deny_replication(&held));
        }
    }
    let now = ports.now();
    let patience_is_over = is_patience_over(began, false, plan.fence, now);
    let mut reason = format!("the {site} site: {}; {}", found.words(), held.words());
    let (answer, gap) = match decide(&fence, found.condition(), run.mode, began, plan.fence, now) {
        FenceDecision::Continue => (FenceAnswer::Continue, None),
        FenceDecision::Drain => (FenceAnswer::Drain, None),
        FenceDecision::Proceed(gap) => (FenceAnswer::Proceed, gap),
        FenceDecision::GiveUp => (FenceAnswer::FenceUnverified, None),
        FenceDecision::NeedsAcceptance(gap) => {
            let asking = accept::Asking {
                ports,
                plan,
                run: &run,
                fence: &fence,
                gap,
                found: &found,
                held: &held,
            };
            let (answer, words) = asking.accepted_or_asked().await?;
            reason = format!("{reason}; {words}");
            (answer, Some(gap))
        }
    };
    let mut answer = answer_with(answer, held.buckets.values(), patience_is_over);
    if answer == FenceAnswer::Proceed && run.mode == Mode::Switchover {
        match target::unfence(ports, &run, token, invocation).await? {
            target::Unfenced::Yes => {}
            target::Unfenced::Waits { why, for_pass } => {
                answer = if is_patience_over(began, for_pass, plan.fence, now) {
                    FenceAnswer::FenceUnverified
                } else {
                    FenceAnswer::Continue
                };
                reason = why;
            }
        }
    }
    if answer == FenceAnswer::Proceed {
        ports
            .change_state(|state| state.leave_as(site, run_id, token, gap))
            .await?;
        ports.finish(run_id, token, Stage::Fence).await?;
    }
    Ok(Answer::Fenced { answer, reason })
}

fn cannot_deny_replication(held: &Held) -> Answer {
    Answer::Fenced {
        answer: FenceAnswer::FenceUnverified,
        reason: held.words(),
    }
}

/// The site is quiet, and what it wrote last has not arrived, or something woke since it had. A stage that was done is done again.
async fn wait_for_drain(
    ports: &Ports,
    run: &RunDocument,
    token: &RunToken,
) -> Result<Answer, Failure> {
    let site = run.from;
    let anew = run.is_done(Stage::Drain);
    if anew {
        ports
            .change_own_run(&run.run, token, |d| d.reopen_stage(Stage::Drain))
            .await?;
    }
    let what = if anew {
        "something woke after the drain; what it wrote is waited for"
    } else {
        "quiet; what it wrote last is waited for"
    };
    Ok(Answer::Fenced {
        answer: FenceAnswer::Drain,
        reason: format!("the {site} site: {what}"),
    })
}

/// Who deploys is told again in the next pass; the fence does not wait for it.
fn warn_untold(told: Result<(), Failure>) {
    if let Err(failure) = told {
        tracing::warn!(%failure, "the news of a fence was not told");
    }
}

/// Once people are asked, a pass lasts no longer than this, so that their answer is soon looked at; long enough to go on fencing.
const PASS_WHILE_ASKING: Duration = Duration::from_secs(10);

/// How long one call of a run keeps at it before it tells the state machine how things stand.
fn patience(ports: &Ports, plan: &Plan, spent: SignedDuration) -> Duration {
    let left = plan.fence.give_up_after_seconds.signed() - spent;
    Duration::try_from(left)
        .unwrap_or(Duration::ZERO)
        .max(PASS_WHILE_ASKING.div_f64(ports.time_scale))
}
