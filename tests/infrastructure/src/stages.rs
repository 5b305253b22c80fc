//! The order of the stages: nothing is reached but through what must come before it.

use recovery::run::{Mode, ResumeAt};
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
const FAILOVER: [Stage; 14] = [
    MEASURE,
    READINESS,
    APPROVAL,
    FENCE,
    RECHECK,
    SOURCES,
    POOLS,
    COMPUTE,
    VALIDATION,
    COMMIT,
    CONCURRENCY,
    RUNS,
    SCHEDULES,
    ENDPOINTS,
];

/// The same, with a record of the site before it is fenced, all its data at the target before anything is, and a standby at its end.
const SWITCHOVER: [Stage; 16] = [
    MEASURE,
    READINESS,
    APPROVAL,
    CAPTURE,
    FENCE,
    RECHECK,
    SOURCES,
    POOLS,
    COMPUTE,
    VALIDATION,
    COMMIT,
    CONCURRENCY,
    RUNS,
    SCHEDULES,
    ENDPOINTS,
    STANDBY,
];

/// Nothing that users see.
const DRILL: [Stage; 7] = [
    MEASURE, READINESS, REHEARSAL, POOLS, COMPUTE, VALIDATION, STANDBY,
];

const MEASURE: Stage = stage("replication-lag", Some("run"), None);
const READINESS: Stage = stage("check-readiness", Some("target"), Some("Ready"));
const APPROVAL: Stage = stage("request-approval", None, Some("Approved"));
const REHEARSAL: Stage = stage("shutdown-site", Some("rehearsal"), Some("Rehearsed"));
const CAPTURE: Stage = stage("capture-baseline", None, Some("Captured"));
const FENCE: Stage = stage("shutdown-site", None, Some("Proceed"));
const RECHECK: Stage = stage("check-readiness", Some("recheck"), Some("Ready"));
const SOURCES: Stage = stage("check-readiness", Some("sources"), Some("Ready"));
const POOLS: Stage = stage("activate-site", Some("Pools"), Some("Done"));
const COMPUTE: Stage = stage("activate-site", Some("Compute"), Some("Done"));
const VALIDATION: Stage = stage("validate-site", None, Some("Passed"));
const COMMIT: Stage = stage("switch-endpoints", Some("Commit"), None);
const CONCURRENCY: Stage = stage("activate-site", Some("JobConcurrency"), Some("Done"));
const RUNS: Stage = stage("activate-site", Some("OneTimeRuns"), Some("Done"));
const SCHEDULES: Stage = stage("activate-site", Some("Schedules"), Some("Done"));
const ENDPOINTS: Stage = stage("switch-endpoints", Some("Endpoints"), None);
const STANDBY: Stage = stage("activate-site", Some("standby"), None);

const fn order(mode: Mode) -> &'static [Stage] {
    match mode {
        Mode::Failover => &FAILOVER,
        Mode::Switchover => &SWITCHOVER,
        Mode::Drill => &DRILL,
    }
}

/// Every mode, by what the machine compares with.
const MODES: [Mode; 3] = [Mode::Failover, Mode::Switchover, Mode::Drill];

