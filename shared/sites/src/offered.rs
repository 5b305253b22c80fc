//! What a site offers and what its objects refer to, beside what is protected.

use std::collections::BTreeMap;

use databricks::{Cause, Collection, Error, Workspace};
use recovery::readiness::Offered;
use serde_json::Value;

/// The Spark versions and node types on offer.
///
/// # Errors
/// The first error of the workspace.
pub async fn read_offered(workspace: &Workspace) -> Result<Offered, Error> {
    let node_types = Collection {
        path: "/api/2.1/clusters/list-node-types",
        items: "node_types",
        page: None,
        query: &[],
    };
    let (versions, node_types) = futures::try_join!(
        workspace.spark_versions(),
        workspace.collection(&node_types)
    )?;
    Ok(Offered {
        spark_versions: versions.into_iter().map(|version| version.key).collect(),
        node_types: node_types
            .iter()
            .filter_map(|raw| Some(raw.get("node_type_id")?.as_str()?.to_owned()))
            .collect(),
    })
}

/// Listings of what objects refer to and that is not protected itself: path, items, id, name, and what it is called.
const REFERRED_TO: [(Collection<'static>, &str, &str, &str); 2] = [
    (
        Collection {
            path: "/api/2.0/policies/clusters/list",
            items: "policies",
            page: None,
            query: &[],
        },
        "policy_id",
        "name",
        "cluster policy",
    ),
    (
        Collection {
            path: "/api/2.0/lakeview/dashboards",
            items: "dashboards",
            page: Some(("page_size", "100")),
            query: &[],
        },
        "dashboard_id",
        "display_name",
        "dashboard",
    ),
];

/// The names of the cluster policies and dashboards, by id. Who may see none has none: what refers to them is then compared by id.
///
/// # Errors
/// The first error of the workspace but a refusal.
pub async fn read_names(workspace: &Workspace) -> Result<BTreeMap<String, String>, Error> {
    let mut names = BTreeMap::new();
    for (collection, id, name, what) in REFERRED_TO {
        let found = match workspace.collection(&collection).await {
            Err(error) if matches!(error.cause(), Cause::Forbidden | Cause::NotFound) => vec![],
            found => found?,
        };
        names.extend(found.iter().filter_map(|raw| {
            let text = |field: &str| raw.get(field).and_then(Value::as_str);
            Some((text(id)?.to_owned(), format!("{what} \"{}\"", text(name)?)))
        }));
    }
    Ok(names)
}
