//! The running simulator: its task, its gate before every request, its tick.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api;
use crate::api::auth::Access;
use crate::clock::Clock;
use crate::engine::World;
use crate::error::{ApiError, SimError};
use crate::faults::{Canned, Fault, Faults};
use crate::json::{self, Map};
use crate::limits::{self, Limits};
use crate::options::SimOptions;
use crate::record::{self, Recording};
use crate::socket::{Door, Wire, bind};

/// How often the platform moves on by itself, in real time.
const TICK: Duration = Duration::from_millis(20);
/// Ticks between two flushes of the recording.
const FLUSH_TICKS: u32 = 40;
/// How long a stop waits for requests in progress.
const FAREWELL: Duration = Duration::from_secs(2);
/// The largest request body which is read.
pub(crate) const MAX_BODY: usize = 64 << 20;

/// What all requests share.
pub(crate) struct Sim {
    world: Mutex<World>,
    faults: Mutex<Faults>,
    limits: Mutex<Limits>,
    access: Mutex<Access>,
    recording: Recording,
    rate_limits: bool,
    workspace_id: u64,
    pub(crate) dark: watch::Sender<bool>,
    /// Counts how often the fault rules were cleared.
    pub(crate) cleared: watch::Sender<u64>,
    pub(crate) stopping: watch::Sender<bool>,
}

pub(crate) type Shared = Arc<Sim>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere must not take the whole simulator with it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sim {
    /// The world, moved on to the present.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = lock(&self.world);
        world.advance();
        world
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub(crate) fn access(&self) -> MutexGuard<'_, Access> {
        lock(&self.access)
    }

    /// Waits until the simulator stops.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    fn is_dark(&self) -> bool {
        *self.dark.borrow()
    }

    /// Waits until the site is lit, then ends the connection.
    async fn hang_in_the_dark(&self, wire: &Wire) -> Response {
        let mut dark = self.dark.subscribe();
        tokio::select! {
            _ = dark.wait_for(|dark| !*dark) => {}
            () = self.stopped() => {}
        }
        broken(wire)
    }

    /// Waits until the fault rules are cleared, then ends the connection.
    async fn hang(&self, wire: &Wire) -> Response {
        let mut cleared = self.cleared.subscribe();
        tokio::select! {
            _ = cleared.changed() => {}
            () = self.stopped() => {}
        }
        broken(wire)
    }
}

/// No answer: the connection is reset as soon as this one would be written.
fn broken(wire: &Wire) -> Response {
    wire.doom();
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// A simulated workspace which is up and serving.
pub struct Simulator {
    address: SocketAddr,
    sim: Shared,
    server: JoinHandle<()>,
    ticker: JoinHandle<()>,
}

impl Simulator {
    /// Starts a workspace; it serves when this returns.
    ///
    /// # Errors
    /// An address that is not loopback or is taken, a time scale that is not positive, a recording
    /// that cannot be written.
    pub async fn start(options: SimOptions) -> Result<Self, SimError> {
        if !(options.time_scale.is_finite() && options.time_scale > 0.0) {
            return Err(SimError::TimeScale(options.time_scale));
        }
        let listener = bind(options.listen).await?;
        let address = listener.local_addr().map_err(|source| SimError::Listen {
            address: options.listen,
            source,
        })?;
        let recording = Recording::open(options.record.as_deref())?;
        let clock = Clock::start(options.time_scale);
        let world = World::new(
            &options.inventory,
            clock,
            options.delays,
            options.workspace_id,
        );
        let sim = Arc::new(Sim {
            world: Mutex::new(world),
            faults: Mutex::default(),
            limits: Mutex::default(),
            access: Mutex::default(),
            recording,
            rate_limits: options.rate_limits,
            workspace_id: options.workspace_id,
            dark: watch::channel(false).0,
            cleared: watch::channel(0).0,
            stopping: watch::channel(false).0,
        });
        let service = api::router(sim.clone()).into_make_service_with_connect_info::<Wire>();
        let ending = sim.clone();
        let server = tokio::spawn(async move {
            let serving = axum::serve(Door(listener), service);
            let _ = serving
                .with_graceful_shutdown(async move { ending.stopped().await })
                .await;
        });
        let ticking = sim.clone();
        let ticker = tokio::spawn(async move {
            let mut interval = tokio::time::interval(TICK);
            let mut ticks: u32 = 0;
            loop {
                interval.tick().await;
                drop(ticking.world());
                ticks = ticks.wrapping_add(1);
                if ticks.is_multiple_of(FLUSH_TICKS) {
                    ticking.recording.flush();
                }
            }
        });
        Ok(Self {
            address,
            sim,
            server,
            ticker,
        })
    }

    /// The address of the workspace, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends the workspace; the recording is complete when this returns.
    pub async fn stop(mut self) {
        self.sim.stopping.send_replace(true);
        if tokio::time::timeout(FAREWELL, &mut self.server)
            .await
            .is_err()
        {
            self.server.abort();
        }
        self.ticker.abort();
        self.sim.recording.flush();
    }
}

/// What the recording says about one request before its answer is known.
struct Entry {
    line: Map,
}

impl Entry {
    fn new(method: &Method, request: &Request, body: &[u8]) -> Self {
        // Only the token call takes a form, whatever content type a client declares.
        let form = request.uri().path().starts_with("/oidc/");
        let mut line = Map::new();
        json::set(&mut line, "method", method.as_str());
        json::set(&mut line, "path", request.uri().path());
        json::set(
            &mut line,
            "query",
            record::query_object(&api::query(request.uri())),
        );
        json::set(&mut line, "body", record::body_value(body, form));
        json::set(&mut line, "_at_ms", jiff::Timestamp::now().as_millisecond());
        Self { line }
    }

    fn write(mut self, sim: &Sim, answer: Option<(StatusCode, &[u8])>, note: Option<&str>) {
        if let Some((status, body)) = answer {
            json::set(&mut self.line, "status", status.as_u16());
            let mut body = record::body_value(body, false);
            if let Some(token) = body.get_mut("access_token") {
                *token = "redacted".into();
            }
            json::set(&mut self.line, "response", body);
        }
        if let Some(note) = note {
            json::set(&mut self.line, "_fault", note);
        }
        sim.recording.write(&Value::Object(self.line));
    }
}

/// Everything a request passes before and after its handler.
pub(crate) async fn gate(
    State(sim): State<Shared>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return broken(&wire);
    };
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let request = Request::from_parts(parts, Body::from(body.clone()));
    let entry = Entry::new(&method, &request, &body);
    if sim.is_dark() {
        entry.write(&sim, None, Some("dark"));
        return sim.hang_in_the_dark(&wire).await;
    }
    let fault = sim.faults().meet(&method, &path);
    match &fault {
        Some(Fault::Status(canned)) => {
            let response = canned_response(&sim, canned);
            return finish(&sim, entry, response, Some("status"), &wire).await;
        }
        Some(Fault::Hang) => {
            entry.write(&sim, None, Some("hang"));
            return sim.hang(&wire).await;
        }
        Some(Fault::Reset) => {
            entry.write(&sim, None, Some("reset"));
            return broken(&wire);
        }
        Some(Fault::Slow { ms }) => {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(*ms)) => {}
                () = sim.stopped() => return broken(&wire),
            }
        }
        _ => {}
    }
    let response = match admit(&sim, &method, &path, &request) {
        Err(refused) => *refused,
        Ok(()) => serve(&sim, &method, &path, request, next).await,
    };
    match &fault {
        Some(Fault::LostAnswer) => {
            entry.write(&sim, None, Some("lost-answer"));
            broken(&wire)
        }
        Some(Fault::EffectThenStatus(canned)) => {
            let response = canned_response(&sim, canned);
            finish(&sim, entry, response, Some("effect-then-status"), &wire).await
        }
        _ => finish(&sim, entry, response, None, &wire).await,
    }
}

