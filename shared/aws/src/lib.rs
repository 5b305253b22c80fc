//! Ports of the functions and their AWS adapters. Each port has an in-memory twin, so a handler is tested without AWS.

pub mod access_points;
pub mod approvals;
pub mod asking;
pub mod buckets;
pub mod concurrency;
pub mod documents;
pub mod environment;
pub mod events;
pub mod executions;
pub mod failure;
mod fence_news;
pub mod fence_watch;
pub mod fences;
mod formats;
pub mod http;
pub mod identity;
pub mod keys;
pub mod losses;
pub mod metrics;
pub mod notices;
pub mod parameters;
pub mod polling;
pub mod ports;
mod records;
pub mod serve;
pub mod site_news;
pub mod store;
mod way_back;

pub use environment::Environment;
pub use failure::Failure;
pub use ports::Ports;
pub use serve::{Invocation, serve};
