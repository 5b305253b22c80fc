//! What people are shown of a request: the same facts in the message, for machines, and on the page.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{APPROVAL_FORMAT, ApprovalId, Forecast, Loss, Question, Request};
use crate::evidence::FrozenEvidence;
use crate::kind::Kind;
use crate::plan::Plan;
use crate::readiness::{Readiness, ReadinessAnswer};
use crate::replication::{HeldBack, predicted_losses};
use crate::run::{Mode, RunDocument};
use crate::site::{PlanName, Region, RunId, SiteLabel};
use crate::verdict::{Layers, Status, Verdict};

/// Beside the request itself: what is known.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The run.
    pub run: &'a RunDocument,
    /// What every vantage saw, if it was frozen.
    pub evidence: Option<&'a FrozenEvidence>,
    /// How ready the target is, if it was checked.
    pub readiness: Option<&'a Readiness>,
    /// The link to the page, if there is a page and a key.
    pub link: Option<&'a str>,
}

/// A site with its region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The label.
    pub site: SiteLabel,
    /// The region.
    pub region: Region,
}

/// How ready the target is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReadinessBrief {
    /// Whether nothing blocks.
    pub ready: bool,
    /// In one sentence.
    pub summary: String,
}

/// The vantages behind the verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VantagesBrief {
    /// Those that count.
    pub fresh: Vec<String>,
    /// Of these, those that have lost their own network.
    pub isolated: Vec<String>,
    /// Those that have stopped reporting.
    pub stale: Vec<String>,
}

/// The two command lines, for when mail and web do not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Commands {
    /// Approves.
    pub approve: String,
    /// Declines.
    pub decline: String,
}

/// The facts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Brief {
    /// Always [`APPROVAL_FORMAT`].
    pub format_version: u32,
    /// Names the question: `start`, `validation`, `fence`, `compute`, `unfence-primary`, `unfence-secondary`.
    pub question: &'static str,
    /// The question in one sentence.
    pub title: String,
    /// The plan.
    pub plan: PlanName,
    /// The run.
    pub run: RunId,
    /// What the run does.
    pub mode: Mode,
    /// The request.
    pub request: ApprovalId,
    /// The site that is left.
    pub from: Place,
    /// The site that becomes active.
    pub target: Place,
    /// The verdict on the site that is left.
    pub verdict: Option<Verdict>,
    /// Whether that verdict calls for action; a planned move needs none.
    pub actionable: bool,
    /// When the failure began.
    pub failing_since: Option<Timestamp>,
    /// Each layer of the site that is left.
    pub layers: BTreeMap<&'static str, Status>,
    /// The verdict on the target.
    pub target_verdict: Option<Verdict>,
    /// The vantages behind the verdict.
    pub vantages: VantagesBrief,
    /// What was seen, one line per layer, vantage and probe, the worst first.
    pub evidence: Vec<String>,
    /// What is missing for an actionable verdict.
    pub why_not: Vec<String>,
    /// The predicted losses, worst first.
    pub losses: Vec<Loss>,
    /// How far the proof of the recovery points has come, and what it has found since it was asked.
    pub proof: Option<String>,
    /// How ready the target is.
    pub readiness: Option<ReadinessBrief>,
    /// How long it would take.
    pub forecast: Option<Forecast>,
    /// The recovery time objective, seconds.
    pub rto_seconds: u32,
    /// Live objects by kind: stopped at the one site, started at the other.
    pub live: BTreeMap<Kind, usize>,
    /// How old the record is of what runs.
    pub baseline_captured_at: Timestamp,
    /// Whether it is older than the plan wants.
    pub baseline_is_old: bool,
    /// What would happen, in words and in order.
    pub effects: Vec<String>,
    /// What cannot be undone, fenced or known.
    pub limits: Vec<String>,
    /// What the approver takes upon himself.
    pub overrides: Vec<String>,
    /// What the approver may accept beside.
    pub offers: Vec<String>,
    /// How many different people must approve.
    pub required_approvals: u32,
    /// Who was asked, shortened.
    pub asked: Vec<String>,
    /// When.
    pub asked_at: Timestamp,
    /// From then on nobody can approve.
    pub expires_at: Timestamp,
    /// What silence means.
    pub on_expiry: &'static str,
    /// The command lines.
    pub commands: Commands,
    /// The page.
    pub link: Option<String>,
}

