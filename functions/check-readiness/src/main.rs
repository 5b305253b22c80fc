//! Wires the function to AWS; what it does is in the library.

use std::sync::Arc;

use aws::buckets::Buckets;
use aws::concurrency::LambdaConcurrency;
use aws::{Ports, serve};
use check_readiness::Around;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let (ports, _, config) = Ports::from_environment().await?;
    let around = Around {
        concurrency: Arc::new(LambdaConcurrency::new(&config)),
        buckets: Buckets::new(config),
    };
    serve(move |event, invocation| {
        let (ports, around) = (ports.clone(), around.clone());
        async move { check_readiness::handle(event, &ports, &around, &invocation).await }
    })
    .await
}
