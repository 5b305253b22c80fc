//! Wires the function to AWS; what it does is in the library.

use std::sync::Arc;

use aws::buckets::Buckets;
use aws::executions::{Executions, StepFunctions};
use aws::{Ports, serve};
use health_probe::Prober;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let (ports, environment, config) = Ports::from_environment().await?;
    // Only the control region has a state machine to start.
    let executions = environment
        .state_machine
        .map(|machine| StepFunctions::new(&config, machine));
    let prober = Prober::new(ports, environment.region, Buckets::new(config));
    let shared = Arc::new((prober, executions));
    serve(move |event: health_probe::Event, _| {
        let shared = Arc::clone(&shared);
        async move {
            let (prober, executions) = shared.as_ref();
            let executions = executions.as_ref().map(|own| own as &dyn Executions);
            health_probe::handle(event, prober, executions).await
        }
    })
    .await
}
