//! AWS Health events as EventBridge delivers them: each to the affected region and to a backup region, and again with every
//! update.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::AwsHealth;
use crate::site::Region;
use crate::verdict::{DegradedCause, Outcome};

/// The version of the document.
pub const HEALTH_FORMAT: u32 = 1;

/// An event without an update for so long is forgotten: its end may have been lost.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The most events that are kept.
const MOST_EVENTS: usize = 200;
/// The most communications that are remembered of each.
const MOST_COMMUNICATIONS: usize = 50;

/// `provider/aws-health.json`: the events that were delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthEvents {
    /// Always [`HEALTH_FORMAT`].
    pub format_version: u32,
    /// By `eventArn`.
    pub events: BTreeMap<String, HealthEvent>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthEvent {
    /// The service, as in `EC2`.
    pub service: String,
    /// The affected region, or `global`.
    pub region: String,
    /// As in `AWS_EC2_OPERATIONAL_ISSUE`.
    pub code: String,
    /// `issue`, `scheduledChange`, ...
    pub category: String,
    /// Whether it has ended.
    pub closed: bool,
    /// When AWS last updated it; when it came here, if AWS did not say.
    pub updated_at: Timestamp,
    /// The communications that were taken in.
    pub communications: BTreeSet<String>,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Taken {
    /// It said something new.
    New,
    /// The same communication came before, by the other region.
    Duplicate,
}

impl Default for HealthEvents {
    fn default() -> Self {
        Self {
            format_version: HEALTH_FORMAT,
            events: BTreeMap::new(),
        }
    }
}

impl HealthEvents {
    /// Takes the `detail` of a delivery in; the same `eventArn` and `communicationId` twice is one. `region` is the envelope's,
    /// for a detail that names none.
    ///
    /// # Errors
    /// The name of the field that is missing.
    pub fn take(&mut self, detail: &Value, region: &str, now: Timestamp) -> Result<Taken, String> {
        let text = |field: &'static str| detail.get(field).and_then(Value::as_str);
        let need = |field: &'static str| {
            text(field)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .ok_or_else(|| format!("detail.{field} is missing"))
        };
        let arn = need("eventArn")?;
        // One without an id is a communication of its own at its own time.
        let communication = text("communicationId")
            .or_else(|| text("lastUpdatedTime"))
            .map_or_else(|| now.to_string(), str::to_owned);
        let said_at = text("lastUpdatedTime")
            .and_then(|text| jiff::fmt::rfc2822::parse(text).ok())
            .map_or(now, |zoned| zoned.timestamp());
        let incoming = HealthEvent {
            service: need("service")?,
            region: text("eventRegion").unwrap_or(region).to_owned(),
            code: need("eventTypeCode")?,
            category: need("eventTypeCategory")?,
            closed: text("statusCode") == Some("closed"),
            updated_at: said_at,
            communications: BTreeSet::new(),
        };
        let event = self.events.entry(arn).or_insert_with(|| incoming.clone());
        if !event.communications.insert(communication.clone()) {
            return Ok(Taken::Duplicate);
        }
        // Deliveries come in any order: the newest update counts.
        if incoming.updated_at >= event.updated_at {
            let communications = std::mem::take(&mut event.communications);
            *event = HealthEvent {
                communications,
                ..incoming
            };
        }
        while event.communications.len() > MOST_COMMUNICATIONS {
            let oldest = event.communications.iter().find(|c| **c != communication);
            let Some(oldest) = oldest.cloned() else { break };
            event.communications.remove(&oldest);
        }
        self.forget(now);
        Ok(Taken::New)
    }

    fn forget(&mut self, now: Timestamp) {
        self.events
            .retain(|_, event| now.duration_since(event.updated_at) <= FORGOTTEN_AFTER);
        while self.events.len() > MOST_EVENTS {
            let oldest = self.events.iter().min_by_key(|(_, event)| event.updated_at);
            let Some(oldest) = oldest.map(|(arn, _)| arn.clone()) else {
                return;
            };
            self.events.remove(&oldest);
        }
    }

    /// What the open issues say of a region.
    #[must_use]
    pub fn outcome(&self, probe: &AwsHealth, region: &Region, now: Timestamp) -> Outcome {
        let counts = |event: &HealthEvent| {
            !event.closed
                && event.category == "issue"
                && (event.region == region.as_str() || event.region == "global")
                && (probe.services.is_empty() || probe.services.contains(&event.service))
                && now.duration_since(event.updated_at) <= FORGOTTEN_AFTER
        };
        if self.events.values().any(counts) {
            DegradedCause::PartialFailure.into()
        } else {
            Outcome::Healthy
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn detail(communication: &str, status: &str, updated: &str) -> Value {
        json!({"eventArn": "arn:aws:health:us-east-1::event/EC2/X/1", "service": "EC2",
            "eventTypeCode": "AWS_EC2_OPERATIONAL_ISSUE", "eventTypeCategory": "issue", "eventScopeCode": "PUBLIC",
            "communicationId": communication, "statusCode": status, "eventRegion": "us-east-1",
            "startTime": "Sun, 01 Mar 2026 11:00:00 GMT", "lastUpdatedTime": updated})
    }

    fn outcome(events: &HealthEvents, services: &[&str], region: &str) -> String {
        let probe = AwsHealth {
            services: services.iter().map(|s| (*s).to_owned()).collect(),
            ..AwsHealth::default()
        };
        events
            .outcome(&probe, &Region::new(region), now())
            .to_string()
    }

    #[test]
    fn the_copy_by_the_backup_region_is_no_second_event() {
        let mut events = HealthEvents::default();
        let open = detail("1", "open", "Sun, 01 Mar 2026 11:05:00 GMT");
        assert_eq!(events.take(&open, "us-east-1", now()), Ok(Taken::New));
        assert_eq!(events.take(&open, "us-west-2", now()), Ok(Taken::Duplicate));
        assert_eq!(events.events.len(), 1);
        let troubled = "Degraded (PartialFailure)";
        assert_eq!(outcome(&events, &[], "us-east-1"), troubled);
        assert_eq!(outcome(&events, &["EC2"], "us-east-1"), troubled);
        assert_eq!(outcome(&events, &["S3"], "us-east-1"), "Healthy");
        assert_eq!(outcome(&events, &[], "us-east-2"), "Healthy");
    }

    #[test]
    fn an_end_counts_in_whatever_order_it_arrives() {
        let open = detail("1", "open", "Sun, 01 Mar 2026 11:05:00 GMT");
        let update = detail("2", "open", "Sun, 01 Mar 2026 11:30:00 GMT");
        let closed = detail("3", "closed", "Sun, 01 Mar 2026 11:45:00 GMT");
        for order in [[&open, &update, &closed], [&closed, &open, &update]] {
            let mut events = HealthEvents::default();
            for each in order {
                assert_eq!(events.take(each, "us-east-1", now()), Ok(Taken::New));
            }
            assert_eq!(outcome(&events, &[], "us-east-1"), "Healthy");
        }
    }

    #[test]
    fn what_is_no_issue_is_none_and_what_is_old_is_forgotten() {
        let mut events = HealthEvents::default();
        let mut change = detail("1", "open", "Sun, 01 Mar 2026 11:05:00 GMT");
        change["eventTypeCategory"] = json!("scheduledChange");
        events.take(&change, "us-east-1", now()).unwrap();
        assert_eq!(outcome(&events, &[], "us-east-1"), "Healthy");
        let old = detail("1", "open", "Sun, 01 Feb 2026 11:05:00 GMT");
        let mut events = HealthEvents::default();
        events.take(&old, "us-east-1", now()).unwrap();
        assert_eq!(outcome(&events, &[], "us-east-1"), "Healthy");
        assert!(events.events.is_empty());
        assert!(events.take(&json!({}), "us-east-1", now()).is_err());
    }
}
