//! Wires the function to AWS; what it does is in the library.

use aws::{Ports, serve};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let (ports, _, _) = Ports::from_environment().await?;
    serve(move |event, invocation| {
        let ports = ports.clone();
        async move { approval_page::handle(event, &ports, &invocation).await }
    })
    .await
}
