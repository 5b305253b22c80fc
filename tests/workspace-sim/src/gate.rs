//! What every request of the API passes: darkness, faults, credentials, rates, the recording.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::api;
use crate::error::ApiError;
use crate::faults::{Canned, Fault};
use crate::json::{self, Map};
use crate::limits;
use crate::record;
use crate::server::{MAX_BODY, Shared, Sim, broken};
use crate::socket::Wire;

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
        let mut body = record::body_value(body, form);
        if let Some(token) = body.get_mut("subject_token") {
            *token = "redacted".into();
        }
        json::set(&mut line, "body", body);
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
            let path = json::text(&self.line, "path");
            let list = record::BARE_LISTS
                .iter()
                .find(|(p, _)| status.is_success() && Some(*p) == path);
            if let Some((_, key)) = list {
                body = body.get_mut(key).map_or_else(|| json!([]), Value::take);
                json::set(&mut self.line, "_unwrapped", *key);
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
        if let Err(wait) = sim.limits().take(class, rate) {
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

/// Puts the workspace id on an answer, unless a rule has put something there itself.
fn stamp(sim: &Sim, mut response: Response) -> Response {
    if let Ok(id) = HeaderValue::from_str(&sim.workspace_id.to_string()) {
        let headers = response.headers_mut();
        headers.entry("X-Databricks-Org-Id").or_insert(id);
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