/// Credentials, then rates, as the platform has them.
fn admit(sim: &Sim, method: &Method, path: &str, request: &Request) -> Result<(), Box<Response>> {
    let error = |e: ApiError| Box::new(e.into_response());
    if path.starts_with("/api/") {
        sim.access().check(request.headers()).map_err(error)?;
    }
    if sim.rate_limits {
        let route = request
            .extensions()
            .get::<MatchedPath>()
            .map_or(path, MatchedPath::as_str);
        let (class, rate) = limits::class(method, route);
        if let Err(wait) = lock(&sim.limits).take(class, rate) {
            return Err(Box::new(too_many(wait)));
        }
    }
    Ok(())
}

fn too_many(wait: bool) -> Response {
    let code = if wait {
        "RESOURCE_EXHAUSTED"
    } else {
        "REQUEST_LIMIT_EXCEEDED"
    };
    let error = ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        code,
        "The request rate for this workspace exceeds the limit of the endpoint.",
    );
    let mut response = error.into_response();
    if wait {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

async fn serve(
    sim: &Sim,
    method: &Method,
    path: &str,
    mut request: Request,
    next: Next,
) -> Response {
    if method == Method::GET {
        if let Some(stale) = sim.faults().before_read(path) {
            request.extensions_mut().insert(stale);
        }
    } else {
        let keep = sim.faults().before_write(method, path);
        if !keep.is_empty() {
            let world = sim.world().clone();
            for stale in keep {
                stale.keep(world.clone());
            }
        }
    }
    next.run(request).await
}

fn canned_response(sim: &Sim, canned: &Canned) -> Response {
    let status = StatusCode::from_u16(canned.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match &canned.body {
        Value::Null => api_error_like(status),
        Value::String(text) => (status, text.clone()).into_response(),
        body => (status, axum::Json(body)).into_response(),
    };
    let headers: &mut HeaderMap = response.headers_mut();
    for (name, value) in &canned.headers {
        let name = HeaderName::try_from(name.as_str());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    stamp(sim, response)
}

fn api_error_like(status: StatusCode) -> Response {
    let code = match status.as_u16() {
        400 => "BAD_REQUEST",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "RESOURCE_DOES_NOT_EXIST",
        409 => "RESOURCE_CONFLICT",
        429 => "RESOURCE_EXHAUSTED",
        503 => "TEMPORARILY_UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL_ERROR",
    };
    ApiError::new(status, code, "A fault rule of the simulator answers this.").into_response()
}

/// Puts the workspace id on an answer.
fn stamp(sim: &Sim, mut response: Response) -> Response {
    if let Ok(id) = HeaderValue::from_str(&sim.workspace_id.to_string()) {
        response.headers_mut().insert("X-Databricks-Org-Id", id);
    }
    response
}

/// Records the answer and sends it, unless the site went dark in the meantime.
async fn finish(
    sim: &Sim,
    entry: Entry,
    response: Response,
    note: Option<&str>,
    wire: &Wire,
) -> Response {
    let (parts, body) = stamp(sim, response).into_parts();
    let bytes: Bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    if sim.is_dark() {
        entry.write(sim, None, Some("dark"));
        return sim.hang_in_the_dark(wire).await;
    }
    if sim.recording.wanted() {
        entry.write(sim, Some((parts.status, &bytes)), note);
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// 404 for what the simulator does not know.
pub(crate) async fn unknown(request: Request) -> Response {
    let message = format!(
        "No API found for '{} {}'",
        request.method(),
        request.uri().path()
    );
    let body = json!({"error_code": "ENDPOINT_NOT_FOUND", "message": message});
    (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
}
