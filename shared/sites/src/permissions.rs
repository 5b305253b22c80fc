//! Reading the permissions of objects.

use std::collections::BTreeMap;

use databricks::{Error, Object, ObjectType, Workspace};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use recovery::inventory::{Inventory, Resource};
use recovery::kind::Kind;
use recovery::permissions::key;
use recovery::plan::Named;
use serde_json::Value;

use crate::details::{Details, request};

/// How many are asked for at once. The rate limits decide the pace.
const AT_ONCE: usize = 12;

/// The permissions of the named objects of an inventory, by [`key`].
///
/// # Errors
/// The first error of the workspace. An object that was deleted meanwhile has none.
pub async fn read_permissions(
    workspace: &Workspace,
    inventory: &Inventory,
    named: &[Named],
) -> Result<BTreeMap<String, Object>, Error> {
    let wanted: Vec<&Resource> = inventory
        .resources
        .iter()
        .filter(|resource| named.iter().any(|n| n.holds(resource)))
        .collect();
    read_permissions_of(workspace, &wanted).await
}

/// As [`read_permissions`], going on from what earlier calls of the same reading were told.
///
/// # Errors
/// The first error of the workspace.
pub async fn resume_permissions(
    workspace: &Workspace,
    inventory: &Inventory,
    named: &[Named],
    details: &Details,
) -> Result<BTreeMap<String, Object>, Error> {
    let wanted = inventory.resources.iter();
    let wanted = wanted.filter(|resource| named.iter().any(|n| n.holds(resource)));
    let asked: Vec<_> = wanted
        .map(|resource| {
            async move {
                let request = request("permissions", &resource.id, &resource.raw);
                let asking = async {
                    let found = of_one(workspace, resource).await?;
                    Ok(found.map_or(Value::Null, |(_, answer)| Value::Object(answer)))
                };
                match details.answer(request, asking).await? {
                    Value::Object(answer) => Ok(Some((key(resource), answer))),
                    _ => Ok(None),
                }
            }
            .boxed()
        })
        .collect();
    let found: Vec<Option<(String, Object)>> = stream::iter(asked)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

/// The permissions of these objects, by [`key`].
///
/// # Errors
/// The first error of the workspace. An object that was deleted meanwhile has none, nor has one of a kind without permissions.
pub async fn read_permissions_of(
    workspace: &Workspace,
    resources: &[&Resource],
) -> Result<BTreeMap<String, Object>, Error> {
    // Boxed and collected: as closures over borrowed objects they would not be general enough for callers that box this.
    let asked: Vec<_> = resources
        .iter()
        .map(|resource| of_one(workspace, resource).boxed())
        .collect();
    let found: Vec<Option<(String, Object)>> = stream::iter(asked)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

async fn of_one(
    workspace: &Workspace,
    resource: &Resource,
) -> Result<Option<(String, Object)>, Error> {
    let Some(kind) = object_type(resource.kind) else {
        return Ok(None);
    };
    match workspace.permissions(kind, &resource.id).await {
        Ok(answer) => Ok(Some((key(resource), answer))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

const fn object_type(kind: Kind) -> Option<ObjectType> {
    match kind {
        Kind::InstancePool => Some(ObjectType::Pool),
        Kind::Cluster => Some(ObjectType::Cluster),
        Kind::Warehouse => Some(ObjectType::Warehouse),
        Kind::Job => Some(ObjectType::Job),
        Kind::Pipeline => Some(ObjectType::Pipeline),
        Kind::App => Some(ObjectType::App),
        Kind::Alert => Some(ObjectType::Alert),
        Kind::DashboardSchedule => None,
    }
}