impl Brief {
    /// The facts of a request.
    #[must_use]
    pub fn of(request: &Request, known: Known<'_>) -> Self {
        let (plan, run) = (known.plan, known.run);
        let place = |site: SiteLabel| Place {
            site,
            region: plan.sites.get(site).region.clone(),
        };
        let judged = |site| known.evidence?.sites.get(&site)?.judgement.as_ref();
        let judgement = judged(run.from);
        let names = |vantages: &[crate::verdict::Vantage]| {
            vantages.iter().map(|v| v.as_str().to_owned()).collect()
        };
        let captured_at = run.evidence.baseline.captured_at;
        Self {
            format_version: APPROVAL_FORMAT,
            question: request.question.name(),
            title: title(
                &request.question,
                run.mode,
                &place(run.from),
                &place(run.target),
                plan,
            ),
            plan: plan.name.clone(),
            run: run.run.clone(),
            mode: run.mode,
            request: request.id.clone(),
            from: place(run.from),
            target: place(run.target),
            verdict: run.evidence.verdict,
            // A planned move needs no disaster.
            actionable: run.evidence.actionable || run.mode == Mode::Switchover,
            failing_since: run.evidence.failing_since,
            layers: judgement.map(|j| layers(&j.layers)).unwrap_or_default(),
            target_verdict: judged(run.target).map(|j| j.verdict),
            vantages: judgement.map_or_else(VantagesBrief::default, |j| VantagesBrief {
                fresh: names(&j.fresh),
                isolated: names(&j.isolated),
                stale: names(&j.stale),
            }),
            evidence: judgement.map_or_else(
                || run.evidence.signals.clone(),
                |j| j.evidence.iter().map(|line| one_line(line)).collect(),
            ),
            why_not: judgement.map(|j| j.why_not.clone()).unwrap_or_default(),
            losses: request.losses.clone(),
            proof: proof(request, plan, run),
            readiness: known.readiness.map(|readiness| ReadinessBrief {
                ready: readiness.answer() == ReadinessAnswer::Ready,
                summary: one_line(&readiness.summary()),
            }),
            forecast: request.forecast.clone(),
            rto_seconds: plan.objectives.rto_seconds.0,
            live: run.evidence.baseline.live.clone(),
            baseline_captured_at: captured_at,
            baseline_is_old: request.asked_at.duration_since(captured_at)
                > plan.baseline.max_age_seconds.signed(),
            effects: effects(&request.question, run),
            limits: limits(&request.question, run),
            overrides: request
                .overrides
                .iter()
                .map(|o| one_line(&o.to_string()))
                .collect(),
            offers: request
                .offers
                .iter()
                .map(|o| one_line(&o.to_string()))
                .collect(),
            required_approvals: request.required_approvals,
            asked: request.told.iter().map(|who| one_line(who)).collect(),
            asked_at: request.asked_at,
            expires_at: request.expires_at,
            on_expiry: on_expiry(&request.question),
            commands: Commands {
                approve: command(plan, request, "approve"),
                decline: command(plan, request, "decline"),
            },
            link: known.link.map(str::to_owned),
        }
    }

    /// Whether the page can take an approval, and not only a decline.
    #[must_use]
    pub const fn page_can_approve(&self) -> bool {
        self.required_approvals <= 1
    }
}

/// A text of others on one line, so that it cannot pretend to be ours.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| {
            let steers = c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
            if steers { ' ' } else { c }
        })
        .collect()
}