/// Where a resumed run enters, and the stage that it finds there.
fn door(resume_at: ResumeAt) -> (&'static str, &'static str, Option<&'static str>) {
    match resume_at {
        ResumeAt::Readiness => ("Readiness", "replication-lag", Some("run")),
        ResumeAt::Fence => ("Fence", "shutdown-site", None), // or what a mode has before it
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

/// Whether an arrow leaves a choice of the mode for another mode than this.
fn other_mode(documents: &Documents, mode: Mode, from: &str, arrow: &Arrow) -> bool {
    let choices = items(&documents.machine["States"][from]["Choices"]);
    choices.iter().any(|c| c["Variable"] == "$.begin.mode") && arrow.label != mode.as_str()
}

/// No stage is reached but through the answer that passes the stage before it. Nothing that writes production data runs
/// at the target before validation and commit.
#[must_use]
pub fn every_stage_comes_after_the_one_before(documents: &Documents) -> Vec<Violation> {
    let in_modes = MODES.into_iter();
    let mut found: Vec<Violation> = in_modes.flat_map(|m| in_order(documents, m)).collect();
    found.dedup();
    found
}

fn in_order(documents: &Documents, mode: Mode) -> Vec<Violation> {
    let tasks = documents.tasks();
    let mut found = Vec::new();
    let start = text(&documents.machine, "StartAt");
    let (first, _, _) = door(ResumeAt::Readiness);
    // A resumed run has passed the stages before its door; those doors are looked at by another rule.
    let not_for_it = |from: &str, arrow: &Arrow| {
        let other_door = is_door(documents, from) && arrow.label != first;
        other_door || other_mode(documents, mode, from, arrow)
    };
    for pair in order(mode).windows(2) {
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
            from != guard.state && !not_for_it(from, arrow)
        });
        if around.contains(&guarded.state) {
            let problem = format!("is reached without {}", guard.state);
            found.push(violation(&guarded.state, problem));
        }
        // A drill puts back what it has started, also when its target did not pass.
        let Some(passes) = before.passes.filter(|_| guarded.phase() != STANDBY.phase) else {
            continue;
        };
        let without = visited(documents, start, |from, arrow| {
            let passed = from == guard.next() && arrow.label == passes;
            !passed && !not_for_it(from, arrow)
        });
        if without.contains(&guarded.state) {
            let problem = format!("is reached although {} did not say {passes}", guard.state);
            found.push(violation(&guarded.state, problem));
        }
    }
    found
}

/// A mode reaches the stages of its order and no other: a drill fences, commits and switches nothing.
#[must_use]
pub fn no_mode_reaches_the_stages_of_another(documents: &Documents) -> Vec<Violation> {
    let start = text(&documents.machine, "StartAt");
    let tasks = documents.tasks();
    let first = door(ResumeAt::Readiness).0;
    let mut found = Vec::new();
    for mode in MODES {
        let reached = visited(documents, start, |from, arrow| {
            let other_door = is_door(documents, from) && arrow.label != first;
            !other_door && !other_mode(documents, mode, from, arrow)
        });
        let its_own = |task: &Task| {
            order(mode)
                .iter()
                .any(|stage| stage.package == task.package() && stage.phase == task.phase())
        };
        // The beginning, the end, what only waits, and messages belong to no stage.
        let stages = tasks.iter().filter(|task| {
            let all = MODES.iter().flat_map(|m| order(*m));
            let mut all = all.map(|stage| (stage.package, stage.phase));
            all.any(|stage| stage == (task.package(), task.phase()))
        });
        for task in stages {
            match (reached.contains(&task.state), its_own(task)) {
                (true, false) => found.push(violation(
                    &task.state,
                    format!("is reached by a {}, which must not", mode.as_str()),
                )),
                (false, true) => found.push(violation(
                    &task.state,
                    format!("is not reached by a {}", mode.as_str()),
                )),
                _ => {}
            }
        }
    }
    found
}

/// Where a choice of the mode sends a failover; any other state is itself.
fn by_mode<'a>(documents: &'a Documents, state: &'a str) -> &'a str {
    items(&documents.machine["States"][state]["Choices"])
        .iter()
        .find(|c| c["Variable"] == "$.begin.mode" && c["StringEquals"] == Mode::Failover.as_str())
        .map_or(state, |choice| text(choice, "Next"))
}

/// A resumed run enters where its stored stage says.
#[must_use]
pub fn every_door_leads_to_its_stage(documents: &Documents) -> Vec<Violation> {
    let tasks = documents.tasks();
    let mut found = Vec::new();
    for resume_at in DOORS {
        let (answer, package, phase) = door(resume_at);
        let wanted = find(&tasks, package, phase).map(|task| task.state.as_str());
        // The machine may choose by the mode first; a failover then finds the stage.
        let leads = documents
            .states()
            .flat_map(|(_, state)| items(&state["Choices"]))
            .filter(|choice| {
                choice["Variable"] == "$.begin.resume_at" && choice["StringEquals"] == answer
            })
            .map(|choice| choice.get("Next").and_then(Value::as_str));
        let leads = leads.map(|to| to.map(|to| by_mode(documents, to)));
        if leads.collect::<Vec<_>>() != [wanted] || wanted.is_none() {
            let problem = format!("must lead to {package} {}", phase.unwrap_or_default());
            found.push(violation(answer, problem));
        }
    }
    found
}
