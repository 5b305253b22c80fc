//! Every human act by command line: a closed list, each with who and why, each recorded.

mod abandon;
mod accept;
mod create_state;
mod decide;
mod fence;
mod give_up;
mod key;
mod lessons;
mod promote;
mod reading;
mod reset;
mod url;
mod vouch;

#[cfg(test)]
mod tests;

use aws::fence_watch::FenceWatch;
use aws::http::{HttpAnswer, HttpRequest};
use aws::notices::{Audience, Notice};
use aws::serve::parse;
use aws::{Failure, Invocation, Ports, keys};
use jiff::Timestamp;
use recovery::approval::{ApprovalId, Choice, Door};
use recovery::failure::FailureName;
use recovery::kind::Kind;
use recovery::site::{ContentDigest, RunId, SiteLabel};
use recovery::state::Hold;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::reading::Reader;

/// A human act.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Act {
    /// Approve or decline what a run asks.
    Decide {
        /// The run.
        run: RunId,
        /// The request, as its message names it: what has changed since is then not decided upon. Without it the run's only open
        /// request.
        #[serde(default)]
        request: Option<ApprovalId>,
        /// The decision.
        decision: Choice,
        /// Who decides.
        who: String,
        /// Why.
        why: String,
        /// The plan's name, typed: accepts by name everything that the request lists as beyond the plan's rules.
        #[serde(default)]
        confirm: Option<String>,
        /// Names of offers of the request that are accepted beside, for example `site_refuses`.
        #[serde(default)]
        accept: Vec<String>,
    },
    /// Block every start.
    Hold {
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
    /// End a hold.
    Release {
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
    /// End the cool-down: automatic starts are allowed again.
    Acknowledge {
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
    /// Vouch that the active site runs what it should after a run that changed sites and did not complete: captures, automatic starts
    /// and planned runs are allowed again. Refused while a run holds the lock.
    Vouch {
        /// The run, as `state.json` names it in `unsettled`.
        run: RunId,
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
    /// Lift the fence of a site.
    Unfence {
        /// The site.
        site: SiteLabel,
        /// Who.
        who: String,
        /// Why.
        why: String,
        /// The plan's name, typed: needed for a site that was never seen quiet and is not the active one.
        #[serde(default)]
        confirm: Option<String>,
    },
    /// Bring a site back to what was recorded of it: the active one to the baseline, the standby to its posture. Done in the
    /// background; the managers are told when a reading shows that nothing differs.
    Reset {
        /// The site.
        site: SiteLabel,
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
    /// The active site stays the home: the other one becomes its standby as soon as it has returned and is quiet.
    Promote {
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
    /// End a run before its commit. Its execution must not act any more.
    Abandon {
        /// The run.
        run: RunId,
        /// Whether the old site is led back to what it was: its fence lifted, what was stopped started again, the target put back. Left
        /// out: yes for a switchover, whose old site answers; no for a failover, whose fence then stays until `unfence`.
        #[serde(default)]
        restore: Option<bool>,
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
    /// Make a capture that was kept aside the baseline that counts: the change that it shows is meant.
    AcceptBaseline {
        /// The candidate, as its notice names it.
        digest: ContentDigest,
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
    /// Give up what runs could not bring up: it is owed no more, and no run restores it.
    GiveUp {
        /// The kind of the objects.
        #[serde(default)]
        kind: Option<Kind>,
        /// Their names.
        #[serde(default)]
        names: Vec<String>,
        /// Instead, the whole list by its digest, as `state.json` has it.
        #[serde(default)]
        digest: Option<ContentDigest>,
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
    /// Write down what a run taught. It stands in every report until it is resolved.
    AddLesson {
        /// The run that taught it, if one did.
        #[serde(default)]
        run: Option<RunId>,
        /// What is to be done differently.
        lesson: String,
        /// Who.
        who: String,
        /// What showed it.
        why: String,
    },
    /// Say how a lesson was resolved.
    ResolveLesson {
        /// Its number, from a report.
        lesson: u32,
        /// Who.
        who: String,
        /// How it was resolved.
        why: String,
    },
    /// Write the first state of a stack: the primary is active. Where runs or baselines show that there was one it is refused: a state
    /// that is gone is restored, not begun anew.
    CreateState {
        /// Who.
        who: String,
        /// Why.
        why: String,
        /// The plan's name, typed: there are baselines, and yet there never was a state. Stacks of the first version wrote none before
        /// their first run.
        #[serde(default)]
        confirm: Option<String>,
    },
    /// Make a new key for the links to the page; the one before stays valid until the next rotation. The first call makes the first.
    RotateApprovalKey {
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
}

/// What starts the function: an act, or an act as the body of a signed request to the function URL.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Event(Value);

impl Act {
    fn who_and_why(&self) -> (&str, &str) {
        match self {
            Self::Decide { who, why, .. }
            | Self::Hold { who, why }
            | Self::Release { who, why }
            | Self::Acknowledge { who, why }
            | Self::Vouch { who, why, .. }
            | Self::RotateApprovalKey { who, why }
            | Self::CreateState { who, why, .. }
            | Self::AcceptBaseline { who, why, .. }
            | Self::GiveUp { who, why, .. }
            | Self::Promote { who, why }
            | Self::Unfence { who, why, .. }
            | Self::Reset { who, why, .. }
            | Self::AddLesson { who, why, .. }
            | Self::ResolveLesson { who, why, .. }
            | Self::Abandon { who, why, .. } => (who, why),
        }
    }
}

/// What became of the act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// In words.
    pub done: String,
}

/// The answer by the door that was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// To an invoke.
    Plain(Answer),
    /// To a request to the function URL.
    Http(HttpAnswer),
}

/// An act as it is recorded: what was asked, by whom and why.
#[derive(Serialize)]
struct Record<'a> {
    at: Timestamp,
    request: &'a str,
    via: &'a Door,
    event: &'a Act,
}

/// Does one act.
///
/// # Errors
/// `InvalidEvent` for an act that cannot be done now, `Blocked`, or what the store said.
pub async fn handle(
    event: Event,
    ports: &Ports,
    watch: &dyn FenceWatch,
    invocation: &Invocation,
) -> Result<Reply, Failure> {
    let reader = &Reader { watch, invocation };
    if HttpRequest::is_one(&event.0) {
        let request = url::read(&event.0);
        let result = match request {
            Ok((act, door)) => perform(&act, &door, ports, reader).await,
            Err(failure) => Err(failure),
        };
        return Ok(Reply::Http(url::answer(result)));
    }
    let act: Act = parse(event.0)?;
    let door = Door::Invoke {
        request: invocation.request_id.clone(),
    };
    perform(&act, &door, ports, reader).await.map(Reply::Plain)
}

async fn perform(
    act: &Act,
    door: &Door,
    ports: &Ports,
    reader: &Reader<'_>,
) -> Result<Answer, Failure> {
    let (who, why) = act.who_and_why();
    if who.trim().is_empty() || why.trim().is_empty() {
        return Err(invalid("who and why must say something"));
    }
    if who.len() + why.len() > 2000 {
        return Err(invalid("who and why are longer than 2,000 characters"));
    }
    ports.plan().await?;
    // What was asked is recorded before it is done, so that no act goes without a trace.
    record(act, door, ports, reader.invocation).await?;
    let mut done = carry_out(act, door, ports, reader).await?;
    // The act is done. An error would say that it is not.
    if let Err(failure) = notify(act, door, ports, &done).await {
        done = format!("{done}; the managers could not be notified: {failure}");
    }
    Ok(Answer { done })
}

fn invalid(problem: impl Into<String>) -> Failure {
    Failure::new(FailureName::InvalidEvent, problem)
}

async fn carry_out(
    act: &Act,
    door: &Door,
    ports: &Ports,
    reader: &Reader<'_>,
) -> Result<String, Failure> {
    let now = ports.now();
    match act {
        Act::Decide {
            run,
            request,
            decision,
            who,
            why,
            confirm,
            accept,
        } => {
            let confirmed = confirm.as_deref() == Some(ports.plan_name.as_str());
            let asking = decide::Asking {
                decision: *decision,
                who,
                why,
                door,
                confirmed,
                accept,
            };
            decide::decide(ports, reader, run, request.as_ref(), asking).await
        }
        Act::CreateState { confirm, .. } => {
            let confirmed = confirm.as_deref() == Some(ports.plan_name.as_str());
            create_state::create_state(ports, confirmed).await
        }
        Act::Hold { who, why } => {
            ports
                .change_state(|state| {
                    state.hold = Some(Hold {
                        who: who.clone(),
                        why: why.clone(),
                        since: now,
                    });
                    Ok(())
                })
                .await?;
            Ok("every start is blocked until `release`".to_owned())
        }
        Act::Release { .. } => {
            let was = ports.change_state(|state| Ok(state.hold.take())).await?;
            Ok(was.map_or_else(
                || "there was no hold".to_owned(),
                |h| format!("the hold by {} since {} is released", h.who, h.since),
            ))
        }
        Act::Acknowledge { .. } => {
            let until = ports
                .change_state(|state| Ok(state.cool_down_until.take()))
                .await?;
            Ok(until.map_or_else(
                || "there was no cool-down".to_owned(),
                |until| format!("the cool-down until {until} is over"),
            ))
        }
        Act::Vouch { run, .. } => vouch::settle(ports, run).await,
        Act::Unfence {
            site,
            who,
            why,
            confirm,
        } => {
            let confirmed = confirm.as_deref() == Some(ports.plan_name.as_str());
            let asking = decide::Asking {
                decision: Choice::Approve,
                who,
                why,
                door,
                confirmed,
                accept: &[],
            };
            fence::unfence(ports, reader, *site, asking).await
        }
        Act::Reset { site, who, why } => reset::order(ports, *site, who, why).await,
        Act::AddLesson {
            run,
            lesson,
            who,
            why,
        } => lessons::add(ports, run.as_ref(), lesson, who, why).await,
        Act::ResolveLesson { lesson, who, why } => lessons::resolve(ports, *lesson, who, why).await,
        Act::GiveUp {
            kind,
            names,
            digest,
            ..
        } => {
            let given_up = give_up::GivenUp::parse(*kind, names, digest.as_ref())?;
            give_up::give_up(ports, given_up).await
        }
        Act::AcceptBaseline { digest, .. } => accept::accept(ports, digest).await,
        Act::RotateApprovalKey { .. } => key::rotate(ports).await,
        Act::Promote { who, why } => promote::order(ports, who, why).await,
        Act::Abandon {
            run,
            restore,
            who,
            why,
        } => abandon::abandon(ports, run, *restore, who, why).await,
    }
}

async fn record(
    act: &Act,
    door: &Door,
    ports: &Ports,
    invocation: &Invocation,
) -> Result<(), Failure> {
    let at = ports.now();
    let key = format!(
        "{}{:015}-{}.json",
        keys::ACTS,
        at.as_millisecond(),
        invocation.request_id
    );
    let record = Record {
        at,
        request: &invocation.request_id,
        via: door,
        event: act,
    };
    ports.create(&key, &record).await.map(|_| ())
}

async fn notify(act: &Act, door: &Door, ports: &Ports, done: &str) -> Result<(), Failure> {
    let at = ports.now();
    let (who, why) = act.who_and_why();
    ports
        .notices
        .publish(Notice {
            audience: Audience::Managers,
            subject: format!("[{}] {done}", ports.plan_name),
            message: format!(
                "{done}\nby {who} ({}) at {at}\nreason: {why}\n",
                door.words()
            ),
        })
        .await
}
