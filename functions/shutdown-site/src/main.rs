//! Wires the function to AWS; what it does is in the library.

use aws::fences::Fences;
use aws::{Ports, serve};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let (ports, environment, config) = Ports::from_environment().await?;
    let fences = Fences::new(&config, environment.hard_fence_policy);
    serve(move |event, invocation| {
        let (ports, fences) = (ports.clone(), fences.clone());
        async move { shutdown_site::handle(event, &ports, &fences, &invocation).await }
    })
    .await
}
