//! Statement Execution API 2.0 (databricks-sdk-py 0.156.0, `service/sql.py`).

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use crate::Object;
use crate::clusters::text;
use crate::error::Error;
use crate::ids::{StatementId, WarehouseId};
use crate::limits::Class;
use crate::refusal::clean;
use crate::repeat::Repeat;
use crate::request::{Method, Missing, Operation, Request};
use crate::workspace::{Workspace, Writer};

const GET: Operation = Operation::read("get statement", Class::StatementsRead);
/// Takes no token: a repeat after a lost answer would run the statement twice.
const SUBMIT: Operation = Operation {
    name: "submit statement",
    method: Method::Post,
    class: Class::StatementsWrite,
    repeat: Repeat::Once,
    missing: Missing::Status,
};
const CANCEL: Operation = Operation {
    name: "cancel statement",
    method: Method::Post,
    class: Class::StatementsWrite,
    repeat: Repeat::Idempotent,
    missing: Missing::Status,
};

const PATH: &str = "/api/2.0/sql/statements";
/// The first and the longest pause between two looks at a running statement.
const POLL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// The state "may lag 5 s": a statement that was just submitted may not be found yet.
const LAG: Duration = Duration::from_secs(10);
/// No statement is waited for longer.
const LONGEST: Duration = Duration::from_secs(86_400);
/// How long a cancelled statement is watched for its end.
const CANCEL_WATCH: Duration = Duration::from_secs(10);

/// A SQL statement to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The text, at most 16 MiB.
    pub sql: String,
    /// Where to execute it. A warehouse that is stopped is started by it, and billed.
    pub warehouse: WarehouseId,
    /// How long it may take, the start of the warehouse included; then it is cancelled.
    pub deadline: Duration,
}

/// The state of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the platform's state of that name")]
pub enum StatementState {
    Pending,
    Running,
    Succeeded,
    Failed,
    Canceled,
    Closed,
    /// A state that this crate does not know; taken as not ended.
    Other(String),
}

impl StatementState {
    /// Whether the statement has ended.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Canceled | Self::Closed
        )
    }
}

/// Why a statement failed, in the platform's words: at most 500 characters, no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementError {
    /// As in `BAD_REQUEST`; empty if none was given.
    pub error_code: String,
    /// The message.
    pub message: String,
}

/// What is known of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementResult {
    /// The statement.
    pub id: StatementId,
    /// Its state. A statement that failed is a result, not an [`Error`].
    pub state: StatementState,
    /// The first column of the first row, as text; `None` without a row, or if it is null.
    pub value: Option<String>,
    /// Why it failed.
    pub error: Option<StatementError>,
    /// Whether it was cancelled because its deadline passed. The state may still be any: cancelling "might silently
    /// fail" (databricks-sdk-py 0.156.0, `cancel_execution`), or come too late.
    pub deadline_passed: bool,
}

impl Workspace {
    /// A statement that was submitted before, by the same principal, up to 12 hours after its end; its state may be
    /// 5 s old.
    ///
    /// Errors: [`Error::NotFound`], and those of any call.
    pub async fn statement(&self, id: &StatementId) -> Result<StatementResult, Error> {
        let request = Request::new(&GET, PATH)
            .segment(id.as_str())
            .on(format!("statement {id}"));
        self.map(request, "it has no status.state", |answer| {
            read_statement(&answer, Some(id))
        })
        .await
    }
}

