//! The form: what it may hold, and what is wrong with what it holds.

use std::collections::BTreeSet;

use recovery::approval::{Choice, Override, Request};
use recovery::site::PlanName;

/// No form of ours is longer than this, bytes.
pub(crate) const LONGEST_FORM: usize = 16 * 1024;

/// What was sent. Everything in it is a stranger's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filled {
    pub(crate) nonce: String,
    pub(crate) decision: Option<Choice>,
    pub(crate) who: String,
    pub(crate) why: String,
    pub(crate) plan: String,
    /// Positions in the request's overrides.
    pub(crate) accepted: BTreeSet<usize>,
}

/// A problem with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The id of the field in the page.
    pub(crate) field: &'static str,
    /// What to do.
    pub(crate) text: String,
}

impl Problem {
    pub(crate) fn new(field: &'static str, text: impl Into<String>) -> Self {
        Self {
            field,
            text: text.into(),
        }
    }
}

/// Reads a form. `None`: a field stands twice, so that two readers could understand it in two ways.
pub(crate) fn read(body: &str) -> Option<Filled> {
    let mut filled = Filled::default();
    let mut seen = BTreeSet::new();
    for (name, value) in form_urlencoded::parse(body.as_bytes()) {
        let value = value.into_owned();
        if name == "accept" {
            filled.accepted.extend(value.parse::<usize>().ok());
            continue;
        }
        if !seen.insert(name.to_string()) {
            return None;
        }
        match name.as_ref() {
            "nonce" => filled.nonce = value,
            "who" => filled.who = value,
            "why" => filled.why = value,
            "plan" => filled.plan = value,
            "decision" => {
                filled.decision = match value.as_str() {
                    "approve" => Some(Choice::Approve),
                    "decline" => Some(Choice::Decline),
                    _ => None,
                }
            }
            _ => {}
        }
    }
    Some(filled)
}

impl Filled {
    /// Everything that is missing. What the rule refuses beyond it comes later.
    pub(crate) fn problems(&self, request: &Request, plan: &PlanName) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.decision.is_none() {
            problems.push(Problem::new("approve", "Choose: approve or decline."));
        }
        if self.who.trim().is_empty() {
            problems.push(Problem::new("who", "Give your name."));
        }
        if self.why.trim().is_empty() {
            problems.push(Problem::new("why", "Give a reason, a few words."));
        }
        if self.plan.trim() != plan.as_str() {
            problems.push(Problem::new(
                "plan",
                "Type the plan's name exactly as it stands above the field.",
            ));
        }
        let missing = (0..request.overrides.len()).find(|index| !self.accepted.contains(index));
        if let (Some(Choice::Approve), Some(_)) = (self.decision, missing) {
            problems.push(Problem::new(
                "accept-0",
                "To approve, accept each point by its box, or decline.",
            ));
        }
        problems
    }

    /// What is taken upon oneself, by name. The offers stand after what must be accepted.
    pub(crate) fn overrides(&self, request: &Request) -> Vec<Override> {
        let all: Vec<&Override> = request.overrides.iter().chain(&request.offers).collect();
        self.accepted
            .iter()
            .filter_map(|index| all.get(*index).map(|one| (*one).clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_the_browser_sends_it() {
        let filled = read("nonce=n&decision=approve&who=Ada+L&why=it%27s+dark%0Ayes&plan=p&accept=0&accept=2&other=x").unwrap();
        assert_eq!(filled.decision, Some(Choice::Approve));
        assert_eq!(
            (filled.who.as_str(), filled.why.as_str()),
            ("Ada L", "it's dark\nyes")
        );
        assert_eq!(filled.accepted, BTreeSet::from([0, 2]));
    }

    #[test]
    fn a_field_that_stands_twice_is_no_form_of_ours() {
        assert_eq!(read("decision=decline&decision=approve"), None);
    }

    #[test]
    fn an_unknown_decision_is_none() {
        assert_eq!(read("decision=APPROVE").unwrap().decision, None);
        assert_eq!(read("").unwrap(), Filled::default());
    }
}
