//! What the managers are told of an incident, with a ready-made text for the vendor's support: an early line to them is worth
//! having even before anyone decides.

use jiff::Timestamp;

use super::{Block, Incident};
use crate::plan::Plan;
use crate::verdict::Verdict;

/// Subject and text.
pub type Message = (String, String);

/// The evidence, when an incident is opened. `blocks`: what stands in the way of its run.
#[must_use]
pub fn opened(plan: &Plan, incident: &Incident, blocks: &[Block]) -> Message {
    let Incident {
        id,
        site,
        verdict,
        since,
        ..
    } = incident;
    let workspace = plan.sites.get(*site);
    let next = if blocks.is_empty() {
        format!(
            "A run is started as {id}. It gathers evidence and asks for approval; until somebody approves nothing is changed.\n{}",
            automatic(plan, incident)
        )
    } else {
        let reasons: Vec<String> = blocks.iter().map(ToString::to_string).collect();
        format!(
            "No run is started:\n{}\nA person can start the state machine with {{\"mode\":\"failover\"}}.\n",
            reasons.join("\n")
        )
    };
    let text = format!(
        "{verdict} on the {site} site ({}, workspace {}) since {since}.\nIncident {id}.\n\n{next}\nWhat the probes saw:\n{}\n\n{}",
        workspace.region,
        workspace.workspace_id.as_str(),
        incident.evidence.join("\n"),
        support(plan, incident)
    );
    (
        format!("[{}] {verdict} on the {site} site", plan.name),
        text,
    )
}

fn automatic(plan: &Plan, incident: &Incident) -> String {
    let Some(automatic) = &plan.automatic_failover else {
        return String::new();
    };
    if incident.rests_on_name_lost {
        return "The plan does not approve this by itself: the verdict rests on a name that is lost.\n".to_owned();
    }
    if !automatic.verdicts.contains(&incident.verdict) {
        return format!(
            "The plan does not approve this by itself: it leaves {} to a person.\n",
            incident.verdict
        );
    }
    let at = incident.since + automatic.grace_seconds.signed();
    format!(
        "The plan approves by itself from {at} on if nobody has declined, unless something speaks against it then.\n"
    )
}

/// For the vendor's support case, ready to be pasted.
fn support(plan: &Plan, incident: &Incident) -> String {
    let site = plan.sites.get(incident.site);
    let mut text = String::from("Open a case with the vendor's support now");
    match &plan.support {
        Some(support) => {
            text.push_str(&format!(":\n{}\n", support.contacts.join("\n")));
        }
        None => text.push_str(" (the plan names no contacts).\n"),
    }
    let account = plan
        .support
        .as_ref()
        .and_then(|support| support.account.as_deref())
        .map_or_else(String::new, |account| format!("Account: {account}\n"));
    let vantages: Vec<&str> = plan
        .detection
        .vantages
        .iter()
        .map(crate::site::Region::as_str)
        .collect();
    text.push_str(&format!(
        "--- text for the case ---\nSeverity 1: Databricks workspace {} on AWS in {}: {} since {}\n{account}\
         {}\nWe probe from {}. Signals, UTC:\n{}\n\
         Please confirm whether you see an incident there, what it covers, and when you expect its end. We consider a failover to {}.\n\
         --- end of the text ---\n",
        site.workspace_id.as_str(),
        site.region,
        in_words(incident.verdict),
        incident.since,
        "Production is affected.",
        vantages.join(", "),
        incident.evidence.join("\n"),
        plan.sites.get(incident.site.other()).region,
    ));
    text
}

const fn in_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::RegionDown => "control plane and object store do not work",
        Verdict::ControlPlaneDown => "the control plane (sign-in and REST API) does not work",
        Verdict::DataPlaneDown => "the object store of the region does not work",
        Verdict::ComputeDown => "clusters and SQL warehouses do not work",
        _ => "it does not work as it should",
    }
}

/// Why no run was started, when that changes while the incident is open.
#[must_use]
pub fn blocked(plan: &Plan, incident: &Incident, blocks: &[Block]) -> Message {
    let reasons: Vec<String> = blocks.iter().map(ToString::to_string).collect();
    (
        format!("[{}] no run was started for {}", plan.name, incident.id),
        format!(
            "{}\nA person can start the state machine with {{\"mode\":\"failover\"}}.\n",
            reasons.join("\n")
        ),
    )
}

