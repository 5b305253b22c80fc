//! Activation: what a site must do to run exactly what a record says, one phase at a time. Level-triggered: the difference
//! between record and a fresh reading is the work, and no difference is the proof.

pub mod debts;
mod pairs;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::act::Act;
use crate::inventory::{ActiveRun, Inventory, Resource, Subject};
use crate::kind::{DrMode, Kind, Place, live_places};
use crate::plan::{Named, Wave};

pub use self::pairs::Record;
use self::pairs::{Pairs, unpaired};

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
    /// Schedules, triggers, continuous jobs and pipelines, apps, dashboard schedules, alerts.
    Schedules,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What the site is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aim {
    /// Run what the other site ran: what is up already and was not there stays up.
    TakeOver,
    /// Be as it was recorded itself: what was not live is quieted too.
    AsRecorded,
}

/// What is to be done with one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Do this.
    Act(Act),
    /// It is on its way; look again.
    Wait,
    /// It is as the record says.
    AsWanted,
    /// Nothing is done, for this reason.
    List(String),
    /// Nothing is to be done.
    NotOurs,
}

/// One step of a phase.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivationStep {
    /// What it acts on, at the target.
    pub subject: Subject,
    /// What it does.
    pub act: Act,
    /// The wave it belongs to; 0 comes first.
    pub wave: usize,
}

/// The work of a phase against one reading of the target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhaseWork {
    /// To be done now.
    pub steps: Vec<ActivationStep>,
    /// On its way, by wave; nothing to do but to look again.
    pub waiting: Vec<(Subject, usize)>,
    /// As the record says, by this reading.
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

    /// The work of several phases as one: an object is as wanted only if it is so in all of them.
    #[must_use]
    pub fn of_all(works: &[Self]) -> Self {
        let mut whole = Self::default();
        for work in works {
            whole.steps.extend(work.steps.iter().cloned());
            whole.waiting.extend(work.waiting.iter().cloned());
            whole.listed.extend(work.listed.iter().cloned());
        }
        let unfinished: BTreeSet<Subject> = whole.unfinished().into_iter().collect();
        let as_wanted = works.iter().flat_map(|work| &work.as_wanted);
        let as_wanted: BTreeSet<&Subject> = as_wanted.collect();
        whole.as_wanted = as_wanted
            .into_iter()
            .filter(|subject| !unfinished.contains(subject))
            .cloned()
            .collect();
        whole
    }

    /// What is not as the record says, each once.
    #[must_use]
    pub fn unfinished(&self) -> Vec<Subject> {
        let steps = self.steps.iter().map(|step| &step.subject);
        let all = steps.chain(self.waiting.iter().map(|(subject, _)| subject));
        let all: BTreeSet<&Subject> = all.collect();
        all.into_iter().cloned().collect()
    }

    /// The first wave with something to do or to wait for, what was refused for good aside.
    #[must_use]
    pub fn first_wave(&self, refused: &BTreeSet<Subject>) -> Option<usize> {
        let steps = self.steps.iter();
        let steps = steps.filter(|s| !refused.contains(&s.subject));
        steps
            .map(|s| s.wave)
            .chain(self.waiting.iter().map(|(_, wave)| *wave))
            .min()
    }

    /// The last wave that may be worked on: the first one that is not confirmed, what was refused for good aside. Each wave has
    /// its share of the phase's patience; after that the next one opens all the same, since one object must not keep the
    /// others waiting.
    #[must_use]
    pub fn open_wave(
        &self,
        refused: &BTreeSet<Subject>,
        waves: usize,
        elapsed: Duration,
        patience: Duration,
    ) -> usize {
        let first = self.first_wave(refused).unwrap_or(waves);
        let share = patience.as_millis() / (waves as u128 + 1);
        let by_time = elapsed.as_millis().checked_div(share).unwrap_or(0);
        first.max(usize::try_from(by_time).unwrap_or(usize::MAX))
    }
}

/// What a phase has to do at the target so that it runs what `record` says.
#[must_use]
pub fn work(
    phase: Phase,
    aim: Aim,
    kinds: &[Kind],
    waves: &[Wave],
    record: Record<'_>,
    target: &Inventory,
) -> PhaseWork {
    let mut work = PhaseWork::default();
    let pairs = Pairs::of(phase, record, target);
    if phase == Phase::OneTimeRuns {
        if kinds.contains(&Kind::Job) {
            one_time_runs(record.inventory, &pairs, &mut work);
        }
        return work;
    }
    let is_meant = |kind: Kind| kinds.contains(&kind) && kind.is_restored_in(phase);
    for (originals, twins) in pairs.of_kinds(is_meant) {
        match (originals.as_slice(), twins.as_slice()) {
            ([original], [twin]) if original.mode() == DrMode::ActivePassive => {
                let next = next(phase, aim, original, twin);
                note(next, twin, wave_of(original, waves), &mut work);
            }
            ([_], [_]) => {}
            ([], strangers) if phase == Phase::Schedules => {
                for stranger in strangers
                    .iter()
                    .filter(|s| s.mode() == DrMode::ActivePassive && s.is_live())
                {
                    work.listed.push((
                        stranger.subject(),
                        "is live at the target and unknown to the baseline; left as it is"
                            .to_owned(),
                    ));
                }
            }
            (originals, twins) => {
                for original in originals.iter().filter(|o| o.is_live()) {
                    work.listed
                        .push((original.subject(), unpaired(originals.len(), twins.len())));
                }
            }
        }
    }
    work.steps.sort_by_key(|step| step.wave);
    work
}

