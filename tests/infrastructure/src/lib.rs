//! The rules that template, state machine and functions must keep together. Each rule looks at the documents and names
//! what breaks it, so that a test can ask it about the real ones and about ones that were broken on purpose.

#![expect(
    clippy::indexing_slicing,
    reason = "a missing field of a JSON value reads as null; it does not panic"
)]

pub mod choices;
pub mod contract;
mod documents;
pub mod functions;
pub mod graph;
pub mod permissions;
pub mod stack;
pub mod stages;
pub mod tasks;

use std::fmt;

pub use self::documents::{DocumentError, Documents, Function, Task, file, template};

/// One thing that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The state or the resource.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

fn violation(place: impl Into<String>, problem: impl Into<String>) -> Violation {
    Violation {
        place: place.into(),
        problem: problem.into(),
    }
}
