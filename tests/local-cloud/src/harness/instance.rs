//! One process of a function, and the Lambda Runtime API that it speaks to.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::{Outcome, Places, Request, locked};
use crate::process::Reaper;

/// One event for an instance.
#[derive(Debug)]
pub(super) struct Work {
    request_id: String,
    arn: String,
    pub(super) trace_id: String,
    event: String,
    timeout: u64,
    started: oneshot::Sender<()>,
    done: oneshot::Sender<Outcome>,
}

impl Work {
    pub(super) fn new(
        request: &Request,
        request_id: &str,
    ) -> (Self, oneshot::Receiver<()>, oneshot::Receiver<Outcome>) {
        let (started, began) = oneshot::channel();
        let (done, finished) = oneshot::channel();
        let work = Self {
            request_id: request_id.to_owned(),
            arn: request.arn.clone(),
            trace_id: String::new(),
            event: request.event.clone(),
            timeout: request.timeout,
            started,
            done,
        };
        (work, began, finished)
    }
}

/// Kills a process, and tells when and how it ended.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    pub(super) process: Option<u32>,
    kill: Arc<Notify>,
    status: watch::Receiver<Option<String>>,
}

impl Ending {
    pub(super) fn kill(&self) {
        self.kill.notify_one();
    }

    /// Waits for the end; returns how it ended.
    pub(super) async fn ended(&self) -> String {
        let mut status = self.status.clone();
        let ended = status.wait_for(Option::is_some).await;
        ended
            .ok()
            .and_then(|status| status.clone())
            .unwrap_or_else(|| "unknown".to_owned())
    }
}

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Instance {
    configuration: String,
    work: mpsc::UnboundedSender<Work>,
    api: Arc<RuntimeApi>,
    ending: Ending,
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.ending.kill();
    }
}

impl Instance {
    pub(super) async fn start(
        id: u64,
        request: &Request,
        places: &Places,
        endpoint: &str,
        reaper: Reaper,
    ) -> Result<Self, String> {
        let (work, queue) = mpsc::unbounded_channel();
        let api = Arc::new(RuntimeApi {
            queue: tokio::sync::Mutex::new(queue),
            current: Mutex::new(None),
            init_error: Mutex::new(None),
        });
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(|error| error.to_string())?;
        let address = listener
            .local_addr()
            .map_err(|error| error.to_string())?
            .to_string();
        let child = spawn(id, request, places, endpoint, &address)?;
        let router = router(Arc::clone(&api));
        let server = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        let ending = watch_over(child, server, reaper, Arc::clone(&api));
        Ok(Self {
            configuration: configuration(request),
            work,
            api,
            ending,
        })
    }

    pub(super) fn give(&self, work: Work) {
        drop(self.work.send(work));
    }

    pub(super) fn ending(&self) -> Ending {
        self.ending.clone()
    }

    pub(super) fn alive(&self) -> bool {
        self.ending.status.borrow().is_none()
    }

    pub(super) fn configuration(&self) -> &str {
        &self.configuration
    }

    pub(super) fn init_error(&self) -> Option<Outcome> {
        locked(&self.api.init_error).take()
    }
}

/// The access key of a role's sessions: `permissions.py` reads the role from it.
fn access_key(role: &str) -> String {
    let name = role.rsplit('/').next().unwrap_or_default();
    format!("role-of-{name}")
}

/// What a process was started with; an idle one with another configuration is not used again.
pub(super) fn configuration(request: &Request) -> String {
    format!(
        "{} {} {} {:?}",
        request.package, request.memory, request.timeout, request.environment
    )
}

fn spawn(
    id: u64,
    request: &Request,
    places: &Places,
    endpoint: &str,
    api: &str,
) -> Result<Child, String> {
    let binary = places.binaries.join(&request.package);
    let log_path = places.logs.join(format!("{}.log", request.function));
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log_path);
    let log = log.map_err(|error| format!("cannot write {}: {error}", log_path.display()))?;
    let errors = log.try_clone().map_err(|error| error.to_string())?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    Command::new(&binary)
        .env_clear()
        .env("PATH", path)
        .envs([
            ("TZ", ":UTC"),
            ("LANG", "en_US.UTF-8"),
            ("_HANDLER", "bootstrap"),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_NAME", &request.function),
            (
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
                &request.memory.to_string(),
            ),
            (
                "AWS_LAMBDA_LOG_GROUP_NAME",
                &format!("/aws/lambda/{}", request.function),
            ),
            (
                "AWS_LAMBDA_LOG_STREAM_NAME",
                &format!("local/[$LATEST]{id}"),
            ),
            ("AWS_LAMBDA_RUNTIME_API", api),
            ("AWS_REGION", &request.region),
            ("AWS_DEFAULT_REGION", &request.region),
            ("AWS_ACCESS_KEY_ID", &access_key(&request.role)),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_SESSION_TOKEN", "local"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_ENDPOINT_URL", endpoint),
        ])
        .envs(
            request
                .logging
                .log_format
                .iter()
                .map(|format| ("AWS_LAMBDA_LOG_FORMAT", format)),
        )
        .envs(
            request
                .logging
                .application_log_level
                .iter()
                .map(|level| ("AWS_LAMBDA_LOG_LEVEL", level)),
        )
        .envs(&request.environment)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            format!(
                "cannot start {}: {error}; build the functions first",
                binary.display()
            )
        })
}

