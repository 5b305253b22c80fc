//! Two sites, what lies outside of them, the vantages that probe them, and a clock that is a number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws::buckets::Buckets;
use aws::executions::{Executions, MemoryExecutions};
use aws::notices::MemoryNotices;
use aws::parameters::{MemoryParameters, Parameters};
use aws::store::{MemoryStore, Store, Stored, Tag, Written};
use aws::{Failure, Ports, keys};
use aws_config::{BehaviorVersion, Region as SdkRegion, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use health_probe::{Answer, Event, Prober, Schedule};
use jiff::{SignedDuration, Timestamp};
use recovery::plan::Plan;
use recovery::site::{Region, SiteLabel};
use serde_json::{Value, json};
use workspace_sim::{Delays, Inventory, SimOptions, Simulator};

use crate::{DetectionError, Outside};

/// The control region: a vantage, too.
pub const CONTROL: &str = "us-west-2";
/// The other vantage.
pub const OBSERVER: &str = "eu-west-1";
/// Nothing listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

/// What a world starts with.
pub struct Start {
    /// The plan as JSON; addresses are filled in.
    pub plan: Value,
}

impl Default for Start {
    /// The plan of the scenarios: two vantages that must agree, three confirmations, two minutes of grace, every probe there is.
    fn default() -> Self {
        let example = include_str!("../../../infra/plan.example.json");
        let mut plan: Value = serde_json::from_str(example).unwrap_or_default();
        let detection = json!({
            "vantages": [CONTROL, OBSERVER],
            "policy": {"window": 5, "confirmations": 3, "grace_seconds": 120, "quorum": 2, "freshness_seconds": 180},
            "probe_timeout_seconds": 2, "latency_objective_ms": 1500, "interval_seconds": 60,
            "probes": {
                "sql_canary": {"warehouse": "Shared SQL", "rule": "Keep"},
                "cluster_canary": {"names": ["etl"]},
                "job_success": {"window_seconds": 7200, "minimum_runs": 5, "baseline_failed_percent": 20},
                "kpis": [{"name": "orders-age", "warehouse": "Shared SQL", "rule": "Keep", "sql": "SELECT age", "bound": {"at_most": 60}}],
                "object_store": {"buckets": {"primary": "lake-one", "secondary": "lake-two"}},
                "status_page": {"url": "http://127.0.0.1:1/status.json", "format": "StatusIo",
                    "regions": {"primary": "East", "secondary": "Ohio"}},
                "aws_health": {"services": ["EC2", "S3"]},
                "references": []
            }
        });
        if let Some(plan) = plan.as_object_mut() {
            plan.insert("detection".to_owned(), detection);
            // A small plan of a test is none to be warned of.
            plan.insert("drill_timing".to_owned(), true.into());
        }
        Self { plan }
    }
}

/// A place that probes run from.
pub struct Vantage {
    /// The function's own part.
    pub prober: Prober,
    parameters: MemoryParameters,
    lens: Lens,
}

/// Everything.
pub struct World {
    /// The control bucket.
    pub store: MemoryStore,
    /// What was sent.
    pub notices: MemoryNotices,
    /// What was started.
    pub executions: MemoryExecutions,
    /// Object stores, status page, reference.
    pub outside: Outside,
    /// Observers first, the control region last: it judges.
    pub vantages: Vec<Vantage>,
    sites: BTreeMap<SiteLabel, Simulator>,
    http: reqwest::Client,
    clock: Arc<Mutex<Timestamp>>,
}

/// The control bucket as one vantage sees it: with a plan of its own, if its network is broken. It stands for the addresses that
/// this vantage cannot reach.
#[derive(Clone)]
struct Lens {
    inner: MemoryStore,
    plan: Arc<Mutex<Option<Vec<u8>>>>,
}

#[async_trait]
impl Store for Lens {
    async fn get(&self, key: &str) -> Result<Option<Stored>, Failure> {
        let stored = self.inner.get(key).await?;
        let own = self
            .plan
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Ok(match (stored, own) {
            (Some(stored), Some(bytes)) if key == keys::PLAN => Some(Stored { bytes, ..stored }),
            (stored, _) => stored,
        })
    }

    async fn create(&self, key: &str, bytes: Vec<u8>) -> Result<Written, Failure> {
        self.inner.create(key, bytes).await
    }

    async fn replace(&self, key: &str, bytes: Vec<u8>, read: &Tag) -> Result<Written, Failure> {
        self.inner.replace(key, bytes, read).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, Failure> {
        self.inner.list(prefix).await
    }
}

fn inventory() -> Value {
    json!({
        "clusters": [{"cluster_id": "c-1", "cluster_name": "etl", "state": "RUNNING", "spark_version": "15"}],
        "warehouses": [{"id": "w-1", "name": "Shared SQL", "state": "RUNNING", "auto_stop_mins": 10, "min_num_clusters": 1}],
    })
}

async fn simulator(workspace_id: u64) -> Result<Simulator, DetectionError> {
    let options = SimOptions {
        listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        inventory: Inventory::from_json(inventory())?,
        workspace_id,
        rate_limits: false,
        rate_scale: 1.0,
        record: None,
        time_scale: 1.0,
        delays: Delays {
            statement: 0.01,
            ..Delays::default()
        },
    };
    Ok(Simulator::start(options).await?)
}

/// An SDK that knows one endpoint.
fn sdk(endpoint: &str) -> SdkConfig {
    let keys = Credentials::new("test", "test", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(SdkRegion::new(CONTROL))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build()
}

impl World {
    /// A world in which all is well, and nothing was probed yet.
    ///
    /// # Errors
    /// What could not be started, or the plan's problems.
    pub async fn start(start: Start) -> Result<Self, DetectionError> {
        let outside = Outside::start().await?;
        let plan = addressed(start.plan, &outside);
        let bytes = plan.to_string().into_bytes();
        let plan = Plan::parse(&bytes)?;
        let mut sites = BTreeMap::new();
        for site in SiteLabel::ALL {
            let id = plan.sites.get(site).workspace_id.as_str();
            sites.insert(site, simulator(id.parse().unwrap_or_default()).await?);
        }
        let clock = Arc::new(Mutex::new(Timestamp::now()));
        let read = {
            let clock = Arc::clone(&clock);
            Arc::new(move || *clock.lock().unwrap_or_else(PoisonError::into_inner))
        };
        let (ports, store, _, notices) =
            Ports::in_memory(plan.name.clone(), plan.control_region.clone(), read);
        store.create(keys::PLAN, bytes).await?;
        let mut regions = plan.detection.vantages.clone();
        regions.sort_by_key(|region| *region == plan.control_region);
        let vantages = regions
            .into_iter()
            .map(|region| vantage(&ports, &store, region, &outside))
            .collect();
        let world = Self {
            store,
            notices,
            executions: MemoryExecutions::default(),
            outside,
            vantages,
            sites,
            http: reqwest::Client::new(),
            clock,
        };
        for site in SiteLabel::ALL {
            for vantage in &world.vantages {
                vantage.knows(&plan, site, &world.url(site)).await?;
            }
            let number = json!({"statement": "SELECT age", "value": "10"});
            world.control(site, "statements", number).await?;
        }
        Ok(world)
    }

    /// The address of a site.
    #[must_use]
    pub fn url(&self, site: SiteLabel) -> String {
        self.sites
            .get(&site)
            .map(Simulator::url)
            .unwrap_or_default()
    }

    /// The vantage of this region.
    #[must_use]
    pub fn vantage(&self, region: &str) -> Option<&Vantage> {
        self.vantages
            .iter()
            .find(|vantage| vantage.prober.vantage.as_str() == region)
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets time pass.
    pub fn later(&self, seconds: i64) {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        *clock += SignedDuration::from_secs(seconds);
    }

    /// Speaks to the control route of a site's simulator.
    ///
    /// # Errors
    /// It refuses, which is a mistake of the scenario.
    pub async fn control(
        &self,
        site: SiteLabel,
        route: &str,
        body: Value,
    ) -> Result<(), DetectionError> {
        let url = format!("{}/__sim/{route}", self.url(site));
        let answer = self.http.post(url).json(&body).send().await?;
        answer.error_for_status()?;
        Ok(())
    }

    /// Ends all fault rules of a site.
    ///
    /// # Errors
    /// The simulator does not answer.
    pub async fn heal(&self, site: SiteLabel) -> Result<(), DetectionError> {
        let url = format!("{}/__sim/faults", self.url(site));
        self.http.delete(url).send().await?.error_for_status()?;
        Ok(())
    }

    /// Makes requests of a site fail: `rule` as the simulator takes it.
    ///
    /// # Errors
    /// The simulator refuses the rule.
    pub async fn fault(&self, site: SiteLabel, rule: Value) -> Result<(), DetectionError> {
        self.control(site, "faults", rule).await
    }

    /// A minute passes, and every vantage probes. The answer is that of the control region.
    ///
    /// # Errors
    /// What the probe function failed with.
    pub async fn round(&self) -> Result<Answer, DetectionError> {
        self.later(60);
        let mut answer = Answer::default();
        for vantage in &self.vantages {
            answer = self.probe(vantage).await?;
        }
        Ok(answer)
    }

    /// One vantage probes.
    ///
    /// # Errors
    /// What the probe function failed with.
    pub async fn probe(&self, vantage: &Vantage) -> Result<Answer, Failure> {
        let event = Event::Schedule(Schedule { scheduled: true });
        let executions: &dyn Executions = &self.executions;
        // An observer has no machine to start.
        let own = vantage.prober.vantage == vantage.prober.ports.region;
        health_probe::handle(event, &vantage.prober, own.then_some(executions)).await
    }

    /// Hands an event to the function of the control region.
    ///
    /// # Errors
    /// What the function failed with.
    pub async fn deliver(&self, event: Value) -> Result<Answer, DetectionError> {
        let event: Event = serde_json::from_value(event)?;
        let mut answer = Answer::default();
        if let Some(vantage) = self.vantage(CONTROL) {
            answer = health_probe::handle(event, &vantage.prober, None).await?;
        }
        Ok(answer)
    }
}

/// The plan with the addresses of this very world.
fn addressed(mut plan: Value, outside: &Outside) -> Value {
    if let Some(page) = plan.pointer_mut("/detection/probes/status_page/url") {
        *page = format!("{}/status.json", outside.url()).into();
    }
    let port = outside.port();
    if let Some(references) = plan.pointer_mut("/detection/probes/references") {
        *references = json!([
            {"name": "one", "url": format!("http://127.0.0.1:{port}/reference")},
            {"name": "two", "url": format!("tcp://localhost:{port}")},
        ]);
    }
    plan
}

fn vantage(ports: &Ports, store: &MemoryStore, region: Region, outside: &Outside) -> Vantage {
    let parameters = MemoryParameters::default();
    let lens = Lens {
        inner: store.clone(),
        plan: Arc::default(),
    };
    let ports = Ports {
        store: Arc::new(lens.clone()),
        parameters: Arc::new(parameters.clone()),
        ..ports.clone()
    };
    Vantage {
        prober: Prober::new(ports, region, Buckets::new(sdk(&outside.url()))),
        parameters,
        lens,
    }
}

impl Vantage {
    /// What this vantage takes for the address of a site.
    ///
    /// # Errors
    /// Never, in memory.
    pub async fn knows(&self, plan: &Plan, site: SiteLabel, url: &str) -> Result<(), Failure> {
        let region = &self.prober.ports.region;
        let address = keys::workspace_url(&plan.name, site);
        self.parameters.put(region, &address, url).await?;
        let credential = keys::credential(&plan.name, site, "observer");
        let document = json!({"client_id": "sim-client", "client_secret": "sim-secret"});
        self.parameters
            .put(region, &credential, &document.to_string())
            .await
    }

    /// Cuts this vantage off from everything but the control bucket.
    ///
    /// # Errors
    /// The plan cannot be read.
    pub async fn cut_off(&mut self) -> Result<(), DetectionError> {
        let plan = self.prober.ports.plan().await?;
        for site in SiteLabel::ALL {
            self.knows(&plan, site, NOWHERE).await?;
        }
        self.prober.buckets = Buckets::new(sdk(NOWHERE));
        let mut broken = serde_json::to_value(&plan)?;
        if let Some(references) = broken.pointer_mut("/detection/probes/references") {
            *references = json!([
                {"name": "one", "url": format!("{NOWHERE}/reference")},
                {"name": "two", "url": "tcp://localhost:1"},
            ]);
        }
        *self
            .lens
            .plan
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(broken.to_string().into_bytes());
        Ok(())
    }
}
