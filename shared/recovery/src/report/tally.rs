//! What the ledger adds up to: what was acted on and then read back, what was not, what was left alone.

use std::collections::{BTreeMap, BTreeSet};

use super::Listed;
use crate::inventory::Subject;
use crate::ledger::{ReadEntry, ReadPage};
use crate::run::RunDocument;

/// What the ledger adds up to.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) fenced: BTreeMap<String, usize>,
    pub(super) restored: BTreeMap<String, usize>,
    pub(super) applied: BTreeMap<String, usize>,
    pub(super) unverified: BTreeSet<Subject>,
    pub(super) listed: BTreeSet<Listed>,
}

impl Tally {
    pub(super) fn of(run: &RunDocument, pages: &[ReadPage]) -> Self {
        let mut tally = Self::default();
        for (site, counts) in [(run.from, 0), (run.target, 1)] {
            let entries = || {
                pages
                    .iter()
                    .filter(move |p| p.site == site)
                    .flat_map(|p| &p.entries)
            };
            // What was verified once and acted upon again counts by the last word on it.
            let mut last: BTreeMap<(&Subject, &str), (&ReadEntry, bool)> = BTreeMap::new();
            for page in pages.iter().filter(|p| p.site == site) {
                for entry in page.entries.iter().filter(|e| !is_left_alone(e)) {
                    let Some(subject) = &entry.subject else {
                        continue;
                    };
                    let known = last
                        .entry((subject, page.stage.as_str()))
                        .or_insert((entry, false));
                    known.1 |= entry.status != "Verified";
                    if entry.at >= known.0.at {
                        known.0 = entry;
                    }
                }
            }
            let target = if counts == 0 {
                &mut tally.fenced
            } else {
                &mut tally.restored
            };
            let mut done = BTreeSet::new();
            for ((subject, _), (entry, acted)) in last {
                if entry.status == "Applied" {
                    *tally.applied.entry(subject.kind.clone()).or_default() += 1;
                } else if entry.status != "Verified" {
                    tally.unverified.insert(subject.clone());
                } else if acted && done.insert(subject) {
                    *target.entry(subject.kind.clone()).or_default() += 1;
                }
            }
            for entry in entries().filter(|e| is_left_alone(e)) {
                if let (Some(subject), Some(reason)) = (&entry.subject, &entry.reason) {
                    tally.listed.insert(Listed {
                        subject: subject.clone(),
                        reason: reason.clone(),
                    });
                }
            }
        }
        tally
    }
}

fn is_left_alone(entry: &ReadEntry) -> bool {
    matches!(entry.status.as_str(), "Listed" | "NotFenced")
}
