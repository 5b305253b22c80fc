//! Proves that the target works before anything is committed to it: sign-in, API calls, the plan's statements.

mod accept;

use std::time::{Duration, Instant};

use aws::{Failure, Invocation, Ports, keys};
use databricks::{Statement, StatementState, WarehouseId, Workspace, Writer};
use futures::FutureExt;
use futures::future::BoxFuture;
use recovery::inventory::Inventory;
use recovery::kind::Kind;
use recovery::plan::{Plan, StatementCheck};
use recovery::run::{RunDocument, Stage, ValidationAnswer};
use recovery::site::{RunId, RunToken, SiteLabel};
use recovery::validation::{Check, ValidationDocument};
use serde::{Deserialize, Serialize};
use sites::{Depth, Purpose, Role, connect_to, failure_at, frozen_url, read_inventory};

/// The check that the target lets the system in.
const SIGN_IN: &str = "sign in";
/// The check that the target is the workspace that the plan means.
const IDENTITY: &str = "the workspace is the one of the plan";

/// What the state machine hands over.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The run.
    pub run: RunId,
    /// Its token.
    pub token: RunToken,
}

/// The answer to the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Whether every check held.
    pub answer: ValidationAnswer,
    /// In words.
    pub reason: String,
}

/// Runs all checks, also after one has failed: a person wants to see all that is broken.
///
/// # Errors
/// `LockLost`, `WrongWorkspace`, or what the store said. A check that fails is an answer, not an error.
pub async fn handle(
    event: Event,
    ports: &Ports,
    invocation: &Invocation,
) -> Result<Answer, Failure> {
    let plan = ports.plan().await?;
    let run = ports
        .enter(&event.run, &event.token, Stage::Validation)
        .await?;
    let site = run.target;
    let workspace = connect_to(
        ports,
        &plan,
        site,
        frozen_url(&run, site)?,
        Role::Operator,
        Purpose::Run,
    )
    .await?;
    let mut checks = vec![
        timed(
            SIGN_IN,
            async {
                workspace
                    .sign_in()
                    .await
                    .map(|_| "signed in".to_owned())
                    .map_err(|e| e.to_string())
            }
            .boxed(),
        )
        .await,
        timed(
            IDENTITY,
            async {
                workspace
                    .verified()
                    .await
                    .map(|_| format!("workspace {}", plan.sites.get(site).workspace_id))
                    .map_err(|e| e.to_string())
            }
            .boxed(),
        )
        .await,
    ];
    for kind in plan.protected_kinds() {
        checks.push(list(&workspace, site, kind, ports).await);
    }
    if !plan.validation.statements.is_empty() {
        checks.extend(statements(&workspace, &plan, site, ports, invocation).await);
    }
    finish(ports, &plan, &run, &event, checks).await
}

async fn finish(
    ports: &Ports,
    plan: &Plan,
    run: &RunDocument,
    event: &Event,
    checks: Vec<Check>,
) -> Result<Answer, Failure> {
    let site = run.target;
    let document = ValidationDocument {
        format_version: 1,
        checked_at: ports.now(),
        site,
        checks,
    };
    ports
        .put(&keys::of_run(&event.run, "validation.json"), &document)
        .await?;
    // The run may have lost its lock while the checks ran.
    ports.require_lock(&event.run, &event.token).await?;
    let failed: Vec<&Check> = document.checks.iter().filter(|c| !c.passed).collect();
    let total = document.checks.len();
    let answer = match failed.first() {
        None => Answer {
            answer: ValidationAnswer::Passed,
            reason: format!("all {total} checks of the {site} site passed"),
        },
        Some(first) => {
            let reason = format!(
                "{} of {total} checks of the {site} site failed: {}: {}",
                failed.len(),
                first.name,
                first.detail
            );
            match accepted(ports, plan, run, &failed).await? {
                Some(by) => Answer {
                    answer: ValidationAnswer::Passed,
                    reason: format!("{reason}; {by}"),
                },
                None => Answer {
                    answer: ValidationAnswer::Failed,
                    reason,
                },
            }
        }
    };
    if answer.answer == ValidationAnswer::Passed {
        ports
            .finish(&event.run, &event.token, Stage::Validation)
            .await?;
    }
    Ok(answer)
}

