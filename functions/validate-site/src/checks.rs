//! The checks that need an answer at once: sign-in, lists, statements, permissions.

use std::time::{Duration, Instant};

use aws::{Invocation, Ports};
use databricks::{Statement, StatementState, WarehouseId, Workspace, Writer};
use futures::FutureExt;
use futures::future::BoxFuture;
use recovery::baseline::Baseline;
use recovery::inventory::{Inventory, Resource};
use recovery::kind::Kind;
use recovery::permissions;
use recovery::plan::{Named, PermissionCheck, Plan, StatementCheck};
use recovery::site::SiteLabel;
use recovery::validation::Check;
use sites::{Depth, failure_at, read_inventory, read_permissions};

/// The check that the target lets the system in.
const SIGN_IN: &str = "sign in";
/// The check that the target is the workspace that the plan means.
const IDENTITY: &str = "the workspace is the one of the plan";

/// Nobody can accept that the target is another workspace, or one that lets nobody in.
pub(crate) fn is_vital(name: &str) -> bool {
    [SIGN_IN, IDENTITY].contains(&name)
}

/// A check with the time that it took.
pub(crate) async fn timed(
    name: impl Into<String>,
    required: bool,
    work: BoxFuture<'_, Result<String, String>>,
) -> Check {
    let start = Instant::now();
    let result = work.await;
    let passed = result.is_ok();
    Check {
        name: name.into(),
        passed,
        seconds: since(start),
        detail: result.unwrap_or_else(|e| e),
        required,
        pending: false,
        accepted: None,
    }
}

/// Seconds to the millisecond.
pub(crate) fn since(start: Instant) -> f64 {
    (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}

pub(crate) async fn sign_in(workspace: &Workspace) -> Check {
    let work = async {
        workspace
            .sign_in()
            .await
            .map(|_| "signed in".to_owned())
            .map_err(|e| e.to_string())
    };
    timed(SIGN_IN, true, work.boxed()).await
}

pub(crate) async fn identity(workspace: &Workspace, plan: &Plan, site: SiteLabel) -> Check {
    let work = async {
        workspace
            .verified()
            .await
            .map(|_| format!("workspace {}", plan.sites.get(site).workspace_id))
            .map_err(|e| e.to_string())
    };
    timed(IDENTITY, true, work.boxed()).await
}

pub(crate) async fn list(
    workspace: &Workspace,
    site: SiteLabel,
    kind: Kind,
    ports: &Ports,
) -> Check {
    let work = async {
        read_inventory(workspace, site, &[kind], Depth::Live, ports.now())
            .await
            .map(|found| format!("{} found", found.resources.len()))
            .map_err(|e| failure_at(site, &e).message)
    };
    timed(format!("list {kind}s"), true, work.boxed()).await
}

pub(crate) async fn statements(
    workspace: &Workspace,
    plan: &Plan,
    site: SiteLabel,
    ports: &Ports,
    invocation: &Invocation,
) -> Vec<Check> {
    let prepared = async {
        let writer = workspace.verified().await?;
        let kinds = [Kind::Warehouse];
        let warehouses = read_inventory(workspace, site, &kinds, Depth::Live, ports.now()).await?;
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
        checks.push(timed(name, check.required, work).await);
    }
    checks
}

/// The one object of this kind and name.
pub(crate) fn the_one<'a>(
    inventory: &'a Inventory,
    kind: Kind,
    name: &str,
) -> Result<&'a Resource, String> {
    let mut named = inventory.of_kind(kind).filter(|r| r.name == name);
    match (named.next(), named.next()) {
        (Some(found), None) => Ok(found),
        (None, _) => Err(format!("there is no {kind} \"{name}\"")),
        (Some(_), Some(_)) => Err(format!("there is more than one {kind} \"{name}\"")),
    }
}

async fn statement(
    writer: &Writer,
    warehouses: &Inventory,
    check: &StatementCheck,
    deadline: Duration,
) -> Result<String, String> {
    let warehouse = the_one(warehouses, Kind::Warehouse, &check.warehouse)?;
    let result = writer
        .execute_statement(Statement {
            sql: check.sql.clone(),
            warehouse: WarehouseId(warehouse.id.clone()),
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

/// Whether the target grants what the old site granted, one check for each entry of the plan.
pub(crate) async fn permissions(
    workspace: &Workspace,
    plan: &Plan,
    baseline: &Baseline,
    site: SiteLabel,
    ports: &Ports,
) -> Vec<Check> {
    let mut checks = Vec::new();
    for check in &plan.validation.permissions {
        let name = format!("permissions of {} {}", check.kind, check.names.join(", "));
        let work = granted(workspace, plan, baseline, check, site, ports).boxed();
        checks.push(timed(name, check.required, work).await);
    }
    checks
}

async fn granted(
    workspace: &Workspace,
    plan: &Plan,
    baseline: &Baseline,
    check: &PermissionCheck,
    site: SiteLabel,
    ports: &Ports,
) -> Result<String, String> {
    let named = Named {
        kind: check.kind,
        names: check.names.clone(),
    };
    let refused = |e: databricks::Error| failure_at(site, &e).message;
    let inventory = read_inventory(workspace, site, &[check.kind], Depth::Live, ports.now())
        .await
        .map_err(refused)?;
    let theirs = read_permissions(workspace, &inventory, std::slice::from_ref(&named))
        .await
        .map_err(refused)?;
    let mapping = &plan.readiness.mapping;
    let nobody = recovery::readiness::Names::default();
    let called = recovery::readiness::Translation::of_active(&nobody, mapping, site.other());
    let twins = inventory.by_key();
    let (mut compared, mut differing) = (0, Vec::new());
    for original in baseline
        .inventory
        .resources
        .iter()
        .filter(|r| named.holds(r))
    {
        let label = format!("{} \"{}\"", original.kind, original.name);
        let Some(ours) = baseline.permissions.get(&permissions::key(original)) else {
            differing.push(format!(
                "{label}: what the old site granted was not recorded"
            ));
            continue;
        };
        let twin = twins.get(&(original.kind, original.key.as_str()));
        let Some([twin]) = twin.map(Vec::as_slice) else {
            differing.push(format!("{label}: does not stand once at the target"));
            continue;
        };
        let nothing = recovery::kind::Object::new();
        let theirs = theirs.get(&permissions::key(twin)).unwrap_or(&nothing);
        let principal = |who: &str| called.text("principal", who);
        let found = permissions::differences(ours, theirs, &principal);
        compared += 1;
        differing.extend(permissions::in_words(&found).map(|how| format!("{label}: {how}")));
    }
    if !differing.is_empty() {
        Err(differing.join("; "))
    } else if compared == 0 {
        Err("the baseline holds no such object".to_owned())
    } else {
        Ok(format!("{compared} objects grant what they granted"))
    }
}
