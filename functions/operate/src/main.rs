//! Wires the function to AWS; what it does is in the library.

use aws::fence_watch::LambdaFenceWatch;
use aws::{Ports, serve};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let (ports, _, config) = Ports::from_environment().await?;
    let watch = LambdaFenceWatch::new(&config, &ports.plan_name);
    serve(move |event, invocation| {
        let (ports, watch) = (ports.clone(), watch.clone());
        async move { operate::handle(event, &ports, &watch, &invocation).await }
    })
    .await
}
