//! What a planned run asks for: both sites healthy for a while, and data that arrives.

use jiff::SignedDuration;
use recovery::replication::ReplicationStatus;
use recovery::signals::Signals;
use recovery::site::SiteLabel;
use recovery::verdict::{Observation, healthy_since};

use crate::DrillError;
use crate::plan::CONTROL_REGION;
use crate::world::World;

/// As long as the plan's `planned.healthy_seconds`, and one look more.
const STEADY: SignedDuration = SignedDuration::from_secs(6);
/// As the plan's `freshness_seconds`.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(30);

impl World {
    /// Until every look at both sites over some seconds found nothing.
    ///
    /// # Errors
    /// If that takes a minute.
    pub async fn healthy_for_a_while(&self) -> Result<(), DrillError> {
        self.wait("three healthy probes of both sites", 60, || async {
            let signals: Option<Signals> = self.read(&aws::keys::signals(CONTROL_REGION)).await?;
            let now = jiff::Timestamp::now();
            let steady = |site| {
                let looks: Vec<Observation> = signals
                    .iter()
                    .flat_map(|s| &s.observations)
                    .filter(|o| o.site == site)
                    .cloned()
                    .collect();
                healthy_since(&looks, LONGEST_PAUSE)
                    .is_some_and(|since| now.duration_since(since) >= STEADY)
            };
            Ok((steady(SiteLabel::Primary) && steady(SiteLabel::Secondary)).then_some(()))
        })
        .await
    }

    /// Until the recovery point of every data set is known.
    ///
    /// # Errors
    /// If that takes a minute.
    pub async fn data_arrives(&self) -> Result<(), DrillError> {
        self.wait("replicated data at the standby", 60, || async {
            let status: Option<ReplicationStatus> = self.read(aws::keys::REPLICATION).await?;
            let known =
                status.is_some_and(|s| s.data_sets.iter().all(|d| d.recovery_point.is_some()));
            Ok(known.then_some(()))
        })
        .await
    }
}
