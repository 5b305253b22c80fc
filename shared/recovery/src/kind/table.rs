//! The table: per kind how it is listed, what identifies it, what live means, how it is quieted, how that is read back, and how
//! it is restored. A new kind is one entry here.
//!
//! Paths and fields: databricks-sdk-py 0.156.0.

use jiff::Timestamp;

use super::{Kind, Object, compute, job, schedules};
use crate::act::Act;
use crate::activation::{Next, Phase};
use crate::inventory::Resource;
use crate::quartz::NextFires;

/// One listing of the platform: `GET path` gives pages of `items`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collection {
    /// The path.
    pub path: &'static str,
    /// The field that holds the objects.
    pub items: &'static str,
    /// The parameter for the size of a page with the largest value that is allowed; none if the platform takes none.
    pub page: Option<(&'static str, &'static str)>,
}

/// How a kind is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// One collection.
    Of(Collection),
    /// One collection for each object of another.
    Under {
        /// The parents.
        parents: Collection,
        /// The parent's id, which stands between the parents' path and `child.path`.
        parent_id: &'static str,
        /// The collection of one parent; its path is what follows the parent's id.
        child: Collection,
    },
    /// The platform offers no list.
    Nowhere,
}

/// How a change is read back, later than it was made.
#[derive(Clone, Copy)]
pub enum ReadBack {
    /// By the list: it shows what live means.
    List,
    /// By the list, and by the object itself where this says so: the list does not show all of it.
    ObjectIf(fn(&Object) -> bool),
}

/// What is to be done with the second so that it is as the first says.
pub(crate) type Restore = fn(&Resource, &Resource) -> Next;

/// What the table says of one kind.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) list: List,
    pub(crate) id: fn(&Object) -> Option<String>,
    pub(crate) label: fn(&Object) -> Option<String>,
    pub(crate) tag: for<'a> fn(&'a Object, &str) -> Option<&'a str>,
    pub(crate) live: fn(&Object) -> bool,
    /// When a live object would next start or write something.
    pub(crate) fires: fn(&Object, &mut NextFires) -> Timestamp,
    /// Lower is fenced first, among what would fire at the same time.
    pub(crate) danger: fn(&Object) -> u8,
    pub(crate) quiesce: fn(&Resource) -> Option<Act>,
    pub(crate) read_back: ReadBack,
    pub(crate) restore: &'static [(Phase, Restore)],
    pub(crate) compared: Compared,
    /// The state of an object that is broken by the platform's own word.
    pub(crate) broken: fn(&Object) -> Option<String>,
}

/// Which fields of two sites' objects should agree. Paths are dotted, with `[]` behind lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The top-level fields that people set; all if empty.
    pub within: &'static [&'static str],
    /// Fields among these that the platform sets by itself, or that tell what runs and not how it is set up.
    pub platform: &'static [&'static str],
    /// Fields that a standby holds otherwise on purpose; the activation sets them.
    pub posture: &'static [&'static str],
}

/// What starts runs by itself is paused at a standby.
const PAUSED_JOB: &[&str] = &[
    "settings.max_concurrent_runs",
    "settings.schedule.pause_status",
    "settings.trigger.pause_status",
    "settings.continuous.pause_status",
    "settings.triggers[].pause_status",
];

/// What `clusters/list` says beside the cluster's settings.
const PLATFORM_CLUSTER: &[&str] = &[
    "cluster_id",
    "cluster_source",
    "cluster_cores",
    "cluster_memory_mb",
    "cluster_log_status",
    "creator_user_name",
    "default_tags",
    "driver",
    "driver_healthy",
    "effective_spark_version",
    "executors",
    "init_scripts_safe_mode",
    "jdbc_port",
    "last_activity_time",
    "last_restarted_time",
    "last_state_loss_time",
    "spark_context_id",
    "spec",
    "start_time",
    "state",
    "state_message",
    "terminated_time",
    "termination_reason",
];

const fn flat(
    path: &'static str,
    items: &'static str,
    size: &'static str,
    max: &'static str,
) -> List {
    List::Of(Collection {
        path,
        items,
        page: Some((size, max)),
    })
}

const fn unpaged(path: &'static str, items: &'static str) -> List {
    List::Of(Collection {
        path,
        items,
        page: None,
    })
}

