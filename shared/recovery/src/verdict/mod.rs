//! From signals to one named verdict.
//!
//! Every vantage probes a site and writes down [`Observation`]s; [`judge`] adds up all that are fresh. The rules are
//! those of `reference/verdicts.md`, one file per step:
//!
//! 1. [`probe`], [`outcome`], [`observation`]: what was seen;
//! 2. `history`: which vantages are fresh, and which were cut off themselves (rules 1 and 2);
//! 3. [`reading`]: what one vantage says about one probe (rule 3);
//! 4. [`status`]: what all vantages say about a probe and a layer (rules 4 and 5);
//! 5. [`judgement`]: the verdict (rule 6), and `explain`: why it is not actionable (rule 7).
//!
//! Nothing here reads a clock or a file: the same input gives the same judgement, in whatever order it arrives.

pub mod case;
mod explain;
mod history;
pub mod judgement;
pub mod observation;
pub mod outcome;
pub mod policy;
pub mod probe;
pub mod reading;
pub mod replay;
pub mod status;
mod steady;

pub use case::{Case, CaseError, Expectation};
pub use judgement::{Judgement, Verdict, judge};
pub use observation::{Observation, Signal, Times, Vantage};
pub use outcome::{Cause, DegradedCause, DownCause, Outcome, OutcomeKind, UnknownCause};
pub use policy::Policy;
pub use probe::{Layer, Probe};
pub use reading::{ProbeReading, Reading};
pub use status::{Layers, ProbeStatus, Status};
pub use steady::healthy_since;
