//! S3's own replication metrics. No data is never "caught up".

use aws::Failure;
use aws_config::{Region as SdkRegion, SdkConfig};
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use jiff::{SignedDuration, Timestamp};
use recovery::failure::FailureName;
use recovery::plan::Buckets;
use recovery::replication::ReplicationMetrics;
use recovery::site::{Region, SiteLabel};

/// The metrics appear within 15 minutes; older values say nothing of now.
const WINDOW: SignedDuration = SignedDuration::from_mins(20);
/// S3 publishes once a minute.
const PERIOD_SECONDS: i32 = 60;

/// (id of the query, name of the metric, statistic), as AWS documents them for `AWS/S3`.
const METRICS: [(&str, &str, &str); 4] = [
    ("latency", "ReplicationLatency", "Maximum"),
    ("operations", "OperationsPendingReplication", "Maximum"),
    ("bytes", "BytesPendingReplication", "Maximum"),
    ("failed", "OperationsFailedReplication", "Sum"),
];

/// Reads the metrics of replication rules.
#[derive(Clone)]
pub struct ReplicationCloudWatch {
    config: SdkConfig,
}

impl ReplicationCloudWatch {
    /// Clients are derived from this configuration.
    #[must_use]
    pub const fn new(config: SdkConfig) -> Self {
        Self { config }
    }

    /// The newest values of a rule, from the destination's region: the source's may be the one that is down.
    ///
    /// # Errors
    /// What CloudWatch said.
    pub async fn read(
        &self,
        region: &Region,
        buckets: &Buckets,
        from: SiteLabel,
        rule: &str,
        now: Timestamp,
    ) -> Result<ReplicationMetrics, Failure> {
        let config = aws_sdk_cloudwatch::config::Builder::from(&self.config)
            .region(SdkRegion::new(region.as_str().to_owned()))
            .build();
        let dimensions = [
            ("SourceBucket", buckets.get(from)),
            ("DestinationBucket", buckets.get(from.other())),
            ("RuleId", rule),
        ];
        let mut request = Client::from_conf(config)
            .get_metric_data()
            .start_time(DateTime::from_secs((now - WINDOW).as_second()))
            .end_time(DateTime::from_secs(now.as_second()));
        for (id, name, statistic) in METRICS {
            let metric = dimensions.iter().fold(
                Metric::builder().namespace("AWS/S3").metric_name(name),
                |metric, (name, value)| {
                    metric.dimensions(Dimension::builder().name(*name).value(*value).build())
                },
            );
            let stat = MetricStat::builder()
                .metric(metric.build())
                .period(PERIOD_SECONDS)
                .stat(statistic)
                .build();
            request = request.metric_data_queries(
                MetricDataQuery::builder()
                    .id(id)
                    .metric_stat(stat)
                    .return_data(true)
                    .build(),
            );
        }
        let answer = request.send().await.map_err(|error| {
            let words = aws_sdk_cloudwatch::error::DisplayErrorContext(&error).to_string();
            Failure::new(
                FailureName::Transient,
                format!("reading replication metrics in {region} failed: {words}"),
            )
        })?;
        // Values come newest first.
        let result = |id: &str| {
            let results = answer.metric_data_results();
            results.iter().find(|r| r.id() == Some(id))
        };
        let newest = |id: &str| result(id).and_then(|r| r.values().first().copied());
        let at = result("latency").and_then(|r| r.timestamps().first());
        Ok(ReplicationMetrics {
            at: at.and_then(|at| Timestamp::from_second(at.secs()).ok()),
            latency_seconds: newest("latency"),
            operations_pending: newest("operations"),
            bytes_pending: newest("bytes"),
            operations_failed: newest("failed"),
        })
    }
}