/// Who has accepted these failures. Nobody can accept that the target is another workspace, or one that lets nobody in.
async fn accepted(
    ports: &Ports,
    plan: &Plan,
    run: &RunDocument,
    failed: &[&Check],
) -> Result<Option<String>, Failure> {
    if failed
        .iter()
        .any(|c| [SIGN_IN, IDENTITY].contains(&c.name.as_str()))
    {
        return Ok(None);
    }
    let names = failed.iter().map(|c| c.name.clone()).collect();
    accept::accepted_or_asked(ports, plan, run, names).await
}

async fn timed(name: impl Into<String>, work: BoxFuture<'_, Result<String, String>>) -> Check {
    let start = Instant::now();
    let result = work.await;
    let seconds = (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    let passed = result.is_ok();
    Check {
        name: name.into(),
        passed,
        seconds,
        detail: result.unwrap_or_else(|e| e),
    }
}

async fn list(workspace: &Workspace, site: SiteLabel, kind: Kind, ports: &Ports) -> Check {
    timed(
        format!("list {kind}s"),
        async {
            read_inventory(workspace, site, &[kind], Depth::Live, ports.now())
                .await
                .map(|found| format!("{} found", found.resources.len()))
                .map_err(|e| failure_at(site, &e).message)
        }
        .boxed(),
    )
    .await
}

async fn statements(
    workspace: &Workspace,
    plan: &Plan,
    site: SiteLabel,
    ports: &Ports,
    invocation: &Invocation,
) -> Vec<Check> {
    let prepared = async {
        let writer = workspace.verified().await?;
        let warehouses = read_inventory(
            workspace,
            site,
            &[Kind::Warehouse],
            Depth::Live,
            ports.now(),
        )
        .await?;
        Ok::<_, databricks::Error>((writer, warehouses))
    }
    .boxed()
    .await;
    let mut checks = Vec::new();
    for check in &plan.validation.statements {
        let name = format!("statement on \"{}\": {}", check.warehouse, check.sql);
        let work = match &prepared {
            Ok(_) if invocation.is_over() => {
                async { Err("there was no time left for it".to_owned()) }.boxed()
            }
            Ok((writer, warehouses)) => {
                let deadline = plan
                    .validation
                    .statement_timeout_seconds
                    .duration()
                    .min(invocation.left());
                statement(writer, warehouses, check, deadline).boxed()
            }
            Err(error) => {
                let error = error.to_string();
                async { Err(error) }.boxed()
            }
        };
        checks.push(timed(name, work).await);
    }
    checks
}

async fn statement(
    writer: &Writer,
    warehouses: &Inventory,
    check: &StatementCheck,
    deadline: Duration,
) -> Result<String, String> {
    let mut named = warehouses
        .resources
        .iter()
        .filter(|w| w.name == check.warehouse);
    let warehouse = match (named.next(), named.next()) {
        (Some(warehouse), None) => WarehouseId(warehouse.id.clone()),
        (None, _) => return Err(format!("there is no warehouse \"{}\"", check.warehouse)),
        (Some(_), Some(_)) => {
            return Err(format!(
                "there is more than one warehouse \"{}\"",
                check.warehouse
            ));
        }
    };
    let result = writer
        .execute_statement(Statement {
            sql: check.sql.clone(),
            warehouse,
            deadline,
        })
        .await
        .map_err(|e| e.to_string())?;
    if result.state != StatementState::Succeeded {
        let why = result.error.map_or_else(String::new, |e| {
            format!(" ({}: {})", e.error_code, e.message)
        });
        let late = if result.deadline_passed {
            ", it took too long"
        } else {
            ""
        };
        return Err(format!("it ended in {:?}{late}{why}", result.state));
    }
    match (&check.expect, &result.value) {
        (None, value) => Ok(format!("answered {value:?}")),
        (Some(expected), Some(value)) if expected == value => Ok(format!("answered {value:?}")),
        (Some(expected), value) => Err(format!("answered {value:?}, expected {expected:?}")),
    }
}
