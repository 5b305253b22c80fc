//! The workspace that is fenced, and what our functions need around them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use activate_site::Reply;
use aws::events::MemoryEvents;
use aws::fences::Fences;
use aws::notices::MemoryNotices;
use aws::store::{MemoryStore, Store};
use aws::{Failure, Invocation, Ports};
use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use recovery::activation::Phase;
use recovery::baseline::{BASELINE_FORMAT, Baseline};
use recovery::kind::Kind;
use recovery::plan::Plan;
use recovery::reset::Reset;
use recovery::run::Mode;
use recovery::site::{ContentDigest, Epoch, Region, RunId, RunToken, SiteLabel};
use recovery::state::{Fence, Lifted, State};
use serde_json::{Value, json};
use shutdown_site::Answer;
use sites::{Purpose, Role, connect, read_record};
use workspace_sim::{Delays, Inventory, SimOptions, Simulator};

use crate::Trouble;

/// The site of these tests.
pub const SITE: SiteLabel = SiteLabel::Primary;
/// The order to reset.
pub(crate) const RESET: &str = "reset-1";
/// The run that raises the fence.
pub const RUN: &str = "run-1";
/// The execution that acts for it.
pub const EXECUTION: &str = "arn:run-1";
const WORKSPACE: u64 = 1_000_000_000_000_001;
const PLAN: &str = include_str!("../../../infra/plan.example.json");

/// How fast everything goes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How many of the platform's seconds pass in one of ours, for its clock and our patience.
    pub scale: f64,
    /// Whether the platform enforces its rates, as many times the documented ones as its clock is faster.
    pub limits: bool,
}

impl Pace {
    /// Twenty times as fast, without limits of rate.
    pub const QUICK: Self = Self {
        scale: 20.0,
        limits: false,
    };
}

/// One workspace and what watches over it.
pub struct Site {
    simulator: Simulator,
    /// The other site's workspace, if it has one.
    pub(crate) standby: Option<Simulator>,
    http: reqwest::Client,
    /// The ports of our functions.
    pub ports: Ports,
    /// What they have stored.
    pub store: MemoryStore,
    /// What they have told people.
    pub notices: MemoryNotices,
    /// What they have told machines.
    pub events: MemoryEvents,
    fences: Fences,
    pub(crate) plan: Plan,
    ahead: Arc<AtomicI64>,
    invocations: AtomicU64,
}

impl Site {
    /// Starts a workspace with this inventory, healthy and active.
    ///
    /// # Errors
    /// What the simulator says of the inventory.
    pub async fn start(inventory: Value, pace: Pace) -> Result<Self, Trouble> {
        Self::recorded(inventory, pace, None).await
    }

    /// The same, with every exchange recorded in a file.
    ///
    /// # Errors
    /// What the simulator says of the inventory or the file.
    pub async fn recorded(
        inventory: Value,
        pace: Pace,
        record: Option<PathBuf>,
    ) -> Result<Self, Trouble> {
        let simulator = simulate(inventory, pace, WORKSPACE, record).await?;
        let plan = plan()?;
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = {
            let ahead = Arc::clone(&ahead);
            Arc::new(move || {
                Timestamp::now() + SignedDuration::from_secs(ahead.load(Ordering::SeqCst))
            })
        };
        let region = Region::new("us-west-2");
        let (mut ports, store, parameters, notices) =
            Ports::in_memory(plan.name.clone(), region.clone(), clock);
        let events = MemoryEvents::default();
        ports.events = Arc::new(events.clone());
        ports.time_scale = pace.scale;
        use aws::parameters::Parameters;
        let name = aws::keys::workspace_url(&plan.name, SITE);
        parameters.put(&region, &name, &simulator.url()).await?;
        for site in SiteLabel::ALL {
            for role in ["observer", "operator"] {
                let name = aws::keys::credential(&plan.name, site, role);
                let token = json!({"token": "sim-token"}).to_string();
                parameters.put(&region, &name, &token).await?;
            }
        }
        store.create("plan.json", plan_text()?.into_bytes()).await?;
        Ok(Self {
            simulator,
            standby: None,
            http: reqwest::Client::builder().no_proxy().build()?,
            ports,
            store,
            notices,
            events,
            fences: Fences::in_memory().0,
            plan,
            ahead,
            invocations: AtomicU64::new(0),
        })
    }