/// Its run failed before it began, and the next one is started. `restart`: which one, from 1.
#[must_use]
pub fn restarted(plan: &Plan, incident: &Incident, restart: u32) -> Message {
    let failed = incident.run_after(restart.saturating_sub(1));
    let next = incident.run_after(restart);
    let left = super::MOST_RESTARTS.saturating_sub(restart);
    let limit = match left {
        0 => "It is the last one that starts by itself.".to_owned(),
        left => format!("If it fails too, {left} more may follow."),
    };
    (
        format!("[{}] {failed} failed before it began", plan.name),
        format!(
            "The execution {failed} failed and left no run: nobody was asked and nothing was changed. The {} site is still {}.\n\
             A run is started as {next}. It asks for approval like the one before. {limit}\n\
             Why {failed} failed stands in the Step Functions console and in the logs of begin-run.\n",
            incident.site, incident.verdict,
        ),
    )
}

/// What stands in the way once every run that the incident may start failed before it began.
#[must_use]
pub fn spent_reason(incident: &Incident) -> String {
    format!(
        "blocked: {} runs failed before they began; no other is started by itself",
        incident.restarts.saturating_add(1)
    )
}

/// Every run that the incident may start failed before it began.
#[must_use]
pub fn spent(plan: &Plan, incident: &Incident) -> Message {
    (
        format!(
            "[{}] start a run by hand: those of {} failed before they began",
            plan.name, incident.id
        ),
        format!(
            "{}. The {} site is still {}, and nobody was asked.\nRead why {} failed in the Step Functions console and in the logs of \
             begin-run, put it right, then start the state machine with {{\"mode\":\"failover\"}}.\n",
            spent_reason(incident),
            incident.site,
            incident.verdict,
            incident.run()
        ),
    )
}

/// The incident is over.
#[must_use]
pub fn cleared(plan: &Plan, incident: &Incident, verdict: Verdict, now: Timestamp) -> Message {
    let run = if incident.started_at.is_some() {
        "A run that was started goes on until it is declined or done.\n"
    } else {
        "No run was started.\n"
    };
    (
        format!("[{}] cleared: {}", plan.name, incident.id),
        format!(
            "The verdict on the {} site is {verdict} at {now}.\n{run}",
            incident.site
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::{Epoch, RunId, SiteLabel};

    #[test]
    fn the_evidence_carries_a_text_for_the_support_case() {
        let example = include_str!("../../../../infra/plan.example.json");
        let mut plan = Plan::parse(example.as_bytes()).unwrap();
        let since: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let mut incident = Incident {
            format_version: 1,
            id: RunId::new(format!("incident-{}-1", Epoch::first())),
            site: SiteLabel::Primary,
            verdict: Verdict::ControlPlaneDown,
            since,
            opened_at: since,
            evidence: vec!["sign-in at us-west-2: Down".to_owned()],
            rests_on_name_lost: false,
            started_at: None,
            restarts: 0,
            blocked: vec![],
            cleared_at: None,
            told: std::collections::BTreeMap::new(),
        };
        let (subject, text) = opened(&plan, &incident, &[]);
        assert_eq!(subject, "[lakehouse] ControlPlaneDown on the primary site");
        for wanted in [
            "workspace 1444828305810485 on AWS in us-east-1",
            "Account: ACCOUNT_ID",
            "your account team",
            "sign-in at us-west-2: Down",
            "failover to us-east-2",
            "A run is started as incident-0-1",
        ] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        let until = since;
        let (_, text) = opened(&plan, &incident, &[Block::CoolDown { until }]);
        assert!(
            text.contains("blocked: cool-down until 2026-03-01T00:00:00Z"),
            "{text}"
        );
        assert!(!text.contains("A run is started"), "{text}");
        plan.automatic_failover = Some(crate::plan::AutomaticFailover {
            grace_seconds: crate::plan::Seconds(600),
            verdicts: [crate::verdict::Verdict::ControlPlaneDown].into(),
        });
        let (_, text) = opened(&plan, &incident, &[]);
        assert!(
            text.contains("approves by itself from 2026-03-01T00:10:00Z"),
            "{text}"
        );
        incident.rests_on_name_lost = true;
        let (_, text) = opened(&plan, &incident, &[]);
        assert!(text.contains("does not approve this by itself"), "{text}");
    }
}
