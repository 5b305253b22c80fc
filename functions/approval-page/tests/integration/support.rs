//! A run that asks, and a stranger who sends requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use approval_page::{Answer, handle};
use aws::notices::MemoryNotices;
use aws::{Invocation, Ports, keys};
use jiff::Timestamp;
use recovery::approval::{ApprovalId, Asked, Decisions, LinkKeys, Loss, Request};
use recovery::plan::Plan;
use recovery::run::RunDocument;
use recovery::site::{PlanName, Region};
use serde_json::{Value, json};

pub(crate) const PLAN: &str = "lakehouse";

pub(crate) struct Asking {
    pub(crate) ports: Ports,
    pub(crate) notices: MemoryNotices,
    pub(crate) run: RunDocument,
    pub(crate) plan: Plan,
    pub(crate) request: Request,
    clock: Arc<AtomicI64>,
}

/// What the request is like.
#[derive(Default)]
pub(crate) struct Like {
    /// Seconds of data lost; the objective is 900.
    pub(crate) loss: i64,
    /// People who must approve.
    pub(crate) required: Option<u32>,
    /// The name of the data set.
    pub(crate) data_set: Option<&'static str>,
    /// The name of the run.
    pub(crate) run: Option<&'static str>,
}

pub(crate) async fn asking(like: Like) -> Asking {
    let clock = Arc::new(AtomicI64::new(1_000));
    let hand = Arc::clone(&clock);
    let now = move || Timestamp::from_second(hand.load(Ordering::Relaxed)).unwrap();
    let (mut ports, _, _, notices) = Ports::in_memory(
        PlanName::new(PLAN),
        Region::new("us-west-2"),
        Arc::new(now.clone()),
    );
    // In-memory randomness counts; a nonce needs none better here.
    ports.page_url = Some("https://page.example/".to_owned());
    let mut plan: Value =
        serde_json::from_slice(include_bytes!("../../../../infra/plan.example.json")).unwrap();
    plan["approval"]["required_approvals"] = json!(like.required.unwrap_or(1));
    let plan: Plan = serde_json::from_value(plan).unwrap();
    ports.put(keys::PLAN, &plan).await.unwrap();
    let at = now();
    let run: RunDocument = serde_json::from_value(json!({
        "format_version": 1, "run": like.run.unwrap_or("incident-1"), "plan": PLAN, "mode": "failover", "attempt": 1, "token": "t",
        "epoch": 0, "from": "primary", "target": "secondary", "begun_at": at,
        "evidence": {
            "verdict": "ControlPlaneDown", "actionable": true, "failing_since": at, "signals": [], "replication": null,
            "workspace_urls": {},
            "baseline": {"format_version": 1, "digest": "d", "site": "primary", "captured_at": at, "live": {"job": 3}, "objects": 9},
        },
        "stages": [], "committed_at": null, "outcome": null, "reason": null, "closed_at": null, "told_at": null,
    }))
    .unwrap();
    ports
        .put(&keys::of_run(&run.run, "run.json"), &run)
        .await
        .unwrap();
    let losses = vec![Loss {
        name: like.data_set.unwrap_or("lake").to_owned(),
        loss_seconds: Some(like.loss),
        objective_seconds: 900,
    }];
    let request = Asked::start(&plan, &run, losses).request(ApprovalId::from_bits(7), at);
    assert!(ports.open_request(&request, None).await.unwrap());
    let asking = Asking {
        ports,
        notices,
        run,
        plan,
        request,
        clock,
    };
    asking.rotate().await;
    asking
}

impl Asking {
    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) async fn rotate(&self) {
        let before = self.ports.link_keys().await.unwrap();
        let bits = [
            self.ports.random_bits().unwrap(),
            self.ports.random_bits().unwrap(),
        ];
        let keys = LinkKeys::rotated(before, bits);
        let name = keys::approval_key(&self.ports.plan_name);
        self.ports
            .parameters
            .put_secret(&self.ports.region, &name, &keys.to_parameter())
            .await
            .unwrap();
    }

    /// The path of the link, with its slash.
    pub(crate) async fn path(&self) -> String {
        let keys = self.ports.link_keys().await.unwrap().unwrap();
        format!("/{}", keys.path(&self.plan.name, &self.request))
    }

    pub(crate) async fn event(&self, event: Value) -> Answer {
        let event = serde_json::from_value(event).unwrap();
        let invocation = Invocation::lasting(Duration::from_secs(30));
        handle(event, &self.ports, &invocation).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.event(http("GET", path, "", json!({}))).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.event(http("POST", path, body, form_headers())).await
    }

    /// The nonce of the page as it is shown now.
    pub(crate) async fn nonce(&self, path: &str) -> String {
        nonce_in(self.get(path).await.body())
    }

    pub(crate) async fn decisions(&self) -> Option<Decisions> {
        self.ports.decisions_on(&self.request).await.unwrap()
    }

    /// Everything in the store but who looked.
    pub(crate) async fn store(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        for key in self.ports.store.list("").await.unwrap() {
            if !key.contains("/views/") {
                all.push((
                    key.clone(),
                    self.ports.store.get(&key).await.unwrap().unwrap().bytes,
                ));
            }
        }
        all
    }
}

pub(crate) fn form_headers() -> Value {
    json!({"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"})
}

pub(crate) fn http(method: &str, path: &str, body: &str, headers: Value) -> Value {
    json!({
        "rawPath": path, "headers": headers, "body": body, "isBase64Encoded": false,
        "requestContext": {"http": {"method": method, "sourceIp": "192.0.2.1", "userAgent": "browser"}},
    })
}

pub(crate) fn nonce_in(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"nonce\" value=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

/// A form as the browser sends it.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

pub(crate) fn approval(nonce: &str) -> String {
    form(&[
        ("nonce", nonce),
        ("who", "Ada"),
        ("why", "the region is dark"),
        ("plan", PLAN),
        ("decision", "approve"),
    ])
}
