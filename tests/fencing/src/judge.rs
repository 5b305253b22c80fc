//! What must never happen, judged from the simulator's own record and from what stands in the ledger.

use std::collections::{BTreeMap, BTreeSet};

use drill::live;
use drill::way_back::differences;
use recovery::site::RunId;
use serde_json::{Value, json};

use crate::site::RESET;
use crate::{Site, Trouble};

/// What holds at every moment while a fence stands, whatever went wrong. `kept`: the ledger as it was a pass ago.
///
/// # Errors
/// If the simulator or the store does not answer.
pub async fn while_fenced(
    site: &Site,
    kept: &mut BTreeMap<String, Vec<u8>>,
) -> Result<Vec<String>, Trouble> {
    let mut found = ledger_only_grows(site, kept);
    if site.is_verified().await? {
        let inventory = site.inventory().await?;
        let alive = live::alive(&inventory);
        found.extend(
            alive.into_iter().map(|thing| {
                format!("the fence is called verified, and yet it has a live {thing}")
            }),
        );
    }
    Ok(found)
}

/// What holds once a site is restored: it is as it was, and nothing fired that was paused.
///
/// # Errors
/// If the simulator does not answer.
pub async fn once_restored(site: &Site, before: &Value) -> Result<Vec<String>, Trouble> {
    let now = site.inventory().await?;
    let mut found = differences(before, &now);
    found.extend(woken(&site.record().await?, before));
    found.extend(second_continuous_runs(&now));
    found.extend(never_read_back(site).await?);
    Ok(found)
}

/// What a restore attempted and nobody read back, not even the pass that found everything as it was to be: a report would
/// call it not verified for ever.
async fn never_read_back(site: &Site) -> Result<Vec<String>, Trouble> {
    let mut last = BTreeMap::new();
    for page in site.ports.ledger(&RunId::new(RESET)).await? {
        for entry in page.entries {
            if let Some(subject) = entry.subject {
                last.insert(subject, entry.status);
            }
        }
    }
    let open = last
        .into_iter()
        .filter(|(_, status)| status != "Verified" && status != "Listed");
    Ok(open
        .map(|(subject, status)| format!("the restore ended with {subject:?} {status}"))
        .collect())
}

/// No document of a ledger is ever lost or changed.
fn ledger_only_grows(site: &Site, kept: &mut BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let now: BTreeMap<String, Vec<u8>> = site
        .store
        .all()
        .into_iter()
        .filter(|(key, _)| key.contains("/ledger/"))
        .collect();
    let lost = kept
        .iter()
        .filter(|(key, page)| now.get(*key) != Some(page));
    let found = lost
        .map(|(key, _)| format!("the ledger lost {key}"))
        .collect();
    *kept = now;
    found
}

/// Jobs that became live in a place where they were paused before.
fn woken(record: &[Value], before: &Value) -> Vec<String> {
    let jobs = before.get("jobs").and_then(Value::as_array);
    let settings: BTreeMap<i64, &Value> = jobs
        .into_iter()
        .flatten()
        .filter_map(|job| Some((job.get("job_id")?.as_i64()?, job.get("settings")?)))
        .collect();
    let was_paused = |job: i64, place: &str| {
        let pointer = format!("/{}", place.replace('[', "/").replace(']', ""));
        let before = settings.get(&job).map(|s| s.pointer(&pointer));
        before.is_some_and(|place| {
            place.is_none_or(|p| p.get("pause_status") == Some(&json!("PAUSED")))
        })
    };
    record
        .iter()
        .filter_map(live_place)
        .filter(|(job, place)| was_paused(*job, place))
        .map(|(job, place)| format!("{place} of job {job} was unpaused and had been paused"))
        .collect()
}

fn live_place(event: &Value) -> Option<(i64, &str)> {
    let is_live = event.get("kind")? == "job_live" && event.get("live")?.as_bool()?;
    let job = event.get("job_id")?.as_i64()?;
    is_live.then_some((job, event.get("place")?.as_str()?))
}

/// A continuous job has one active run.
fn second_continuous_runs(now: &Value) -> Vec<String> {
    let list = |kind: &str| {
        now.get(kind)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let continuous: BTreeSet<i64> = list("jobs")
        .filter(|job| job.pointer("/settings/continuous").is_some())
        .filter_map(|job| job.get("job_id")?.as_i64())
        .collect();
    let mut active: BTreeMap<i64, usize> = BTreeMap::new();
    for run in list("runs") {
        let state = run.pointer("/status/state").and_then(Value::as_str);
        let job = run.get("job_id").and_then(Value::as_i64);
        if let Some(job) = job.filter(|id| continuous.contains(id))
            && state != Some("TERMINATED")
        {
            *active.entry(job).or_default() += 1;
        }
    }
    active
        .into_iter()
        .filter(|(_, runs)| *runs > 1)
        .map(|(job, runs)| format!("continuous job {job} has {runs} active runs"))
        .collect()
}
