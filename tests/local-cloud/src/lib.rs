//! The local cloud: the real SAM template, the real state machine and the real function binaries on one machine.
//!
//! moto plays AWS (one Python process), a [harness] plays the Lambda service with the Lambda Runtime API, a
//! proxy in front of moto can make a region go dark, and a clock of its own fires the deployed schedules. Everything
//! listens on loopback only.
//!
//! Not simulated: the retries of an asynchronous invocation, dead-letter queues (moto accepts them, nothing is sent
//! there), the evaluation of alarms, permissions boundaries, and the retry policies of schedules and rules.
//! Functions, state machine and schedules each call with their own role, whose policies are evaluated.

mod clock;
mod cloud;
mod deployment;
mod error;
pub mod harness;
mod model;
mod process;
mod proxy;
pub mod schedule;
pub mod venv;

pub use clock::FiredSchedule;
pub use cloud::LocalCloud;
pub use deployment::{
    Bucket, Deployment, EventRule, Function, Queue, Resource, Schedule, SsmParameter, StateMachine,
    Unsupported,
};
pub use error::CloudError;
pub use harness::InvocationRecord;
pub use model::{
    AccessPointRoute, CloudOptions, Decision, Execution, ExecutionStatus, Invocation,
    PublishedEvent, PublishedMessage,
};
pub use proxy::AwsRequest;
