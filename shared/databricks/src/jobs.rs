//! Jobs API 2.2 (databricks-sdk-py 0.156.0, `service/jobs.py` and `mixins/jobs.py`).

use serde_json::{Value, json};

use crate::Object;
use crate::error::Error;
use crate::ids::{IdempotencyToken, JobId, RunId};
use crate::limits::Class;
use crate::repeat::Repeat;
use crate::request::{Method, Missing, Operation, Request};
use crate::workspace::{Workspace, Writer};

const GET: Operation = Operation::read("get job", Class::JobsGet).missing(Missing::Job);
/// Repeating sets the same fields to the same values.
const UPDATE: Operation = Operation {
    name: "update job",
    method: Method::Post,
    class: Class::JobsUpdate,
    repeat: Repeat::Idempotent,
    missing: Missing::Job,
};
/// The idempotency token makes a repeat the same run.
const RUN_NOW: Operation = Operation {
    name: "run job now",
    method: Method::Post,
    class: Class::JobsRunNow,
    repeat: Repeat::Idempotent,
    missing: Missing::Job,
};

/// The arrays of a job's settings that `jobs/get` hands out in pages of 100.
const PAGED_SETTINGS: [&str; 4] = ["tasks", "job_clusters", "environments", "parameters"];

impl Workspace {
    /// One job with all its tasks, job clusters, environments and parameters: the pages that the platform cuts jobs
    /// of more than 100 of these into are merged, and the paging fields removed.
    ///
    /// Errors: [`Error::NotFound`], [`Error::Forbidden`] (also for deleted jobs), and those of any call.
    pub async fn get_job(&self, job: JobId) -> Result<Object, Error> {
        let request = Request::new(&GET, "/api/2.2/jobs/get")
            .query("job_id", &job.to_string())
            .on(format!("job {job}"));
        self.merged(request, |whole, page| {
            let from = page.get_mut("settings").and_then(Value::as_object_mut);
            let to = whole.get_mut("settings").and_then(Value::as_object_mut);
            if let (Some(from), Some(to)) = (from, to) {
                crate::paging::append_arrays(to, from, &PAGED_SETTINGS);
            }
        })
        .await
    }
}

impl Writer {
    /// Replaces top-level fields of a job's settings. **A field that is given is replaced whole**, what its object
    /// leaves out is deleted; so give the complete object as read. Arrays of tasks and job clusters are merged by key.
    /// There is no version check: the last writer wins. 10 requests a second.
    ///
    /// Errors: [`Error::NotFound`], [`Error::BadRequest`], and those of any call.
    pub async fn update_job(&self, job: JobId, new_settings: Object) -> Result<(), Error> {
        let request = Request::new(&UPDATE, "/api/2.2/jobs/update")
            .body(json!({ "job_id": job, "new_settings": new_settings }))
            .on(format!("job {job}"));
        self.workspace().done(request).await
    }

    /// Starts a job once: the same token always gives the same run. A token whose run was deleted is refused.
    /// 20 requests a second.
    ///
    /// Errors: [`Error::NotFound`], [`Error::BadRequest`], and those of any call.
    pub async fn run_now(&self, job: JobId, token: &IdempotencyToken) -> Result<RunId, Error> {
        let request = Request::new(&RUN_NOW, "/api/2.2/jobs/run-now")
            .body(json!({ "job_id": job, "idempotency_token": token }))
            .on(format!("job {job}"));
        self.workspace()
            .field(request, "run_id", |value| value.as_i64().map(RunId))
            .await
    }
}