    /// Makes our clock jump, as if we had waited.
    pub fn later(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    fn route(&self, name: &str) -> String {
        format!("{}/__sim/{name}", self.simulator.url())
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        self.simulator.url()
    }

    fn standby_url(&self) -> String {
        let elsewhere = "https://other.cloud.databricks.com".to_owned();
        self.standby.as_ref().map_or(elsewhere, Simulator::url)
    }

    /// A control route.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn control(&self, name: &str, body: &Value) -> Result<(), Trouble> {
        let request = self.http.post(self.route(name)).json(body);
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// Ends all faults; what hangs by them breaks off.
    ///
    /// # Errors
    /// If the simulator does not answer.
    pub async fn no_more_faults(&self) -> Result<(), Trouble> {
        let request = self.http.delete(self.route("faults"));
        request.send().await?.error_for_status()?;
        Ok(())
    }

    async fn get(&self, name: &str) -> Result<Value, Trouble> {
        let answer = self.http.get(self.route(name)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// What the workspace holds now.
    ///
    /// # Errors
    /// If the simulator does not answer.
    pub async fn inventory(&self) -> Result<Value, Trouble> {
        self.get("inventory").await
    }

    /// The simulator's own record.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn record(&self) -> Result<Vec<Value>, Trouble> {
        let record = self.get("events").await?;
        Ok(record.as_array().cloned().unwrap_or_default())
    }

    /// The simulator's clock.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn clock(&self) -> Result<Value, Trouble> {
        self.get("clock").await
    }

    /// How many requests have met the first rule of the faults.
    ///
    /// # Errors
    /// If the simulator does not answer.
    pub async fn met(&self) -> Result<u64, Trouble> {
        let rules = self.get("faults").await?;
        let seen = rules.get(0).and_then(|rule| rule.get("seen"));
        Ok(seen.and_then(Value::as_u64).unwrap_or(0))
    }

    /// Records what runs here, as a capture does.
    ///
    /// # Errors
    /// What the workspace or the store said.
    pub async fn learn(&self) -> Result<ContentDigest, Trouble> {
        let (ports, plan) = (&self.ports, &self.plan);
        let workspace = connect(ports, plan, SITE, Role::Observer, Purpose::Run).await?;
        let kinds: Vec<Kind> = plan.protected_kinds().collect();
        let inventory = read_record(&workspace, SITE, &kinds, None, ports.now())
            .await
            .map_err(|e| Trouble::Workspace(e.to_string()))?;
        let baseline = Baseline {
            format_version: BASELINE_FORMAT,
            epoch: Epoch::first(),
            inventory,
            permissions: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        Ok(ports.store_baseline(&baseline).await?)
    }

    /// The state as it is stored.
    ///
    /// # Errors
    /// What the store said.
    pub async fn state(&self) -> Result<State, Failure> {
        self.ports.state().await
    }

    /// A fence is a fact from now on.
    ///
    /// # Errors
    /// What the store said.
    pub async fn raise(&self) -> Result<(), Failure> {
        let fence = Fence::raised(RunId::new(RUN), self.ports.now());
        self.ports
            .change_state(|state| {
                state.resets.clear();
                state.fences.insert(SITE, fence.clone());
                Ok(())
            })
            .await
    }

    /// An operator lifts it.
    ///
    /// # Errors
    /// What the store said, or that a pass is under way.
    pub async fn lift(&self) -> Result<(), Failure> {
        let now = self.ports.now();
        let lifted = self
            .ports
            .change_state(|state| {
                state.lift_fence(SITE, recovery::state::LiftGround::AcceptedOverride, now)
            })
            .await?;
        match lifted {
            Lifted::Done(_) => Ok(()),
            Lifted::Waits => Err(Failure::internal("a pass is under way")),
        }
    }

    /// An operator orders that the site is brought back to a record.
    ///
    /// # Errors
    /// What the store said.
    pub async fn order_reset(&self, record: &ContentDigest) -> Result<(), Failure> {
        let order = Reset {
            id: RunId::new(RESET),
            site: SITE,
            record: record.clone(),
            who: "test".to_owned(),
            why: "test".to_owned(),
            ordered_at: self.ports.now(),
            brings_up_owed: false,
            pass: None,
        };
        self.ports
            .change_state(|state| state.order_reset(order.clone()))
            .await
    }

    /// A run has begun that leaves this site, and holds the lock. `record` is the baseline that it froze.
    ///
    /// # Errors
    /// What the store said.
    pub async fn begin(&self, mode: Mode, record: &ContentDigest) -> Result<(), Trouble> {
        self.begin_from(SITE, mode, record).await
    }

    /// The same, of a run that leaves this site or the other one.
    ///
    /// # Errors
    /// What the store said.
    pub async fn begin_from(
        &self,
        from: SiteLabel,
        mode: Mode,
        record: &ContentDigest,
    ) -> Result<(), Trouble> {
        let now = self.ports.now();
        let run = json!({
            "format_version": 1, "run": RUN, "plan": self.plan.name, "mode": mode, "attempt": 1, "token": EXECUTION, "machine": recovery::run::MACHINE,
            "epoch": 0, "from": from, "target": from.other(), "begun_at": now,
            "evidence": {
                "verdict": null, "actionable": true, "failing_since": null, "signals": [], "replication": null,
                "workspace_urls": {SITE.to_string(): self.url(), SITE.other().to_string(): self.standby_url()},
                "baseline": {"format_version": 1, "digest": record, "site": SITE, "captured_at": now, "live": {}, "objects": 0},
            },
            "stages": [], "committed_at": null, "outcome": null, "reason": null, "closed_at": null, "told_at": null,
        });
        let key = aws::keys::of_run(&RunId::new(RUN), "run.json");
        self.ports.put(&key, &run).await?;
        let (run, token) = (RunId::new(RUN), RunToken::new(EXECUTION));
        self.ports
            .change_state(|state| state.take_lock(&run, &token, mode, now))
            .await?;
        Ok(())
    }

    /// One call of a phase of the run, at this site as its target.
    ///
    /// # Errors
    /// What the function says.
    pub async fn activate_in_run(&self, phase: Phase) -> Result<Reply, Failure> {
        let (run, token) = (RunId::new(RUN), RunToken::new(EXECUTION));
        let event = activate_site::Event::Run { run, token, phase };
        let invocation = self.invocation();
        activate_site::handle(event, &self.ports, &invocation)
            .boxed_local()
            .await
    }

    /// One look of the run at this site as its target.
    ///
    /// # Errors
    /// What the function says.
    pub async fn validate_in_run(&self) -> Result<validate_site::Answer, Failure> {
        let event = validate_site::Event {
            run: RunId::new(RUN),
            token: RunToken::new(EXECUTION),
        };
        let invocation = self.invocation();
        validate_site::handle(event, &self.ports, &invocation)
            .boxed_local()
            .await
    }

    /// One pass of the run over its fence.
    ///
    /// # Errors
    /// What the function says.
    pub async fn fence_in_run(&self) -> Result<Answer, Failure> {
        let (run, token) = (RunId::new(RUN), RunToken::new(EXECUTION));
        let event = shutdown_site::Event::Run { run, token };
        let invocation = self.invocation();
        shutdown_site::handle(event, &self.ports, &self.fences, &invocation)
            .boxed_local()
            .await
    }

    pub(crate) fn invocation(&self) -> Invocation {
        Invocation {
            request_id: format!("call-{}", self.invocations.fetch_add(1, Ordering::SeqCst)),
            stop_at: SystemTime::now() + Duration::from_secs(850),
        }
    }

    /// One pass of the watch over the fence.
    ///
    /// # Errors
    /// What the function says.
    pub async fn fence_once(&self) -> Result<Answer, Failure> {
        let event = shutdown_site::Event::Schedule;
        let invocation = self.invocation();
        // Boxed: nested this deep, the futures of tests would exceed what the compiler lays out.
        shutdown_site::handle(event, &self.ports, &self.fences, &invocation)
            .boxed_local()
            .await
    }

    /// One pass over the order to reset.
    ///
    /// # Errors
    /// What the function says.
    pub async fn restore_once(&self) -> Result<Reply, Failure> {
        let event = activate_site::Event::Schedule;
        let invocation = self.invocation();
        activate_site::handle(event, &self.ports, &invocation)
            .boxed_local()
            .await
    }

    /// Whether the state says that the fence is verified.
    ///
    /// # Errors
    /// What the store said.
    pub async fn is_verified(&self) -> Result<bool, Failure> {
        let state = self.state().await?;
        Ok(state
            .fences
            .get(&SITE)
            .is_some_and(|f| f.verified_at.is_some()))
    }

    /// Ends the workspace.
    pub async fn stop(self) {
        self.simulator.stop().await;
        if let Some(standby) = self.standby {
            standby.stop().await;
        }
    }
}

/// A workspace with this inventory.
pub(crate) async fn simulate(
    inventory: Value,
    pace: Pace,
    workspace_id: u64,
    record: Option<PathBuf>,
) -> Result<Simulator, Trouble> {
    let simulator = Simulator::start(SimOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        inventory: Inventory::from_json(inventory)?,
        workspace_id,
        rate_limits: pace.limits,
        rate_scale: pace.scale,
        record,
        time_scale: pace.scale,
        delays: Delays {
            run_start: 1.0,
            run_duration: 100_000.0,
            run_cancel: 1.0,
            cluster_start: 1.0,
            cluster_stop: 1.0,
            warehouse_start: 1.0,
            warehouse_stop: 1.0,
            pipeline_start: 1.0,
            pipeline_stop: 1.0,
            pipeline_update: 100_000.0,
            pool_fill: 1.0,
            statement: 0.5,
            app_start: 1.0,
            app_stop: 1.0,
        },
    })
    .await?;
    Ok(simulator)
}

fn plan_text() -> Result<String, Trouble> {
    let mut plan: Value = serde_json::from_str(PLAN).map_err(|e| Trouble::Plan(e.to_string()))?;
    let changes = [
        ("/kinds", json!(Kind::ALL)),
        ("/sites/primary/workspace_id", json!(WORKSPACE.to_string())),
        ("/fence/call_timeout_seconds", json!(1)),
        ("/activation/waves", json!([])),
    ];
    for (pointer, value) in changes {
        match plan.pointer_mut(pointer) {
            Some(field) => *field = value,
            None => return Err(Trouble::Plan(format!("the example has no {pointer}"))),
        }
    }
    Ok(plan.to_string())
}

fn plan() -> Result<Plan, Trouble> {
    Plan::parse(plan_text()?.as_bytes()).map_err(|e| Trouble::Plan(e.to_string()))
}
