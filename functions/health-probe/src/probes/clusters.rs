//! The cluster canary, at the active site.

use std::collections::BTreeSet;

use aws::{Failure, Ports};
use databricks::{ClusterId, Collection, Error, Object, Workspace};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use recovery::findings::{ClusterStanding, clusters_outcome, is_wanted, standing_of};
use recovery::kind::Kind;
use recovery::plan::{ClusterCanary, Detection, ProbePace};
use recovery::site::{ContentDigest, SiteLabel};
use recovery::verdict::{Outcome, UnknownCause};
use serde_json::Value;
use tokio::sync::Mutex;

use super::Finding;
use super::workspace::{finding, patient};

/// The most clusters that are asked for lost nodes: one call each, and these share the workspace's rate.
const MOST_ASKED: usize = 20;
const AT_ONCE: usize = 4;

const CLUSTERS: Collection<'static> = Collection {
    path: "/api/2.1/clusters/list",
    items: "clusters",
    page: Some(("page_size", "100")),
    query: &[],
};

/// The names of the clusters that ran when the baseline was captured. A baseline is large and seldom changes: it is read once for
/// each digest and process.
#[derive(Default)]
pub(crate) struct Running {
    known: Mutex<Option<(ContentDigest, BTreeSet<String>)>>,
}

impl Running {
    /// The names; `None` without a baseline of this site.
    async fn names(
        &self,
        ports: &Ports,
        site: SiteLabel,
    ) -> Result<Option<BTreeSet<String>>, Failure> {
        let Some(pointer) = ports.baseline_pointer().await?.filter(|p| p.site == site) else {
            return Ok(None);
        };
        let mut known = self.known.lock().await;
        if let Some((digest, names)) = known.as_ref()
            && *digest == pointer.digest
        {
            return Ok(Some(names.clone()));
        }
        let baseline = ports.baseline(&pointer.digest).await?;
        let names: BTreeSet<String> = baseline
            .inventory
            .resources
            .iter()
            .filter(|r| r.kind == Kind::Cluster && r.is_live())
            .map(|r| text(&r.raw, "cluster_name").to_owned())
            .collect();
        *known = Some((pointer.digest, names.clone()));
        Ok(Some(names))
    }
}

/// Do the clusters run that should, and have they kept their nodes?
pub(crate) async fn canary(
    ports: &Ports,
    running: &Running,
    workspace: &Workspace,
    detection: &Detection,
    canary: &ClusterCanary,
    site: SiteLabel,
    pace: ProbePace,
) -> Finding {
    let names = if canary.is_from_baseline() {
        match running.names(ports, site).await {
            Ok(Some(names)) => names,
            Ok(None) => return Finding::new(UnknownCause::NotConfigured),
            Err(_) => return Finding::new(UnknownCause::ProbeError),
        }
    } else {
        BTreeSet::new()
    };
    let workspace = patient(workspace, detection, pace);
    let result = look(&workspace, canary, &names, ports.now()).await;
    finding(&workspace, result)
}

async fn look(
    workspace: &Workspace,
    canary: &ClusterCanary,
    names: &BTreeSet<String>,
    now: Timestamp,
) -> Result<Outcome, Error> {
    let listed = workspace.collection(&CLUSTERS).await?;
    let wanted: Vec<&Object> = listed
        .iter()
        .filter(|cluster| is_wanted(canary, names, cluster))
        .collect();
    let from = now - canary.lookback_seconds.signed();
    let asked: Vec<ClusterId> = wanted
        .iter()
        .filter(|cluster| standing_of(cluster, false) == ClusterStanding::Up)
        .map(|cluster| ClusterId::from(text(cluster, "cluster_id")))
        .take(MOST_ASKED)
        .collect();
    let lost: BTreeSet<String> = stream::iter(asked)
        .map(|id| lost(workspace.clone(), id, from))
        .buffer_unordered(AT_ONCE)
        .try_filter_map(|id| async move { Ok(id) })
        .try_collect()
        .await?;
    let standings: Vec<ClusterStanding> = wanted
        .iter()
        .map(|cluster| standing_of(cluster, lost.contains(text(cluster, "cluster_id"))))
        .collect();
    Ok(clusters_outcome(&standings))
}

/// The cluster, if it lost nodes.
async fn lost(
    workspace: Workspace,
    id: ClusterId,
    from: Timestamp,
) -> Result<Option<String>, Error> {
    let lost = workspace.lost_nodes_since(&id, from).await?;
    Ok(lost.then(|| id.as_str().to_owned()))
}

fn text<'a>(object: &'a Object, field: &str) -> &'a str {
    object
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
