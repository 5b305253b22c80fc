//! Everything a handler needs from outside, in one bundle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use recovery::site::{PlanName, Region};

use crate::Failure;
use crate::environment::{Environment, sdk_config};
use crate::events::{EventBridge, Events, MemoryEvents};
use crate::identity::{IdentityTokens, MemoryIdentity, StsIdentity};
use crate::metrics::Metrics;
use crate::notices::{MemoryNotices, Notices, SnsNotices};
use crate::parameters::{MemoryParameters, Parameters, SsmParameters};
use crate::store::{MemoryStore, S3Store, Store};

/// The clock of the functions.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Where 128 random bits come from.
pub type Random = Arc<dyn Fn() -> Result<u128, Failure> + Send + Sync>;

/// The ports of a function.
#[derive(Clone)]
pub struct Ports {
    /// The plan that this stack serves.
    pub plan_name: PlanName,
    /// The control region: where plan, state and parameters lie. An observer runs elsewhere.
    pub region: Region,
    /// The state store.
    pub store: Arc<dyn Store>,
    /// SSM.
    pub parameters: Arc<dyn Parameters>,
    /// SNS.
    pub notices: Arc<dyn Notices>,
    /// Who this function is.
    pub identity: Arc<dyn IdentityTokens>,
    /// EventBridge.
    pub events: Arc<dyn Events>,
    /// Where metrics go.
    pub metrics: Metrics,
    /// The clock.
    pub clock: Clock,
    /// Randomness of the operating system.
    pub random: Random,
    /// The address of the page, if there is one.
    pub page_url: Option<String>,
    /// How many of a platform's seconds pass in one of ours: 1, but for tests against simulated platforms that run faster.
    pub time_scale: f64,
    /// Whether AWS is a local cloud (`AWS_ENDPOINT_URL` is set; no template sets it): there alone a plan's `drill_timing` holds.
    pub is_local: bool,
}

impl Ports {
    /// The ports of a deployed function, and what is left of AWS for those who need more.
    ///
    /// # Errors
    /// A variable of the environment that is missing.
    pub async fn from_environment() -> Result<(Self, Environment, aws_config::SdkConfig), Failure> {
        let environment = Environment::read(|name| std::env::var(name).ok())?;
        let config = sdk_config().await;
        let ports = Self {
            plan_name: environment.plan_name.clone(),
            region: environment.control_region.clone(),
            store: Arc::new(S3Store::new(
                crate::buckets::client(&config, &environment.control_region),
                environment.state_bucket.clone(),
            )),
            parameters: Arc::new(SsmParameters::new(config.clone())),
            notices: Arc::new(SnsNotices::new(
                aws_sdk_sns::Client::new(&config),
                environment.notices_topic.clone(),
                environment.escalation_topic.clone(),
            )),
            identity: Arc::new(StsIdentity::new(aws_sdk_sts::Client::new(&config))),
            events: Arc::new(EventBridge::new(aws_sdk_eventbridge::Client::new(&config))),
            metrics: Metrics::Output(environment.metrics_detail),
            clock: Arc::new(Timestamp::now),
            random: Arc::new(os_random),
            page_url: environment.page_url.clone(),
            time_scale: 1.0,
            is_local: std::env::var_os("AWS_ENDPOINT_URL").is_some(),
        };
        Ok((ports, environment, config))
    }

    /// In-memory twins, for tests of handlers. The first state is there, as `create-state` writes it.
    #[must_use]
    pub fn in_memory(
        plan_name: PlanName,
        region: Region,
        clock: Clock,
    ) -> (Self, MemoryStore, MemoryParameters, MemoryNotices) {
        let (store, parameters, notices) = (
            MemoryStore::default(),
            MemoryParameters::default(),
            MemoryNotices::default(),
        );
        store.put_first_state(&plan_name);
        let ports = Self {
            plan_name,
            region,
            store: Arc::new(store.clone()),
            parameters: Arc::new(parameters.clone()),
            notices: Arc::new(notices.clone()),
            identity: Arc::new(MemoryIdentity),
            events: Arc::new(MemoryEvents::default()),
            metrics: Metrics::Memory(Arc::default()),
            clock,
            random: counter(),
            page_url: Some("https://page.example/".to_owned()),
            time_scale: 1.0,
            is_local: true,
        };
        (ports, store, parameters, notices)
    }

    /// 128 random bits.
    ///
    /// # Errors
    /// `Internal` if the operating system has none to give.
    pub fn random_bits(&self) -> Result<u128, Failure> {
        (self.random)()
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

fn os_random() -> Result<u128, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| Failure::internal(format!("the operating system gave no randomness: {e}")))?;
    Ok(u128::from_ne_bytes(bytes))
}

/// For tests: 1, 2, 3, …
fn counter() -> Random {
    let next = AtomicU64::new(1);
    Arc::new(move || Ok(u128::from(next.fetch_add(1, Ordering::Relaxed))))
}