/// Waits for the end of the process, or kills it when asked to.
fn watch_over(
    mut child: Child,
    server: tokio::task::JoinHandle<()>,
    reaper: Reaper,
    api: Arc<RuntimeApi>,
) -> Ending {
    let (ended, status) = watch::channel(None);
    let kill = Arc::new(Notify::new());
    let killed = Arc::clone(&kill);
    let process = child.id();
    if let Some(process) = process {
        reaper.born(process);
    }
    tokio::spawn(async move {
        let asked = tokio::select! {
            biased;
            () = killed.notified() => true,
            waited = child.wait() => {
                ended.send_replace(Some(waited.map_or_else(|error| error.to_string(), |status| status.to_string())));
                false
            }
        };
        if asked {
            drop(child.kill().await);
            ended.send_replace(Some("signal: killed".to_owned()));
        }
        if let Some(process) = process {
            reaper.gone(process);
        }
        server.abort();
        drop(locked(&api.current).take());
    });
    Ending {
        process,
        kill,
        status,
    }
}

#[derive(Debug)]
struct Current {
    request_id: String,
    done: oneshot::Sender<Outcome>,
}

/// The state behind the Runtime API of one instance.
#[derive(Debug)]
struct RuntimeApi {
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Work>>,
    current: Mutex<Option<Current>>,
    init_error: Mutex<Option<Outcome>>,
}

impl RuntimeApi {
    fn finish(&self, request_id: &str, outcome: Outcome) -> Response {
        let mut current = locked(&self.current);
        match current.take_if(|current| current.request_id == request_id) {
            Some(found) => {
                drop(found.done.send(outcome));
                StatusCode::ACCEPTED.into_response()
            }
            None => (StatusCode::BAD_REQUEST, "there is no such invocation").into_response(),
        }
    }
}

fn router(api: Arc<RuntimeApi>) -> Router {
    let version = "/2018-06-01/runtime";
    Router::new()
        .route(&format!("{version}/invocation/next"), get(next))
        .route(
            &format!("{version}/invocation/{{id}}/response"),
            post(response),
        )
        .route(&format!("{version}/invocation/{{id}}/error"), post(error))
        .route(&format!("{version}/init/error"), post(init_error))
        .layer(axum::extract::DefaultBodyLimit::max(8 * 1024 * 1024))
        .with_state(api)
}

async fn next(State(api): State<Arc<RuntimeApi>>) -> Response {
    let Some(work) = api.queue.lock().await.recv().await else {
        // The instance is no longer needed and will be killed.
        return std::future::pending().await;
    };
    let limit = i64::try_from(work.timeout).unwrap_or(i64::MAX);
    let deadline = Timestamp::now() + SignedDuration::from_secs(limit);
    *locked(&api.current) = Some(Current {
        request_id: work.request_id.clone(),
        done: work.done,
    });
    // Nobody waits any more when the invocation was given up.
    let _ = work.started.send(());
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", work.request_id),
        (
            "lambda-runtime-deadline-ms",
            deadline.as_millisecond().to_string(),
        ),
        ("lambda-runtime-invoked-function-arn", work.arn),
        ("lambda-runtime-trace-id", work.trace_id),
    ];
    (headers, work.event).into_response()
}

async fn response(
    State(api): State<Arc<RuntimeApi>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    api.finish(
        &id,
        Outcome {
            payload: body.to_vec(),
            failed: false,
        },
    )
}

async fn error(
    State(api): State<Arc<RuntimeApi>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    api.finish(&id, reported(&headers, &body))
}

async fn init_error(
    State(api): State<Arc<RuntimeApi>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    *locked(&api.init_error) = Some(reported(&headers, &body));
    StatusCode::ACCEPTED.into_response()
}

/// The error as the runtime reported it; one without a body has its type in a header.
fn reported(headers: &HeaderMap, body: &Bytes) -> Outcome {
    if body.is_empty() {
        let kind = headers
            .get("lambda-runtime-function-error-type")
            .and_then(|value| value.to_str().ok());
        return Outcome::failure(
            kind.unwrap_or("Runtime.Unknown"),
            "the runtime gave no message",
        );
    }
    Outcome {
        payload: body.to_vec(),
        failed: true,
    }
}
