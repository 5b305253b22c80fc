//! `runs/<id>/validation.json`: what was checked at the target before the commit, and what that comes to.

use std::collections::BTreeSet;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kind::Object;
use crate::plan::Seconds;
use crate::run::ValidationAnswer;
use crate::site::SiteLabel;

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// Whether it held.
    pub passed: bool,
    /// Seconds it took.
    pub seconds: f64,
    /// What was seen.
    pub detail: String,
    /// Whether the run stops if it fails.
    #[serde(default = "yes")]
    pub required: bool,
    /// Whether it has not come to an end yet.
    #[serde(default)]
    pub pending: bool,
    /// Who has accepted that it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

const fn yes() -> bool {
    true
}

impl Check {
    /// Whether it stops the run.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.required && !self.passed && !self.pending && self.accepted.is_none()
    }

    /// Whether the commit waits for it.
    const fn is_waited_for(&self) -> bool {
        self.required && self.pending
    }
}

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationDocument {
    /// Always 1.
    pub format_version: u32,
    /// When.
    pub checked_at: Timestamp,
    /// Where.
    pub site: SiteLabel,
    /// The attempt of the run that these checks belong to.
    #[serde(default)]
    pub attempt: u32,
    /// Since when every required check has held at every look of this attempt.
    #[serde(default)]
    pub green_since: Option<Timestamp>,
    /// Every check.
    pub checks: Vec<Check>,
}

impl ValidationDocument {
    /// What was just checked. `before` is what the look before this one found.
    #[must_use]
    pub fn new(
        before: Option<&Self>,
        site: SiteLabel,
        attempt: u32,
        checks: Vec<Check>,
        now: Timestamp,
    ) -> Self {
        let is_green = !checks.iter().any(|c| c.has_failed() || c.is_waited_for());
        let since = before
            .filter(|before| before.attempt == attempt && before.site == site)
            .and_then(|before| before.green_since);
        Self {
            format_version: 1,
            checked_at: now,
            site,
            attempt,
            green_since: is_green.then(|| since.unwrap_or(now)),
            checks,
        }
    }

    /// The names of the checks that stop the run.
    #[must_use]
    pub fn failed(&self) -> BTreeSet<String> {
        let failed = self.checks.iter().filter(|c| c.has_failed());
        failed.map(|c| c.name.clone()).collect()
    }

    /// What it comes to: passing means green, and still green at the end of the soak time.
    #[must_use]
    pub fn answer(&self, soak: Seconds) -> ValidationAnswer {
        if self.checks.iter().any(Check::has_failed) {
            return ValidationAnswer::Failed;
        }
        match self.green_since {
            Some(since) if self.checked_at.duration_since(since) >= soak.signed() => {
                ValidationAnswer::Passed
            }
            _ => ValidationAnswer::Continue,
        }
    }

    /// The answer in words.
    #[must_use]
    pub fn in_words(&self, soak: Seconds) -> String {
        let (total, site) = (self.checks.len(), self.site);
        let failed: Vec<&Check> = self.checks.iter().filter(|c| c.has_failed()).collect();
        let mut text = if let Some(first) = failed.first() {
            format!(
                "{} of {total} checks of the {site} site failed: {}: {}",
                failed.len(),
                first.name,
                first.detail
            )
        } else if let Some(waits) = self.checks.iter().find(|c| c.is_waited_for()) {
            format!("waits for {}: {}", waits.name, waits.detail)
        } else {
            format!("all {total} checks of the {site} site hold")
        };
        if let Some(since) = self.green_since.filter(|_| soak.0 > 0) {
            let green = self.checked_at.duration_since(since).as_secs();
            text.push_str(&format!(", for {green} s of {} s", soak.0));
        }
        let optional = self.checks.iter().filter(|c| !c.required && !c.passed);
        match optional.count() {
            0 => {}
            count => text.push_str(&format!("; {count} optional do not")),
        }
        for check in self.checks.iter().filter(|c| !c.passed) {
            if let Some(by) = &check.accepted {
                text.push_str(&format!("; {} failed, {by}", check.name));
            }
        }
        text
    }
}

