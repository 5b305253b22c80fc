//! Activation: what the target must do to run exactly what the baseline records, one phase at a time. Level-triggered:
//! the difference between baseline and a fresh reading is the work, and no difference is the proof.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::inventory::{ActiveRun, Inventory, Resource, Subject};
use crate::kind::{DrMode, Kind, Object, Place, live_places, paused};

/// A phase of the activation. The first two come before the commit, the others after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Idle instances of pools.
    Pools,
    /// Clusters and warehouses that ran.
    Compute,
    /// `max_concurrent_runs` of each job.
    JobConcurrency,
    /// Interrupted runs whose job asks for it.
    OneTimeRuns,
    /// Schedules, triggers, continuous jobs, continuous pipelines.
    Schedules,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One act of activation.
#[derive(Clone, Debug, PartialEq)]
pub enum ActivationAct {
    /// Edit a pool.
    EditPool {
        /// The complete pool as it is to be.
        pool: Object,
    },
    /// Start a cluster.
    StartCluster {
        /// The cluster.
        id: String,
    },
    /// Start a warehouse.
    StartWarehouse {
        /// The warehouse.
        id: String,
    },
    /// Replace top-level fields of a job's settings.
    UpdateJob {
        /// The job at the target.
        job_id: i64,
        /// The complete fields.
        settings: Object,
    },
    /// Run a job once for an interrupted run.
    RunJob {
        /// The job at the target.
        job_id: i64,
        /// The run that was interrupted at the old site: part of the idempotency token.
        interrupted: i64,
    },
    /// Start an update of a continuous pipeline.
    StartPipeline {
        /// The pipeline.
        id: String,
    },
}

/// One step of a phase.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivationStep {
    /// What it acts on, at the target.
    pub subject: Subject,
    /// What it does.
    pub act: ActivationAct,
}

impl ActivationStep {
    /// The act in words, for the ledger.
    #[must_use]
    pub const fn words(&self) -> &'static str {
        match self.act {
            ActivationAct::EditPool { .. } => "keep idle instances as in the baseline",
            ActivationAct::StartCluster { .. }
            | ActivationAct::StartWarehouse { .. }
            | ActivationAct::StartPipeline { .. } => "start",
            ActivationAct::UpdateJob { .. } => "set as in the baseline",
            ActivationAct::RunJob { .. } => "run once for an interrupted run",
        }
    }
}

/// The work of a phase against one reading of the target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhaseWork {
    /// To be done now.
    pub steps: Vec<ActivationStep>,
    /// On its way; nothing to do but to look again.
    pub waiting: Vec<Subject>,
    /// As the baseline says, by this reading.
    pub as_wanted: Vec<Subject>,
    /// Not done on purpose, with the reason.
    pub listed: Vec<(Subject, String)>,
}

impl PhaseWork {
    /// Whether this reading shows the phase as done. One-time runs are done when each was started.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.steps.is_empty() && self.waiting.is_empty()
    }
}

/// What a phase has to do at the target so that it runs what the baseline records.
#[must_use]
pub fn work(phase: Phase, kinds: &[Kind], baseline: &Inventory, target: &Inventory) -> PhaseWork {
    let mut work = PhaseWork::default();
    if phase == Phase::OneTimeRuns {
        if kinds.contains(&Kind::Job) {
            one_time_runs(baseline, target, &mut work);
        }
        return work;
    }
    let ours = baseline.by_key();
    let theirs = target.by_key();
    for (&(kind, key), originals) in &ours {
        if !kinds.contains(&kind) || !concerns(phase, kind) {
            continue;
        }
        let twins = theirs.get(&(kind, key)).map_or(&[][..], Vec::as_slice);
        match (originals.as_slice(), twins) {
            ([original], [twin]) if original.mode() == DrMode::ActivePassive => {
                restore(phase, original, twin, &mut work)
            }
            ([_], [_]) => {}
            (originals, twins) => {
                for original in originals.iter().filter(|o| o.is_live()) {
                    let reason = if twins.is_empty() {
                        "the target has no object of this name".to_owned()
                    } else {
                        format!(
                            "the name stands {} times in the baseline and {} times at the target",
                            originals.len(),
                            twins.len()
                        )
                    };
                    work.listed.push((original.subject(), reason));
                }
            }
        }
    }
    if phase == Phase::Schedules {
        let unknown = target
            .of_kind(Kind::Job)
            .filter(|job| {
                kinds.contains(&Kind::Job) && job.mode() == DrMode::ActivePassive && job.is_live()
            })
            .filter(|job| !ours.contains_key(&(job.kind, job.key.as_str())));
        for job in unknown {
            work.listed.push((
                job.subject(),
                "is live at the target and unknown to the baseline; left as it is".to_owned(),
            ));
        }
    }
    work
}

