//! The drill: two simulated workspaces, a local cloud with the real template, real function binaries and the real state
//! machine go through a disaster; the simulators' own records then tell whether the promises held.

pub mod build;
mod closing;
pub mod data_promises;
pub mod error;
pub mod estate;
pub mod guide;
pub mod homeward;
pub mod lake;
mod left_behind;
pub mod live;
pub mod page;
mod people;
pub mod permissions;
pub mod plan;
pub mod planned;
pub mod planted;
pub mod progress;
pub mod promises;
mod promotion;
mod quiet;
pub mod rehearsal;
mod resumes;
pub mod scenario;
pub mod script;
mod second_disaster;
pub mod secrets;
mod stages;
pub mod summary;
pub mod way_back;
pub mod way_home;
pub mod workspace;
pub mod world;

pub use error::DrillError;
pub use scenario::Scenario;
pub use script::{Options, run};
pub use summary::Summary;
