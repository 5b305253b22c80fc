//! What can be done to a site: one list for fencing it and for bringing it up.

use crate::kind::Object;

/// One act at a workspace. Each may be repeated without harm.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Replace top-level fields of a job's settings, one object per request: the API refuses `triggers` beside the other places.
    UpdateJob {
        /// The job.
        job_id: i64,
        /// The complete fields of each request, in order.
        updates: Vec<Object>,
    },
    /// Run a job once for an interrupted run.
    RunJob {
        /// The job.
        job_id: i64,
        /// The run that was interrupted: part of the idempotency token.
        interrupted: i64,
    },
    /// Cancel every queued run of the workspace in one call.
    CancelQueuedRuns,
    /// Cancel one active run.
    CancelRun {
        /// The run.
        run_id: i64,
    },
    /// Start an update.
    StartPipeline {
        /// The pipeline.
        id: String,
    },
    /// Cancel the active update.
    StopPipeline {
        /// The pipeline.
        id: String,
    },
    /// Start a terminated cluster.
    StartCluster {
        /// The cluster.
        id: String,
    },
    /// Terminate (never delete) an interactive cluster.
    TerminateCluster {
        /// The cluster.
        id: String,
    },
    /// Start a warehouse.
    StartWarehouse {
        /// The warehouse.
        id: String,
    },
    /// Stop a warehouse.
    StopWarehouse {
        /// The warehouse.
        id: String,
    },
    /// Edit a pool.
    EditPool {
        /// The complete pool as it is to be.
        pool: Object,
    },
    /// Start an app's compute.
    StartApp {
        /// The app.
        name: String,
    },
    /// Stop an app's compute.
    StopApp {
        /// The app.
        name: String,
    },
    /// Replace a schedule of a dashboard.
    PutDashboardSchedule {
        /// The dashboard.
        dashboard: String,
        /// The schedule.
        schedule: String,
        /// The complete schedule as it is to be, with the etag that was read.
        body: Object,
    },
    /// Set the schedule of an alert.
    PatchAlert {
        /// The alert.
        id: String,
        /// The complete schedule as it is to be.
        schedule: Object,
    },
}

/// Acts that share one documented rate, and therefore neither wait for those of another lane nor hold them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// `jobs/update`.
    Jobs,
    /// `jobs/run-now`.
    RunNow,
    /// `jobs/runs/cancel-all`.
    QueuedRuns,
    /// `jobs/runs/cancel`.
    Runs,
    /// Pipelines.
    Pipelines,
    /// Apps.
    Apps,
    /// Dashboard schedules.
    Dashboards,
    /// Alerts.
    Alerts,
    /// Warehouses.
    Warehouses,
    /// Clusters.
    Clusters,
    /// Pools.
    Pools,
}

impl Lane {
    /// All lanes.
    pub const ALL: [Self; 11] = [
        Self::Jobs,
        Self::RunNow,
        Self::QueuedRuns,
        Self::Runs,
        Self::Pipelines,
        Self::Apps,
        Self::Dashboards,
        Self::Alerts,
        Self::Warehouses,
        Self::Clusters,
        Self::Pools,
    ];
}

impl Act {
    /// The lane of the act.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        match self {
            Self::UpdateJob { .. } => Lane::Jobs,
            Self::RunJob { .. } => Lane::RunNow,
            Self::CancelQueuedRuns => Lane::QueuedRuns,
            Self::CancelRun { .. } => Lane::Runs,
            Self::StartPipeline { .. } | Self::StopPipeline { .. } => Lane::Pipelines,
            Self::StartCluster { .. } | Self::TerminateCluster { .. } => Lane::Clusters,
            Self::StartWarehouse { .. } | Self::StopWarehouse { .. } => Lane::Warehouses,
            Self::EditPool { .. } => Lane::Pools,
            Self::StartApp { .. } | Self::StopApp { .. } => Lane::Apps,
            Self::PutDashboardSchedule { .. } => Lane::Dashboards,
            Self::PatchAlert { .. } => Lane::Alerts,
        }
    }

    /// The act of a fence in words, for the ledger.
    #[must_use]
    pub const fn quieting_words(&self) -> &'static str {
        match self {
            Self::UpdateJob { .. }
            | Self::PutDashboardSchedule { .. }
            | Self::PatchAlert { .. } => "pause",
            Self::CancelQueuedRuns => "cancel all queued runs",
            Self::CancelRun { .. } => "cancel",
            Self::TerminateCluster { .. } => "terminate",
            Self::EditPool { .. } => "keep no idle instances",
            _ => "stop",
        }
    }

    /// The act of an activation in words, for the ledger.
    #[must_use]
    pub const fn restoring_words(&self) -> &'static str {
        match self {
            Self::EditPool { .. } => "keep idle instances as in the baseline",
            Self::StartCluster { .. }
            | Self::StartWarehouse { .. }
            | Self::StartPipeline { .. }
            | Self::StartApp { .. } => "start",
            Self::RunJob { .. } => "run once for an interrupted run",
            Self::StopPipeline { .. }
            | Self::TerminateCluster { .. }
            | Self::StopWarehouse { .. }
            | Self::StopApp { .. } => "stop as in the baseline",
            _ => "set as in the baseline",
        }
    }
}