impl Kind {
    pub(crate) const fn entry(self) -> &'static Entry {
        match self {
            Self::InstancePool => {
                const {
                    &Entry {
                        name: "instance_pool",
                        list: unpaged("/api/2.0/instance-pools/list", "instance_pools"),
                        id: |raw| text(raw, "instance_pool_id"),
                        label: |raw| text(raw, "instance_pool_name"),
                        tag: compute::custom_tag,
                        live: compute::pool_is_live,
                        fires: at_once,
                        danger: |_| 9,
                        quiesce: compute::drain_pool,
                        read_back: ReadBack::List,
                        restore: &[(Phase::Pools, compute::restore_pool)],
                        compared: Compared {
                            within: &[],
                            platform: &[
                                "instance_pool_id",
                                "default_tags",
                                "state",
                                "stats",
                                "status",
                            ],
                            posture: &["min_idle_instances"],
                        },
                        broken: never_broken,
                    }
                }
            }
            Self::Cluster => {
                const {
                    &Entry {
                        name: "cluster",
                        list: flat("/api/2.1/clusters/list", "clusters", "page_size", "100"),
                        id: |raw| text(raw, "cluster_id"),
                        label: |raw| text(raw, "cluster_name"),
                        tag: compute::custom_tag,
                        live: compute::cluster_is_live,
                        fires: at_once,
                        danger: |_| 8,
                        quiesce: |r| Some(Act::TerminateCluster { id: r.id.clone() }),
                        read_back: ReadBack::List,
                        restore: &[(Phase::Compute, compute::restore_compute)],
                        compared: Compared {
                            within: &[],
                            platform: PLATFORM_CLUSTER,
                            posture: &[],
                        },
                        broken: compute::broken_cluster,
                    }
                }
            }
            Self::Warehouse => {
                const {
                    &Entry {
                        name: "warehouse",
                        list: flat("/api/2.0/sql/warehouses", "warehouses", "page_size", "100"),
                        id: |raw| text(raw, "id"),
                        label: |raw| text(raw, "name"),
                        tag: compute::warehouse_tag,
                        live: compute::warehouse_is_live,
                        fires: at_once,
                        danger: |_| 7,
                        quiesce: |r| Some(Act::StopWarehouse { id: r.id.clone() }),
                        read_back: ReadBack::List,
                        restore: &[(Phase::Compute, compute::restore_compute)],
                        compared: Compared {
                            within: &[],
                            platform: &[
                                "id",
                                "creator_id",
                                "creator_name",
                                "state",
                                "num_clusters",
                                "num_active_sessions",
                                "health",
                                "jdbc_url",
                                "odbc_params",
                            ],
                            posture: &[],
                        },
                        broken: compute::broken_warehouse,
                    }
                }
            }
            Self::App => {
                const {
                    &Entry {
                        name: "app",
                        list: flat("/api/2.0/apps", "apps", "page_size", "100"),
                        id: |raw| text(raw, "name"),
                        label: |raw| text(raw, "name"),
                        tag: no_tag,
                        live: compute::app_is_live,
                        fires: at_once,
                        danger: |_| 6,
                        quiesce: |r| Some(Act::StopApp { name: r.id.clone() }),
                        read_back: ReadBack::List,
                        restore: &[(Phase::Schedules, compute::restore_app)],
                        compared: Compared {
                            within: &[],
                            platform: &[
                                "id",
                                "url",
                                "creator",
                                "updater",
                                "create_time",
                                "update_time",
                                "service_principal_id",
                                "service_principal_client_id",
                                "service_principal_name",
                                "oauth2_app_client_id",
                                "oauth2_app_integration_id",
                                "compute_status",
                                "app_status",
                                "active_deployment",
                                "pending_deployment",
                                "effective_budget_policy_id",
                                "effective_usage_policy_id",
                                "effective_user_api_scopes",
                            ],
                            posture: &[],
                        },
                        broken: compute::broken_app,
                    }
                }
            }
            Self::Job => {
                const {
                    &Entry {
                        name: "job",
                        list: flat("/api/2.2/jobs/list", "jobs", "limit", "100"),
                        id: job::id,
                        label: job::name,
                        tag: job::tag,
                        live: |raw| !job::live_places(raw).is_empty(),
                        fires: job::fires,
                        danger: job::danger,
                        quiesce: job::pause,
                        // The list shows schedule, trigger and continuous whole, but not surely all of `triggers`.
                        read_back: ReadBack::ObjectIf(job::has_triggers),
                        restore: &[
                            (Phase::JobConcurrency, job::restore_concurrency),
                            (Phase::Schedules, job::restore_places),
                        ],
                        compared: Compared {
                            within: &["settings"],
                            platform: &[],
                            posture: PAUSED_JOB,
                        },
                        broken: never_broken,
                    }
                }
            }
            Self::Pipeline => {
                const {
                    &Entry {
                        name: "pipeline",
                        list: flat("/api/2.0/pipelines", "statuses", "max_results", "100"),
                        id: |raw| text(raw, "pipeline_id"),
                        label: |raw| text(raw, "name"),
                        tag: compute::pipeline_tag,
                        live: compute::pipeline_is_live,
                        fires: at_once,
                        danger: |_| 5,
                        quiesce: |r| Some(Act::StopPipeline { id: r.id.clone() }),
                        // The list has no spec, which holds `continuous` and the tags.
                        read_back: ReadBack::ObjectIf(compute::pipeline_is_live),
                        restore: &[(Phase::Schedules, compute::restore_pipeline)],
                        compared: Compared {
                            within: &["spec"],
                            platform: &["spec.id"],
                            posture: &[],
                        },
                        broken: compute::broken_pipeline,
                    }
                }
            }
            Self::DashboardSchedule => {
                const {
                    &Entry {
                        name: "dashboard_schedule",
                        list: List::Under {
                            parents: Collection {
                                path: "/api/2.0/lakeview/dashboards",
                                items: "dashboards",
                                page: Some(("page_size", "100")),
                            },
                            parent_id: "dashboard_id",
                            child: Collection {
                                path: "schedules",
                                items: "schedules",
                                page: Some(("page_size", "100")),
                            },
                        },
                        id: schedules::dashboard_schedule_id,
                        label: schedules::dashboard_schedule_name,
                        tag: no_tag,
                        live: super::is_unpaused_object,
                        fires: schedules::dashboard_fires,
                        danger: |_| 3,
                        quiesce: schedules::pause_dashboard,
                        read_back: ReadBack::List,
                        restore: &[(Phase::Schedules, schedules::restore_dashboard)],
                        compared: Compared {
                            within: &[],
                            platform: &[
                                "dr_parent",
                                "schedule_id",
                                "dashboard_id",
                                "create_time",
                                "update_time",
                                "etag",
                            ],
                            posture: &["pause_status"],
                        },
                        broken: never_broken,
                    }
                }
            }
            Self::Alert => {
                const {
                    &Entry {
                        name: "alert",
                        list: flat("/api/2.0/alerts", "alerts", "page_size", "100"),
                        id: |raw| text(raw, "id"),
                        label: |raw| text(raw, "display_name"),
                        tag: no_tag,
                        live: schedules::alert_is_live,
                        fires: schedules::alert_fires,
                        danger: |_| 4,
                        quiesce: schedules::pause_alert,
                        read_back: ReadBack::List,
                        restore: &[(Phase::Schedules, schedules::restore_alert)],
                        compared: Compared {
                            within: &[],
                            platform: &[
                                "id",
                                "create_time",
                                "update_time",
                                "owner_user_name",
                                "run_as_user_name",
                                "effective_run_as",
                                "lifecycle_state",
                                "evaluation.state",
                                "evaluation.last_evaluated_at",
                                "etag",
                            ],
                            posture: &["schedule.pause_status"],
                        },
                        broken: schedules::broken_alert,
                    }
                }
            }
        }
    }
}

