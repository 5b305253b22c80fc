//! Starting a pass of the fence watch now, instead of at its next minute.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use recovery::site::PlanName;

use crate::Failure;
use crate::failure::aws_failure;

/// What the watch is started with, as its schedule does.
const EVENT: &str = r#"{"by":"schedule"}"#;

/// The port of those who need a fresh reading of a fenced site.
#[async_trait]
pub trait FenceWatch: Send + Sync {
    /// Starts a pass over every standing fence and does not wait for it.
    async fn start_pass(&self) -> Result<(), Failure>;
}

/// The adapter to Lambda: shutdown-site, invoked as an event.
#[derive(Clone)]
pub struct LambdaFenceWatch {
    client: Client,
    function: String,
}

impl LambdaFenceWatch {
    /// The watch of this plan.
    #[must_use]
    pub fn new(config: &SdkConfig, plan: &PlanName) -> Self {
        Self {
            client: Client::new(config),
            function: format!("databricks-dr-{plan}-shutdown-site"),
        }
    }
}

#[async_trait]
impl FenceWatch for LambdaFenceWatch {
    async fn start_pass(&self) -> Result<(), Failure> {
        self.client
            .invoke()
            .function_name(&self.function)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(EVENT))
            .send()
            .await
            .map(|_| ())
            .map_err(aws_failure!(format!("starting {}", self.function)))
    }
}

/// The in-memory twin: counts.
#[derive(Clone, Default)]
pub struct MemoryFenceWatch(Arc<AtomicU32>);

impl MemoryFenceWatch {
    /// How many passes were started.
    #[must_use]
    pub fn started(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl FenceWatch for MemoryFenceWatch {
    async fn start_pass(&self) -> Result<(), Failure> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}
