//! The input of an execution: a closed list, so that a typo starts nothing.

use aws::Failure;
use recovery::failure::FailureName;
use recovery::run::Mode;
use recovery::site::RunId;
use serde_json::Value;

/// What a person, a schedule or the probe asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A new run.
    Begin {
        mode: Mode,
        /// The incident that the probe starts it for.
        incident: Option<RunId>,
        /// A switchover that is a live rehearsal, by its schedule.
        rehearsal: bool,
    },
    /// A run that waits for something goes on.
    Resume { run: RunId },
}

const ALLOWED: &str = "the input is {\"mode\":\"failover\"}, {\"mode\":\"switchover\"}, {\"mode\":\"drill\"} or {\"mode\":\"resume\",\"run\":\"<id>\"}";

fn invalid(problem: impl std::fmt::Display) -> Failure {
    Failure::new(FailureName::InvalidEvent, format!("{problem}; {ALLOWED}"))
}

pub(crate) fn parse(input: Value) -> Result<Input, Failure> {
    let Value::Object(mut fields) = input else {
        return Err(invalid("the input is not an object"));
    };
    let mode = fields.remove("mode");
    let mut id = |field: &str| match fields.remove(field) {
        None => Ok(None),
        Some(Value::String(text)) => RunId::parse(&text)
            .map(Some)
            .map_err(|e| invalid(format!("{field}: {e}"))),
        Some(_) => Err(invalid(format!("{field} is not a text"))),
    };
    let begin = |mode, incident, rehearsal| Input::Begin {
        mode,
        incident,
        rehearsal,
    };
    let input = match mode.as_ref().and_then(Value::as_str) {
        Some("failover") => begin(Mode::Failover, id("incident")?, false),
        Some("switchover") => {
            let rehearsal = match fields.remove("rehearsal") {
                None => false,
                Some(Value::Bool(rehearsal)) => rehearsal,
                Some(_) => return Err(invalid("rehearsal is neither true nor false")),
            };
            begin(Mode::Switchover, None, rehearsal)
        }
        Some("drill") => begin(Mode::Drill, None, false),
        Some("resume") => Input::Resume {
            run: id("run")?.ok_or_else(|| invalid("run is missing"))?,
        },
        _ => {
            return Err(Failure::new(
                FailureName::UnknownMode,
                format!("mode is {}; {ALLOWED}", mode.unwrap_or(Value::Null)),
            ));
        }
    };
    match fields.keys().next() {
        None => Ok(input),
        Some(field) => Err(invalid(format!("unknown field {field:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_typo_in_the_mode_is_refused_with_what_is_allowed() {
        for mode in [json!("fail-over"), json!("Failover"), json!(null), json!(1)] {
            let failure = parse(json!({"mode": mode})).unwrap_err();
            assert_eq!(failure.name, FailureName::UnknownMode);
            assert!(failure.message.contains("\"failover\""), "{failure}");
        }
    }

    #[test]
    fn an_unknown_field_or_a_path_as_a_run_is_refused() {
        for input in [
            json!({"mode": "failover", "force": true}),
            json!({"mode": "failover", "rehearsal": true}),
            json!({"mode": "switchover", "rehearsal": "yes"}),
            json!({"mode": "drill", "incident": "x"}),
            json!({"mode": "resume"}),
            json!({"mode": "resume", "run": "../state"}),
            json!("failover"),
        ] {
            assert_eq!(
                parse(input.clone()).unwrap_err().name,
                FailureName::InvalidEvent,
                "{input}"
            );
        }
        for (input, mode, rehearsal) in [
            (json!({"mode": "failover"}), Mode::Failover, false),
            (json!({"mode": "drill"}), Mode::Drill, false),
            (
                json!({"mode": "switchover", "rehearsal": true}),
                Mode::Switchover,
                true,
            ),
        ] {
            let expected = Input::Begin {
                mode,
                incident: None,
                rehearsal,
            };
            assert_eq!(parse(input).unwrap(), expected);
        }
    }
}
