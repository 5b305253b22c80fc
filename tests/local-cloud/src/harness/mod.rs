//! The Lambda service of the local cloud: runs the real function binaries over the Lambda Runtime API.
//!
//! Each instance is one process and handles one invocation at a time. When all instances of a function are busy
//! another is started; idle ones are used again, as Lambda does. The environment of a process is what was deployed,
//! and what Lambda itself sets, and nothing else.
//!
//! Not simulated: the two retries of an asynchronous invocation, dead-letter queues, concurrency limits, memory
//! limits, the authorization of function URLs.

mod instance;
mod server;
pub mod url;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::process::{Control, Reaper};
use instance::{Ending, Instance};

pub(crate) use server::serve;

/// How long a process may take to ask for its first event. Lambda allows 10 seconds; a busy laptop needs more.
const INIT_LIMIT: Duration = Duration::from_secs(60);

/// One finished invocation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InvocationRecord {
    /// Name of the function.
    pub function: String,
    /// Id of the request.
    pub request_id: String,
    /// When it started, in milliseconds since 1970.
    pub started_ms: i64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Whether the function returned a result.
    pub ok: bool,
    /// The error type it failed with.
    pub error_type: Option<String>,
    /// What it was given.
    pub event: Value,
    /// What it returned: the result, or the error with `errorType` and `errorMessage`.
    pub payload: Value,
}

/// An invocation as moto hands it over, with the deployed configuration of the function.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Request {
    pub(crate) function: String,
    pub(crate) arn: String,
    pub(crate) package: String,
    pub(crate) timeout: u64,
    pub(crate) memory: u64,
    pub(crate) environment: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) logging: Logging,
    /// ARN of the role that it runs under.
    pub(crate) role: String,
    pub(crate) region: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) event: String,
}

/// The function's LoggingConfig, which Lambda tells the runtime by variables.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Logging {
    pub(crate) log_format: Option<String>,
    pub(crate) application_log_level: Option<String>,
}

/// The end of an invocation, as the Lambda service reports it.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) payload: Vec<u8>,
    pub(crate) failed: bool,
}

impl Outcome {
    fn failure(error_type: &str, message: &str) -> Self {
        let payload = json!({ "errorType": error_type, "errorMessage": message }).to_string();
        Self {
            payload: payload.into_bytes(),
            failed: true,
        }
    }
}

/// Where the harness finds binaries and puts logs.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) binaries: PathBuf,
    pub(crate) logs: PathBuf,
}

/// Runs functions.
#[derive(Debug)]
pub(crate) struct Harness {
    places: Places,
    reaper: Reaper,
    endpoint: OnceLock<String>,
    control: OnceLock<Control>,
    region: String,
    idle: Mutex<HashMap<String, Vec<Instance>>>,
    running: Mutex<HashMap<u64, (String, Ending)>>,
    records: Mutex<Vec<InvocationRecord>>,
    urls: Mutex<BTreeMap<String, String>>,
    next_id: AtomicU64,
}

impl Harness {
    pub(crate) fn new(places: Places, region: String, reaper: Reaper) -> Arc<Self> {
        Arc::new(Self {
            places,
            reaper,
            endpoint: OnceLock::new(),
            control: OnceLock::new(),
            region,
            idle: Mutex::default(),
            running: Mutex::default(),
            records: Mutex::default(),
            urls: Mutex::default(),
            next_id: AtomicU64::new(1),
        })
    }

    /// Tells where AWS is, once moto and the proxy run.
    pub(crate) fn connect(&self, endpoint: String, control: Control) {
        drop(self.endpoint.set(endpoint));
        drop(self.control.set(control));
    }

    pub(crate) fn records(&self) -> Vec<InvocationRecord> {
        locked(&self.records).clone()
    }

    pub(crate) fn url(&self, function: &str) -> Option<String> {
        locked(&self.urls).get(function).cloned()
    }

