//! The text of the request: everything a person needs at night, in one minute, on a phone.

use recovery::approval::Request;
use recovery::plan::Plan;
use recovery::readiness::Readiness;
use recovery::run::RunDocument;
use recovery::verdict::Verdict;
use serde::Deserialize;

/// What is needed of the readiness document.
#[derive(Deserialize)]
pub(crate) struct ReadinessSeen {
    readiness: Readiness,
}

pub(crate) fn text(
    plan: &Plan,
    run: &RunDocument,
    request: &Request,
    readiness: Option<&ReadinessSeen>,
) -> String {
    let evidence = &run.evidence;
    let mut lines = vec![
        format!(
            "{:?} of {} from {} ({}) to {} ({})?",
            run.mode,
            plan.name,
            run.from,
            plan.sites.get(run.from).region,
            run.target,
            plan.sites.get(run.target).region
        ),
        String::new(),
        format!(
            "Verdict: {}{}",
            evidence
                .verdict
                .map_or_else(|| "none".to_owned(), |v| v.to_string()),
            evidence
                .failing_since
                .map_or_else(String::new, |since| format!(" since {since}")),
        ),
    ];
    if !request.overrides.is_empty() {
        lines.push("WHO APPROVES ACCEPTS BY NAME (\"confirm\" with the plan's name):".to_owned());
        lines.extend(request.overrides.iter().map(|o| format!("  {o}")));
    }
    lines.extend(evidence.signals.iter().map(|s| format!("  {s}")));
    lines.push(String::new());
    lines.push("Data that would be lost:".to_owned());
    lines.extend(losses(request));
    lines.push(String::new());
    lines.push(match readiness {
        Some(seen) => format!("Target: {}", seen.readiness.summary()),
        None => "Target: not checked".to_owned(),
    });
    let live: Vec<String> = evidence
        .baseline
        .live
        .iter()
        .map(|(kind, n)| format!("{n} {kind}"))
        .collect();
    lines.push(format!(
        "Will be stopped at {} and started at {}: {} (baseline of {})",
        run.from,
        run.target,
        if live.is_empty() {
            "nothing live".to_owned()
        } else {
            live.join(", ")
        },
        evidence.baseline.captured_at
    ));
    if matches!(
        evidence.verdict,
        Some(Verdict::ControlPlaneDown | Verdict::RegionDown)
    ) {
        lines.push(format!(
            "Cannot be undone or known: {} cannot be reached, so what runs there may still write. It is fenced when it answers again.",
            run.from
        ));
    }
    lines.push(
        "After the commit there is no abort; the way back is a planned switchover.".to_owned(),
    );
    lines.push(String::new());
    lines.push(format!(
        "Expires {}. Without an answer nothing happens.",
        request.expires_at
    ));
    lines.push("Decide by command line:".to_owned());
    lines.push(command(plan, request, "approve"));
    lines.push(command(plan, request, "decline"));
    lines.push(String::new());
    lines.join("\n")
}

fn losses(request: &Request) -> Vec<String> {
    request
        .losses
        .iter()
        .map(|loss| {
            let objective = loss.objective_seconds;
            match loss.loss_seconds {
                Some(seconds) => format!(
                    "  {}: {seconds} s (objective {objective} s){}",
                    loss.name,
                    if loss.needs_override() {
                        ", ABOVE THE OBJECTIVE"
                    } else {
                        ""
                    }
                ),
                None => format!("  {}: UNKNOWN (objective {objective} s)", loss.name),
            }
        })
        .collect()
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
