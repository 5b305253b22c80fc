//! The approval: a question to people, and the documents in which they answer. The state machine polls them; no token
//! exists that could leak.
//!
//! 1. [`request`]: what is asked and bound to what, [`overrides`]: what the approver takes upon himself;
//! 2. [`decision`]: who decided what, through which door, and the one rule by which a decision counts;
//! 3. [`standing`]: whether a request can still be answered;
//! 4. [`progress`]: ask, remind, escalate, expire;
//! 5. [`brief`]: what people are shown, [`forecast`]: how long it would take, [`message`]: both on a phone;
//! 6. [`link`]: the signed links to the page;
//! 7. [`view`]: who looked at the page.

pub mod brief;
pub mod decision;
pub mod forecast;
pub mod link;
pub mod message;
pub mod overrides;
pub mod progress;
pub mod request;
pub mod standing;
pub mod view;

pub use brief::{Brief, Known};
pub use decision::{Choice, Decision, Decisions, Door, End, Receipt, Wish, record};
pub use forecast::{Forecast, forecast};
pub use link::{LinkKeys, LinkRefusal};
pub use message::{Message, message};
pub use overrides::Override;
pub use progress::{ApprovalAnswer, Step, Telling, next};
pub use request::{Address, ApprovalId, Asked, Loss, Question, Request};
pub use standing::{Standing, standing};
pub use view::{View, Views};

/// The version of the approval documents.
pub const APPROVAL_FORMAT: u32 = 1;

#[cfg(test)]
mod tests;
