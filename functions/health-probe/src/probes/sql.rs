//! Statements on a warehouse: the SQL canary and the KPIs.

use std::time::Instant;

use databricks::{
    Collection, Error, Object, Statement, StatementResult, StatementState, WarehouseId, Workspace,
};
use jiff::{SignedDuration, Timestamp};
use recovery::findings::{WarehouseUse, failed_statement, kpi_outcome, warehouse_use};
use recovery::plan::{Detection, Kpi, ProbePace, SqlCanary, WarehouseRule};
use recovery::verdict::{DownCause, Outcome, UnknownCause};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::workspace::{finding, patient};
use super::{Finding, left};

/// Somebody else's query within this keeps a warehouse in use.
const IN_USE: SignedDuration = SignedDuration::from_secs(300);

const WAREHOUSES: Collection<'static> = Collection {
    path: "/api/2.0/sql/warehouses",
    items: "warehouses",
    page: Some(("page_size", "100")),
    query: &[],
};

/// The warehouses of a site, or why they could not be listed: asked once, however many statements there are. A site that does not
/// answer costs all of them together one time-out.
pub(crate) type Warehouses = OnceCell<Result<Vec<Object>, Error>>;

/// What a statement needs.
struct Wanted<'a> {
    warehouse: &'a str,
    sql: &'a str,
    rule: WarehouseRule,
}

/// The canary: any answer of a statement that succeeds is healthy.
pub(crate) async fn canary(
    workspace: &Workspace,
    warehouses: &Warehouses,
    detection: &Detection,
    canary: &SqlCanary,
    pace: ProbePace,
    now: Timestamp,
) -> Finding {
    let wanted = Wanted {
        warehouse: &canary.warehouse,
        sql: &canary.sql,
        rule: canary.rule,
    };
    let workspace = patient(workspace, detection, pace);
    let result = execute(&workspace, warehouses, &wanted, pace, now).await;
    finding(
        &workspace,
        result.map(|ended| match ended {
            Ok(_) => Outcome::Healthy,
            Err(outcome) => outcome,
        }),
    )
}

/// A KPI: the number must be within its bound.
pub(crate) async fn kpi(
    workspace: &Workspace,
    warehouses: &Warehouses,
    detection: &Detection,
    kpi: &Kpi,
    pace: ProbePace,
    now: Timestamp,
) -> Finding {
    let wanted = Wanted {
        warehouse: &kpi.warehouse,
        sql: &kpi.sql,
        rule: kpi.rule,
    };
    let workspace = patient(workspace, detection, pace);
    let result = execute(&workspace, warehouses, &wanted, pace, now).await;
    finding(
        &workspace,
        result.map(|ended| match ended {
            Ok(value) => kpi_outcome(kpi.bound, value.as_deref()),
            Err(outcome) => outcome,
        }),
    )
}

/// Runs a statement if it may use its warehouse: its value, or what is said instead.
async fn execute(
    workspace: &Workspace,
    warehouses: &Warehouses,
    wanted: &Wanted<'_>,
    pace: ProbePace,
    now: Timestamp,
) -> Result<Result<Option<String>, Outcome>, Error> {
    let start = Instant::now();
    let listed = warehouses
        .get_or_init(|| workspace.collection(&WAREHOUSES))
        .await
        .as_ref()
        .map_err(Clone::clone)?;
    let mut named = listed
        .iter()
        .filter(|one| text(one, "name") == wanted.warehouse);
    // None, or two of one name: the plan does not say which.
    let (Some(warehouse), None) = (named.next(), named.next()) else {
        return Ok(Err(UnknownCause::NotConfigured.into()));
    };
    let id = WarehouseId::from(text(warehouse, "id"));
    let starts = match warehouse_use(wanted.rule, warehouse) {
        WarehouseUse::Cold => return Ok(Err(UnknownCause::WarehouseCold.into())),
        WarehouseUse::IfOthersDo if !others_use(workspace, &id, now).await? => {
            return Ok(Err(UnknownCause::WarehouseCold.into()));
        }
        WarehouseUse::Use | WarehouseUse::IfOthersDo => false,
        WarehouseUse::Start => true,
    };
    // Who asks for the workspace's identity waits for others who do; so only who needs it asks.
    let writer = workspace.verified().await?;
    let statement = Statement {
        sql: wanted.sql.to_owned(),
        warehouse: id,
        // The other half is for its cancellation.
        deadline: left(start, pace.timeout) / 2,
    };
    let time = left(start, pace.timeout);
    let result = match tokio::time::timeout(time, writer.execute_statement(statement)).await {
        Ok(result) => result?,
        // It was cancelled, and its end is not to be seen.
        Err(_) => return Ok(Err(out_of_time(starts))),
    };
    Ok(ended(result, starts))
}

/// Whether somebody but this probe's own principal used a warehouse lately.
async fn others_use(
    workspace: &Workspace,
    warehouse: &WarehouseId,
    now: Timestamp,
) -> Result<bool, Error> {
    // Without knowing who one is, one's own queries look like those of others.
    workspace.verified().await?;
    let Some(own) = workspace.identity().map(|own| own.user_name.as_str()) else {
        return Ok(false);
    };
    let queries = workspace.queries_since(warehouse, now - IN_USE).await?;
    Ok(queries.iter().any(|query| text(query, "user_name") != own))
}

/// A statement that starts its warehouse may wait for minutes.
fn out_of_time(starts: bool) -> Outcome {
    if starts {
        UnknownCause::WarehouseCold.into()
    } else {
        DownCause::ReadTimeout.into()
    }
}

fn ended(result: StatementResult, starts: bool) -> Result<Option<String>, Outcome> {
    match result.state {
        StatementState::Succeeded => Ok(result.value),
        _ if result.deadline_passed => Err(out_of_time(starts)),
        StatementState::Failed => Err(result.error.map_or_else(
            || DownCause::QueryFailed.into(),
            |error| failed_statement(&error.error_code, &error.message),
        )),
        // Somebody cancelled it, or its result is gone.
        _ => Err(UnknownCause::ProbeError.into()),
    }
}

fn text<'a>(object: &'a Object, field: &str) -> &'a str {
    object
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
