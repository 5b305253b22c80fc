//! Decisions: an answer that nobody knows must fail.

use recovery::run::{Outcome, outcome_of};
use serde_json::{Value, json};

use crate::documents::{items, text};
use crate::graph::arrows;
use crate::{Documents, Violation, violation};

/// Where every run is closed.
pub(crate) const CLOSE: &str = "CloseRun";

fn state<'a>(documents: &'a Documents, name: &str) -> &'a Value {
    &documents.machine["States"][name]
}

/// Whether a state is a failure: an end that fails, or one that notes an error and closes the run with it.
fn fails(documents: &Documents, name: &str) -> bool {
    let state = state(documents, name);
    match text(state, "Type") {
        "Fail" => true,
        "Pass" => {
            let outcome = outcome_of(&json!({"error": state["Result"]})).0;
            state["ResultPath"] == "$.error"
                && state["Next"] == CLOSE
                && !text(&state["Result"], "Error").is_empty()
                && outcome == Outcome::Failed
        }
        _ => false,
    }
}

/// Every choice has a default, and it fails.
#[must_use]
pub fn every_unknown_answer_fails(documents: &Documents) -> Vec<Violation> {
    documents
        .states()
        .filter(|(_, state)| state["Type"] == "Choice")
        .filter(|(_, state)| !fails(documents, text(state, "Default")))
        .map(|(name, _)| violation(name, "needs a Default that leads to failing"))
        .collect()
}

/// Choices compare an enum value that a function computed, and nothing else.
#[must_use]
pub fn choices_only_compare_answers(documents: &Documents) -> Vec<Violation> {
    const ANSWERS: [&str; 5] = [
        "$.begin.mode",
        "$.begin.resume_at",
        "$.standby.Payload.answer",
        "$.last.Payload.answer",
        "$.closed.outcome",
    ];
    let mut found = Vec::new();
    for (name, state) in documents.states() {
        for choice in items(&state["Choices"]) {
            let fields = choice.as_object().map_or(0, serde_json::Map::len);
            let plain = fields == 3
                && ANSWERS.contains(&text(choice, "Variable"))
                && choice["StringEquals"].is_string()
                && choice["Next"].is_string();
            if !plain {
                let problem = format!("{choice} is more than the comparison of an answer");
                found.push(violation(name, problem));
            }
        }
    }
    found
}

/// An execution succeeds only when close-run says so.
#[must_use]
pub fn only_completed_is_success(documents: &Documents) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, state) in documents.states() {
        if state["End"] == true {
            found.push(violation(
                name,
                "ends in success without being a Succeed state",
            ));
        }
        for arrow in arrows(state) {
            let succeeds = documents.machine["States"][&arrow.to]["Type"] == "Succeed";
            let said = items(&state["Choices"]).iter().any(|choice| {
                choice["Variable"] == "$.closed.outcome"
                    && choice["StringEquals"] == Outcome::Completed.as_str()
                    && choice["Next"] == arrow.to.as_str()
            });
            if succeeds && !(said && arrow.label == Outcome::Completed.as_str()) {
                let problem = format!("{} leads to success without Completed", arrow.label);
                found.push(violation(name, problem));
            }
        }
    }
    found
}
