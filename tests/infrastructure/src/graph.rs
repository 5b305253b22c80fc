//! The shape of the state machine: where its arrows lead.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::documents::{items, text};
use crate::{Documents, Violation, violation};

/// Loops that need no wait, by state and answer. `Void` is given once for each change of what was asked, `Drained` once for each fence.
const LOOPS_WITHOUT_WAIT: [(&str, &str); 2] =
    [("ApprovalAnswer", "Void"), ("DrainAnswer", "Drained")];

/// One arrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrow {
    /// The answer that takes it, `Next`, `Default` or `Catch`.
    pub(crate) label: String,
    /// Where it leads.
    pub(crate) to: String,
}

/// The arrows of a state.
pub(crate) fn arrows(state: &Value) -> Vec<Arrow> {
    let mut found = Vec::new();
    let mut add = |label: &str, to: &Value| {
        if let Some(to) = to.as_str() {
            found.push(Arrow {
                label: label.to_owned(),
                to: to.to_owned(),
            });
        }
    };
    add("Next", &state["Next"]);
    add("Default", &state["Default"]);
    for choice in items(&state["Choices"]) {
        add(text(choice, "StringEquals"), &choice["Next"]);
    }
    for catch in items(&state["Catch"]) {
        add("Catch", &catch["Next"]);
    }
    found
}

fn is_end(state: &Value) -> bool {
    matches!(text(state, "Type"), "Succeed" | "Fail") || state["End"] == true
}

/// Every state that a walk from `start` visits, where `follow` says which arrows may be taken.
pub(crate) fn visited(
    documents: &Documents,
    start: &str,
    follow: impl Fn(&str, &Arrow) -> bool,
) -> BTreeSet<String> {
    let states: BTreeMap<&str, &Value> = documents.states().collect();
    let mut seen = BTreeSet::new();
    let mut open = vec![start.to_owned()];
    while let Some(name) = open.pop() {
        let Some(state) = states.get(name.as_str()) else {
            continue;
        };
        let next = arrows(state).into_iter().filter(|a| follow(&name, a));
        open.extend(next.map(|a| a.to).filter(|to| !seen.contains(to)));
        seen.insert(name);
    }
    seen
}

/// Only state types that these rules understand.
#[must_use]
pub fn only_known_types(documents: &Documents) -> Vec<Violation> {
    const KNOWN: [&str; 6] = ["Task", "Choice", "Wait", "Pass", "Succeed", "Fail"];
    documents
        .states()
        .filter(|(_, state)| !KNOWN.contains(&text(state, "Type")))
        .map(|(name, state)| {
            let problem = "is a type that the rules do not know; teach them first";
            violation(name, format!("{} {problem}", state["Type"]))
        })
        .collect()
}

/// Every arrow leads to a state, and every state but an end has one.
#[must_use]
pub fn every_arrow_leads_somewhere(documents: &Documents) -> Vec<Violation> {
    let names: BTreeSet<&str> = documents.states().map(|(name, _)| name).collect();
    let mut found = Vec::new();
    if !names.contains(text(&documents.machine, "StartAt")) {
        found.push(violation("StartAt", "names no state"));
    }
    for (name, state) in documents.states() {
        for arrow in arrows(state) {
            if !names.contains(arrow.to.as_str()) {
                let problem = format!("{} leads to {}, which is no state", arrow.label, arrow.to);
                found.push(violation(name, problem));
            }
        }
        let goes_on = state["Next"].is_string() || text(state, "Type") == "Choice";
        if goes_on == is_end(state) {
            found.push(violation(name, "must either go on or be an end"));
        }
    }
    found
}

/// Every state can be entered.
#[must_use]
pub fn every_state_is_reachable(documents: &Documents) -> Vec<Violation> {
    let seen = visited(documents, text(&documents.machine, "StartAt"), |_, _| true);
    documents
        .states()
        .filter(|(name, _)| !seen.contains(*name))
        .map(|(name, _)| violation(name, "no arrow leads here"))
        .collect()
}

/// From every state an end can be reached.
#[must_use]
pub fn every_state_has_a_way_to_an_end(documents: &Documents) -> Vec<Violation> {
    let ends: BTreeSet<&str> = documents
        .states()
        .filter(|(_, state)| is_end(state))
        .map(|(name, _)| name)
        .collect();
    documents
        .states()
        .filter(|(name, _)| {
            let seen = visited(documents, name, |_, _| true);
            !seen.iter().any(|state| ends.contains(state.as_str()))
        })
        .map(|(name, _)| violation(name, "no end can be reached from here"))
        .collect()
}

/// A loop without a wait would burn the execution's history.
#[must_use]
pub fn every_loop_waits(documents: &Documents) -> Vec<Violation> {
    let waits: BTreeSet<&str> = documents
        .states()
        .filter(|(_, state)| state["Type"] == "Wait")
        .map(|(name, _)| name)
        .collect();
    let follow = |from: &str, arrow: &Arrow| {
        !waits.contains(arrow.to.as_str())
            && !LOOPS_WITHOUT_WAIT.contains(&(from, arrow.label.as_str()))
    };
    let mut found = Vec::new();
    for (name, state) in documents.states() {
        let comes_back = arrows(state)
            .iter()
            .filter(|arrow| follow(name, arrow))
            .any(|arrow| visited(documents, &arrow.to, follow).contains(name));
        if comes_back {
            found.push(violation(name, "is part of a loop that never waits"));
        }
    }
    found
}

/// Waits are as long as the plan says, so that a drill is the same machine with a faster plan.
#[must_use]
pub fn every_wait_comes_from_the_plan(documents: &Documents) -> Vec<Violation> {
    documents
        .states()
        .filter(|(_, state)| state["Type"] == "Wait")
        .filter(|(_, state)| {
            let others = ["Seconds", "Timestamp", "TimestampPath"];
            let path = text(state, "SecondsPath");
            !path.starts_with("$.begin.waits.") || others.iter().any(|o| state.get(o).is_some())
        })
        .map(|(name, _)| violation(name, "must wait for SecondsPath $.begin.waits.<name>, only"))
        .collect()
}

/// Whole executions end, too.
#[must_use]
pub fn the_execution_ends_in_time(documents: &Documents) -> Vec<Violation> {
    match documents.machine["TimeoutSeconds"].as_u64() {
        Some(1..) => Vec::new(),
        _ => vec![violation("the machine", "has no TimeoutSeconds")],
    }
}

/// JSONPath is the language of the whole machine.
#[must_use]
pub fn jsonpath_everywhere(documents: &Documents) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut all = Vec::new();
    crate::documents::texts(&documents.machine, "", &mut all);
    for (path, text) in all {
        let key = path.ends_with(&format!("/{text}"));
        let foreign = ["QueryLanguage", "Arguments", "Output", "Assign"].contains(&text.as_str());
        if (key && foreign) || text.contains("{%") {
            found.push(violation(path, "is not JSONPath"));
        }
    }
    found
}
