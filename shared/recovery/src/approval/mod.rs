//! The approval: a question to people, and the documents in which they answer. The state machine polls them; no token
//! exists that could leak.
//!
//! 1. [`request`]: what is asked, what the approver takes upon himself, and what both are bound to;
//! 2. [`decision`]: who decided what, through which door, and the one rule by which a decision counts;
//! 3. [`standing`]: whether a request can still be answered;
//! 4. [`progress`]: ask, remind, escalate, expire;
//! 5. [`view`]: who looked at the page.

pub mod decision;
pub mod progress;
pub mod request;
pub mod standing;
pub mod view;

pub use decision::{Choice, Decision, Decisions, Door, End, Receipt, Wish, record};
pub use progress::{ApprovalAnswer, Step, Telling, next};
pub use request::{Address, ApprovalId, Asked, Loss, Override, Question, Request};
pub use standing::{Standing, standing};
pub use view::{View, Views};

/// The version of the approval documents.
pub const APPROVAL_FORMAT: u32 = 1;

#[cfg(test)]
mod tests;
