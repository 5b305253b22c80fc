//! The request as a message: text that reads well on a phone, a short one, and the facts for machines.

use jiff::Timestamp;
use serde_json::Value;

use super::{Brief, Forecast, Loss};

/// SMS takes 1,600 characters; a long one is cut into many.
const LONGEST_SHORT: usize = 480;

/// A message in the forms that the topic's subscribers understand.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// One line.
    pub subject: String,
    /// For a phone.
    pub text: String,
    /// For an SMS.
    pub short: String,
    /// For machines: the whole brief.
    pub facts: Value,
}

/// The message for a request. `occasion`: why it is sent, for example `reminder`; empty for the first.
#[must_use]
pub fn message(brief: &Brief, occasion: &str) -> Message {
    let occasion = if occasion.is_empty() {
        String::new()
    } else {
        format!("{occasion}: ")
    };
    let what = match brief.question {
        "start" => format!("{:?} to {}", brief.mode, brief.target.site),
        "validation" => "go on although checks failed".to_owned(),
        "fence" => format!("leave {} although it is not quiet", brief.from.site),
        "compute" => "go on without what does not start".to_owned(),
        _ => "lift a fence".to_owned(),
    };
    let verdict = match (brief.question, brief.verdict) {
        ("start", Some(verdict)) => format!(" ({verdict})"),
        ("start", None) => " (no verdict)".to_owned(),
        _ => String::new(),
    };
    Message {
        subject: format!(
            "[{}] {occasion}{what}: approve or decline{verdict}",
            brief.plan
        ),
        text: text(brief),
        short: short(brief),
        facts: serde_json::to_value(brief).unwrap_or_default(),
    }
}

fn short(brief: &Brief) -> String {
    let mut lines = vec![brief.title.clone()];
    if brief.question == "start" {
        lines.push(verdict(brief));
        lines.push(format!("Loss: {}", worst(&brief.losses)));
    }
    lines.extend(brief.overrides.first().map(|first| {
        let more = brief.overrides.len() - 1;
        format!(
            "You would accept: {first}{}",
            if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            }
        )
    }));
    lines.push(format!("Until {}", clock(brief.expires_at)));
    let link = brief
        .link
        .as_deref()
        .unwrap_or("By command line: see the mail or the runbook");
    let mut text: String = lines
        .join("\n")
        .chars()
        .take(LONGEST_SHORT.saturating_sub(link.len()))
        .collect();
    text.push('\n');
    text.push_str(link);
    text
}

fn text(brief: &Brief) -> String {
    let mut lines = vec![brief.title.clone(), String::new()];
    if brief.question == "start" {
        lines.push(verdict(brief));
        lines.push(format!("Data lost: {}", worst(&brief.losses)));
        lines.extend(brief.proof.iter().map(|proof| format!("Proof: {proof}")));
        lines.push(target(brief));
        lines.extend(
            brief
                .forecast
                .as_ref()
                .map(|f| format!("Time: {}", time(f, brief.rto_seconds))),
        );
    }
    if !brief.overrides.is_empty() {
        lines.push(String::new());
        lines.push("WHO APPROVES ACCEPTS BY NAME:".to_owned());
        lines.extend(brief.overrides.iter().map(|o| format!("- {o}")));
    }
    if !brief.offers.is_empty() {
        lines.push(String::new());
        lines.push("WHO APPROVES MAY ACCEPT BESIDE, so that nobody is asked again:".to_owned());
        lines.extend(brief.offers.iter().map(|o| format!("- {o}")));
    }
    lines.push(String::new());
    if brief.required_approvals > 1 {
        lines.push(format!(
            "{} different people must approve, each signed in to AWS (runbook, \"Doors\"). One decline ends it.",
            brief.required_approvals
        ));
    }
    match &brief.link {
        Some(link) if brief.page_can_approve() => {
            lines.push("LOOK AND DECIDE:".to_owned());
            lines.push(link.clone());
        }
        Some(link) => {
            lines.push("LOOK, AND DECLINE IF NEED BE:".to_owned());
            lines.push(link.clone());
        }
        None => lines.push("There is no page: decide by command line, below.".to_owned()),
    }
    lines.push(format!(
        "Expires {} ({}).",
        clock(brief.expires_at),
        brief.expires_at
    ));
    lines.push(format!("If nobody answers: {}.", brief.on_expiry));
    lines.push(format!("Asked: {}", asked(brief)));
    if brief.question == "start" {
        details(brief, &mut lines);
    } else {
        list(&mut lines, "WHAT HAPPENS THEN", &brief.effects);
    }
    list(
        &mut lines,
        "CANNOT BE UNDONE, FENCED OR KNOWN",
        &brief.limits,
    );
    lines.push(String::new());
    lines.push("BY COMMAND LINE (works without mail and web)".to_owned());
    lines.push(brief.commands.approve.clone());
    lines.push(brief.commands.decline.clone());
    lines.push(String::new());
    lines.push(format!("Run {}, request {}", brief.run, brief.request));
    lines.push(String::new());
    lines.join("\n")
}

