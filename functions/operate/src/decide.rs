//! Decisions by command line.

use aws::{Failure, Ports};
use recovery::approval::{
    ApprovalId, Choice, Decision, Door, End, Override, Question, Receipt, Request, Wish,
};
use recovery::site::RunId;

use crate::reading::Reader;
use crate::{fence, invalid};

/// Somebody's decision, before it is known what on.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) decision: Choice,
    pub(crate) who: &'a str,
    pub(crate) why: &'a str,
    pub(crate) door: &'a Door,
    /// The plan's name was typed: everything that the request names is accepted.
    pub(crate) confirmed: bool,
    /// Names of offers that are accepted beside.
    pub(crate) accept: &'a [String],
}

impl Asking<'_> {
    pub(crate) fn wish(self, request: &Request) -> Wish {
        Wish {
            decision: self.decision,
            who: self.who.to_owned(),
            why: self.why.to_owned(),
            via: self.door.clone(),
            accepted: {
                let required = request.overrides.iter().filter(|_| self.confirmed);
                let offers = request.offers.iter();
                let beside = offers.filter(|offer| self.accept.iter().any(|n| n == offer.name()));
                required.chain(beside).cloned().collect()
            },
        }
    }
}

pub(crate) async fn decide(
    ports: &Ports,
    reader: &Reader<'_>,
    run: &RunId,
    id: Option<&ApprovalId>,
    asking: Asking<'_>,
) -> Result<String, Failure> {
    let document = ports.run(run).await?;
    let request = match id {
        Some(id) => ports.approval(id).await?.map(|a| a.request),
        None => open_request(ports, run).await?,
    };
    let Some(request) = request.filter(|r| r.run == *run) else {
        return Err(invalid(match document.outcome {
            Some(outcome) => format!(
                "run {run} is over ({}) and asks for nothing",
                outcome.as_str()
            ),
            None => format!("run {run} has not asked for this; see runs/{run}/approvals/"),
        }));
    };
    let id = id.unwrap_or(&request.id);
    let is_offered = |name: &&String| request.offers.iter().any(|o| o.name() == name.as_str());
    if let Some(name) = asking.accept.iter().find(|name| !is_offered(name)) {
        let offers: Vec<&str> = request.offers.iter().map(Override::name).collect();
        return Err(invalid(format!(
            "the request offers no {name:?} to accept; it offers: {}",
            offers.join(", ")
        )));
    }
    let receipt = ports.record_decision(id, asking.wish(&request)).await?;
    let receipt = receipt.ok_or_else(|| invalid(format!("there is no request {id}")))?;
    let done = words(&request, asking, receipt, ports.plan_name.as_str())?;
    if let (Some(End::Approved), Question::Unfence { site, .. }) = (done.end, &request.question) {
        let lifted = fence::lift(ports, reader, *site, fence::ground_of(&request)).await?;
        return Ok(format!("{}; {lifted}", done.text));
    }
    Ok(done.text)
}

/// The run's only open request; the one that ended last if none is open, so that a repeat is answered as the first time.
async fn open_request(ports: &Ports, run: &RunId) -> Result<Option<Request>, Failure> {
    let now = ports.now();
    let (mut open, mut ended) = (Vec::new(), Vec::new());
    for newest in ports.requests(run).await? {
        let Some(approval) = ports.approval(&newest.id).await? else {
            continue;
        };
        if approval.is_open(now) {
            open.push(newest);
        } else {
            ended.push(newest);
        }
    }
    if open.len() > 1 {
        let ids: Vec<String> = open
            .iter()
            .map(|r| format!("{} ({})", r.id, r.question.name()))
            .collect();
        return Err(invalid(format!(
            "run {run} has more than one open request; add \"request\" with one of {}",
            ids.join(", ")
        )));
    }
    Ok(open
        .pop()
        .or_else(|| ended.into_iter().max_by_key(|r| r.asked_at)))
}

/// What is told, and whether the request ended in it.
pub(crate) struct Done {
    pub(crate) text: String,
    pub(crate) end: Option<End>,
}

/// A receipt in words.
///
/// # Errors
/// `InvalidEvent` if the decision does not count.
pub(crate) fn words(
    request: &Request,
    asking: Asking<'_>,
    receipt: Receipt,
    plan: &str,
) -> Result<Done, Failure> {
    let run = &request.run;
    let choice = |decision: Choice| match decision {
        Choice::Approve => "approved",
        Choice::Decline => "declined",
    };
    match receipt {
        Receipt::Recorded {
            end: None,
            approvals,
            required,
        } => Ok(Done {
            text: format!(
                "approval {approvals} of {required} is recorded for run {run} ({}); other people must approve too",
                request.question.name()
            ),
            end: None,
        }),
        Receipt::Recorded { end, .. } => Ok(Done {
            text: format!(
                "{}: run {run} ({})",
                choice(asking.decision),
                request.question.name()
            ),
            end,
        }),
        // The same decision by the same person again: its first answer was lost.
        Receipt::AlreadyDecided(standing) if is_repeat(&standing, asking) => Ok(Done {
            text: format!("{} already: run {run}", choice(asking.decision)),
            end: (asking.decision == Choice::Approve).then_some(End::Approved),
        }),
        Receipt::AlreadyDecided(d) => Err(invalid(format!(
            "run {run} was {} by {} ({}) at {}: {}",
            choice(d.decision),
            d.who,
            d.via.words(),
            d.at,
            d.why
        ))),
        Receipt::SamePerson => Err(invalid(format!(
            "you have approved before; {} different people must",
            request.required_approvals
        ))),
        Receipt::Expired(at) => Err(invalid(format!("the request of run {run} expired at {at}"))),
        Receipt::Replaced => Err(invalid(format!(
            "what would happen has changed since this request: decide on the newer one, {}",
            request.id
        ))),
        Receipt::RunGone(why) => Err(invalid(format!("{why}; nothing waits for this decision"))),
        Receipt::Refused(why) if !asking.confirmed && !request.overrides.is_empty() => {
            Err(invalid(format!(
                "{why}; to accept all that the request names add \"confirm\":\"{plan}\""
            )))
        }
        Receipt::Refused(why) => Err(invalid(why)),
    }
}

fn is_repeat(standing: &Decision, asking: Asking<'_>) -> bool {
    standing.decision == asking.decision
        && standing.who == asking.who.trim()
        && standing.via.proven() == asking.door.proven()
}
