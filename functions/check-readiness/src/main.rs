//! Wires the function to AWS; what it does is in the library.

use aws::buckets::Buckets;
use aws::{Ports, serve};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let (ports, _, config) = Ports::from_environment().await?;
    let buckets = Buckets::new(config);
    serve(move |event, invocation| {
        let (ports, buckets) = (ports.clone(), buckets.clone());
        async move { check_readiness::handle(event, &ports, &buckets, &invocation).await }
    })
    .await
}