/// Losses that are named beside the proof.
const MOST_LOSSES: usize = 5;

/// People are asked after a first look: what the proof says by now may be better than what they were asked with. What is worse is asked
/// anew.
fn proof(request: &Request, plan: &Plan, run: &RunDocument) -> Option<String> {
    let proof = run.evidence.proof.as_ref()?;
    if request.question != Question::Start {
        return None;
    }
    let replication = run.evidence.replication.as_ref();
    let by_now = predicted_losses(plan, replication, run.loss_moment());
    let by_now = by_now.iter().map(Loss::from);
    let other: Vec<String> = by_now
        .filter(|now| {
            let mut shown = request.losses.iter();
            shown.any(|s| s.name == now.name && s.loss_seconds != now.loss_seconds)
        })
        .map(|now| super::message::loss(&now))
        .collect();
    if other.is_empty() {
        return proof.is_open().then(|| proof.describe());
    }
    let named: Vec<&str> = other.iter().take(MOST_LOSSES).map(String::as_str).collect();
    let more = other.len().saturating_sub(MOST_LOSSES);
    let more = if more == 0 {
        String::new()
    } else {
        format!("; {more} more")
    };
    Some(format!(
        "{}. By now: {}{more}",
        proof.describe(),
        named.join("; ")
    ))
}

fn layers(layers: &Layers) -> BTreeMap<&'static str, Status> {
    BTreeMap::from([
        ("control plane", layers.control_plane),
        ("compute", layers.compute),
        ("data", layers.data),
        ("provider", layers.provider),
    ])
}

fn title(question: &Question, mode: Mode, from: &Place, target: &Place, plan: &Plan) -> String {
    match question {
        Question::Start if mode == Mode::Switchover => format!(
            "Switch {} over, as planned, from {} ({}) to {} ({})?",
            plan.name, from.site, from.region, target.site, target.region
        ),
        Question::Start => format!(
            "Fail over {} from {} ({}) to {} ({})?",
            plan.name, from.site, from.region, target.site, target.region
        ),
        Question::Validation { .. } => format!(
            "Go on with {} at {} ({}) although checks failed?",
            plan.name, target.site, target.region
        ),
        Question::Fence { site, .. } => format!(
            "Leave {site} ({}) of {} although it is not quiet, and go on to {} ({})?",
            plan.sites.get(*site).region,
            plan.name,
            target.site,
            target.region
        ),
        Question::Compute { .. } => format!(
            "Go on with {} at {} ({}) without what does not start there?",
            plan.name, target.site, target.region
        ),
        Question::Unfence { site, .. } => format!(
            "Lift the fence of {} on {site} ({})?",
            plan.name,
            plan.sites.get(*site).region
        ),
    }
}

fn effects(question: &Question, run: &RunDocument) -> Vec<String> {
    let (from, target) = (run.from, run.target);
    match question {
        Question::Start if run.mode == Mode::Switchover => vec![
            format!(
                "{from} is recorded once more and then fenced: runs there are ended; nothing goes on until it was seen quiet"
            ),
            format!("what it wrote last is waited for at {target}; a fence on {target} is lifted"),
            format!(
                "{target} is brought up as {from} was: pools, clusters, warehouses; it must pass its checks"
            ),
            format!(
                "then the commit makes {target} the active site, its schedules start, the users are switched, and {from} stands by as it was recorded"
            ),
        ],
        Question::Start => vec![
            format!(
                "{from} is fenced: what runs there is paused and stopped, as far as it can be reached"
            ),
            format!(
                "{target} is brought up as {from} was: pools, clusters, warehouses; it must pass its checks"
            ),
            format!(
                "then the commit makes {target} the active site, its schedules start, and the users are switched"
            ),
        ],
        Question::Validation { .. } => vec![
            format!(
                "the run may be resumed and will commit to {target} although these checks fail"
            ),
            "a check that fails beyond the ones named here stops it again".to_owned(),
        ],
        Question::Fence { site, .. } => vec![
            format!(
                "the run goes on to {target} at once; what is named above may run at both sites and write"
            ),
            format!(
                "the fence on {site} stays: its watch goes on and stops there what it can reach"
            ),
        ],
        Question::Compute { .. } => vec![
            format!(
                "the run goes on and {target} takes over without these objects: what needs them fails there"
            ),
            "the report names each of them".to_owned(),
        ],
        Question::Unfence { site, .. } => vec![
            format!("nothing stops what is started at {site} any more"),
            "what the fence has paused stays paused until something restores it".to_owned(),
        ],
    }
}

