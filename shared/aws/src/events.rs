//! Events for machines, on the default bus of EventBridge in the control region.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use recovery::failure::FailureName;
use serde_json::Value;

use crate::Failure;
use crate::failure::aws_failure;

/// The source of every event of this system.
pub const SOURCE: &str = "databricks-dr";

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The `detail-type`.
    pub name: &'static str,
    /// The `detail`.
    pub detail: Value,
}

/// The port.
#[async_trait]
pub trait Events: Send + Sync {
    /// Puts an event on the bus.
    async fn publish(&self, event: Event) -> Result<(), Failure>;
}

/// The adapter to EventBridge.
pub struct EventBridge {
    client: Client,
}

impl EventBridge {
    /// Publishes to the default bus of the client's region.
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl Events for EventBridge {
    async fn publish(&self, event: Event) -> Result<(), Failure> {
        let entry = PutEventsRequestEntry::builder()
            .source(SOURCE)
            .detail_type(event.name)
            .detail(event.detail.to_string())
            .build();
        let what = format!("publishing the event \"{}\"", event.name);
        let answer = self
            .client
            .put_events()
            .entries(entry)
            .send()
            .await
            .map_err(aws_failure!(what))?;
        // The call succeeds although the bus took nothing.
        match answer.entries().iter().find_map(|e| e.error_message()) {
            Some(error) => Err(Failure::new(
                FailureName::Transient,
                format!("{what} failed: {error}"),
            )),
            None => Ok(()),
        }
    }
}

/// The in-memory twin: keeps what was published.
#[derive(Clone, Default)]
pub struct MemoryEvents {
    published: Arc<Mutex<Vec<Event>>>,
}

impl MemoryEvents {
    /// Everything that was published, in order.
    #[must_use]
    pub fn published(&self) -> Vec<Event> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait]
impl Events for MemoryEvents {
    async fn publish(&self, event: Event) -> Result<(), Failure> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
        Ok(())
    }
}