const fn concerns(phase: Phase, kind: Kind) -> bool {
    matches!(
        (phase, kind),
        (Phase::Pools, Kind::InstancePool)
            | (Phase::Compute, Kind::Cluster | Kind::Warehouse)
            | (Phase::JobConcurrency, Kind::Job)
            | (Phase::Schedules, Kind::Job | Kind::Pipeline)
    )
}

fn restore(phase: Phase, original: &Resource, twin: &Resource, work: &mut PhaseWork) {
    let act = match (phase, original.kind) {
        (Phase::Pools, _) => pool(original, twin),
        (Phase::Compute, _) => compute(original, twin),
        (Phase::JobConcurrency, _) => job_update(twin, concurrency(original, twin)),
        (_, Kind::Pipeline) => pipeline(original, twin),
        _ => job_update(twin, schedules(original, twin)),
    };
    match act {
        Next::Act(act) => work.steps.push(ActivationStep {
            subject: twin.subject(),
            act,
        }),
        Next::Wait => work.waiting.push(twin.subject()),
        Next::AsWanted => work.as_wanted.push(twin.subject()),
        Next::List(reason) => work.listed.push((twin.subject(), reason)),
        Next::NotOurs => {}
    }
}

enum Next {
    Act(ActivationAct),
    Wait,
    AsWanted,
    List(String),
    NotOurs,
}

fn pool(original: &Resource, twin: &Resource) -> Next {
    let fields = [
        "min_idle_instances",
        "max_capacity",
        "idle_instance_autotermination_minutes",
    ];
    let mut wanted = twin.raw.clone();
    for field in fields {
        match original.raw.get(field) {
            Some(value) => wanted.insert(field.to_owned(), value.clone()),
            None => wanted.remove(field),
        };
    }
    // An absent number and 0 mean the same to the API.
    let zero = Value::from(0);
    let same = fields
        .iter()
        .all(|field| wanted.get(*field).unwrap_or(&zero) == twin.raw.get(*field).unwrap_or(&zero));
    if same {
        Next::AsWanted
    } else {
        Next::Act(ActivationAct::EditPool { pool: wanted })
    }
}

fn compute(original: &Resource, twin: &Resource) -> Next {
    if !original.is_live() {
        return Next::NotOurs;
    }
    let state = twin
        .raw
        .get("state")
        .and_then(Value::as_str)
        .unwrap_or("UNKNOWN");
    match (twin.kind, state) {
        (_, "RUNNING") => Next::AsWanted,
        (Kind::Cluster, "TERMINATED" | "ERROR") => Next::Act(ActivationAct::StartCluster {
            id: twin.id.clone(),
        }),
        (Kind::Warehouse, "STOPPED") => Next::Act(ActivationAct::StartWarehouse {
            id: twin.id.clone(),
        }),
        (_, "DELETED" | "DELETING") => Next::List(format!("is {state} at the target")),
        _ => Next::Wait,
    }
}

fn pipeline(original: &Resource, twin: &Resource) -> Next {
    if !original.is_live() {
        return Next::NotOurs;
    }
    let continuous = original
        .raw
        .get("spec")
        .and_then(|spec| spec.get("continuous"))
        .and_then(Value::as_bool)
        == Some(true);
    if !continuous {
        return Next::List("its update was interrupted; it is not continuous, so starting it again is a person's decision".to_owned());
    }
    match twin.raw.get("state").and_then(Value::as_str) {
        Some("RUNNING") => Next::AsWanted,
        Some("IDLE" | "FAILED") => Next::Act(ActivationAct::StartPipeline {
            id: twin.id.clone(),
        }),
        _ => Next::Wait,
    }
}

fn job_update(twin: &Resource, settings: Object) -> Next {
    if settings.is_empty() {
        return Next::AsWanted;
    }
    match twin.id.parse() {
        Ok(job_id) => Next::Act(ActivationAct::UpdateJob { job_id, settings }),
        Err(_) => Next::List("its id is not a number".to_owned()),
    }
}

/// The platform's default is 1.
fn concurrency(original: &Resource, twin: &Resource) -> Object {
    let of = |job: &Resource| {
        job.raw
            .get("settings")
            .and_then(|s| s.get("max_concurrent_runs"))
            .cloned()
            .unwrap_or_else(|| Value::from(1))
    };
    let mut settings = Object::new();
    if of(original) != of(twin) {
        settings.insert("max_concurrent_runs".to_owned(), of(original));
    }
    settings
}

