//! Wires the function to AWS; what it does is in the library.

use std::sync::Arc;

use aws::access_points::S3AccessPoints;
use aws::{Ports, serve};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let (ports, _, config) = Ports::from_environment().await?;
    let points = Arc::new(S3AccessPoints::new(config));
    serve(move |event, invocation| {
        let (ports, points) = (ports.clone(), Arc::clone(&points));
        async move { switch_endpoints::handle(event, &ports, points.as_ref(), &invocation).await }
    })
    .await
}
