//! Wires the function to AWS; what it does is in the library.

use aws::buckets::Buckets;
use aws::{Ports, serve};
use replication_lag::cloudwatch::ReplicationCloudWatch;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let (ports, _, config) = Ports::from_environment().await?;
    let buckets = Buckets::new(config.clone());
    let cloudwatch = ReplicationCloudWatch::new(config);
    serve(move |event: replication_lag::Event, _| {
        let (ports, buckets, cloudwatch) = (ports.clone(), buckets.clone(), cloudwatch.clone());
        async move { replication_lag::handle(event, &ports, &buckets, &cloudwatch).await }
    })
    .await
}
