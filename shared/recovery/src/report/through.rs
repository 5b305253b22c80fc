//! What ran at the old site although it was fenced.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inventory::Subject;
use crate::ledger::ReadPage;
use crate::run::{Mode, RunDocument, Stage};
use crate::state::{Fence, FenceGap};

/// The most that are named.
const MOST_NAMED: usize = 50;

/// What got through the fence until the report was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GotThrough {
    /// Since when the fence stands, or stood until a switchover made the site a standby; `null` if there was none.
    pub fenced_since: Option<Timestamp>,
    /// When the old site was first seen quiet; `null`: not until this report, so nobody knows yet what ran there.
    pub seen_quiet_at: Option<Timestamp>,
    /// How the run left the old site, if it went on although the site was not quiet: by the plan's rule, or by people's word.
    #[serde(default)]
    pub left_as: Option<FenceGap>,
    /// Runs that were found and cancelled after the fence was thought to hold.
    pub runs: usize,
    /// The first of them.
    pub first: Vec<Subject>,
}

impl GotThrough {
    pub(super) fn of(run: &RunDocument, pages: &[ReadPage], fence: Option<&Fence>) -> Self {
        let held = run
            .stages
            .iter()
            .filter(|s| s.stage == Stage::Fence)
            .filter_map(|s| s.finished_at)
            .max();
        let mut first_seen: BTreeMap<&Subject, Timestamp> = BTreeMap::new();
        let fencing = pages
            .iter()
            .filter(|p| p.site == run.from && p.stage == "Fence")
            .flat_map(|p| &p.entries)
            .filter(|e| e.status == "Attempted");
        for entry in fencing {
            if let Some(subject) = entry.subject.as_ref().filter(|s| s.kind == "run") {
                let seen = first_seen.entry(subject).or_insert(entry.at);
                *seen = (*seen).min(entry.at);
            }
        }
        let through: Vec<&Subject> = first_seen
            .into_iter()
            .filter(|(_, seen)| held.is_some_and(|held| *seen > held))
            .map(|(subject, _)| subject)
            .collect();
        // A switchover goes on only when its fence is verified, and lifts it in the end.
        let lifted = run
            .stages
            .iter()
            .find(|s| run.mode == Mode::Switchover && s.stage == Stage::Fence)
            .filter(|_| held.is_some());
        Self {
            fenced_since: fence.map(|f| f.since).or(lifted.map(|s| s.started_at)),
            seen_quiet_at: match fence {
                Some(fence) => fence.verified_at,
                None => lifted.and(held),
            },
            left_as: fence.and_then(|f| f.left_as),
            runs: through.len(),
            first: through.into_iter().take(MOST_NAMED).cloned().collect(),
        }
    }

    /// In words.
    #[must_use]
    pub fn in_words(&self) -> String {
        match (self.fenced_since, self.seen_quiet_at, self.runs) {
            (None, _, 0) => "there was no fence".to_owned(),
            (Some(_), None, 0) => {
                let left = self
                    .left_as
                    .map_or_else(String::new, |gap| format!(" (it was left as {gap})"));
                format!(
                    "not known yet: the old site has not been seen quiet{left}; the standing fence goes on looking"
                )
            }
            (_, _, 0) => "nothing".to_owned(),
            (_, _, 1) => "1 run".to_owned(),
            (_, _, runs) => format!("{runs} runs"),
        }
    }
}
