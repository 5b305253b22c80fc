//! The summary: counts by status, what blocks, in one sentence and as numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Concern, Finding, Readiness, ReadinessStatus};

/// So many objects are named in the sentence.
const NAMED: usize = 3;

/// The numbers that people, machines and metrics look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Objects by status.
    pub counts: BTreeMap<ReadinessStatus, usize>,
    /// Objects that block.
    pub blocking: usize,
    /// What else blocks.
    pub blockers: usize,
    /// In one sentence.
    pub text: String,
}

impl Finding {
    /// The object with what is the matter, in a few words.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut words = format!(
            "{} \"{}\" ({}",
            self.subject.kind,
            self.subject.name,
            self.status.as_str()
        );
        if let Some(concern) = self.concerns.first() {
            words.push_str(&format!(": {concern}"));
        } else if let Some(first) = self.differences.first() {
            words.push_str(&format!(": {}", first.path));
            if self.differences.len() > 1 {
                words.push_str(&format!(" and {} more", self.differences.len() - 1));
            }
        }
        words.push(')');
        words
    }
}

impl Readiness {
    /// The numbers with the sentence.
    #[must_use]
    pub fn in_numbers(&self) -> Summary {
        Summary {
            counts: self.counts.clone(),
            blocking: self.blocking().count(),
            blockers: self.blockers.len(),
            text: self.summary(),
        }
    }

    /// One sentence with numbers and the first objects that block by name.
    #[must_use]
    pub fn summary(&self) -> String {
        let counts: Vec<String> = ReadinessStatus::ALL
            .into_iter()
            .filter(|status| *status == ReadinessStatus::InSync || self.count(*status) > 0)
            .map(|status| format!("{} {}", self.count(status), status.as_str()))
            .collect();
        let mut text = format!("objects: {}", counts.join(", "));
        let with = |is: fn(&Concern) -> bool| {
            let findings = self.findings.iter();
            findings.filter(|f| f.concerns.iter().any(is)).count()
        };
        let live = with(|c| matches!(c, Concern::NotPaused));
        if live > 0 {
            text.push_str(&format!("; {live} not paused at the standby"));
        }
        let pinned = with(|c| matches!(c, Concern::ZonePinned { .. }));
        if pinned > 0 {
            text.push_str(&format!("; {pinned} bound to one zone"));
        }
        for note in &self.notes {
            text.push_str("; ");
            text.push_str(note);
        }
        for blocker in &self.blockers {
            text.push_str("; BLOCKS: ");
            text.push_str(blocker);
        }
        let total = self.blocking().count();
        if total > 0 {
            let named: Vec<String> = self.blocking().take(NAMED).map(Finding::in_words).collect();
            text.push_str(&format!("; {total} block: {}", named.join(", ")));
            if total > NAMED {
                text.push_str(", …");
            }
        }
        text
    }
}
