//! Data sources: reachable for a set time, within a bounded wait.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ReadinessAnswer;
use crate::plan::DataSources;
use crate::site::SiteLabel;

/// What one source said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSeen {
    /// The source, as the plan names it.
    pub name: String,
    /// Whether a run waits for it.
    pub required: bool,
    /// Whether as many of its addresses answered as the plan wants.
    pub reachable: bool,
    /// What each address said.
    pub detail: String,
}

/// `runs/<id>/sources.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcesDocument {
    /// Always 1.
    pub format_version: u32,
    /// When they were asked.
    pub checked_at: Timestamp,
    /// The site that is to become active.
    pub site: SiteLabel,
    /// The attempt of the run.
    pub attempt: u32,
    /// Since when every required source has answered at every look of this attempt.
    pub green_since: Option<Timestamp>,
    /// Every source.
    pub sources: Vec<SourceSeen>,
}

impl SourcesDocument {
    /// What was just seen. `before` is what the look before this one found.
    #[must_use]
    pub fn new(
        before: Option<&Self>,
        site: SiteLabel,
        attempt: u32,
        sources: Vec<SourceSeen>,
        now: Timestamp,
    ) -> Self {
        let is_green = sources.iter().all(|s| s.reachable || !s.required);
        let since = before
            .filter(|before| before.attempt == attempt && before.site == site)
            .and_then(|before| before.green_since);
        Self {
            format_version: 1,
            checked_at: now,
            site,
            attempt,
            green_since: is_green.then(|| since.unwrap_or(now)),
            sources,
        }
    }

    /// Whether the run may go on, waits, or has waited long enough. `since`: when it began to wait.
    #[must_use]
    pub fn answer(&self, policy: &DataSources, since: Timestamp) -> ReadinessAnswer {
        let for_long = |since: Timestamp, seconds: crate::plan::Seconds| {
            self.checked_at.duration_since(since) >= seconds.signed()
        };
        let nothing_to_wait_for = self.sources.iter().all(|s| !s.required);
        match self.green_since {
            Some(green) if nothing_to_wait_for || for_long(green, policy.green_for_seconds) => {
                ReadinessAnswer::Ready
            }
            _ if for_long(since, policy.wait_at_most_seconds) => ReadinessAnswer::NotReady,
            _ => ReadinessAnswer::Pending,
        }
    }

    /// In words: those that do not answer, or that all do.
    #[must_use]
    pub fn in_words(&self) -> String {
        let silent: Vec<String> = self
            .sources
            .iter()
            .filter(|s| !s.reachable)
            .map(|s| {
                let weight = if s.required { "" } else { " (optional)" };
                format!("data source \"{}\"{weight}: {}", s.name, s.detail)
            })
            .collect();
        match (silent.is_empty(), self.sources.len()) {
            (true, 0) => "the plan names no data sources".to_owned(),
            (true, count) => format!("all {count} data sources answer"),
            (false, _) => silent.join("; "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Seconds;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn look(before: Option<&SourcesDocument>, second: i64, reachable: bool) -> SourcesDocument {
        let source = SourceSeen {
            name: "s".to_owned(),
            required: true,
            reachable,
            detail: "d".to_owned(),
        };
        SourcesDocument::new(before, SiteLabel::Secondary, 1, vec![source], at(second))
    }

    #[test]
    fn a_run_goes_on_after_a_green_time_and_gives_up_after_a_bounded_wait() {
        use ReadinessAnswer::{NotReady, Pending, Ready};
        let policy = DataSources {
            green_for_seconds: Seconds(30),
            wait_at_most_seconds: Seconds(100),
            ..DataSources::default()
        };
        let answer = |document: &SourcesDocument| document.answer(&policy, at(0));
        let first = look(None, 10, true);
        assert_eq!(answer(&first), Pending);
        assert_eq!(answer(&look(Some(&first), 40, true)), Ready);
        // One look in which it is silent begins the green time anew.
        let silent = look(Some(&first), 20, false);
        assert_eq!(answer(&silent), Pending);
        let again = look(Some(&silent), 30, true);
        assert_eq!(answer(&look(Some(&again), 59, true)), Pending);
        assert_eq!(answer(&look(Some(&again), 60, true)), Ready);
        assert_eq!(answer(&look(Some(&silent), 99, false)), Pending);
        assert_eq!(answer(&look(Some(&silent), 100, false)), NotReady);
        // Nothing to wait for.
        let none = SourcesDocument::new(None, SiteLabel::Secondary, 1, vec![], at(0));
        assert_eq!(answer(&none), Ready);
    }
}
