//! Runs of jobs, Jobs API 2.2 (databricks-sdk-py 0.156.0, `service/jobs.py` and `mixins/jobs.py`).

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::Object;
use crate::error::Error;
use crate::ids::{JobId, RunId};
use crate::limits::Class;
use crate::paging::append_arrays;
use crate::repeat::Repeat;
use crate::request::{Method, Missing, Operation, Request};
use crate::workspace::{Workspace, Writer};

const LIST: Operation = Operation::read("list runs", Class::RunsList);
const GET: Operation = Operation::read("get run", Class::RunsGet).missing(Missing::Run);
const CANCEL: Operation = Operation {
    name: "cancel run",
    method: Method::Post,
    class: Class::RunsCancel,
    repeat: Repeat::Idempotent,
    missing: Missing::Run,
};
const CANCEL_QUEUED: Operation = Operation {
    name: "cancel all queued runs",
    method: Method::Post,
    class: Class::RunsCancelAll,
    repeat: Repeat::Idempotent,
    missing: Missing::Status,
};

/// `runs/list` takes "greater than 0 and less than 25".
const PAGE_SIZE: &str = "24";

/// Which runs to list. The default is all of them, as far back as the platform keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunsFilter {
    /// Only runs that are queued, pending, running or terminating.
    pub active_only: bool,
    /// Only runs of this job. Without it, one-time runs (`runs/submit`) are listed too.
    pub job_id: Option<JobId>,
    /// Only runs that started at or after this time (sent in milliseconds).
    pub start_time_from: Option<Timestamp>,
}

impl RunsFilter {
    fn request(self) -> Request {
        let mut request = Request::new(&LIST, "/api/2.2/jobs/runs/list").query("limit", PAGE_SIZE);
        if self.active_only {
            request = request.query("active_only", "true");
        }
        if let Some(job) = self.job_id {
            request = request
                .query("job_id", &job.to_string())
                .on(format!("job {job}"));
        }
        if let Some(from) = self.start_time_from {
            request = request.query("start_time_from", &from.as_millisecond().to_string());
        }
        request
    }
}

impl Workspace {
    /// All runs that the filter lets through, newest first. 24 a request, 30 requests a second.
    ///
    /// Pages shift while runs start and end: a run may be missing or come twice. To drain a workspace repeat the
    /// listing until it is empty.
    ///
    /// Errors: [`Error::EndlessPaging`], and those of any call.
    pub async fn list_runs(&self, filter: RunsFilter) -> Result<Vec<Object>, Error> {
        self.list(filter.request(), "runs").await
    }

    /// The newest runs that the filter lets through, from at most `pages` requests of 24 runs each.
    ///
    /// Errors: as [`Workspace::list_runs`].
    pub async fn newest_runs(
        &self,
        filter: RunsFilter,
        pages: usize,
    ) -> Result<Vec<Object>, Error> {
        self.list_at_most(filter.request(), "runs", pages).await
    }

    /// One run with all its tasks (or iterations, for a for-each run), merged from as many pages as the platform
    /// cuts it into. 100 requests a second.
    ///
    /// Errors: [`Error::NotFound`], and those of any call.
    pub async fn get_run(&self, run: RunId) -> Result<Object, Error> {
        let request = Request::new(&GET, "/api/2.2/jobs/runs/get")
            .query("run_id", &run.to_string())
            .on(format!("run {run}"));
        self.merged(request, |whole, page| {
            // A for-each run repeats its one task on every page and pages the iterations (`mixins/jobs.py`).
            let for_each = whole
                .get("iterations")
                .and_then(Value::as_array)
                .is_some_and(|list| !list.is_empty());
            let items = if for_each { "iterations" } else { "tasks" };
            append_arrays(
                whole,
                page,
                &[items, "job_clusters", "job_parameters", "repair_history"],
            );
        })
        .await
    }
}

impl Writer {
    /// Asks for the end of a run. Asynchronous: the run ends later, read it back. Harmless for a run that has ended.
    /// 10 requests a second.
    ///
    /// Errors: [`Error::NotFound`], and those of any call.
    pub async fn cancel_run(&self, run: RunId) -> Result<(), Error> {
        let request = Request::new(&CANCEL, "/api/2.2/jobs/runs/cancel")
            .body(json!({ "run_id": run }))
            .on(format!("run {run}"));
        self.workspace().done(request).await
    }

    /// Asks for the end of every queued run of the workspace, in one request. Asynchronous, and new runs may still
    /// queue up: pause what starts them first.
    pub async fn cancel_all_queued_runs(&self) -> Result<(), Error> {
        let request = Request::new(&CANCEL_QUEUED, "/api/2.2/jobs/runs/cancel-all")
            .body(json!({ "all_queued_runs": true }));
        self.workspace().done(request).await
    }
}
