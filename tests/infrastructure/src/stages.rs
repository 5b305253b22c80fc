//! The order of the stages: nothing is reached but through what must come before it.

use recovery::run::ResumeAt;
use serde_json::Value;

use crate::documents::{items, text};
use crate::graph::{Arrow, visited};
use crate::{Documents, Task, Violation, violation};

/// A stage: the function and its phase, and the one answer that leads on.
struct Stage {
    package: &'static str,
    phase: Option<&'static str>,
    passes: Option<&'static str>,
}

const fn stage(
    package: &'static str,
    phase: Option<&'static str>,
    passes: Option<&'static str>,
) -> Stage {
    Stage {
        package,
        phase,
        passes,
    }
}

/// The order of DESIGN: evidence, approval, fence, recheck, pools, compute, validation, commit, and only then what
/// writes production data.
const ORDER: [Stage; 14] = [
    stage("replication-lag", Some("run"), None),
    stage("check-readiness", Some("target"), Some("Ready")),
    stage("request-approval", None, Some("Approved")),
    stage("shutdown-site", None, Some("Proceed")),
    stage("check-readiness", Some("recheck"), Some("Ready")),
    stage("check-readiness", Some("sources"), Some("Ready")),
    stage("activate-site", Some("Pools"), Some("Done")),
    stage("activate-site", Some("Compute"), Some("Done")),
    stage("validate-site", None, Some("Passed")),
    stage("switch-endpoints", Some("Commit"), None),
    stage("activate-site", Some("JobConcurrency"), Some("Done")),
    stage("activate-site", Some("OneTimeRuns"), Some("Done")),
    stage("activate-site", Some("Schedules"), Some("Done")),
    stage("switch-endpoints", Some("Endpoints"), None),
];

/// Where a resumed run enters, and the stage that it finds there.
fn door(resume_at: ResumeAt) -> (&'static str, &'static str, Option<&'static str>) {
    match resume_at {
        ResumeAt::Readiness => ("Readiness", "replication-lag", Some("run")),
        ResumeAt::Fence => ("Fence", "shutdown-site", None),
        ResumeAt::Committed => ("Committed", "activate-site", Some("JobConcurrency")),
    }
}

const DOORS: [ResumeAt; 3] = [ResumeAt::Readiness, ResumeAt::Fence, ResumeAt::Committed];

fn find<'a>(tasks: &'a [Task], package: &str, phase: Option<&str>) -> Option<&'a Task> {
    tasks
        .iter()
        .find(|task| task.package() == package && task.phase() == phase)
}

fn is_door(documents: &Documents, state: &str) -> bool {
    items(&documents.machine["States"][state]["Choices"])
        .iter()
        .any(|choice| choice["Variable"] == "$.begin.resume_at")
}

/// No stage is reached but through the answer that passes the stage before it. Nothing that writes production data runs
/// at the target before validation and commit.
#[must_use]
pub fn every_stage_comes_after_the_one_before(documents: &Documents) -> Vec<Violation> {
    let tasks = documents.tasks();
    let mut found = Vec::new();
    let start = text(&documents.machine, "StartAt");
    let (first, _, _) = door(ResumeAt::Readiness);
    // A resumed run has passed the stages before its door; those doors are looked at by another rule.
    let other_door = |from: &str, arrow: &Arrow| is_door(documents, from) && arrow.label != first;
    for pair in ORDER.windows(2) {
        let [before, after] = pair else { continue };
        let (Some(guard), Some(guarded)) = (
            find(&tasks, before.package, before.phase),
            find(&tasks, after.package, after.phase),
        ) else {
            let problem = "or the stage after it does not exist";
            found.push(violation(
                before.package,
                format!("{:?} {problem}", before.phase),
            ));
            continue;
        };
        let around = visited(documents, start, |from, arrow| {
            from != guard.state && !other_door(from, arrow)
        });
        if around.contains(&guarded.state) {
            let problem = format!("is reached without {}", guard.state);
            found.push(violation(&guarded.state, problem));
        }
        let Some(passes) = before.passes else {
            continue;
        };
        let without = visited(documents, start, |from, arrow| {
            let passed = from == guard.next() && arrow.label == passes;
            !passed && !other_door(from, arrow)
        });
        if without.contains(&guarded.state) {
            let problem = format!("is reached although {} did not say {passes}", guard.state);
            found.push(violation(&guarded.state, problem));
        }
    }
    found
}

/// A resumed run enters where its stored stage says.
#[must_use]
pub fn every_door_leads_to_its_stage(documents: &Documents) -> Vec<Violation> {
    let tasks = documents.tasks();
    let mut found = Vec::new();
    for resume_at in DOORS {
        let (answer, package, phase) = door(resume_at);
        let wanted = find(&tasks, package, phase).map(|task| task.state.as_str());
        let leads = documents
            .states()
            .flat_map(|(_, state)| items(&state["Choices"]))
            .filter(|choice| {
                choice["Variable"] == "$.begin.resume_at" && choice["StringEquals"] == answer
            })
            .map(|choice| choice.get("Next").and_then(Value::as_str));
        if leads.collect::<Vec<_>>() != [wanted] || wanted.is_none() {
            let problem = format!("must lead to {package} {}", phase.unwrap_or_default());
            found.push(violation(answer, problem));
        }
    }
    found
}
