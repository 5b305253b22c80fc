//! The same site with a standby beside it, both healthy: what records and compares them.

use std::sync::Arc;
use std::time::Duration;

use aws::buckets::Buckets;
use aws::concurrency::{AtOnce, MemoryConcurrency};
use aws::{Failure, Invocation, keys};
use check_readiness::Around;
use futures::FutureExt;
use recovery::site::{RunId, RunToken, SiteLabel};
use serde_json::{Value, json};

use crate::site::{EXECUTION, RUN, SITE, simulate};
use crate::{Pace, Site, Trouble};

impl Site {
    /// Starts a workspace with this inventory as the other site of the plan.
    ///
    /// # Errors
    /// What the simulator says of the inventory.
    pub async fn add_standby(&mut self, inventory: Value) -> Result<(), Trouble> {
        let id = self.plan.sites.get(SITE.other()).workspace_id.to_string();
        let id = id.parse().map_err(|e| Trouble::Plan(format!("{e}")))?;
        let standby = simulate(inventory, Pace::QUICK, id, None).await?;
        let name = keys::workspace_url(&self.plan.name, SITE.other());
        let parameters = &self.ports.parameters;
        parameters
            .put(&self.ports.region, &name, &standby.url())
            .await?;
        self.standby = Some(standby);
        // Data and data sources lie in AWS.
        let mut plan: Value = self.ports.read(keys::PLAN).await?.unwrap_or_default();
        for list in ["/data_sources/sources", "/data_sets", "/groups"] {
            if let Some(list) = plan.pointer_mut(list) {
                *list = json!([]);
            }
        }
        self.ports.put(keys::PLAN, &plan).await?;
        Ok(())
    }

    /// Every vantage has just seen both sites well, often enough to be believed.
    ///
    /// # Errors
    /// What the store said.
    pub async fn is_healthy(&self) -> Result<(), Failure> {
        let now = self.ports.now();
        let mut seen = Vec::new();
        for site in SiteLabel::ALL {
            for ago in (0..5).rev() {
                let at = now - Duration::from_secs(ago * 20);
                let up =
                    |probe: &str| json!({"probe": probe, "outcome": "Healthy", "latency_ms": 20});
                let signals: Vec<Value> =
                    ["control-plane-api", "sign-in", "sql-canary", "object-store"]
                        .into_iter()
                        .map(up)
                        .collect();
                seen.push(
                    json!({"at": at, "vantage": "us-west-2", "site": site, "signals": signals}),
                );
            }
        }
        let signals = json!({"format_version": 1, "observations": seen});
        self.ports.put(&keys::signals("us-west-2"), &signals).await
    }

    /// A control route of the standby.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn control_standby(&self, name: &str, body: &Value) -> Result<(), Trouble> {
        let url = self.standby_route(name)?;
        let request = reqwest::Client::new().post(url).json(body);
        request.send().await?.error_for_status()?;
        Ok(())
    }

    fn standby_route(&self, name: &str) -> Result<String, Trouble> {
        let standby = self.standby.as_ref();
        let standby = standby.ok_or_else(|| Trouble::Plan("there is no standby".to_owned()))?;
        Ok(format!("{}/__sim/{name}", standby.url()))
    }

    /// How many requests have met the first rule of the standby's faults.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn met_at_standby(&self) -> Result<u64, Trouble> {
        let request = reqwest::Client::new().get(self.standby_route("faults")?);
        let rules: Value = request.send().await?.error_for_status()?.json().await?;
        let seen = rules.get(0).and_then(|rule| rule.get("seen"));
        Ok(seen.and_then(Value::as_u64).unwrap_or(0))
    }

    /// Ends all faults of the standby; what hangs by them breaks off.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn no_more_faults_at_standby(&self) -> Result<(), Trouble> {
        let request = reqwest::Client::new().delete(self.standby_route("faults")?);
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// One scheduled capture of both sites.
    ///
    /// # Errors
    /// What the function says.
    pub async fn capture(&self) -> Result<capture_baseline::Reply, Failure> {
        self.capture_by(capture_baseline::Event::Schedule).await
    }

    /// The capture of the run, of this site, which it leaves.
    ///
    /// # Errors
    /// What the function says.
    pub async fn capture_in_run(&self) -> Result<capture_baseline::Reply, Failure> {
        let (run, token) = (RunId::new(RUN), RunToken::new(EXECUTION));
        self.capture_by(capture_baseline::Event::Run { run, token })
            .await
    }

    async fn capture_by(
        &self,
        event: capture_baseline::Event,
    ) -> Result<capture_baseline::Reply, Failure> {
        capture_baseline::handle(event, &self.ports, &self.invocation())
            .boxed_local()
            .await
    }

    /// One look at the standby, within this time.
    ///
    /// # Errors
    /// What the function says.
    pub async fn check(
        &self,
        event: check_readiness::Event,
        time: Duration,
    ) -> Result<check_readiness::Answer, Failure> {
        let around = Around {
            // The plan of these tests names no objects of any bucket.
            buckets: Buckets::new(aws_config::SdkConfig::builder().build()),
            concurrency: Arc::new(MemoryConcurrency::new(AtOnce(1000))),
        };
        let invocation = Invocation {
            stop_at: std::time::SystemTime::now() + time,
            ..self.invocation()
        };
        check_readiness::handle(event, &self.ports, &around, &invocation)
            .boxed_local()
            .await
    }
}
