//! What the ledger adds up to: what was acted on and then read back, what was not, what was left alone.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Listed;
use crate::inventory::Subject;
use crate::ledger::{ReadEntry, ReadPage};
use crate::run::RunDocument;
use crate::site::SiteLabel;

/// What the ledger says of one kind of object at one site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KindTally {
    /// The site.
    pub site: SiteLabel,
    /// The kind.
    pub kind: String,
    /// Acted upon, and then read back as it was to be.
    pub verified: usize,
    /// Accepted by AWS; nothing can prove it.
    pub applied: usize,
    /// Acted upon and not read back as it was to be.
    pub unverified: usize,
    /// Left alone on purpose.
    pub left_alone: usize,
}

/// What the ledger adds up to.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) fenced: BTreeMap<String, usize>,
    pub(super) restored: BTreeMap<String, usize>,
    pub(super) applied: BTreeMap<String, usize>,
    pub(super) unverified: BTreeSet<Subject>,
    pub(super) listed: BTreeSet<Listed>,
    rows: BTreeMap<(SiteLabel, String), KindTally>,
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
            let (mut silent, mut reached) = (BTreeSet::new(), BTreeSet::new());
            for page in pages.iter().filter(|p| p.site == site) {
                for entry in page.entries.iter().filter(|e| !is_left_alone(e)) {
                    let Some(subject) = &entry.subject else {
                        continue;
                    };
                    let known = last
                        .entry((subject, page.stage.as_str()))
                        .or_insert((entry, false));
                    known.1 |= entry.status != "Verified";
                    if entry.status == "Unreachable" {
                        silent.insert((subject, page.stage.as_str()));
                    } else if entry.status != "Attempted" {
                        reached.insert((subject, page.stage.as_str()));
                    }
                    if entry.at >= known.0.at {
                        known.0 = entry;
                    }
                }
            }
            let mut done = BTreeSet::new();
            for ((subject, stage), (entry, acted)) in last {
                let of_this = (subject, stage);
                let row = row(&mut tally.rows, site, &subject.kind);
                if entry.status == "Applied" {
                    row.applied += 1;
                    *tally.applied.entry(subject.kind.clone()).or_default() += 1;
                } else if counts == 0 && silent.contains(&of_this) && !reached.contains(&of_this) {
                    // A site that is gone: what was tried there blindly is open, and the standing fence goes on looking.
                } else if entry.status != "Verified" {
                    row.unverified += usize::from(tally.unverified.insert(subject.clone()));
                } else if acted && done.insert(subject) {
                    row.verified += 1;
                    let target = if counts == 0 {
                        &mut tally.fenced
                    } else {
                        &mut tally.restored
                    };
                    *target.entry(subject.kind.clone()).or_default() += 1;
                }
            }
            for entry in entries().filter(|e| is_left_alone(e)) {
                if let (Some(subject), Some(reason)) = (&entry.subject, &entry.reason) {
                    let is_new = tally.listed.insert(Listed {
                        subject: subject.clone(),
                        reason: reason.clone(),
                    });
                    row(&mut tally.rows, site, &subject.kind).left_alone += usize::from(is_new);
                }
            }
        }
        tally
    }

    /// By site and kind; kinds of which nothing was done or listed are left out.
    pub(super) fn rows(&self) -> Vec<KindTally> {
        let rows = self.rows.values();
        rows.filter(|r| r.verified + r.applied + r.unverified + r.left_alone > 0)
            .cloned()
            .collect()
    }
}

fn row<'a>(
    rows: &'a mut BTreeMap<(SiteLabel, String), KindTally>,
    site: SiteLabel,
    kind: &str,
) -> &'a mut KindTally {
    rows.entry((site, kind.to_owned()))
        .or_insert_with(|| KindTally {
            site,
            kind: kind.to_owned(),
            verified: 0,
            applied: 0,
            unverified: 0,
            left_alone: 0,
        })
}

fn is_left_alone(entry: &ReadEntry) -> bool {
    matches!(entry.status.as_str(), "Listed" | "NotFenced")
}
