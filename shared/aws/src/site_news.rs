//! Telling machines that another site is active: one event for each epoch.

use jiff::Timestamp;
use recovery::run::Mode;
use recovery::site::{Epoch, PlanName, RunId, SiteLabel};
use serde::{Deserialize, Serialize};

use crate::events::Event;
use crate::{Failure, Ports, keys};

/// The `detail-type` of the event.
pub const ACTIVE_SITE_CHANGED: &str = "Active Site Changed";

/// The `detail` of the event. Who may hear it twice looks at `epoch`, which grows by each commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActiveSite {
    /// The plan.
    pub plan: PlanName,
    /// The run.
    pub run: RunId,
    /// What the run does.
    pub mode: Mode,
    /// The site that was left.
    pub from: SiteLabel,
    /// The active site.
    pub to: SiteLabel,
    /// The epoch that the commit made.
    pub epoch: Epoch,
    /// When it did.
    pub committed_at: Option<Timestamp>,
    /// The active workspace.
    pub workspace_url: String,
}

/// What was told of a run's commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    epoch: Epoch,
    at: Timestamp,
}

impl Ports {
    /// Publishes that another site is active, unless that was done in this epoch. It is noted after the telling, so that a
    /// function that dies in between tells twice rather than never.
    ///
    /// # Errors
    /// What EventBridge or the store said.
    pub async fn announce_active_site(&self, news: &ActiveSite) -> Result<(), Failure> {
        let key = keys::active_site_told(&news.run);
        let told: Option<Told> = self.read(&key).await?;
        if told.is_some_and(|told| told.epoch == news.epoch) {
            return Ok(());
        }
        let detail =
            serde_json::to_value(news).map_err(|e| Failure::internal(format!("the event: {e}")))?;
        self.events
            .publish(Event {
                name: ACTIVE_SITE_CHANGED,
                detail,
            })
            .await?;
        let told = Told {
            epoch: news.epoch,
            at: self.now(),
        };
        self.put(&key, &told).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use recovery::site::Region;

    use super::*;
    use crate::events::MemoryEvents;

    #[tokio::test]
    async fn a_change_is_told_once_in_its_epoch() {
        let now = Timestamp::UNIX_EPOCH;
        let plan = PlanName::new("lakehouse");
        let region = Region::new("us-west-2");
        let (mut ports, ..) = Ports::in_memory(plan.clone(), region, Arc::new(move || now));
        let events = MemoryEvents::default();
        ports.events = Arc::new(events.clone());
        let mut news = ActiveSite {
            plan,
            run: RunId::new("run-1"),
            mode: Mode::Failover,
            from: SiteLabel::Primary,
            to: SiteLabel::Secondary,
            epoch: Epoch::first().next(),
            committed_at: Some(now),
            workspace_url: "https://b.example".to_owned(),
        };
        for _ in 0..3 {
            ports.announce_active_site(&news).await.unwrap();
        }
        news.epoch = news.epoch.next();
        ports.announce_active_site(&news).await.unwrap();
        let published = events.published();
        assert_eq!(published.len(), 2);
        assert_eq!(published[0].name, "Active Site Changed");
        assert_eq!(published[0].detail["to"], "secondary");
        assert_eq!(published[0].detail["epoch"], 1);
        assert_eq!(published[0].detail["workspace_url"], "https://b.example");
    }
}
