//! The simulated REST API: routes and what its handlers have in common.

mod alerts;
mod apps;
pub(crate) mod auth;
mod clusters;
mod dashboards;
pub(crate) mod federation;
mod jobs;
mod listed;
mod meta;
mod permissions;
mod pipelines;
mod pools;
mod queries;
mod runs;
mod settings;
mod statements;
mod warehouses;

use std::sync::PoisonError;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Query, RawPathParams, Request, State};
use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use serde_json::{Value, json};

use crate::engine::World;
use crate::error::ApiError;
use crate::faults::Stale;
use crate::gate::{gate, unknown};
use crate::json::{self, Map};
use crate::server::{MAX_BODY, Shared};

/// The parameters of a query.
pub(crate) fn query(uri: &Uri) -> Vec<(String, String)> {
    Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map(|Query(pairs)| pairs)
        .unwrap_or_default()
}

/// One call, taken apart.
pub(crate) struct Call {
    query: Vec<(String, String)>,
    params: Vec<(String, String)>,
    pub(crate) body: Map,
    pub(crate) user: String,
}

impl Call {
    /// A query parameter, if it is there and not empty.
    pub(crate) fn arg(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(n, v)| n == name && !v.is_empty())
            .map(|(_, v)| v.as_str())
    }

    /// All values of a query parameter, also when they came in one comma-separated text.
    pub(crate) fn args(&self, name: &str) -> Vec<&str> {
        self.query
            .iter()
            .filter(|(n, _)| n == name)
            .flat_map(|(_, v)| v.split(','))
            .collect()
    }

    pub(crate) fn int_arg(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.arg(name) else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|_| ApiError::invalid(format!("Invalid value for {name}: {text}")))
    }

    pub(crate) fn flag_arg(&self, name: &str) -> bool {
        self.arg(name)
            .is_some_and(|v| v.eq_ignore_ascii_case("true"))
    }

    /// A part of the path; every route that asks for one has it.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, v)| v.as_str())
    }

    pub(crate) fn required_text(&self, name: &str) -> Result<&str, ApiError> {
        json::text(&self.body, name)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| ApiError::invalid(format!("Missing required field: {name}")))
    }

    pub(crate) fn required_int(&self, name: &str) -> Result<i64, ApiError> {
        json::int(&self.body, name)
            .ok_or_else(|| ApiError::invalid(format!("Missing required field: {name}")))
    }
}

/// What answers a call.
type Handler = fn(&mut World, &Call) -> Result<Value, ApiError>;

/// Takes a request apart.
pub(crate) async fn read_call(
    sim: &Shared,
    params: &RawPathParams,
    request: Request,
) -> Result<Call, ApiError> {
    let user = sim.access().user(request.headers());
    let query = query(request.uri());
    let params = params
        .iter()
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect();
    let bytes: Bytes = to_bytes(request.into_body(), MAX_BODY)
        .await
        .unwrap_or_default();
    let body = if bytes.is_empty() {
        Map::new()
    } else {
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(map)) => map,
            Ok(Value::Null) => Map::new(),
            Ok(_) => return Err(malformed("the body must be a JSON object")),
            Err(error) => return Err(malformed(&error.to_string())),
        }
    };
    Ok(Call {
        query,
        params,
        body,
        user,
    })
}

fn malformed(reason: &str) -> ApiError {
    ApiError::new(
        axum::http::StatusCode::BAD_REQUEST,
        "MALFORMED_REQUEST",
        format!("Invalid JSON: {reason}"),
    )
}

async fn answer(
    sim: Shared,
    params: RawPathParams,
    request: Request,
    handler: Handler,
) -> Response {
    let stale = request.extensions().get::<Stale>().cloned();
    let call = match read_call(&sim, &params, request).await {
        Ok(call) => call,
        Err(error) => return error.into_response(),
    };
    let mut result = handler(&mut sim.world(), &call);
    if let Some(stale) = stale {
        result = show_stale(&stale, &call, handler, result);
    }
    match result {
        Ok(value) => axum::Json(value).into_response(),
        Err(error) => error.into_response(),
    }
}

/// The answer out of the past, once, if it differs from the present one.
fn show_stale(
    stale: &Stale,
    call: &Call,
    handler: Handler,
    now: Result<Value, ApiError>,
) -> Result<Value, ApiError> {
    let mut slot = stale.0.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(world) = slot.as_mut() else {
        return now;
    };
    let past = handler(world, call);
    let same = match (&now, &past) {
        (Ok(now), Ok(past)) => now == past,
        (Err(now), Err(past)) => now.message == past.message,
        _ => false,
    };
    if same {
        return now;
    }
    *slot = None;
    past
}

