//! Reading what a site holds.

use databricks::{Error, JobId, Object, PipelineId, RunsFilter, Workspace};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use recovery::inventory::{ActiveRun, Inventory, Resource};
use recovery::kind::Kind;
use recovery::site::SiteLabel;
use serde_json::Value;

/// How many details are asked for at once. The rate limits decide the pace.
const AT_ONCE: usize = 12;

/// How much of each object is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Whole objects, as a baseline or a restore needs them.
    Whole,
    /// Details only of what the lists show as live: a fence touches nothing else.
    Live,
}

/// Reads the objects of these kinds and, with jobs, the active runs. Whatever one list says wrong fails the whole: a
/// site that was half read must not look half empty.
///
/// # Errors
/// The first error of the workspace.
pub async fn read_inventory(
    workspace: &Workspace,
    site: SiteLabel,
    kinds: &[Kind],
    depth: Depth,
    now: Timestamp,
) -> Result<Inventory, Error> {
    let wants = |kind: Kind| kinds.contains(&kind);
    // Boxed: nested this deep, the futures of callers would exceed what the compiler lays out.
    let (jobs, runs, pools, clusters, warehouses, pipelines) = async {
        futures::try_join!(
            async {
                if wants(Kind::Job) {
                    jobs(workspace).await
                } else {
                    Ok(vec![])
                }
            },
            async {
                if wants(Kind::Job) {
                    runs(workspace).await
                } else {
                    Ok(vec![])
                }
            },
            async {
                if wants(Kind::InstancePool) {
                    workspace.list_pools().await
                } else {
                    Ok(vec![])
                }
            },
            async {
                if wants(Kind::Cluster) {
                    workspace.list_clusters().await
                } else {
                    Ok(vec![])
                }
            },
            async {
                if wants(Kind::Warehouse) {
                    workspace.list_warehouses().await
                } else {
                    Ok(vec![])
                }
            },
            async {
                if wants(Kind::Pipeline) {
                    pipelines(workspace, depth).await
                } else {
                    Ok(vec![])
                }
            },
        )
    }
    .boxed()
    .await?;
    let mut resources: Vec<Resource> = [
        (Kind::InstancePool, pools),
        (Kind::Cluster, clusters),
        (Kind::Warehouse, warehouses),
        (Kind::Job, jobs),
        (Kind::Pipeline, pipelines),
    ]
    .into_iter()
    .flat_map(|(kind, objects)| objects.into_iter().map(move |raw| (kind, raw)))
    .filter(|(kind, raw)| kind.is_protected(raw))
    .filter_map(|(kind, raw)| Resource::new(kind, raw))
    .collect();
    // Answers arrive in any order; the same site must read the same twice.
    resources.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
    Ok(Inventory {
        site,
        read_at: now,
        resources,
        runs,
    })
}

async fn runs(workspace: &Workspace) -> Result<Vec<ActiveRun>, Error> {
    let filter = RunsFilter {
        active_only: true,
        ..RunsFilter::default()
    };
    let mut runs: Vec<ActiveRun> = workspace
        .list_runs(filter)
        .await?
        .iter()
        .filter_map(ActiveRun::new)
        .collect();
    // Pages shift while runs start, so one may come twice.
    runs.sort_by_key(|r| r.run_id);
    runs.dedup_by_key(|r| r.run_id);
    Ok(runs)
}

/// The list shows schedule, trigger and continuous whole, but not surely all of `triggers`: those jobs are read singly.
async fn jobs(workspace: &Workspace) -> Result<Vec<Object>, Error> {
    let listed = workspace.list_jobs(false).await?;
    stream::iter(listed)
        .map(|job| async move {
            let has_triggers = job
                .get("settings")
                .and_then(|s| s.get("triggers"))
                .is_some();
            match job.get("job_id").and_then(Value::as_i64) {
                Some(id) if has_triggers => workspace.get_job(JobId(id)).await,
                _ => Ok(job),
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// The list has no spec, which holds `continuous` and the tags.
async fn pipelines(workspace: &Workspace, depth: Depth) -> Result<Vec<Object>, Error> {
    let listed = workspace.list_pipelines().await?;
    stream::iter(listed)
        .map(|pipeline| async move {
            let needed = depth == Depth::Whole || Kind::Pipeline.is_live(&pipeline);
            match pipeline.get("pipeline_id").and_then(Value::as_str) {
                Some(id) if needed => {
                    match workspace.get_pipeline(&PipelineId(id.to_owned())).await {
                        // Deleted since it was listed.
                        Err(error) if error.is_not_found() => Ok(None),
                        whole => whole.map(Some),
                    }
                }
                _ => Ok(Some(pipeline)),
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_filter_map(|pipeline| async move { Ok(pipeline) })
        .try_collect()
        .await
}
