//! The target against the baseline.

use std::collections::BTreeMap;

use aws::{Failure, Ports, keys};
use recovery::baseline::{Baseline, BaselinePointer};
use recovery::inventory::{Inventory, Subject};
use recovery::kind::Object;
use recovery::plan::Plan;
use recovery::readiness::{Comparison, Held, Offered, Readiness, compare};
use recovery::site::SiteLabel;
use sites::{
    Details, Purpose, Role, connect, failure_at, read_names, read_offered, read_unfenceable,
    resume_permissions, resume_record,
};

use crate::ReadinessDocument;

/// What the standby says of itself.
struct Standby {
    inventory: Inventory,
    permissions: BTreeMap<String, Object>,
    names: BTreeMap<String, String>,
    offered: Offered,
    not_compared: Vec<(Subject, String)>,
}

/// Compares a site with a baseline. `details`: what earlier calls of this reading were told. `before` is the newest scheduled comparison. The baseline is that of the other site, or, after a
/// second disaster, the record of this very site.
pub(crate) async fn check(
    ports: &Ports,
    plan: &Plan,
    site: SiteLabel,
    pointer: &BaselinePointer,
    before: Option<&ReadinessDocument>,
    purpose: Purpose,
    details: &Details,
) -> Result<Readiness, Failure> {
    let baseline = ports.baseline(&pointer.digest).await?;
    let standby = read(ports, plan, site, purpose, details).await?;
    let now = standby.inventory.read_at;
    let mut readiness = compared(plan, &baseline, &standby, before.map(|d| &d.readiness));
    let age = now.duration_since(pointer.captured_at);
    if age > plan.baseline.max_age_seconds.signed() {
        readiness.notes.push(format!(
            "the baseline is {} s old, more than the plan's {} s",
            age.as_secs(),
            plan.baseline.max_age_seconds.0
        ));
    }
    Ok(readiness)
}

/// The newest scheduled comparison, if it is of this site.
pub(crate) async fn before(
    ports: &Ports,
    site: SiteLabel,
) -> Result<Option<ReadinessDocument>, Failure> {
    // One of an older version cannot be understood; then nothing is known of before.
    let stored = ports.read::<serde_json::Value>(keys::READINESS).await?;
    let document: Option<ReadinessDocument> =
        stored.and_then(|stored| serde_json::from_value(stored).ok());
    Ok(document.filter(|document| document.site == site))
}

fn compared(
    plan: &Plan,
    baseline: &Baseline,
    standby: &Standby,
    before: Option<&Readiness>,
) -> Readiness {
    compare(&Comparison {
        plan,
        active: Held {
            inventory: &baseline.inventory,
            permissions: &baseline.permissions,
            names: &baseline.names,
        },
        standby: Held {
            inventory: &standby.inventory,
            permissions: &standby.permissions,
            names: &standby.names,
        },
        offered: Some(&standby.offered),
        not_compared: &standby.not_compared,
        before,
        now: standby.inventory.read_at,
    })
}

async fn read(
    ports: &Ports,
    plan: &Plan,
    site: SiteLabel,
    purpose: Purpose,
    details: &Details,
) -> Result<Standby, Failure> {
    let workspace = connect(ports, plan, site, Role::Observer, purpose).await?;
    let refused = |e: databricks::Error| failure_at(site, &e);
    // The standby must be the workspace that the plan means, or the comparison is of something else.
    workspace.verified().await.map_err(refused)?;
    let inventory = resume_record(&workspace, site, &plan.kinds, details, ports.now())
        .await
        .map_err(refused)?;
    let named = &plan.baseline.permissions;
    let permissions = resume_permissions(&workspace, &inventory, named, details)
        .await
        .map_err(refused)?;
    let names = read_names(&workspace).await.map_err(refused)?;
    let offered = read_offered(&workspace).await.map_err(refused)?;
    let mut not_compared = read_unfenceable(&workspace).await;
    // A kind that cannot be listed has no objects to speak of.
    not_compared.retain(|(subject, _)| subject.id != "*");
    for (_, why) in &mut not_compared {
        *why = "objects of this kind are not compared; deploy them to both sites alike".to_owned();
    }
    Ok(Standby {
        inventory,
        permissions,
        names,
        offered,
        not_compared,
    })
}
