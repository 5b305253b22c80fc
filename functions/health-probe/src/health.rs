//! Events of AWS Health: taken in as EventBridge delivers them, for the probe `aws-health` to read.

use aws::documents::Change;
use aws::{Failure, Ports, keys};
use recovery::failure::FailureName;
use recovery::findings::{HealthEvents, Taken};
use serde::Deserialize;
use serde_json::Value;

/// An event as EventBridge delivers it. The envelope has more fields; none of them is needed.
#[derive(Clone, Debug, Deserialize)]
pub struct Delivery {
    /// Only this source is understood.
    pub source: Source,
    /// The region of the bus that it arrived on first.
    pub region: String,
    /// What happened.
    pub detail: Value,
}

/// Who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Source {
    /// AWS Health.
    #[serde(rename = "aws.health")]
    AwsHealth,
}

/// Takes an event in. The same communication twice, by the affected region and by the backup region, is one.
pub(crate) async fn take(ports: &Ports, delivery: &Delivery) -> Result<Taken, Failure> {
    let now = ports.now();
    ports
        .change(keys::AWS_HEALTH, |stored: &mut Option<HealthEvents>| {
            let events = stored.get_or_insert_default();
            match events.take(&delivery.detail, &delivery.region, now) {
                Ok(Taken::New) => Ok(Change::Write(Taken::New)),
                Ok(Taken::Duplicate) => Ok(Change::Keep(Taken::Duplicate)),
                Err(problem) => Err(Failure::new(
                    FailureName::InvalidEvent,
                    format!("the event of AWS Health is not understood: {problem}"),
                )),
            }
        })
        .await
}