/// The places of the job that are not as the baseline says, whole. `triggers` goes alone: the API refuses it beside the
/// others, so it waits for the next round.
fn schedules(original: &Resource, twin: &Resource) -> Object {
    let place_of = |job: &Resource, place: Place| {
        job.raw
            .get("settings")
            .and_then(|s| s.get(place.field()))
            .filter(|v| !v.is_null())
            .cloned()
    };
    let mut settings = Object::new();
    for place in Place::ALL {
        let now = place_of(twin, place);
        let wanted = match (place_of(original, place), &now) {
            (Some(wanted), now) => keep_region_specific(wanted, now.as_ref()),
            // The baseline knows no such place: what the target has must not fire.
            (None, Some(now)) => paused(now),
            (None, None) => continue,
        };
        if now.as_ref().is_none_or(|now| !same(&wanted, now))
            && (place != Place::Triggers || settings.is_empty())
        {
            settings.insert(place.field().to_owned(), wanted);
        }
    }
    settings
}

/// A file arrival URL names a bucket of the site's own region: the target keeps its own.
fn keep_region_specific(mut wanted: Value, now: Option<&Value>) -> Value {
    match (&mut wanted, now) {
        (Value::Array(list), Some(Value::Array(now))) if list.len() == now.len() => {
            for (item, now) in list.iter_mut().zip(now) {
                *item = keep_region_specific(item.take(), Some(now));
            }
        }
        (Value::Object(setting), Some(now)) => {
            let url = now.get("file_arrival").and_then(|f| f.get("url"));
            if let (Some(Value::Object(arrival)), Some(url)) =
                (setting.get_mut("file_arrival"), url)
            {
                arrival.insert("url".to_owned(), url.clone());
            }
        }
        _ => {}
    }
    wanted
}

/// Equal, where an absent field and the platform's empty value (unpaused, null, 0, false, empty) mean the same.
fn same(wanted: &Value, now: &Value) -> bool {
    fn empty(key: &str, value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Bool(flag) => !flag,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty() || (key == "pause_status" && text == "UNPAUSED"),
            Value::Array(list) => list.is_empty(),
            Value::Object(object) => object.is_empty(),
        }
    }
    match (wanted, now) {
        (Value::Object(a), Value::Object(b)) => {
            a.iter()
                .all(|(k, v)| b.get(k).map_or_else(|| empty(k, v), |w| same(v, w)))
                && b.iter().all(|(k, w)| a.contains_key(k) || empty(k, w))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(v, w)| same(v, w))
        }
        (a, b) => a == b,
    }
}

/// Interrupted runs: never by default, listed always. The tag `dr-rerun` with the value `always` on the job asks for it.
fn one_time_runs(baseline: &Inventory, target: &Inventory, work: &mut PhaseWork) {
    let theirs = target.by_key();
    for run in &baseline.runs {
        match rerun(run, baseline, &theirs) {
            Ok(Some(step)) => work.steps.push(step),
            Ok(None) => {}
            Err(reason) => work.listed.push((run.subject(), reason)),
        }
    }
}

fn rerun(
    run: &ActiveRun,
    baseline: &Inventory,
    theirs: &std::collections::BTreeMap<(Kind, &str), Vec<&Resource>>,
) -> Result<Option<ActivationStep>, String> {
    let job = run
        .job_id
        .and_then(|id| baseline.find(Kind::Job, &id.to_string()))
        .ok_or("interrupted; it belongs to no known job, so nobody can start it again but its submitter")?;
    if job.mode() != DrMode::ActivePassive {
        return Ok(None);
    }
    let asked = job
        .raw
        .get("settings")
        .and_then(|s| s.get("tags"))
        .and_then(|t| t.get("dr-rerun"))
        .and_then(Value::as_str)
        == Some("always");
    if !asked {
        return Err("interrupted; its job has no tag dr-rerun=always".to_owned());
    }
    if live_places(&job.raw).contains(&Place::Continuous) {
        return Err("interrupted; its job is continuous and starts a run by itself".to_owned());
    }
    let twins = theirs
        .get(&(Kind::Job, job.key.as_str()))
        .map_or(&[][..], Vec::as_slice);
    match twins {
        [twin] => {
            let job_id = twin
                .id
                .parse()
                .map_err(|_| "the job's id at the target is not a number")?;
            Ok(Some(ActivationStep {
                subject: twin.subject(),
                act: ActivationAct::RunJob {
                    job_id,
                    interrupted: run.run_id,
                },
            }))
        }
        other => Err(format!(
            "interrupted; the target has {} jobs of this name",
            other.len()
        )),
    }
}

#[cfg(test)]
#[path = "activation_tests.rs"]
mod tests;
