//! What the managers are told of a standing fence: each thing that woke up, once; and when the site is quiet at last.

use std::collections::BTreeMap;

use aws::documents::Change;
use aws::notices::{Audience, Notice};
use aws::{Failure, Ports, keys};
use jiff::Timestamp;
use recovery::inventory::Subject;
use recovery::plan::Plan;
use recovery::site::{RunId, SiteLabel};
use recovery::state::Fence;
use serde::{Deserialize, Serialize};

use crate::finding::Found;
use crate::records::Records;

/// No more lines than this in one notice.
const LONGEST_LIST: usize = 50;

/// `runs/<id>/fence/<site>-told.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    /// Always 1.
    format_version: u32,
    /// What was found live up to this moment is known to people.
    through: Timestamp,
}

/// A run fences what runs: that is its purpose and no news. What is found live from here on is.
pub(crate) async fn nothing_yet(
    ports: &Ports,
    run: &RunId,
    site: SiteLabel,
) -> Result<(), Failure> {
    mark(ports, run, site, ports.now()).await
}

/// Tells what woke up since the last time, and says how much that was. Told first and noted then: a function that is killed in
/// between tells twice rather than never.
pub(crate) async fn tell(
    ports: &Ports,
    plan: &Plan,
    run: &RunId,
    site: SiteLabel,
    records: &Records<'_>,
    found: &Found,
    before: &Fence,
) -> Result<usize, Failure> {
    let newly_quiet = found.is_quiet() && before.verified_at.is_none();
    // A site that was quiet and now cannot be read: nobody knows any more, and credentials may be the reason.
    let lost_sight = matches!(found, Found::NotQuiet(_) | Found::Refusing(_))
        && (before.verified_at.is_some() || before.unreachable_since.is_some());
    let told: Option<Told> = ports.read(&keys::fence_news(run, site)).await?;
    let woken = records.woken_after(told.map(|t| t.through));
    if woken.is_empty() && !newly_quiet && !lost_sight {
        return Ok(0);
    }
    ports
        .notices
        .publish(notice(plan, site, found, &woken))
        .await?;
    if let Some(through) = woken.values().max() {
        mark(ports, run, site, *through).await?;
    }
    Ok(woken.len())
}

async fn mark(
    ports: &Ports,
    run: &RunId,
    site: SiteLabel,
    through: Timestamp,
) -> Result<(), Failure> {
    ports
        .change(&keys::fence_news(run, site), |stored: &mut Option<Told>| {
            if stored.as_ref().is_some_and(|t| t.through >= through) {
                return Ok(Change::Keep(()));
            }
            *stored = Some(Told {
                format_version: 1,
                through,
            });
            Ok(Change::Write(()))
        })
        .await
}

fn notice(
    plan: &Plan,
    site: SiteLabel,
    found: &Found,
    woken: &BTreeMap<Subject, Timestamp>,
) -> Notice {
    let (runs, others): (Vec<&Subject>, Vec<&Subject>) =
        woken.keys().partition(|s| s.kind == "run");
    let state = if found.is_quiet() {
        "is quiet"
    } else {
        "is not quiet"
    };
    Notice {
        audience: Audience::Managers,
        subject: format!("[{}] the fenced {site} site {state}", plan.name),
        message: format!(
            "The {site} site: {}.\n\nRuns that got through and were cancelled: {}\n{}\n\nAlso fenced again: {}\n{}\n",
            found.words(),
            runs.len(),
            list(&runs),
            others.len(),
            list(&others)
        ),
    }
}

fn list(subjects: &[&Subject]) -> String {
    let mut lines: Vec<String> = subjects
        .iter()
        .take(LONGEST_LIST)
        .map(|s| format!("  {} {} \"{}\"", s.kind, s.id, s.name))
        .collect();
    if subjects.len() > LONGEST_LIST {
        lines.push(format!(
            "  … and {} more, see the ledger",
            subjects.len() - LONGEST_LIST
        ));
    }
    lines.join("\n")
}
