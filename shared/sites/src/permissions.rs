//! Reading the permissions of objects.

use std::collections::BTreeMap;

use databricks::{Error, Object, ObjectType, Workspace};
use futures::{StreamExt, TryStreamExt, stream};
use recovery::inventory::{Inventory, Resource};
use recovery::kind::Kind;
use recovery::plan::Named;

/// How many are asked for at once. The rate limits decide the pace.
const AT_ONCE: usize = 12;

/// The permissions of the named objects of an inventory, by `kind/id`.
///
/// # Errors
/// The first error of the workspace. An object that was deleted meanwhile has none.
pub async fn read_permissions(
    workspace: &Workspace,
    inventory: &Inventory,
    named: &[Named],
) -> Result<BTreeMap<String, Object>, Error> {
    let wanted = inventory.resources.iter();
    let wanted = wanted.filter(|resource| named.iter().any(|n| n.holds(resource)));
    stream::iter(wanted)
        .map(|resource| async move {
            let Some(kind) = object_type(resource.kind) else {
                return Ok(None);
            };
            match workspace.permissions(kind, &resource.id).await {
                Ok(answer) => Ok(Some((permissions_key(resource), answer))),
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => Err(error),
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await
}

/// What names an object in [`read_permissions`].
#[must_use]
pub fn permissions_key(resource: &Resource) -> String {
    format!("{}/{}", resource.kind, resource.id)
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
