use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workspace_sim::{Delays, Inventory, SimOptions, Simulator};

/// A workspace and a client of it.
pub(crate) struct Site {
    pub(crate) sim: Simulator,
    pub(crate) http: reqwest::Client,
}

pub(crate) fn options(inventory: Value) -> SimOptions {
    SimOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        inventory: Inventory::from_json(inventory).unwrap(),
        workspace_id: 77,
        rate_limits: false,
        rate_scale: 1.0,
        record: None,
        time_scale: 100.0,
        delays: Delays::default(),
    }
}

/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

impl Site {
    pub(crate) async fn start(inventory: Value) -> Self {
        Self::with(options(inventory)).await
    }

    pub(crate) async fn with(options: SimOptions) -> Self {
        let sim = Simulator::start(options).await.unwrap();
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Self { sim, http }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.sim.url());
        self.http
            .request(method.parse().unwrap(), url)
            .bearer_auth("sim-token")
    }

    /// Sends a call; the answer's status and body.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let mut request = self.request(method, path);
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, Value::Null).await;
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call("POST", path, body).await;
        assert_eq!(status, 200, "POST {path}: {answer}");
        answer
    }

    pub(crate) async fn events(&self, kind: &str) -> Vec<Value> {
        let events = self.get("/__sim/events").await;
        let all = events.as_array().unwrap().iter();
        all.filter(|e| e["kind"] == kind).cloned().collect()
    }

    /// Asks until the answer is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path} stays {answer}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for so many events of a kind about a job.
    pub(crate) async fn until_events(&self, kind: &str, job: i64, count: usize) -> Vec<Value> {
        let of_job = |all: &Value| -> Vec<Value> {
            let all = all.as_array().unwrap().iter();
            all.filter(|e| e["kind"] == kind && e["job_id"] == job)
                .cloned()
                .collect()
        };
        let events = self
            .until("/__sim/events", |all| of_job(all).len() >= count)
            .await;
        of_job(&events)
    }

    /// Waits until so much simulated time has passed.
    pub(crate) async fn pass(&self, seconds: i64) {
        let now = self.get("/__sim/clock").await["sim_ms"].as_i64().unwrap();
        let then = now + seconds * 1000;
        self.until("/__sim/clock", |c| c["sim_ms"].as_i64().unwrap() >= then)
            .await;
    }
}

pub(crate) fn job(id: i64, extra: Value) -> Value {
    let mut settings = json!({"name": format!("job {id}"), "max_concurrent_runs": 1,
        "tasks": [{"task_key": "main", "notebook_task": {"notebook_path": "/x"}}]});
    for (key, value) in extra.as_object().unwrap() {
        settings[key] = value.clone();
    }
    json!({"job_id": id, "creator_user_name": "a@b.c", "created_time": 1, "settings": settings})
}

pub(crate) fn every_minute(pause: &str) -> Value {
    json!({"schedule": {"quartz_cron_expression": "0 * * * * ?", "timezone_id": "UTC", "pause_status": pause}})
}
