//! Detection played through: the probe function itself, in several vantages, against two simulated workspaces, an object store, a
//! status page and reference hosts that fail as told. The clock is a number, so that minutes pass at once.

mod error;
mod outside;
mod scenario;
mod table;
mod world;

pub use error::DetectionError;
pub use outside::{Outside, PageSays, StoreFails};
pub use scenario::Scenario;
pub use table::{Row, play};
pub use world::{CONTROL, OBSERVER, Start, Vantage, World};
