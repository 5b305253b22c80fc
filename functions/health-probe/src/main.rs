//! Wires the function to AWS; what it does is in the library.

use aws::executions::Executions;
use aws::{Failure, Ports, serve};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let (ports, environment, config) = Ports::from_environment().await?;
    let machine = environment.state_machine.ok_or_else(|| {
        Failure::internal(
            "the environment variable STATE_MACHINE_ARN is not set; the template sets it",
        )
    })?;
    let executions = Executions::new(aws::executions::client(&config), machine);
    serve(move |event: health_probe::Event, _| {
        let (ports, executions) = (ports.clone(), executions.clone());
        async move { health_probe::handle(event, &ports, &executions).await }
    })
    .await
}