/// The routes, as they are collected.
pub(crate) struct Routes(Router<Shared>);

impl Routes {
    pub(crate) fn get(self, path: &str, handler: Handler) -> Self {
        self.at(MethodFilter::GET, path, handler)
    }

    pub(crate) fn post(self, path: &str, handler: Handler) -> Self {
        self.at(MethodFilter::POST, path, handler)
    }

    pub(crate) fn put(self, path: &str, handler: Handler) -> Self {
        self.at(MethodFilter::PUT, path, handler)
    }

    pub(crate) fn patch(self, path: &str, handler: Handler) -> Self {
        self.at(MethodFilter::PATCH, path, handler)
    }

    pub(crate) fn delete(self, path: &str, handler: Handler) -> Self {
        self.at(MethodFilter::DELETE, path, handler)
    }

    fn at(self, method: MethodFilter, path: &str, handler: Handler) -> Self {
        let serve = move |State(sim): State<Shared>, params: RawPathParams, request: Request| {
            answer(sim, params, request, handler)
        };
        Self(self.0.route(path, on(method, serve)))
    }
}

/// Everything the workspace serves.
pub(crate) fn router(sim: Shared) -> Router {
    let routes = Routes(Router::new());
    let routes = jobs::routes(routes);
    let routes = runs::routes(routes);
    let routes = clusters::routes(routes);
    let routes = pools::routes(routes);
    let routes = warehouses::routes(routes);
    let routes = queries::routes(routes);
    let routes = pipelines::routes(routes);
    let routes = permissions::routes(routes);
    let routes = apps::routes(routes);
    let routes = alerts::routes(routes);
    let routes = dashboards::routes(routes);
    let routes = listed::routes(routes);
    let routes = meta::routes(routes);
    let router = auth::routes(statements::routes(routes.0));
    router
        .method_not_allowed_fallback(unknown)
        .fallback(unknown)
        .layer(from_fn_with_state(sim.clone(), gate))
        .merge(crate::control::routes())
        .with_state(sim)
}

/// The window of a listing which pages by a count of items already shown.
pub(crate) struct Page {
    pub(crate) from: usize,
    pub(crate) size: usize,
}

impl Page {
    /// Reads `size_arg` and `page_token`; a size above `max` is refused, as is one below 1.
    pub(crate) fn read(
        call: &Call,
        size_arg: &str,
        default: i64,
        max: i64,
    ) -> Result<Self, ApiError> {
        let size = call.int_arg(size_arg)?.unwrap_or(default);
        if !(1..=max).contains(&size) {
            let message = format!("Invalid {size_arg} {size} - it has to be between 1 and {max}.");
            return Err(ApiError::invalid(message));
        }
        Ok(Self {
            from: token(call)?,
            size: usize::try_from(size).unwrap_or(1),
        })
    }

    /// Cuts the page out of all items: the page, and the token of the next one.
    pub(crate) fn cut<T>(&self, items: impl Iterator<Item = T>) -> (Vec<T>, Option<String>) {
        let mut page: Vec<T> = items.skip(self.from).take(self.size + 1).collect();
        let more = page.len() > self.size;
        page.truncate(self.size);
        (page, more.then(|| format!("CAE{}", self.from + self.size)))
    }

    /// A list response: the items under `key` (absent when there are none) and the next token.
    pub(crate) fn response<T: Into<Value>>(
        &self,
        key: &str,
        items: impl Iterator<Item = T>,
    ) -> Value {
        let (page, next) = self.cut(items);
        let mut response = Map::new();
        if !page.is_empty() {
            let page: Vec<Value> = page.into_iter().map(Into::into).collect();
            json::set(&mut response, key, page);
        }
        if let Some(next) = next {
            json::set(&mut response, "next_page_token", next);
        }
        Value::Object(response)
    }
}

/// How many items the page token says were shown.
pub(crate) fn token(call: &Call) -> Result<usize, ApiError> {
    let Some(token) = call.arg("page_token") else {
        return Ok(0);
    };
    let number = token.strip_prefix("CAE").and_then(|n| n.parse().ok());
    number.ok_or_else(|| ApiError::invalid("Invalid page token."))
}

/// The empty answer of most writes.
pub(crate) fn done() -> Value {
    json!({})
}
