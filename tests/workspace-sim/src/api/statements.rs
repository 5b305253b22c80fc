//! Statement execution.

use std::time::Duration;

use axum::Router;
use axum::extract::{RawPathParams, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Call, done, read_call};
use crate::engine::{Answer, Statement, World};
use crate::error::ApiError;
use crate::json::{self, Map};
use crate::server::Shared;

/// How often a waiting submission looks again.
const LOOK: Duration = Duration::from_millis(10);

pub(super) fn routes(router: Router<Shared>) -> Router<Shared> {
    router
        .route("/api/2.0/sql/statements", post(submit))
        .route("/api/2.0/sql/statements/{id}", get(read))
        .route("/api/2.0/sql/statements/{id}/cancel", post(cancel))
}

async fn submit(State(sim): State<Shared>, params: RawPathParams, request: Request) -> Response {
    match submitted(&sim, &params, request).await {
        Ok(value) => axum::Json(value).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn submitted(
    sim: &Shared,
    params: &RawPathParams,
    request: Request,
) -> Result<Value, ApiError> {
    let call = read_call(sim, params, request).await?;
    let text = call.required_text("statement")?;
    let warehouse = call.required_text("warehouse_id")?;
    let wait = wait_timeout(&call)?;
    let cancel = json::text(&call.body, "on_wait_timeout") == Some("CANCEL");
    if cancel && wait.is_zero() {
        return Err(ApiError::invalid(
            "on_wait_timeout CANCEL needs a wait_timeout above 0s.",
        ));
    }
    let id = sim.world().submit_statement(warehouse, text, &call.user)?;
    // The caller waits in real time, whatever the simulated clock does.
    let deadline = Instant::now() + wait;
    loop {
        let ended = sim
            .world()
            .statements
            .get(&id)
            .is_none_or(Statement::terminal);
        if ended || Instant::now() >= deadline {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = sim.stopped() => break,
        }
    }
    let mut world = sim.world();
    if cancel {
        world.cancel_statement(&id);
    }
    shown(&world, &id)
}

fn wait_timeout(call: &Call) -> Result<Duration, ApiError> {
    let text = json::text(&call.body, "wait_timeout").unwrap_or("10s");
    let seconds = text.strip_suffix('s').and_then(|n| n.parse::<u64>().ok());
    seconds
        .filter(|n| *n == 0 || (5..=50).contains(n))
        .map(Duration::from_secs)
        .ok_or_else(|| {
            ApiError::invalid(format!(
                "wait_timeout {text} must be 0s or between 5s and 50s."
            ))
        })
}

async fn read(State(sim): State<Shared>, params: RawPathParams) -> Response {
    match shown(&sim.world(), id_of(&params)) {
        Ok(value) => axum::Json(value).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn cancel(State(sim): State<Shared>, params: RawPathParams) -> Response {
    let id = id_of(&params);
    let mut world = sim.world();
    match shown(&world, id) {
        Ok(_) => {
            world.cancel_statement(id);
            axum::Json(done()).into_response()
        }
        Err(error) => error.into_response(),
    }
}

fn id_of(params: &RawPathParams) -> &str {
    params
        .iter()
        .find(|(name, _)| *name == "id")
        .map_or("", |(_, id)| id)
}

/// The rows of a statement: what a test set for its text, or the literal it selects.
fn rows(statement: &Statement) -> Option<(String, Vec<Vec<Value>>)> {
    let cell = |value: &Value| match value {
        Value::Null | Value::String(_) => value.clone(),
        other => Value::String(other.to_string()),
    };
    if let Some(Answer::Value(value)) = &statement.answer {
        let rows = match value {
            Value::Array(rows) => rows
                .iter()
                .map(|row| match row {
                    Value::Array(cells) => cells.iter().map(cell).collect(),
                    single => vec![cell(single)],
                })
                .collect(),
            single => vec![vec![cell(single)]],
        };
        return Some(("value".to_owned(), rows));
    }
    let text = statement.text.trim_end_matches(';').trim_end();
    let (verb, literal) = text.split_once(char::is_whitespace)?;
    let literal = literal.trim();
    if !verb.eq_ignore_ascii_case("select") {
        return None;
    }
    let quoted = literal
        .strip_prefix('\'')
        .and_then(|l| l.strip_suffix('\''));
    let value = match quoted {
        Some(inner) if !inner.replace("''", "").contains('\'') => inner.replace("''", "'"),
        Some(_) => return None,
        None => literal.parse::<i64>().ok()?.to_string(),
    };
    Some((literal.to_owned(), vec![vec![Value::String(value)]]))
}

fn shown(world: &World, id: &str) -> Result<Value, ApiError> {
    let statement = world
        .statements
        .get(id)
        .ok_or_else(|| ApiError::missing(format!("The statement {id} was not found.")))?;
    let mut status = json::into_map(json!({"state": statement.state}));
    if let (Some(Answer::Failure(message)), "FAILED") = (&statement.answer, statement.state) {
        json::set(
            &mut status,
            "error",
            json!({"error_code": "BAD_REQUEST", "message": message}),
        );
    }
    let mut response = json::into_map(json!({"statement_id": id, "status": status}));
    if statement.state == "SUCCEEDED" {
        add_result(&mut response, rows(statement));
    }
    Ok(Value::Object(response))
}

fn add_result(response: &mut Map, rows: Option<(String, Vec<Vec<Value>>)>) {
    let (name, rows) = rows.unwrap_or_default();
    let width = rows.first().map_or(0, Vec::len);
    let columns: Vec<Value> = (0..width)
        .map(|at| {
            let name = if width == 1 {
                name.clone()
            } else {
                format!("{name}_{at}")
            };
            json!({"name": name, "position": at, "type_name": "STRING", "type_text": "STRING"})
        })
        .collect();
    let count = rows.len();
    json::set(
        response,
        "manifest",
        json!({
            "format": "JSON_ARRAY", "truncated": false, "total_chunk_count": 1, "total_row_count": count,
            "schema": {"column_count": width, "columns": columns},
            "chunks": [{"chunk_index": 0, "row_offset": 0, "row_count": count}],
        }),
    );
    let mut result = json::into_map(json!({"chunk_index": 0, "row_offset": 0, "row_count": count}));
    if count > 0 {
        json::set(&mut result, "data_array", json!(rows));
    }
    json::set(response, "result", result);
}