    /// Ids of the running processes.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let running = locked(&self.running);
        running
            .values()
            .filter_map(|(_, ending)| ending.process)
            .collect()
    }

    /// Kills the instances of a function, busy and idle; returns how many.
    pub(crate) fn kill_function(&self, function: &str) -> usize {
        let idle = locked(&self.idle).remove(function);
        let running = locked(&self.running);
        let hit: Vec<&Ending> = running
            .values()
            .filter(|(name, _)| name == function)
            .map(|(_, ending)| ending)
            .collect();
        hit.iter().for_each(|ending| ending.kill());
        let killed = hit.len();
        drop(running);
        drop(idle);
        killed
    }

    /// Kills every instance and waits until all are gone.
    pub(crate) async fn stop(&self) {
        let endings: Vec<Ending> = {
            locked(&self.idle).clear();
            locked(&self.running)
                .values()
                .map(|(_, ending)| ending.clone())
                .collect()
        };
        for ending in endings {
            ending.kill();
            drop(tokio::time::timeout(Duration::from_secs(5), ending.ended()).await);
        }
    }

    /// Kills every instance without waiting, for the case that nobody called stop.
    pub(crate) fn abandon(&self) {
        locked(&self.running)
            .values()
            .for_each(|(_, ending)| ending.kill());
    }

    /// Runs one invocation to its end.
    pub(crate) async fn invoke(self: &Arc<Self>, request: Request) -> Outcome {
        let started = (Timestamp::now(), Instant::now());
        let number = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request_id = format!("00000000-0000-4000-8000-{number:012x}");
        let outcome = self.run(&request, &request_id).await;
        let payload = serde_json::from_slice(&outcome.payload).unwrap_or(Value::Null);
        let error_type = payload
            .get("errorType")
            .and_then(Value::as_str)
            .filter(|_| outcome.failed);
        let record = InvocationRecord {
            function: request.function,
            request_id,
            started_ms: started.0.as_millisecond(),
            duration_ms: u64::try_from(started.1.elapsed().as_millis()).unwrap_or(u64::MAX),
            ok: !outcome.failed,
            error_type: error_type.map(str::to_owned),
            event: serde_json::from_str(&request.event).unwrap_or(Value::Null),
            payload,
        };
        locked(&self.records).push(record);
        outcome
    }

    async fn run(self: &Arc<Self>, request: &Request, request_id: &str) -> Outcome {
        let instance = match self.instance(request).await {
            Ok(instance) => instance,
            Err(reason) => return Outcome::failure("Runtime.InvalidEntrypoint", &reason),
        };
        let (mut work, started, done) = instance::Work::new(request, request_id);
        work.trace_id = format!(
            "Root=1-{:08x}-{request_id};Sampled=0",
            Timestamp::now().as_second()
        );
        instance.give(work);
        let ending = instance.ending();
        let died = |status: String| {
            instance.init_error().unwrap_or_else(|| {
                let message =
                    format!("RequestId: {request_id} Error: Runtime exited with error: {status}");
                Outcome::failure("Runtime.ExitError", &message)
            })
        };
        let began = tokio::select! {
            biased;
            began = started => began.is_ok(),
            status = ending.ended() => return died(status),
            () = tokio::time::sleep(INIT_LIMIT) => false,
        };
        if !began {
            ending.kill();
            let message = format!(
                "RequestId: {request_id} Error: Runtime did not ask for an event within {INIT_LIMIT:?}"
            );
            return Outcome::failure("Runtime.InitTimeout", &message);
        }
        tokio::select! {
            biased;
            answer = done => match answer {
                Ok(outcome) => {
                    self.put_back(&request.function, instance);
                    outcome
                }
                Err(_) => died(ending.ended().await),
            },
            status = ending.ended() => died(status),
            () = tokio::time::sleep(Duration::from_secs(request.timeout)) => {
                ending.kill();
                drop(tokio::time::timeout(Duration::from_secs(5), ending.ended()).await);
                let message =
                    format!("RequestId: {request_id} Error: Task timed out after {}.00 seconds", request.timeout);
                Outcome::failure("Sandbox.Timedout", &message)
            }
        }
    }

    /// An idle instance with this configuration, or a new one.
    async fn instance(self: &Arc<Self>, request: &Request) -> Result<Instance, String> {
        let configuration = instance::configuration(request);
        loop {
            let candidate = locked(&self.idle)
                .get_mut(&request.function)
                .and_then(Vec::pop);
            match candidate {
                Some(found) if found.alive() && found.configuration() == configuration => {
                    return Ok(found);
                }
                Some(stale) => drop(stale),
                None => break,
            }
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let endpoint = self.endpoint.get().map(String::as_str).unwrap_or_default();
        let instance =
            Instance::start(id, request, &self.places, endpoint, self.reaper.clone()).await?;
        let ending = instance.ending();
        locked(&self.running).insert(id, (request.function.clone(), ending.clone()));
        let harness = Arc::downgrade(self);
        tokio::spawn(async move {
            ending.ended().await;
            if let Some(harness) = harness.upgrade() {
                locked(&harness.running).remove(&id);
            }
        });
        Ok(instance)
    }

    fn put_back(&self, function: &str, instance: Instance) {
        if instance.alive() {
            locked(&self.idle)
                .entry(function.to_owned())
                .or_default()
                .push(instance);
        }
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
