//! Wires the function to AWS; what it does is in the library.

use std::sync::Arc;

use aws::buckets::Buckets;
use aws::{Ports, serve};
use delta_recovery::{Location, S3Settings};
use replication_lag::cloudwatch::ReplicationCloudWatch;
use replication_lag::{OpenPrefix, Reach};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let (ports, _, config) = Ports::from_environment().await?;
    let open: OpenPrefix = Arc::new(|region, at| {
        let settings = S3Settings {
            region: Some(region.as_str().to_owned()),
            endpoint: None,
        };
        Location::s3(&at.bucket, &at.prefix, &settings)
    });
    let reach = Reach {
        buckets: Buckets::new(config.clone()),
        cloudwatch: ReplicationCloudWatch::new(config),
        open,
    };
    serve(move |event, invocation| {
        let (ports, reach) = (ports.clone(), reach.clone());
        async move { replication_lag::handle(event, &ports, &reach, &invocation).await }
    })
    .await
}
