//! Starting the state machine. Only the health probe does; it needs no port of its own.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::error::ProvideErrorMetadata;
use recovery::site::RunId;

use crate::Failure;
use crate::failure::aws_failure;

/// Starts executions of one state machine.
#[derive(Clone)]
pub struct Executions {
    client: Client,
    machine: String,
}

impl Executions {
    /// Of this state machine.
    #[must_use]
    pub fn new(client: Client, machine: impl Into<String>) -> Self {
        Self {
            client,
            machine: machine.into(),
        }
    }

    /// Starts an execution under this name. The same name twice is one execution, so a lost answer does no harm.
    ///
    /// # Errors
    /// `Throttled`, `Transient`, `AccessDenied` or `Internal`.
    pub async fn start(&self, name: &RunId, input: &serde_json::Value) -> Result<(), Failure> {
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

/// The client of the control region.
#[must_use]
pub fn client(config: &aws_config::SdkConfig) -> Client {
    Client::new(config)
}