/// A kind that this system lists and reports, and cannot or must not stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfenceable {
    /// As it stands in documents.
    pub name: &'static str,
    /// How it is listed.
    pub list: List,
    /// The field that names an object.
    pub id: &'static str,
    /// Why it is not fenced.
    pub reason: &'static str,
}

/// The kinds that a fence reports as not fenced, never skipped.
pub const UNFENCEABLE: [Unfenceable; 5] = [
    Unfenceable {
        name: "serving_endpoint",
        list: unpaged("/api/2.0/serving-endpoints", "endpoints"),
        id: "name",
        reason: "the platform has no call that stops a model serving endpoint; it answers, and logs to its inference table, until it is deleted",
    },
    Unfenceable {
        name: "vector_search_endpoint",
        list: unpaged("/api/2.0/vector-search/endpoints", "endpoints"),
        id: "name",
        reason: "its indexes are synchronized by the platform; stopping the endpoint takes the search away from its users and is left to its owners",
    },
    Unfenceable {
        name: "database_instance",
        list: flat(
            "/api/2.0/database/instances",
            "database_instances",
            "page_size",
            "100",
        ),
        id: "name",
        reason: "a Lakebase instance takes writes from outside the workspace; revoke its clients or stop it by hand",
    },
    Unfenceable {
        name: "postgres_project",
        list: flat("/api/2.0/postgres/projects", "projects", "page_size", "100"),
        id: "name",
        reason: "a Lakebase project takes writes from outside the workspace; disable its endpoints by hand",
    },
    Unfenceable {
        name: "quality_monitor",
        list: List::Nowhere,
        id: "object_id",
        reason: "the platform offers no list of data quality monitors and their pause status is read-only",
    },
];

pub(super) fn text(raw: &Object, field: &str) -> Option<String> {
    raw.get(field)
        .and_then(serde_json::Value::as_str)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

const fn no_tag<'a>(_: &'a Object, _: &str) -> Option<&'a str> {
    None
}

const fn never_broken(_: &Object) -> Option<String> {
    None
}

const fn at_once(_: &Object, next: &mut NextFires) -> Timestamp {
    next.now()
}
