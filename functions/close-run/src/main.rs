//! Wires the function to AWS; what it does is in the library.

use aws::executions::StepFunctionsStatuses;
use aws::{Ports, serve};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let (ports, _, config) = Ports::from_environment().await?;
    let executions = StepFunctionsStatuses::new(&config);
    serve(move |event, invocation| {
        let (ports, executions) = (ports.clone(), executions.clone());
        async move { close_run::handle(event, &ports, &executions, &invocation).await }
    })
    .await
}