/// How a run ended; `None` while it goes on (databricks-sdk-py 0.156.0, `RunLifeCycleState`, `RunResultState`). Only success is one: a
/// canary that was cancelled, skipped or succeeded in part proves nothing.
#[must_use]
pub fn run_ended(run: &Object) -> Option<Result<(), String>> {
    let state = run.get("state")?;
    let text = |field: &str| state.get(field).and_then(Value::as_str).unwrap_or_default();
    match (text("life_cycle_state"), text("result_state")) {
        ("TERMINATED", "SUCCESS") => Some(Ok(())),
        (cycle @ ("TERMINATED" | "SKIPPED" | "INTERNAL_ERROR"), result) => {
            let message = text("state_message");
            Some(Err(format!("ended in {cycle} {result} {message}")
                .trim_end()
                .to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(passed: bool, required: bool, pending: bool) -> Check {
        Check {
            name: "c".to_owned(),
            passed,
            seconds: 0.0,
            detail: "d".to_owned(),
            required,
            pending,
            accepted: None,
        }
    }

    fn look(
        before: Option<&ValidationDocument>,
        attempt: u32,
        second: i64,
        checks: Vec<Check>,
    ) -> ValidationDocument {
        let now = Timestamp::from_second(second).unwrap();
        ValidationDocument::new(before, SiteLabel::Secondary, attempt, checks, now)
    }

    #[test]
    fn a_required_check_stops_the_run_an_optional_one_never_and_a_pending_one_is_waited_for() {
        use ValidationAnswer::{Continue, Failed, Passed};
        for (passed, required, pending, answer) in [
            (true, true, false, Passed),
            (false, true, false, Failed),
            (false, true, true, Continue),
            (false, false, false, Passed),
            (false, false, true, Passed),
        ] {
            let document = look(None, 1, 0, vec![check(passed, required, pending)]);
            assert_eq!(document.answer(Seconds(0)), answer, "{document:?}");
        }
        let mut accepted = check(false, true, false);
        accepted.accepted = Some("accepted by somebody: why".to_owned());
        let document = look(None, 1, 0, vec![accepted]);
        assert_eq!(document.answer(Seconds(0)), Passed);
        assert!(
            document
                .in_words(Seconds(0))
                .contains("accepted by somebody")
        );
    }

    #[test]
    fn passing_means_green_at_every_look_until_the_soak_time_is_over() {
        use ValidationAnswer::{Continue, Failed, Passed};
        let (green, red) = (
            || vec![check(true, true, false)],
            || vec![check(false, true, false)],
        );
        let soak = Seconds(60);
        let first = look(None, 1, 100, green());
        assert_eq!(first.answer(soak), Continue);
        let almost = look(Some(&first), 1, 159, green());
        assert_eq!(almost.answer(soak), Continue);
        assert_eq!(look(Some(&almost), 1, 160, green()).answer(soak), Passed);
        // It goes red: the run stops, and what was green before counts no more.
        let broken = look(Some(&almost), 1, 160, red());
        assert_eq!(broken.answer(soak), Failed);
        assert_eq!(look(Some(&broken), 1, 170, green()).answer(soak), Continue);
        // Another attempt starts anew, however green the one before was.
        assert_eq!(look(Some(&almost), 2, 170, green()).answer(soak), Continue);
    }

    #[test]
    fn only_success_is_success() {
        let run = |cycle: &str, result: &str| {
            let run = json!({"state": {"life_cycle_state": cycle, "result_state": result}});
            run_ended(run.as_object().unwrap()).map(|ended| ended.is_ok())
        };
        for (cycle, result, ended) in [
            ("PENDING", "", None),
            ("RUNNING", "", None),
            ("TERMINATING", "", None),
            ("QUEUED", "", None),
            ("TERMINATED", "SUCCESS", Some(true)),
            ("TERMINATED", "SUCCESS_WITH_FAILURES", Some(false)),
            ("TERMINATED", "CANCELED", Some(false)),
            ("SKIPPED", "", Some(false)),
            ("INTERNAL_ERROR", "FAILED", Some(false)),
        ] {
            assert_eq!(run(cycle, result), ended, "{cycle} {result}");
        }
    }
}