/// Reads an answer; the id that was asked for stands in for one that is left out.
fn read_statement(answer: &Object, id: Option<&StatementId>) -> Option<StatementResult> {
    let status = answer.get("status").and_then(Value::as_object)?;
    let state = match text(status, "state") {
        "" => return None,
        "PENDING" => StatementState::Pending,
        "RUNNING" => StatementState::Running,
        "SUCCEEDED" => StatementState::Succeeded,
        "FAILED" => StatementState::Failed,
        "CANCELED" => StatementState::Canceled,
        "CLOSED" => StatementState::Closed,
        other => StatementState::Other(clean(other, 80, &[])),
    };
    let id = match (text(answer, "statement_id"), id) {
        ("", id) => id?.clone(),
        (text, _) => StatementId::from(text),
    };
    let error = status
        .get("error")
        .and_then(Value::as_object)
        .map(|error| StatementError {
            error_code: clean(text(error, "error_code"), 80, &[]),
            message: clean(text(error, "message"), 500, &[]),
        });
    let cell = answer
        .get("result")
        .and_then(|result| result.get("data_array"))
        .and_then(|rows| rows.get(0)?.get(0));
    // INLINE JSON_ARRAY values are strings or null; anything else is shown as its JSON.
    let value = cell.filter(|cell| !cell.is_null()).map(|cell| match cell {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    Some(StatementResult {
        id,
        state,
        value,
        error,
        deadline_passed: false,
    })
}

impl Writer {
    /// Executes a statement and waits for its end, at most until its deadline; then cancels it and says so.
    ///
    /// The answer to the submission may be lost: it is repeated only where it was surely not processed, so after
    /// [`Error::ReadTimeout`] or [`Error::ConnectionReset`] the statement may be running. If looking at it fails,
    /// it is cancelled before the error is returned. A caller that drops the future leaves it running.
    ///
    /// Errors: [`Error::NotFound`] (warehouse), and those of any call.
    pub async fn execute_statement(&self, statement: Statement) -> Result<StatementResult, Error> {
        let started = Instant::now();
        let deadline = started + statement.deadline.min(LONGEST);
        let request = Request::new(&SUBMIT, PATH)
            .body(json!({
                "statement": statement.sql,
                "warehouse_id": statement.warehouse,
                "wait_timeout": "0s",
                "on_wait_timeout": "CONTINUE",
                "disposition": "INLINE",
                "format": "JSON_ARRAY",
            }))
            .on(format!("warehouse {}", statement.warehouse));
        let workspace = self.workspace();
        let mut now = workspace
            .map(
                request,
                "it has no statement_id or status.state",
                |answer| read_statement(&answer, None),
            )
            .await?;
        let id = now.id.clone();
        let watched = timeout_at(deadline, async {
            let mut pause = POLL.0;
            while !now.state.is_final() {
                sleep(pause).await;
                pause = pause.saturating_mul(2).min(POLL.1);
                match workspace.statement(&id).await {
                    Ok(read) => now = read,
                    Err(error) if error.is_not_found() && started.elapsed() < LAG => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
        .await;
        match watched {
            Ok(Ok(())) => Ok(now),
            Ok(Err(error)) => {
                if let Err(second) = self.cancel_statement(&id).await {
                    tracing::warn!(statement = %id, error = %second, "cannot cancel a statement that cannot be read");
                }
                Err(error)
            }
            Err(_elapsed) => self.cut_off(now).await,
        }
    }

    /// Cancels a statement past its deadline and watches it for its end.
    async fn cut_off(&self, mut now: StatementResult) -> Result<StatementResult, Error> {
        let id = now.id.clone();
        self.cancel_statement(&id).await?;
        let until = Instant::now() + CANCEL_WATCH;
        let mut pause = POLL.0;
        loop {
            match timeout_at(until, self.workspace().statement(&id)).await {
                Ok(Ok(read)) => now = read,
                Ok(Err(error)) => return Err(error),
                Err(_elapsed) => break,
            }
            if now.state.is_final() || Instant::now() + pause >= until {
                break;
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(POLL.1);
        }
        now.deadline_passed = true;
        Ok(now)
    }

    async fn cancel_statement(&self, id: &StatementId) -> Result<(), Error> {
        let request = Request::new(&CANCEL, PATH)
            .segment(id.as_str())
            .segment("cancel")
            .on(format!("statement {id}"));
        self.workspace().done(request).await
    }
}
