//! Taking over without what does not start at the target: only if people have accepted that by name, as a failed check can be.

use aws::{Failure, Ports};
use recovery::activation::Phase;
use recovery::approval::{ApprovalAnswer, Asked, Override};
use recovery::inventory::{Subject, ids_by_kind};
use recovery::plan::Plan;
use recovery::run::{Mode, RunDocument};

/// Names that people are shown.
const MOST_NAMED: usize = 20;

/// Whether the run goes on without it.
pub(crate) enum Leave {
    /// People have accepted it: the run goes on without these objects.
    Behind,
    /// People have not decided; what does not start is still tried.
    Waits,
    /// People declined, or nobody answered. Why, in words.
    Refused(String),
}

/// Whether people may leave something behind in this phase: what has committed goes on anyway, and a drill proves that all of it starts.
pub(crate) fn may_leave(run: &RunDocument, phase: Phase) -> bool {
    matches!(phase, Phase::Pools | Phase::Compute)
        && run.committed_at.is_none()
        && run.mode != Mode::Drill
}

/// Looks whether exactly these objects (or more) may be left behind; asks if nobody has said so.
pub(crate) async fn left_or_asked(
    ports: &Ports,
    plan: &Plan,
    run: &RunDocument,
    unfinished: &[Subject],
) -> Result<Leave, Failure> {
    let needed = left_behind(run, unfinished);
    let tolerance = plan.approval.loss_tolerance_seconds;
    let accepted = ports.accepted_overrides(run).await?;
    if accepted.iter().any(|one| one.covers(&needed, tolerance)) {
        return Ok(Leave::Behind);
    }
    let asked = Asked::compute(plan, run, needed);
    let poll = ports.poll_decision(&asked).await?;
    Ok(match poll.answer {
        ApprovalAnswer::Approved => Leave::Behind,
        ApprovalAnswer::Pending | ApprovalAnswer::Proving | ApprovalAnswer::Void => Leave::Waits,
        ApprovalAnswer::Declined | ApprovalAnswer::Expired => Leave::Refused(poll.reason),
    })
}

fn left_behind(run: &RunDocument, unfinished: &[Subject]) -> Override {
    let names = unfinished.iter().take(MOST_NAMED);
    Override::LeftBehind {
        site: run.target,
        objects: ids_by_kind(unfinished),
        names: names
            .map(|s| format!("{} \"{}\"", s.kind, s.name))
            .collect(),
    }
}
