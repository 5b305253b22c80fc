//! Starting the state machine, and how far an execution has come.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::error::ProvideErrorMetadata;
use aws_sdk_sfn::types::ExecutionStatus as SdkStatus;
use recovery::site::{RunId, RunToken};
use serde_json::Value;

use crate::Failure;
use crate::failure::aws_failure;

/// How far an execution has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionStatus {
    /// There is no execution of this name: it was never started, or it ended more than 90 days ago, the time for which Step Functions
    /// keeps one.
    Unknown,
    /// It runs, or waits to be redriven.
    Running,
    /// It ended in `Completed`.
    Succeeded,
    /// It failed or timed out.
    Failed,
    /// Somebody stopped it.
    Stopped,
}

/// The port: executions of one state machine.
#[async_trait]
pub trait Executions: Send + Sync {
    /// Starts an execution under this name. The same name twice is one execution, so a lost answer does no harm.
    async fn start(&self, name: &RunId, input: &Value) -> Result<(), Failure>;
    /// How far the execution of this name has come.
    async fn status(&self, name: &RunId) -> Result<ExecutionStatus, Failure>;
}

/// The port of those who only read how far an execution has come, by its ARN: the token of its run.
#[async_trait]
pub trait ExecutionStatuses: Send + Sync {
    /// How far this execution has come.
    async fn read_status(&self, execution: &RunToken) -> Result<ExecutionStatus, Failure>;
}

/// The adapter to Step Functions, for any execution.
#[derive(Clone)]
pub struct StepFunctionsStatuses {
    client: Client,
}

impl StepFunctionsStatuses {
    /// In the account and region of this configuration.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        Self {
            client: Client::new(config),
        }
    }
}

#[async_trait]
impl ExecutionStatuses for StepFunctionsStatuses {
    async fn read_status(&self, execution: &RunToken) -> Result<ExecutionStatus, Failure> {
        describe(&self.client, execution.as_str()).await
    }
}

async fn describe(client: &Client, arn: &str) -> Result<ExecutionStatus, Failure> {
    match client.describe_execution().execution_arn(arn).send().await {
        Ok(execution) => Ok(status_of(execution.status())),
        Err(error) if error.code() == Some("ExecutionDoesNotExist") => Ok(ExecutionStatus::Unknown),
        Err(error) => Err(aws_failure!(format!("describing execution {arn}"))(error)),
    }
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

    /// The ARN of an execution: that of its machine, with `execution` for `stateMachine` and the name at its end.
    fn execution_arn(&self, name: &RunId) -> String {
        let machine = self.machine.replacen(":stateMachine:", ":execution:", 1);
        format!("{machine}:{name}")
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

    async fn status(&self, name: &RunId) -> Result<ExecutionStatus, Failure> {
        describe(&self.client, &self.execution_arn(name)).await
    }
}

/// A status that this version does not know counts as one that goes on: nothing is done about it.
const fn status_of(status: &SdkStatus) -> ExecutionStatus {
    match status {
        SdkStatus::Succeeded => ExecutionStatus::Succeeded,
        SdkStatus::Failed | SdkStatus::TimedOut => ExecutionStatus::Failed,
        SdkStatus::Aborted => ExecutionStatus::Stopped,
        _ => ExecutionStatus::Running,
    }
}

/// The in-memory twin: keeps what was started. An execution runs until a test ends it.
#[derive(Clone, Default)]
pub struct MemoryExecutions {
    started: Arc<Mutex<BTreeMap<RunId, Value>>>,
    ended: Arc<Mutex<BTreeMap<RunId, ExecutionStatus>>>,
}

impl ExecutionStatus {
    /// Whether the execution has ended: its functions must not act any more.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Stopped)
    }
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

    /// Ends an execution with this status.
    pub fn end(&self, name: &RunId, status: ExecutionStatus) {
        self.ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.clone(), status);
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

    async fn status(&self, name: &RunId) -> Result<ExecutionStatus, Failure> {
        if !self.started().contains_key(name) {
            return Ok(ExecutionStatus::Unknown);
        }
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(ended.get(name).copied().unwrap_or(ExecutionStatus::Running))
    }
}

/// The name is what stands behind the last colon. An execution that a test neither started nor ended runs.
#[async_trait]
impl ExecutionStatuses for MemoryExecutions {
    async fn read_status(&self, execution: &RunToken) -> Result<ExecutionStatus, Failure> {
        let name = execution.as_str().rsplit(':').next().unwrap_or_default();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(ended
            .get(&RunId::new(name))
            .copied()
            .unwrap_or(ExecutionStatus::Running))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_is_found_by_the_arn_of_its_machine_and_its_name() {
        let config = aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .build();
        let machine = "arn:aws:states:us-west-2:123456789012:stateMachine:databricks-dr-lakehouse";
        let executions = StepFunctions::new(&config, machine);
        assert_eq!(
            executions.execution_arn(&RunId::new("incident-0-7")),
            "arn:aws:states:us-west-2:123456789012:execution:databricks-dr-lakehouse:incident-0-7"
        );
    }

    #[test]
    fn what_waits_to_be_redriven_or_is_not_known_goes_on() {
        for (status, expected) in [
            ("RUNNING", ExecutionStatus::Running),
            ("PENDING_REDRIVE", ExecutionStatus::Running),
            ("A_STATUS_OF_TOMORROW", ExecutionStatus::Running),
            ("SUCCEEDED", ExecutionStatus::Succeeded),
            ("FAILED", ExecutionStatus::Failed),
            ("TIMED_OUT", ExecutionStatus::Failed),
            ("ABORTED", ExecutionStatus::Stopped),
        ] {
            assert_eq!(status_of(&SdkStatus::from(status)), expected, "{status}");
        }
    }
}
