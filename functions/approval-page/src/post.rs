//! The POST: the only thing here that decides.

use aws::http::{BadBody, HttpRequest};
use aws::notices::{Audience, Notice};
use aws::{Failure, Ports};
use recovery::approval::brief::one_line;
use recovery::approval::{Choice, Decision, Question, Receipt, Request, Wish};

use crate::form::{self, Filled, Problem};
use crate::short::Short;
use crate::{Answer, Caller, Opened, open, page};

pub(crate) async fn decide(request: &HttpRequest, ports: &Ports) -> Result<Answer, Failure> {
    let opened = match open(request, ports).await? {
        Ok(opened) => opened,
        Err(short) => return Ok(Answer::short(short)),
    };
    let filled = match read(request) {
        Ok(filled) => filled,
        Err(short) => return Ok(Answer::short(short)),
    };
    let asked = &opened.approval.request;
    // Of a decided request nothing is shown. Only a repeat of what was sent may go on, to read its own answer again.
    let decided = opened.approval.end().is_some();
    if !opened.keys.accepts(asked, &filled.nonce, ports.now()) {
        if decided {
            return Ok(Answer::short(Short::Decided));
        }
        let stale = Problem::new(
            "decide",
            "This page was open for too long, or was not opened by its link. Look at what it shows now, then send it again. Nothing was decided.",
        );
        // Whatever was chosen on the older page is chosen anew.
        let again = Filled {
            decision: None,
            accepted: [].into(),
            ..filled
        };
        return page::render(ports, &opened, again, &[stale], 403).await;
    }
    let problems = filled.problems(asked, &ports.plan_name);
    let Some(decision) = filled.decision.filter(|_| problems.is_empty()) else {
        if decided {
            return Ok(Answer::short(Short::Decided));
        }
        return page::render(ports, &opened, filled, &problems, 422).await;
    };
    record(request, ports, &opened, filled, decision).await
}

fn read(request: &HttpRequest) -> Result<Filled, Short> {
    // Browsers say from where a form was sent; others say nothing and need the nonce all the same.
    if !matches!(
        request.header("sec-fetch-site"),
        None | Some("same-origin" | "none")
    ) {
        return Err(Short::CrossSite);
    }
    let content = request.header("content-type").unwrap_or_default();
    let kind = content.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Short::NoForm);
    }
    let body = request.text(form::LONGEST_FORM).map_err(|bad| match bad {
        BadBody::TooLong => Short::TooLong,
        BadBody::NoText => Short::NoForm,
    })?;
    form::read(&body).ok_or(Short::NoForm)
}

async fn record(
    request: &HttpRequest,
    ports: &Ports,
    opened: &Opened,
    filled: Filled,
    decision: Choice,
) -> Result<Answer, Failure> {
    let asked = &opened.approval.request;
    let wish = Wish {
        decision,
        who: one_line(&filled.who),
        why: filled.why.clone(),
        via: Caller::of(request).door(),
        accepted: filled.overrides(asked),
    };
    let receipt = ports.record_decision(&asked.id, wish.clone()).await?;
    Ok(match receipt {
        None => Answer::short(Short::NotValid),
        Some(Receipt::Recorded { .. }) => {
            tracing::info!(run = %asked.run, request = %asked.id, decision = ?decision, "decided on the page");
            tell(ports, asked, &wish).await;
            page::recorded(asked, decision, &wish.who)
        }
        // Sent twice by an impatient finger, or its first answer was lost.
        Some(Receipt::AlreadyDecided(first)) if is_repeat(&first, &wish) => {
            page::recorded(asked, decision, &wish.who)
        }
        Some(Receipt::AlreadyDecided(_) | Receipt::SamePerson) => Answer::short(Short::Decided),
        Some(Receipt::Expired(_)) => Answer::short(Short::Expired),
        Some(Receipt::Replaced) => Answer::short(Short::Replaced),
        Some(Receipt::RunGone(_)) => Answer::short(Short::Gone),
        Some(Receipt::Refused(why)) => {
            let refused = Problem::new("decide", format!("This does not count: {why}."));
            page::render(ports, opened, filled, &[refused], 422).await?
        }
    })
}

fn is_repeat(first: &Decision, wish: &Wish) -> bool {
    let trimmed = |text: &str| text.trim().to_owned();
    first.decision == wish.decision
        && first.via == wish.via
        && first.who == trimmed(&wish.who)
        && first.why == trimmed(&wish.why)
}

/// Everybody who was asked hears what became of it, so that a decision that should not have been one is seen. The decision stands
/// whether they hear it or not.
async fn tell(ports: &Ports, asked: &Request, wish: &Wish) {
    let what = match wish.decision {
        Choice::Approve => "approved",
        Choice::Decline => "declined",
    };
    let question = match asked.question {
        Question::Start => "the start",
        Question::Validation { .. } => "going on although checks failed",
        Question::Fence { .. } => "leaving a site that is not quiet",
        Question::Compute { .. } => "going on without what does not start",
        Question::Unfence { .. } => "lifting the fence",
    };
    let accepted: Vec<String> = wish
        .accepted
        .iter()
        .filter(|_| wish.decision == Choice::Approve)
        .map(|o| format!("accepted: {}\n", one_line(&o.to_string())))
        .collect();
    let notice = Notice {
        audience: Audience::Managers,
        subject: format!(
            "[{}] {what}: {question} of run {}",
            ports.plan_name, asked.run
        ),
        message: format!(
            "{question} of run {} was {what}\nby {} ({})\nreason: {}\n{}",
            asked.run,
            wish.who.trim(),
            one_line(&wish.via.words()),
            one_line(wish.why.trim()),
            accepted.concat()
        ),
    };
    if let Err(failure) = ports.notices.publish(notice).await {
        tracing::error!(name = %failure.name, message = %failure.message, "nobody was told of the decision");
    }
}
