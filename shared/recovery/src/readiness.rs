//! Readiness: does the standby hold what the baseline needs?

use serde::{Deserialize, Serialize};

use crate::inventory::{Inventory, Subject};
use crate::kind::{DrMode, Kind};

/// What is known of one object of the baseline at the standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReadinessStatus {
    /// There, once, by kind and name.
    Present,
    /// Not there: it could not be activated.
    Missing,
    /// The name stands more than once at either site: it cannot be known which one is meant.
    Ambiguous,
    /// There, but live at a standby: a split brain waiting to happen.
    NotPaused,
}

/// One object that is not simply present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The object, as the baseline (or for `NotPaused` the standby) names it.
    pub subject: Subject,
    /// What is wrong.
    pub status: ReadinessStatus,
    /// Whether a run may not go on.
    pub blocking: bool,
}

/// The result of one comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// How many objects of the baseline are present.
    pub present: usize,
    /// Everything else, blocking ones first.
    pub findings: Vec<Finding>,
    /// Remarks that block nothing, in words.
    pub notes: Vec<String>,
    /// What blocks beside objects, in words.
    #[serde(default)]
    pub blockers: Vec<String>,
}

/// The state machine's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReadinessAnswer {
    /// Nothing blocks.
    Ready,
    /// Something blocks.
    NotReady,
}

impl Readiness {
    /// Whether a run may go on.
    #[must_use]
    pub fn answer(&self) -> ReadinessAnswer {
        if self.findings.iter().any(|f| f.blocking) || !self.blockers.is_empty() {
            ReadinessAnswer::NotReady
        } else {
            ReadinessAnswer::Ready
        }
    }

    /// One sentence with numbers and the first blocking objects by name.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |status| self.findings.iter().filter(|f| f.status == status).count();
        let blocking: Vec<String> = self
            .findings
            .iter()
            .filter(|f| f.blocking)
            .take(3)
            .map(|f| format!("{} \"{}\" ({:?})", f.subject.kind, f.subject.name, f.status))
            .collect();
        let total = self.findings.iter().filter(|f| f.blocking).count();
        let mut text = format!(
            "{} objects present, {} missing, {} ambiguous, {} not paused at the standby",
            self.present,
            count(ReadinessStatus::Missing),
            count(ReadinessStatus::Ambiguous),
            count(ReadinessStatus::NotPaused),
        );
        for note in &self.notes {
            text.push_str("; ");
            text.push_str(note);
        }
        for blocker in &self.blockers {
            text.push_str("; BLOCKS: ");
            text.push_str(blocker);
        }
        if total > 0 {
            text.push_str(&format!("; {total} block: {}", blocking.join(", ")));
            if total > blocking.len() {
                text.push_str(", …");
            }
        }
        text
    }
}

/// Compares the standby with the baseline, object by object, by kind and name.
///
/// A missing object blocks. An ambiguous name blocks only if the baseline has something live under it. A live object at
/// the standby never blocks a failover (a human may pause it), but it is always told.
#[must_use]
pub fn compare(kinds: &[Kind], baseline: &Inventory, standby: &Inventory) -> Readiness {
    let mut result = Readiness::default();
    let theirs = standby.by_key();
    for ((kind, key), originals) in baseline.by_key() {
        if !kinds.contains(&kind) {
            continue;
        }
        let twins = theirs.get(&(kind, key)).map_or(0, Vec::len);
        let ours: Vec<_> = originals
            .iter()
            .filter(|o| o.mode() != DrMode::Excluded)
            .collect();
        let status = match (ours.len(), twins) {
            (0, _) => continue,
            (1, 1) => {
                result.present += 1;
                continue;
            }
            (_, 0) => ReadinessStatus::Missing,
            _ => ReadinessStatus::Ambiguous,
        };
        for original in ours {
            result.findings.push(Finding {
                subject: original.subject(),
                status,
                blocking: status == ReadinessStatus::Missing || original.is_live(),
            });
        }
    }
    for resource in &standby.resources {
        if resource.kind == Kind::Job
            && kinds.contains(&Kind::Job)
            && resource.mode() == DrMode::ActivePassive
            && resource.is_live()
        {
            result.findings.push(Finding {
                subject: resource.subject(),
                status: ReadinessStatus::NotPaused,
                blocking: false,
            });
        }
    }
    result.findings.sort_by_key(|f| !f.blocking);
    result
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::inventory::Resource;
    use crate::site::SiteLabel;

    fn site(jobs: &[Value]) -> Inventory {
        Inventory {
            site: SiteLabel::Primary,
            read_at: Timestamp::UNIX_EPOCH,
            resources: jobs
                .iter()
                .enumerate()
                .map(|(i, settings)| {
                    let raw = json!({"job_id": i + 1, "settings": settings});
                    Resource::new(Kind::Job, raw.as_object().unwrap().clone()).unwrap()
                })
                .collect(),
            runs: vec![],
        }
    }

    #[test]
    fn a_missing_job_blocks_and_is_named() {
        let readiness = compare(
            &Kind::ALL,
            &site(&[json!({"name": "a"}), json!({"name": "b"})]),
            &site(&[json!({"name": "a"})]),
        );
        assert_eq!(readiness.answer(), ReadinessAnswer::NotReady);
        assert!(
            readiness.summary().contains("job \"b\" (Missing)"),
            "{}",
            readiness.summary()
        );
    }

    #[test]
    fn an_ambiguous_name_blocks_only_if_something_live_bears_it() {
        let twice = |setting: Value| site(&[setting.clone(), setting]);
        let paused = json!({"name": "a", "continuous": {"pause_status": "PAUSED"}});
        let live = json!({"name": "a", "continuous": {"pause_status": "UNPAUSED"}});
        let standby = twice(paused.clone());
        assert_eq!(
            compare(&Kind::ALL, &twice(paused), &standby).answer(),
            ReadinessAnswer::Ready
        );
        assert_eq!(
            compare(&Kind::ALL, &twice(live), &standby).answer(),
            ReadinessAnswer::NotReady
        );
    }

    #[test]
    fn a_live_job_at_the_standby_is_told_unless_it_is_active_active() {
        let live = json!({"name": "a", "continuous": {}});
        let both = json!({"name": "b", "continuous": {}, "tags": {"dr-mode": "active-active"}});
        let readiness = compare(
            &Kind::ALL,
            &site(&[live.clone(), both.clone()]),
            &site(&[live, both]),
        );
        assert_eq!(readiness.findings.len(), 1);
        assert_eq!(readiness.findings[0].status, ReadinessStatus::NotPaused);
        assert_eq!(readiness.answer(), ReadinessAnswer::Ready);
    }
}
