//! What to do after a run, in words.

use std::collections::BTreeMap;

use super::{Report, words};
use crate::replication::HeldBack;
use crate::run::{Mode, Outcome, RunDocument};

/// What is left for people, in words: each a line that somebody can take on.
pub(super) fn left_to_do(report: &Report, fence_stands: bool) -> Vec<String> {
    let mut left = Vec::new();
    if let Some(repair) = &report.repair {
        left.push(repair.in_words());
    }
    let held_back = report.held_back.as_ref().filter(|h| h.needs_a_person());
    left.extend(held_back.map(HeldBack::in_words));
    let mut listed: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for item in &report.listed {
        *listed
            .entry((&item.subject.kind, &item.reason))
            .or_default() += 1;
    }
    for ((kind, reason), count) in listed {
        let plural = if count == 1 { "" } else { "s" };
        left.push(format!(
            "look at {count} {}{plural} left alone: {reason}",
            words::kind(kind)
        ));
    }
    for subject in &report.unverified {
        left.push(format!(
            "put right by hand: {} \"{}\" was acted upon and is not as it should be",
            words::kind(&subject.kind),
            subject.name
        ));
    }
    if let Some(debts) = &report.debts {
        let active = report.committed_at.map_or(report.from, |_| report.target);
        left.push(format!(
            "{} objects are owed, in {}: operate `reset` of the {} site tries them again, the next run restores them, operate `give-up` ends it",
            debts.count, debts.key, active
        ));
    }
    for set in report.data.iter().filter(|set| set.loss_seconds.is_none()) {
        left.push(format!(
            "find out what was lost of {}: nobody knows",
            set.name
        ));
    }
    if fence_stands {
        left.push(format!(
            "lift the fence on the {} site when it may run again (operate `unfence`); until then it is watched each minute",
            report.from
        ));
    }
    left
}

pub(super) fn next_step(run: &RunDocument, outcome: Outcome, fence_stands: bool) -> String {
    let step = step_after(run, outcome, fence_stands);
    if fence_stands && run.committed_at.is_none() {
        format!(
            "THE {} SITE IS ACTIVE AND FENCED: what it runs stays paused until this run completes, or until somebody lifts the \
             fence (operate `unfence`) and restores by hand what the ledger names. {step}",
            run.from.as_str().to_uppercase()
        )
    } else {
        step
    }
}

fn step_after(run: &RunDocument, outcome: Outcome, fence_stands: bool) -> String {
    let resume = format!(
        "start the state machine with {{\"mode\":\"resume\",\"run\":\"{}\"}}",
        run.run
    );
    match outcome {
        Outcome::Completed if run.mode == Mode::Drill => {
            "nothing: both sites are as they were".to_owned()
        }
        Outcome::Completed if run.mode == Mode::Switchover && !fence_stands => {
            let stands_by = format!("the {} site stands by as it was recorded", run.from);
            let held_back = run.evidence.held_back.as_ref();
            match held_back.filter(|h| h.needs_a_person()) {
                Some(held_back) => format!("{stands_by}. {}", held_back.in_words()),
                None => format!("nothing: {stands_by}"),
            }
        }
        Outcome::Completed => {
            let repair = run.evidence.repair.as_ref();
            format!(
                "{}the fence on the {} site stands until an operator lifts it; shutdown-site watches it on its schedule",
                repair.map_or_else(String::new, |r| format!("{}. Then: ", r.in_words())),
                run.from
            )
        }
        // Its site was led back, or a reset says how far that is.
        _ if run.mode == Mode::Switchover && run.committed_at.is_none() && !fence_stands => {
            format!(
                "see the notices about resets: they tell when both sites are as they were. To try again, {resume}"
            )
        }
        Outcome::ValidationFailed if run.mode == Mode::Drill => {
            "repair the target and rehearse again; it is brought back into its posture".to_owned()
        }
        Outcome::Abandoned => "nothing; the lock is free".to_owned(),
        Outcome::Declined | Outcome::ApprovalExpired => format!("to ask again, {resume}"),
        Outcome::NotReady => format!("repair what is named, then {resume}"),
        Outcome::FenceUnverified => format!(
            "see runs/{}/ledger for what is still live; then {resume}",
            run.run
        ),
        Outcome::ValidationFailed => {
            format!(
                "repair the target, or approve the request to go on although checks failed (approvals/validation.json); then {resume}; \
                 the fence stands meanwhile"
            )
        }
        Outcome::Preempted | Outcome::Stopped | Outcome::Failed => {
            format!("when the cause is gone, {resume}")
        }
    }
}