/// What restores one object in one phase, whatever the aim.
pub(crate) fn restore_of(phase: Phase, original: &Resource, twin: &Resource) -> Next {
    let restores = original.kind.entry().restore.iter();
    let restore = restores.filter(|(p, _)| *p == phase).map(|(_, f)| f).next();
    restore.map_or(Next::NotOurs, |restore| restore(original, twin))
}

/// The first wave that the object belongs to; those of none come last.
fn wave_of(original: &Resource, waves: &[Wave]) -> usize {
    waves
        .iter()
        .position(|wave| wave.holds(original))
        .unwrap_or(waves.len())
}

fn next(phase: Phase, aim: Aim, original: &Resource, twin: &Resource) -> Next {
    match restore_of(phase, original, twin) {
        Next::NotOurs if aim == Aim::AsRecorded && !original.is_live() => {
            if twin.is_live() {
                (original.kind.entry().quiesce)(twin).map_or(Next::NotOurs, Next::Act)
            } else {
                Next::AsWanted
            }
        }
        next => next,
    }
}

fn note(next: Next, twin: &Resource, wave: usize, work: &mut PhaseWork) {
    let subject = twin.subject();
    match next {
        Next::Act(act) => work.steps.push(ActivationStep { subject, act, wave }),
        Next::Wait => work.waiting.push((subject, wave)),
        Next::AsWanted => work.as_wanted.push(subject),
        Next::List(reason) => work.listed.push((subject, reason)),
        Next::NotOurs => {}
    }
}

/// Interrupted runs: never by default, listed always. The tag `dr-rerun` with the value `always` on the job asks for it.
fn one_time_runs(baseline: &Inventory, pairs: &Pairs<'_>, work: &mut PhaseWork) {
    for run in &baseline.runs {
        match rerun(run, baseline, pairs) {
            Ok(Some(step)) => work.steps.push(step),
            Ok(None) => {}
            Err(reason) => work.listed.push((run.subject(), reason)),
        }
    }
}

fn rerun(
    run: &ActiveRun,
    baseline: &Inventory,
    pairs: &Pairs<'_>,
) -> Result<Option<ActivationStep>, String> {
    let job = run
        .job_id
        .and_then(|id| baseline.find(Kind::Job, &id.to_string()))
        .ok_or("interrupted; it belongs to no known job, so nobody can start it again but its submitter")?;
    if job.mode() != DrMode::ActivePassive {
        return Ok(None);
    }
    if Kind::Job.tag(&job.raw, "dr-rerun") != Some("always") {
        return Err("interrupted; its job has no tag dr-rerun=always".to_owned());
    }
    if live_places(&job.raw).contains(&Place::Continuous) {
        return Err("interrupted; its job is continuous and starts a run by itself".to_owned());
    }
    match pairs.twins_of(job) {
        [twin] => {
            let job_id = twin
                .id
                .parse()
                .map_err(|_| "the job's id at the target is not a number")?;
            Ok(Some(ActivationStep {
                subject: twin.subject(),
                act: Act::RunJob {
                    job_id,
                    interrupted: run.run_id,
                },
                wave: 0,
            }))
        }
        other => Err(format!(
            "interrupted; the target has {} jobs of this name",
            other.len()
        )),
    }
}

impl Wave {
    /// Whether the object belongs to this wave: by one of its tags or name patterns.
    #[must_use]
    pub fn holds(&self, resource: &Resource) -> bool {
        let tagged = self.tag.as_ref().is_some_and(|tag| {
            resource.kind.tag(&resource.raw, &tag.key) == Some(tag.value.as_str())
        });
        tagged || self.names.iter().any(|p| matches(p, &resource.name))
    }
}

impl Named {
    /// Whether the object is one of these.
    #[must_use]
    pub fn holds(&self, resource: &Resource) -> bool {
        self.kind == resource.kind && self.names.iter().any(|p| matches(p, &resource.name))
    }
}

/// Whether a text is what a pattern says; `*` stands for any characters.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, tail)) => rest = tail,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests;
