//! The page of a request: facts first, then the form.

use askama::Template;
use aws::{Failure, Ports};
use recovery::approval::brief::one_line;
use recovery::approval::message::{asked, clock, counts, duration, loss, time, vantages, worst};
use recovery::approval::{Brief, Choice, Request};
use recovery::evidence::{FrozenEvidence, SiteEvidence};
use recovery::site::SiteLabel;

use crate::Opened;
use crate::answer::{Answer, STYLE};
use crate::chart::{self, Chart, WIDTH};
use crate::form::{Filled, Problem};

/// A fact with its name.
struct Fact {
    name: &'static str,
    value: String,
    /// Whether it speaks against going on, or for haste.
    grave: bool,
}

/// A layer of the site that is left.
struct LayerState {
    name: &'static str,
    state: String,
    trouble: bool,
}

/// One point that is accepted by name.
struct Point {
    index: usize,
    text: String,
    checked: bool,
}

#[derive(Template)]
#[template(path = "request.html")]
struct RequestPage<'a> {
    style: &'static str,
    width: u32,
    brief: &'a Brief,
    facts: Vec<Fact>,
    layers: Vec<LayerState>,
    signals: Option<Chart>,
    target_signals: Option<Chart>,
    loss_chart: Option<Chart>,
    losses: Vec<String>,
    counts: String,
    vantages: String,
    asked: String,
    expires_clock: String,
    expires_in: String,
    points: Vec<Point>,
    offers: Vec<Point>,
    can_approve: bool,
    filled: &'a Filled,
    problems: &'a [Problem],
    nonce: String,
}

impl RequestPage<'_> {
    fn problem(&self, field: &str) -> Option<&str> {
        self.problems
            .iter()
            .find(|problem| problem.field == field)
            .map(|problem| problem.text.as_str())
    }

    fn chose(&self, decision: &str) -> bool {
        matches!(
            (self.filled.decision, decision),
            (Some(Choice::Approve), "approve") | (Some(Choice::Decline), "decline")
        )
    }
}

/// The page, with what was sent before and what was wrong with it.
pub(crate) async fn render(
    ports: &Ports,
    opened: &Opened,
    filled: Filled,
    problems: &[Problem],
    status: u16,
) -> Result<Answer, Failure> {
    let (request, run) = (&opened.approval.request, &opened.approval.run);
    let plan = ports.plan().await?;
    let (brief, evidence) = ports.brief(&plan, run, request, None).await?;
    let now = ports.now();
    let left = request.expires_at.duration_since(now).as_secs().max(0);
    let page = RequestPage {
        style: STYLE,
        width: WIDTH,
        facts: facts(&brief),
        layers: layers(&brief),
        signals: signals(evidence.as_ref(), run.from, &brief),
        target_signals: signals(evidence.as_ref(), run.target, &brief),
        loss_chart: chart::losses(&request.losses),
        losses: request.losses.iter().map(loss).collect(),
        counts: counts(&brief),
        vantages: vantages(&brief),
        asked: asked(&brief),
        expires_clock: clock(request.expires_at),
        expires_in: duration(left.unsigned_abs()),
        points: brief
            .overrides
            .iter()
            .enumerate()
            .map(|(index, text)| Point {
                index,
                text: text.clone(),
                checked: filled.accepted.contains(&index),
            })
            .collect(),
        offers: brief
            .offers
            .iter()
            .enumerate()
            .map(|(index, text)| {
                let index = brief.overrides.len() + index;
                Point {
                    index,
                    text: text.clone(),
                    checked: filled.accepted.contains(&index),
                }
            })
            .collect(),
        can_approve: brief.page_can_approve(),
        nonce: opened.keys.nonce(request, now, ports.random_bits()?),
        brief: &brief,
        filled: &filled,
        problems,
    };
    let html = page
        .render()
        .map_err(|e| Failure::internal(format!("the page cannot be made: {e}")))?;
    Ok(Answer::page(status, html))
}

fn signals(evidence: Option<&FrozenEvidence>, site: SiteLabel, brief: &Brief) -> Option<Chart> {
    let seen: &SiteEvidence = evidence?.sites.get(&site)?;
    let since = brief.failing_since.filter(|_| site == brief.from.site);
    chart::signals(&seen.observations, since)
}

fn layers(brief: &Brief) -> Vec<LayerState> {
    brief
        .layers
        .iter()
        .map(|(name, status)| LayerState {
            name,
            state: status.to_string(),
            trouble: status.is_trouble(),
        })
        .collect()
}

/// What can be read in ten seconds.
fn facts(brief: &Brief) -> Vec<Fact> {
    if brief.question != "start" {
        return Vec::new();
    }
    let verdict = brief
        .verdict
        .map_or_else(|| "none".to_owned(), |v| v.to_string());
    let since = brief.failing_since.map_or_else(String::new, |since| {
        let ago = brief.asked_at.duration_since(since).as_secs().max(0);
        format!(
            ", since {} ({} when asked)",
            clock(since),
            duration(ago.unsigned_abs())
        )
    });
    let mut facts = vec![
        Fact {
            name: "Verdict",
            value: format!("{verdict}{since}"),
            grave: !brief.actionable,
        },
        Fact {
            name: "Data lost",
            value: worst(&brief.losses),
            grave: brief.losses.iter().any(|l| l.needs_override()),
        },
        match &brief.readiness {
            Some(readiness) => Fact {
                name: "Target",
                value: format!(
                    "{}: {}",
                    if readiness.ready {
                        "ready"
                    } else {
                        "NOT READY"
                    },
                    readiness.summary
                ),
                grave: !readiness.ready,
            },
            None => Fact {
                name: "Target",
                value: "not checked".to_owned(),
                grave: true,
            },
        },
    ];
    facts.extend(brief.forecast.as_ref().map(|forecast| Fact {
        name: "Time",
        value: time(forecast, brief.rto_seconds),
        grave: forecast.at_least_seconds > u64::from(brief.rto_seconds),
    }));
    facts
}

#[derive(Template)]
#[template(path = "recorded.html")]
struct RecordedPage<'a> {
    style: &'static str,
    title: &'static str,
    who: String,
    run: &'a str,
    next: &'static str,
}

/// What the one who decided reads.
pub(crate) fn recorded(request: &Request, decision: Choice, who: &str) -> Answer {
    use recovery::approval::Question;
    let (title, next) = match (decision, &request.question) {
        (Choice::Decline, _) => (
            "Declined",
            "Nothing will be done on this request. Everybody who was asked is told.",
        ),
        (Choice::Approve, Question::Start) => (
            "Approved",
            "The run goes on within moments. Everybody who was asked is told; messages follow when the users are switched and when the run ends.",
        ),
        (Choice::Approve, Question::Fence { .. } | Question::Compute { .. }) => (
            "Approved",
            "The run goes on within moments, if nothing beyond what you accepted has come up. Everybody who was asked is told.",
        ),
        (Choice::Approve, Question::Validation { .. }) => (
            "Approved",
            "Resume the run now: it will go on although these checks fail. Everybody who was asked is told.",
        ),
        (Choice::Approve, Question::Unfence { .. }) => (
            "Approved",
            "The fence is lifted by its watch, within a minute or two. Everybody who was asked is told.",
        ),
    };
    let page = RecordedPage {
        style: STYLE,
        title,
        who: one_line(who.trim()),
        run: request.run.as_str(),
        next,
    };
    Answer::page(200, page.render().unwrap_or_default())
}