fn details(brief: &Brief, lines: &mut Vec<String>) {
    lines.push(String::new());
    lines.push(format!("EVIDENCE ({})", brief.from.site));
    lines.extend(
        brief
            .layers
            .iter()
            .map(|(layer, status)| format!("- {layer}: {status}")),
    );
    lines.extend(brief.evidence.iter().map(|line| format!("- {line}")));
    lines.extend(
        brief
            .why_not
            .iter()
            .map(|line| format!("- not yet: {line}")),
    );
    lines.push(format!("- vantages: {}", vantages(brief)));
    lines.extend(
        brief
            .target_verdict
            .map(|verdict| format!("- {} itself: {verdict}", brief.target.site)),
    );
    let losses: Vec<String> = brief.losses.iter().map(loss).collect();
    list(lines, "DATA THAT WOULD BE LOST", &losses);
    let mut steps = vec![format!(
        "stopped at {}, started at {}: {} (recorded {}{})",
        brief.from.site,
        brief.target.site,
        counts(brief),
        brief.baseline_captured_at,
        if brief.baseline_is_old {
            ", OLDER THAN THE PLAN WANTS"
        } else {
            ""
        }
    )];
    steps.extend(brief.effects.iter().cloned());
    list(lines, "WHAT HAPPENS THEN", &steps);
}

fn list(lines: &mut Vec<String>, head: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    lines.push(String::new());
    lines.push(head.to_owned());
    lines.extend(items.iter().map(|item| format!("- {item}")));
}

/// The verdict and since when.
#[must_use]
pub fn verdict(brief: &Brief) -> String {
    let verdict = brief
        .verdict
        .map_or_else(|| "none".to_owned(), |v| v.to_string());
    let since = brief.failing_since.map_or_else(String::new, |since| {
        format!(
            " since {} ({})",
            clock(since),
            duration(
                brief
                    .asked_at
                    .duration_since(since)
                    .as_secs()
                    .max(0)
                    .unsigned_abs()
            )
        )
    });
    format!("Verdict: {verdict}{since}")
}

fn target(brief: &Brief) -> String {
    match &brief.readiness {
        Some(readiness) => format!(
            "Target: {}, {}",
            if readiness.ready {
                "ready"
            } else {
                "NOT READY"
            },
            readiness.summary
        ),
        None => "Target: not checked".to_owned(),
    }
}

/// The worst loss in a few words. The losses are sorted, worst first.
#[must_use]
pub fn worst(losses: &[Loss]) -> String {
    match losses {
        [] => "the plan watches no data".to_owned(),
        [only] => loss(only),
        [first, rest @ ..] => format!("{}; {} more", loss(first), rest.len()),
    }
}

/// A loss against its objective.
#[must_use]
pub fn loss(loss: &Loss) -> String {
    let objective = duration(loss.objective_seconds.unsigned_abs());
    match loss.loss_seconds {
        None => format!("{}: UNKNOWN (objective {objective})", loss.name),
        Some(seconds) => format!(
            "{}: {} (objective {objective}){}",
            loss.name,
            duration(seconds.max(0).unsigned_abs()),
            if loss.needs_override() {
                ", ABOVE THE OBJECTIVE"
            } else {
                ""
            }
        ),
    }
}

/// The predicted time against the objective.
#[must_use]
pub fn time(forecast: &Forecast, objective: u32) -> String {
    format!(
        "{} to {} after the approval (objective {} since the failure); {}",
        duration(forecast.at_least_seconds),
        duration(forecast.at_most_seconds),
        duration(u64::from(objective)),
        forecast.basis
    )
}

/// The live objects by kind.
#[must_use]
pub fn counts(brief: &Brief) -> String {
    let counts: Vec<String> = brief
        .live
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(kind, count)| format!("{count} {}", plural(kind.as_str(), *count)))
        .collect();
    if counts.is_empty() {
        "nothing live".to_owned()
    } else {
        counts.join(", ")
    }
}

fn plural(kind: &str, count: usize) -> String {
    let kind = kind.replace('_', " ");
    if count == 1 { kind } else { format!("{kind}s") }
}

