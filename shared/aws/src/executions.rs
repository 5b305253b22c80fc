//! Starting the state machine. Only the health probe of the control region does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::error::ProvideErrorMetadata;
use recovery::site::RunId;
use serde_json::Value;

use crate::Failure;
use crate::failure::aws_failure;

/// The port: executions of one state machine.
#[async_trait]
pub trait Executions: Send + Sync {
    /// Starts an execution under this name. The same name twice is one execution, so a lost answer does no harm.
    async fn start(&self, name: &RunId, input: &Value) -> Result<(), Failure>;
}

/// The adapter to Step Functions.
#[derive(Clone)]
pub struct StepFunctions {
    client: Client,
    machine: String,
}

impl StepFunctions {
    /// Of this state machine.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, machine: impl Into<String>) -> Self {
        Self {
            client: Client::new(config),
            machine: machine.into(),
        }
    }
}

#[async_trait]
impl Executions for StepFunctions {
    async fn start(&self, name: &RunId, input: &Value) -> Result<(), Failure> {
        let request = self
            .client
            .start_execution()
            .state_machine_arn(&self.machine)
            .name(name.as_str())
            .input(input.to_string());
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("ExecutionAlreadyExists") => Ok(()),
            Err(error) => Err(aws_failure!(format!(
                "starting execution {name} of {}",
                self.machine
            ))(error)),
        }
    }
}

/// The in-memory twin: keeps what was started.
#[derive(Clone, Default)]
pub struct MemoryExecutions {
    started: Arc<Mutex<BTreeMap<RunId, Value>>>,
}

impl MemoryExecutions {
    /// Every execution by name, with its input.
    #[must_use]
    pub fn started(&self) -> BTreeMap<RunId, Value> {
        self.started
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait]
impl Executions for MemoryExecutions {
    async fn start(&self, name: &RunId, input: &Value) -> Result<(), Failure> {
        self.started
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name.clone())
            .or_insert_with(|| input.clone());
        Ok(())
    }
}