fn limits(question: &Question, run: &RunDocument) -> Vec<String> {
    let mut limits = Vec::new();
    if *question == Question::Start {
        if matches!(
            run.evidence.verdict,
            Some(Verdict::ControlPlaneDown | Verdict::RegionDown)
        ) {
            limits.push(format!(
                "{} cannot be reached, so it cannot be fenced now: what runs there may still write. It is fenced when it answers again",
                run.from
            ));
        }
        if run.mode == Mode::Switchover {
            limits.push(
                "what was created at the site that is left, and is not at the target, does not come along: the readiness lists it"
                    .to_owned(),
            );
        }
        limits.push(
            "model serving endpoints and apps of the old site are not stopped: nothing fences them"
                .to_owned(),
        );
        limits.extend(run.evidence.repair.as_ref().map(|repair| repair.in_words()));
        let held_back = run.evidence.held_back.as_ref();
        let held_back = held_back.filter(|h| h.needs_a_person());
        limits.extend(held_back.map(HeldBack::in_words));
    }
    if !matches!(question, Question::Unfence { .. }) {
        limits.push(
            "after the commit there is no abort; the way back is a planned switchover".to_owned(),
        );
    }
    limits
}

const fn on_expiry(question: &Question) -> &'static str {
    match question {
        Question::Start => {
            "without an answer nothing is changed: the run ends in ApprovalExpired and the escalation topic is told"
        }
        Question::Validation { .. } => {
            "without an answer nothing is committed: the run stays in ValidationFailed"
        }
        Question::Fence { .. } => {
            "without an answer the run ends in FenceUnverified; the fence stands and its watch goes on"
        }
        Question::Compute { .. } => {
            "without an answer nothing is committed: the run ends and can be resumed"
        }
        Question::Unfence { .. } => "without an answer the fence stands",
    }
}

fn command(plan: &Plan, request: &Request, decision: &str) -> String {
    let confirm = if request.overrides.is_empty() || decision == "decline" {
        String::new()
    } else {
        format!(",\"confirm\":\"{}\"", plan.name)
    };
    format!(
        "aws lambda invoke --region {} --function-name databricks-dr-{}-operate --cli-binary-format raw-in-base64-out \
         --payload '{{\"act\":\"decide\",\"run\":\"{}\",\"request\":\"{}\",\"decision\":\"{decision}\",\"who\":\"YOUR NAME\",\"why\":\"REASON\"{confirm}}}' /dev/stdout",
        plan.control_region, plan.name, request.run, request.id
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval::tests::{plan, request, run};

    #[test]
    fn text_of_others_cannot_begin_a_line_or_turn_the_reading_direction() {
        assert_eq!(one_line("a\r\nb\u{202e}c\u{0}"), "a  b c ");
    }

    #[test]
    fn after_a_dark_control_plane_the_request_says_that_the_old_site_may_write() {
        let (plan, run) = (plan(1), run(true));
        let brief = Brief::of(
            &request(1),
            Known {
                plan: &plan,
                run: &run,
                evidence: None,
                readiness: None,
                link: None,
            },
        );
        assert!(brief.limits[0].contains("may still write"));
        assert!(brief.page_can_approve());
        assert!(
            brief.commands.approve.contains("\"decision\":\"approve\"")
                && !brief.commands.approve.contains("confirm")
        );
    }
}
