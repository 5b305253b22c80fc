//! What the last state of an execution says of its outcome.

use serde_json::Value;

use super::{CaptureAnswer, Outcome, RehearsalAnswer, ValidationAnswer};
use crate::approval::ApprovalAnswer;
use crate::failure::FailureName;
use crate::fence::FenceAnswer;
use crate::readiness::ReadinessAnswer;
use crate::replication::MeasureAnswer;
use crate::reset::StandbyAnswer;

/// How an execution ended and why, from what the state machine hands over.
#[must_use]
pub fn outcome_of(machine_state: &Value) -> (Outcome, String) {
    if let Some(error) = machine_state.get("error") {
        return of_error(error);
    }
    let last = machine_state.get("last").and_then(|l| l.get("Payload"));
    let answer = last
        .and_then(|l| l.get("answer"))
        .and_then(Value::as_str)
        .unwrap_or("");
    let reason = last.and_then(|l| l.get("reason")).and_then(Value::as_str);
    let standby = Standby::of(machine_state);
    let is = |known: &dyn erased::Answer| known.matches(answer);
    let (outcome, standard) = if answer == "Switched" {
        (Outcome::Completed, "every stage was done and read back")
    } else if is(&ValidationAnswer::Passed) && standby.is_as_recorded() {
        (
            Outcome::Completed,
            "the target passed its checks and is as it was",
        )
    } else if is(&ValidationAnswer::Passed) {
        (
            Outcome::Failed,
            "the target passed its checks and was not brought back",
        )
    } else if is(&ApprovalAnswer::Declined) {
        (Outcome::Declined, "the approver declined")
    } else if is(&ApprovalAnswer::Expired) {
        (Outcome::ApprovalExpired, "nobody decided in time")
    } else if is(&ReadinessAnswer::NotReady) {
        (Outcome::NotReady, "the target is not ready")
    } else if is(&MeasureAnswer::NotDrained) {
        (
            Outcome::NotReady,
            "what was written last did not arrive at the target",
        )
    } else if is(&CaptureAnswer::Refused) {
        (
            Outcome::NotReady,
            "the active site could not be recorded as it is",
        )
    } else if is(&RehearsalAnswer::Refused) {
        (
            Outcome::NotReady,
            "a fence could not do all that it would have to",
        )
    } else if is(&FenceAnswer::FenceUnverified) {
        (
            Outcome::FenceUnverified,
            "the old site is reachable and did not become quiet",
        )
    } else if is(&ValidationAnswer::Failed) {
        (
            Outcome::ValidationFailed,
            "the target did not pass its checks",
        )
    } else {
        (
            Outcome::Failed,
            "the execution ended at an answer that nobody foresaw",
        )
    };
    let reason = reason.unwrap_or(standard);
    (
        outcome,
        match standby.words {
            Some(words) => format!("{reason}; {words}"),
            None => reason.to_owned(),
        },
    )
}

/// What became of the site that is left as a standby.
struct Standby<'a> {
    answer: &'a str,
    words: Option<&'a str>,
}

impl<'a> Standby<'a> {
    fn of(machine_state: &'a Value) -> Self {
        let text = |pointer| machine_state.pointer(pointer).and_then(Value::as_str);
        Self {
            answer: text("/standby/Payload/answer").unwrap_or(""),
            words: text("/standby/Payload/reason").or_else(|| text("/standby/Error")),
        }
    }

    fn is_as_recorded(&self) -> bool {
        erased::Answer::matches(&StandbyAnswer::AsRecorded, self.answer)
    }
}

/// Compares an answer in the state with the name under which serde writes an enum value: no second list of names.
mod erased {
    use serde::Serialize;

    pub(super) trait Answer {
        fn matches(&self, text: &str) -> bool;
    }

    impl<T: Serialize> Answer for T {
        fn matches(&self, text: &str) -> bool {
            serde_json::to_value(self).is_ok_and(|v| v.as_str() == Some(text))
        }
    }
}

fn of_error(error: &Value) -> (Outcome, String) {
    let text = |field: &str| error.get(field).and_then(Value::as_str).unwrap_or("");
    let name = text("Error");
    // A function's failure arrives as JSON text: {"errorType", "errorMessage"}.
    let cause = serde_json::from_str::<Value>(text("Cause"))
        .ok()
        .and_then(|c| {
            c.get("errorMessage")
                .and_then(Value::as_str)
                .map(str::to_owned)
        })
        .unwrap_or_else(|| text("Cause").to_owned());
    let outcome = if name == FailureName::LockLost.as_str() {
        Outcome::Preempted
    } else {
        Outcome::Failed
    };
    (outcome, format!("{name}: {cause}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_answer_that_ends_a_run_has_its_outcome() {
        for (answer, outcome) in [
            ("Switched", Outcome::Completed),
            ("Declined", Outcome::Declined),
            ("Expired", Outcome::ApprovalExpired),
            ("NotReady", Outcome::NotReady),
            ("FenceUnverified", Outcome::FenceUnverified),
            ("Failed", Outcome::ValidationFailed),
            ("Continue", Outcome::Failed),
            ("", Outcome::Failed),
        ] {
            let state = json!({"last": {"Payload": {"answer": answer}}});
            assert_eq!(outcome_of(&state).0, outcome, "{answer}");
        }
    }

    #[test]
    fn a_drill_completes_only_if_its_target_is_as_it_was() {
        let ended = |answer: &str, standby: Value| {
            let state = json!({"last": {"Payload": {"answer": answer}}, "standby": standby});
            outcome_of(&state).0
        };
        let as_recorded = json!({"Payload": {"answer": "AsRecorded", "reason": "it is"}});
        let left = json!({"Payload": {"answer": "Left", "reason": "2 objects differ"}});
        let error = json!({"Error": "SiteUnreachable", "Cause": ""});
        assert_eq!(ended("Passed", as_recorded.clone()), Outcome::Completed);
        assert_eq!(ended("Passed", left.clone()), Outcome::Failed);
        assert_eq!(ended("Passed", error.clone()), Outcome::Failed);
        assert_eq!(ended("Failed", as_recorded), Outcome::ValidationFailed);
        // A switchover has moved everybody: what is left of the old site stands in its reason.
        assert_eq!(ended("Switched", left), Outcome::Completed);
        assert_eq!(ended("Switched", error), Outcome::Completed);
    }

    #[test]
    fn an_error_wins_over_an_older_answer_and_its_message_is_kept() {
        let state = json!({
            "last": {"Payload": {"answer": "Switched"}},
            "error": {"Error": "UnknownMode", "Cause": "{\"errorType\":\"UnknownMode\",\"errorMessage\":\"no mode 'x'\"}"},
        });
        assert_eq!(
            outcome_of(&state),
            (Outcome::Failed, "UnknownMode: no mode 'x'".into())
        );
        let state = json!({"error": {"Error": "LockLost", "Cause": "gone"}});
        assert_eq!(
            outcome_of(&state),
            (Outcome::Preempted, "LockLost: gone".into())
        );
    }
}
