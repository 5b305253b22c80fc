//! Statements: their end, their failure, their deadline.

use std::time::Duration;

use databricks::{Statement, StatementId, StatementState, WarehouseId};
use serde_json::json;

use crate::server::{Reply, Server};

const SUBMIT: &str = "/api/2.0/sql/statements";

fn statement(deadline: Duration) -> Statement {
    Statement {
        sql: "SELECT 1".into(),
        warehouse: WarehouseId::from("w"),
        deadline,
    }
}

fn state(state: &str) -> Reply {
    Reply::ok(json!({ "statement_id": "s", "status": { "state": state } }))
}

#[tokio::test]
async fn statement_is_watched_to_its_end() {
    let server = Server::start(|seen| match (seen.path.as_str(), seen.nth) {
        (SUBMIT, _) => Some(state("PENDING")),
        ("/api/2.0/sql/statements/s", 0) => Some(Reply::error(404, "", "not found yet")),
        ("/api/2.0/sql/statements/s", 1) => Some(state("SOMETHING_NEW")),
        ("/api/2.0/sql/statements/s", _) => Some(Reply::ok(json!({
            "status": { "state": "SUCCEEDED" }, "result": { "data_array": [["1", null], ["2", null]] }
        }))),
        _ => None,
    })
    .await;
    let writer = server.workspace().verified().await.unwrap();
    let result = writer
        .execute_statement(statement(Duration::from_secs(30)))
        .await
        .unwrap();
    assert_eq!(result.state, StatementState::Succeeded);
    assert_eq!(
        (
            result.value.as_deref(),
            result.id.as_str(),
            result.deadline_passed
        ),
        (Some("1"), "s", false)
    );
    let sent = &server.on(SUBMIT)[0].body;
    assert_eq!(
        (sent["wait_timeout"].as_str(), sent["warehouse_id"].as_str()),
        (Some("0s"), Some("w"))
    );
}

#[tokio::test]
async fn failed_statement_is_a_result() {
    let server = Server::start(|seen| {
        (seen.path == SUBMIT).then(|| {
            Reply::ok(json!({ "statement_id": "s", "status": {
                "state": "FAILED", "error": { "error_code": "BAD_REQUEST", "message": "[TABLE_NOT_FOUND]\n x" } } }))
        })
    })
    .await;
    let writer = server.workspace().verified().await.unwrap();
    let result = writer
        .execute_statement(statement(Duration::from_secs(30)))
        .await
        .unwrap();
    assert_eq!((result.state, result.value), (StatementState::Failed, None));
    let error = result.error.unwrap();
    assert_eq!(
        (error.error_code.as_str(), error.message.as_str()),
        ("BAD_REQUEST", "[TABLE_NOT_FOUND] x")
    );
}

#[tokio::test]
async fn statement_past_its_deadline_is_cancelled() {
    let server = Server::start(|seen| match seen.path.as_str() {
        SUBMIT => Some(state("PENDING")),
        "/api/2.0/sql/statements/s/cancel" => Some(Reply::text(200, "text/plain", "")),
        "/api/2.0/sql/statements/s" => Some(state("CANCELED")),
        _ => None,
    })
    .await;
    let writer = server.workspace().verified().await.unwrap();
    let result = writer
        .execute_statement(statement(Duration::ZERO))
        .await
        .unwrap();
    assert_eq!(
        (result.state, result.deadline_passed),
        (StatementState::Canceled, true)
    );
    assert_eq!(server.on("/api/2.0/sql/statements/s/cancel").len(), 1);
}

#[tokio::test]
async fn statement_that_cannot_be_read_is_cancelled() {
    let server = Server::start(|seen| match seen.path.as_str() {
        SUBMIT => Some(state("PENDING")),
        "/api/2.0/sql/statements/s/cancel" => Some(Reply::ok(json!({}))),
        "/api/2.0/sql/statements/s" => Some(Reply::error(403, "", "no")),
        _ => None,
    })
    .await;
    let writer = server.workspace().verified().await.unwrap();
    let error = writer
        .execute_statement(statement(Duration::from_secs(30)))
        .await
        .unwrap_err();
    assert_eq!(error.name(), "Forbidden");
    assert_eq!(server.on("/api/2.0/sql/statements/s/cancel").len(), 1);
}

#[tokio::test]
async fn submission_is_not_repeated_after_a_lost_answer() {
    let server = Server::start(|seen| (seen.path == SUBMIT).then_some(Reply::Lost)).await;
    let writer = server.workspace().verified().await.unwrap();
    let error = writer
        .execute_statement(statement(Duration::from_secs(30)))
        .await
        .unwrap_err();
    assert_eq!(error.name(), "ConnectionReset");
    assert_eq!(server.on(SUBMIT).len(), 1);
}

#[tokio::test]
async fn statement_can_be_read_later() {
    let server =
        Server::start(|seen| (seen.path == "/api/2.0/sql/statements/s").then(|| state("CLOSED")))
            .await;
    let result = server
        .workspace()
        .statement(&StatementId::from("s"))
        .await
        .unwrap();
    assert_eq!(result.state, StatementState::Closed);
}
