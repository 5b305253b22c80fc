//! A simulated Databricks workspace: one process or one in-process server is one workspace.
//!
//! It speaks plain HTTP on a loopback address, answers with the shapes of the public REST API, keeps
//! every object as raw JSON so that unknown fields survive, fires schedules and triggers on a clock
//! that can run faster than real time, and misbehaves on request through the routes under `/__sim`.

mod api;
mod clock;
mod control;
mod engine;
mod error;
mod faults;
mod gate;
mod inventory;
mod json;
mod limits;
mod options;
mod quartz;
mod record;
mod server;
mod socket;
mod standby;

pub use error::{InventoryError, SimError};
pub use inventory::Inventory;
pub use options::{Delays, SimOptions};
pub use server::Simulator;