/// The vantages behind the verdict.
#[must_use]
pub fn vantages(brief: &Brief) -> String {
    let found = &brief.vantages;
    let mut parts = vec![if found.fresh.is_empty() {
        "none reports".to_owned()
    } else {
        found.fresh.join(", ")
    }];
    if !found.isolated.is_empty() {
        parts.push(format!("cut off: {}", found.isolated.join(", ")));
    }
    if !found.stale.is_empty() {
        parts.push(format!("silent: {}", found.stale.join(", ")));
    }
    parts.join("; ")
}

/// Who was asked.
#[must_use]
pub fn asked(brief: &Brief) -> String {
    if brief.asked.is_empty() {
        "NOBODY is known to listen to the topic".to_owned()
    } else {
        brief.asked.join(", ")
    }
}

/// `02:31 UTC`.
#[must_use]
pub fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M UTC").to_string()
}

/// `45 s`, `12 min`, `2 h 05 min`.
#[must_use]
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds.div_ceil(60)),
        _ => {
            let minutes = seconds.div_ceil(60);
            format!("{} h {:02} min", minutes / 60, minutes % 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval::Known;
    use crate::approval::tests::{plan, request, run};

    fn brief(change: impl FnOnce(&mut super::super::Request)) -> Brief {
        let (plan, run) = (plan(1), run(true));
        let mut request = request(1);
        change(&mut request);
        Brief::of(
            &request,
            Known {
                plan: &plan,
                run: &run,
                evidence: None,
                readiness: None,
                link: Some("https://page.example/x"),
            },
        )
    }

    #[test]
    fn the_message_says_what_where_how_bad_until_when_and_how_to_answer() {
        let message = message(&brief(|r| r.told = vec!["a***@example.com".into()]), "");
        for needed in [
            "Fail over lakehouse from primary (us-east-1) to secondary (us-east-2)?",
            "Verdict: ControlPlaneDown since 00:00 UTC",
            "lake: 10 s (objective 15 min)",
            "https://page.example/x",
            "Expires 00:01 UTC",
            "a***@example.com",
            "\"decision\":\"decline\"",
            "may still write",
        ] {
            assert!(message.text.contains(needed), "{needed}: {}", message.text);
        }
        assert!(message.subject.len() < 100 && message.subject.contains("approve or decline"));
        assert_eq!(message.facts["losses"][0]["loss_seconds"], 10);
        assert_eq!(message.facts["link"], "https://page.example/x");
    }

    /// Review finding 16: people are asked early, and see the proof grow.
    #[test]
    fn a_reminder_and_the_page_say_how_far_the_proof_is_and_what_it_has_found_since() {
        let (plan, mut run, mut request) = (plan(1), run(true), request(1));
        let name = plan.data_sets[0].name().to_string();
        let text = |run: &crate::run::RunDocument, request: &super::super::Request| {
            let known = Known {
                plan: &plan,
                run,
                evidence: None,
                readiness: None,
                link: None,
            };
            message(&Brief::of(request, known), "reminder").text
        };
        let proof = |untried| {
            Some(crate::replication::ProofProgress {
                since: run_began(),
                total: 3,
                untried,
                spent_ms: 0,
                is_over: false,
            })
        };
        request.losses.clear();
        assert!(!text(&run, &request).contains("Proof:"));
        run.evidence.proof = proof(2);
        let growing = text(&run, &request);
        assert!(
            growing.contains("Proof: 1 of 3 tables are proven so far"),
            "{growing}"
        );
        run.evidence.proof = proof(0);
        assert!(!text(&run, &request).contains("Proof:"), "nothing new");
        request.losses.push(Loss {
            name: name.clone(),
            loss_seconds: Some(10),
            objective_seconds: 900,
        });
        let changed = text(&run, &request);
        assert!(
            changed.contains(&format!("By now: {name}: UNKNOWN")),
            "{changed}"
        );
    }

    fn run_began() -> Timestamp {
        run(true).begun_at
    }

    #[test]
    fn the_short_form_keeps_the_link_whole() {
        let long = brief(|r| {
            r.losses = vec![Loss {
                name: "x".repeat(900),
                loss_seconds: None,
                objective_seconds: 1,
            }];
        });
        let short = message(&long, "").short;
        assert!(short.ends_with("\nhttps://page.example/x"), "{short}");
        assert!(short.chars().count() <= LONGEST_SHORT + 1);
    }

    #[test]
    fn a_name_with_line_breaks_adds_no_line() {
        let text = message(&brief(|r| r.told = vec!["x\nExpires never".into()]), "").text;
        assert!(!text.contains("\nExpires never"), "{text}");
    }

    #[test]
    fn times_read_well() {
        for (seconds, text) in [
            (0, "0 s"),
            (119, "119 s"),
            (121, "3 min"),
            (7200, "2 h 00 min"),
            (7260, "2 h 01 min"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
