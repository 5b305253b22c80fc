//! The routes under `/__sim`: what a test does to a workspace from outside its API.
//!
//! They are not behind the gate: they work in the dark, are never limited and never recorded.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::auth::Standing;
use crate::api::federation::Policies;
use crate::engine::Answer;
use crate::faults::Rule;
use crate::server::Shared;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/__sim/events", get(events))
        .route("/__sim/inventory", get(inventory))
        .route("/__sim/clock", get(clock))
        .route(
            "/__sim/faults",
            get(faults).post(add_fault).delete(clear_faults),
        )
        .route("/__sim/dark", post(dark))
        .route("/__sim/light", post(light))
        .route("/__sim/credentials", post(credentials))
        .route("/__sim/federation", post(federation))
        .route("/__sim/statements", post(statements))
        .route("/__sim/file-arrival", post(file_arrival))
        .route("/__sim/table-update", post(table_update))
}

/// Reads a control body; an unknown field is a mistake of the test and is said so.
fn read<T: DeserializeOwned>(body: &str) -> Result<T, Box<Response>> {
    let text = if body.trim().is_empty() { "{}" } else { body };
    serde_json::from_str(text).map_err(|error| {
        let answer = (
            StatusCode::BAD_REQUEST,
            axum::Json(json!({"error": error.to_string()})),
        );
        Box::new(answer.into_response())
    })
}

fn fine(value: Value) -> Response {
    axum::Json(value).into_response()
}

async fn events(State(sim): State<Shared>) -> Response {
    fine(Value::Array(sim.world().events.clone()))
}

async fn inventory(State(sim): State<Shared>) -> Response {
    fine(sim.world().document())
}

async fn clock(State(sim): State<Shared>) -> Response {
    let world = sim.world();
    fine(json!({"sim_ms": world.now, "at_ms": world.clock.real(world.now)}))
}

async fn faults(State(sim): State<Shared>) -> Response {
    fine(json!(sim.faults().rules()))
}

async fn add_fault(State(sim): State<Shared>, body: String) -> Response {
    match read::<Rule>(&body) {
        Ok(rule) => {
            sim.faults().add(rule);
            fine(json!({}))
        }
        Err(refused) => *refused,
    }
}

async fn clear_faults(State(sim): State<Shared>) -> Response {
    sim.faults().clear();
    // Those who hang because of a rule are let go.
    sim.cleared
        .send_modify(|count| *count = count.wrapping_add(1));
    fine(json!({}))
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Platform {
    #[default]
    Running,
    Stopped,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dark {
    #[serde(default)]
    platform: Platform,
}

async fn dark(State(sim): State<Shared>, body: String) -> Response {
    match read::<Dark>(&body) {
        Ok(dark) => {
            let mut world = sim.world();
            world.dark(dark.platform == Platform::Stopped);
            sim.dark.send_replace(true);
            fine(json!({}))
        }
        Err(refused) => *refused,
    }
}

async fn light(State(sim): State<Shared>) -> Response {
    let mut world = sim.world();
    if sim.dark.send_replace(false) {
        world.light();
    }
    fine(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    #[serde(default)]
    state: Standing,
    /// Ends the tokens issued so far, as if their hour were over.
    #[serde(default)]
    expire_tokens: bool,
}

async fn federation(State(sim): State<Shared>, body: String) -> Response {
    match read::<Policies>(&body) {
        Ok(policies) => {
            sim.access().federation = Some(policies);
            fine(json!({}))
        }
        Err(refused) => *refused,
    }
}

async fn credentials(State(sim): State<Shared>, body: String) -> Response {
    match read::<Credentials>(&body) {
        Ok(credentials) => {
            let mut access = sim.access();
            access.standing = credentials.state;
            if credentials.expire_tokens || credentials.state == Standing::Revoked {
                access.expire();
            }
            fine(json!({}))
        }
        Err(refused) => *refused,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statements {
    statement: String,
    /// A cell, a list of cells as rows, or a list of rows.
    value: Option<Value>,
    /// The message with which the statement fails.
    failure: Option<String>,
}

async fn statements(State(sim): State<Shared>, body: String) -> Response {
    match read::<Statements>(&body) {
        Ok(given) => {
            let mut world = sim.world();
            let text = given.statement.trim().to_owned();
            match (given.failure, given.value) {
                (Some(message), _) => world.answers.insert(text, Answer::Failure(message)),
                (None, Some(value)) => world.answers.insert(text, Answer::Value(value)),
                (None, None) => world.answers.remove(&text),
            };
            fine(json!({}))
        }
        Err(refused) => *refused,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arrival {
    job_id: Option<i64>,
    url: Option<String>,
}

async fn file_arrival(State(sim): State<Shared>, body: String) -> Response {
    match read::<Arrival>(&body) {
        Ok(arrival) => {
            let runs = sim
                .world()
                .files_arrive(arrival.job_id, arrival.url.as_deref());
            fine(json!({"run_ids": runs}))
        }
        Err(refused) => *refused,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableUpdate {
    job_id: Option<i64>,
    table: Option<String>,
}

async fn table_update(State(sim): State<Shared>, body: String) -> Response {
    match read::<TableUpdate>(&body) {
        Ok(update) => {
            let runs = sim
                .world()
                .table_updated(update.job_id, update.table.as_deref());
            fine(json!({"run_ids": runs}))
        }
        Err(refused) => *refused,
    }
}
