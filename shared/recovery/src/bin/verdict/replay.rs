//! `verdict --replay DIR`: stored signals under other settings.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use recovery::plan::Plan;
use recovery::signals::Signals;
use recovery::site::SiteLabel;
use recovery::verdict::replay::{
    Alert, Fate, RealIncident, alerts, false_alerts, fate, noticed_after,
};
use recovery::verdict::{Observation, Policy, Verdict};
use serde::Serialize;

/// What the control region knows of the past: the documents of the vantages hold two hours.
const KEPT: SignedDuration = SignedDuration::from_hours(2);

/// The settings to try. What is left out is as in the plan.
#[derive(Args, Clone, Copy)]
pub(crate) struct Settings {
    /// How many of the newest known signals are looked at
    #[arg(long, requires = "replay")]
    window: Option<u32>,
    /// How many of them must fail
    #[arg(long, requires = "replay")]
    confirmations: Option<u32>,
    /// How long the failure must have lasted, in seconds
    #[arg(long, requires = "replay")]
    grace: Option<u32>,
    /// How many vantages must agree
    #[arg(long, requires = "replay")]
    quorum: Option<u32>,
    /// How old the newest signal may be, in seconds
    #[arg(long, requires = "replay")]
    freshness: Option<u32>,
    /// An incident that is noticed later than this, in seconds, is late
    #[arg(long, requires = "replay", default_value_t = 600)]
    late_after: u32,
}

impl Settings {
    fn policy(self, plan: Policy) -> Policy {
        Policy {
            window: self.window.unwrap_or(plan.window),
            confirmations: self.confirmations.unwrap_or(plan.confirmations),
            grace_seconds: self.grace.unwrap_or(plan.grace_seconds),
            quorum: self.quorum.unwrap_or(plan.quorum),
            freshness_seconds: self.freshness.unwrap_or(plan.freshness_seconds),
        }
    }
}

#[derive(Serialize)]
struct IncidentLine<'a> {
    incident: &'a str,
    site: SiteLabel,
    began: Timestamp,
    fate: Fate,
    noticed_after_seconds: Option<i64>,
    plan_fate: Fate,
    plan_noticed_after_seconds: Option<i64>,
}

#[derive(Serialize)]
struct FalseLine {
    false_alert: Verdict,
    site: SiteLabel,
    from: Timestamp,
    to: Timestamp,
    /// Whether the plan's policy raises it, too.
    plan_too: bool,
}

#[derive(Serialize)]
struct Summary {
    observations: usize,
    policy: Policy,
    plan_policy: Policy,
    noticed: usize,
    late: usize,
    missed: usize,
    false_alerts: usize,
    plan_false_alerts: usize,
}

/// Replays the signals in a folder: `plan.json`, any files of signals in it and below it, and `incidents.json`, what really was one.
/// Whether nothing is missed, late or false.
pub(crate) fn run(dir: &Path, settings: Settings, out: &mut impl Write) -> io::Result<bool> {
    let plan_file = dir.join("plan.json");
    let bytes = fs::read(&plan_file).map_err(|error| named(&plan_file, error))?;
    let plan = Plan::parse(&bytes).map_err(|error| named(&plan_file, error))?;
    let incidents = incidents(&dir.join("incidents.json"))?;
    let observations = observations(dir)?;
    if observations.is_empty() {
        return Err(named(dir, "no signals in it or below it"));
    }
    let plan_policy = plan.detection.policy;
    let policy = settings.policy(plan_policy);
    let raised = |policy: &Policy| -> io::Result<Vec<Alert>> {
        let mut all = Vec::new();
        for site in SiteLabel::ALL {
            let own: Vec<Observation> = observations
                .iter()
                .filter(|o| o.site == site)
                .cloned()
                .collect();
            all.extend(alerts(&own, policy, KEPT).map_err(|error| named(dir, error))?);
        }
        Ok(all)
    };
    let (new, old) = (raised(&policy)?, raised(&plan_policy)?);
    let late_after = SignedDuration::from_secs(settings.late_after.into());
    let mut fates = Vec::new();
    for incident in &incidents {
        let (after, before) = (noticed_after(incident, &new), noticed_after(incident, &old));
        let line = IncidentLine {
            incident: &incident.name,
            site: incident.site,
            began: incident.began,
            fate: fate(after, late_after),
            noticed_after_seconds: after.map(|after| after.as_secs()),
            plan_fate: fate(before, late_after),
            plan_noticed_after_seconds: before.map(|before| before.as_secs()),
        };
        fates.push(line.fate);
        print(out, &line)?;
    }
    let (wrong, plan_wrong) = (
        false_alerts(&new, &incidents),
        false_alerts(&old, &incidents),
    );
    for alert in &wrong {
        let too = |other: &&Alert| {
            other.site == alert.site && other.from <= alert.to && other.to >= alert.from
        };
        print(
            out,
            &FalseLine {
                false_alert: alert.verdict,
                site: alert.site,
                from: alert.from,
                to: alert.to,
                plan_too: plan_wrong.iter().any(too),
            },
        )?;
    }
    let count = |such: Fate| fates.iter().filter(|fate| **fate == such).count();
    let summary = Summary {
        observations: observations.len(),
        policy,
        plan_policy,
        noticed: count(Fate::Noticed),
        late: count(Fate::Late),
        missed: count(Fate::Missed),
        false_alerts: wrong.len(),
        plan_false_alerts: plan_wrong.len(),
    };
    print(out, &summary)?;
    out.flush()?;
    Ok(summary.late + summary.missed + summary.false_alerts == 0)
}

fn print(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    writeln!(out)
}

fn named(path: &Path, problem: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {problem}", path.display()))
}

/// What really was an incident. Without the file nothing was, and every alert is false.
fn incidents(file: &Path) -> io::Result<Vec<RealIncident>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let bytes = fs::read(file).map_err(|error| named(file, error))?;
    let mut reader = serde_json::Deserializer::from_slice(&bytes);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| named(file, error))
}

/// Every observation in every file of signals, each once: the newest document and the past hours overlap.
fn observations(dir: &Path) -> io::Result<Vec<Observation>> {
    let mut all = BTreeMap::new();
    for file in files(dir)? {
        let name = file.file_name().unwrap_or_default();
        if name == "plan.json" || name == "incidents.json" {
            continue;
        }
        let bytes = fs::read(&file).map_err(|error| named(&file, error))?;
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let signals: Signals =
            serde_path_to_error::deserialize(&mut reader).map_err(|error| named(&file, error))?;
        for seen in signals.observations {
            all.insert((seen.at, seen.vantage.clone(), seen.site), seen);
        }
    }
    Ok(all.into_values().collect())
}

fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|error| named(dir, error))? {
        let path = entry.map_err(|error| named(dir, error))?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
