//! How many functions of the account may run at once, where this one runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_lambda::Client;

use crate::Failure;
use crate::failure::aws_failure;

/// Functions that run at the same time: a number of one account in one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AtOnce(pub u32);

/// The port.
#[async_trait]
pub trait Concurrency: Send + Sync {
    /// What the account has left for functions without a reservation of their own.
    async fn unreserved(&self) -> Result<AtOnce, Failure>;
}

/// The adapter to Lambda of the function's own region.
pub struct LambdaConcurrency {
    client: Client,
}

impl LambdaConcurrency {
    /// Asks with this configuration.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::new(config),
        }
    }
}

#[async_trait]
impl Concurrency for LambdaConcurrency {
    async fn unreserved(&self) -> Result<AtOnce, Failure> {
        let answer = self
            .client
            .get_account_settings()
            .send()
            .await
            .map_err(aws_failure!("asking Lambda for the account's limits"))?;
        answer
            .account_limit()
            .and_then(|limit| limit.unreserved_concurrent_executions())
            .and_then(|number| u32::try_from(number).ok())
            .map(AtOnce)
            .ok_or_else(|| Failure::internal("Lambda named no limit of the account"))
    }
}

/// The in-memory twin.
#[derive(Clone)]
pub struct MemoryConcurrency(Arc<AtomicU32>);

impl MemoryConcurrency {
    /// An account with so much left.
    #[must_use]
    pub fn new(unreserved: AtOnce) -> Self {
        Self(Arc::new(AtomicU32::new(unreserved.0)))
    }

    /// What is left from now on.
    pub fn set(&self, unreserved: AtOnce) {
        self.0.store(unreserved.0, Ordering::SeqCst);
    }
}

#[async_trait]
impl Concurrency for MemoryConcurrency {
    async fn unreserved(&self) -> Result<AtOnce, Failure> {
        Ok(AtOnce(self.0.load(Ordering::SeqCst)))
    }
}
