//! Pipelines API 2.0 (databricks-sdk-py 0.156.0, `service/pipelines.py`).

use serde_json::json;

use crate::Object;
use crate::error::Error;
use crate::ids::{PipelineId, PipelineUpdateId};
use crate::limits::Class;
use crate::repeat::Repeat;
use crate::request::{Method, Missing, Operation, Request};
use crate::workspace::{Workspace, Writer};

const GET: Operation = Operation::read("get pipeline", Class::PipelinesRead);
const STOP: Operation = Operation {
    name: "stop pipeline",
    method: Method::Post,
    class: Class::PipelinesWrite,
    repeat: Repeat::Idempotent,
    missing: Missing::Status,
};
/// Takes no token: a repeat after a lost answer could start a second update.
const START_UPDATE: Operation = Operation {
    name: "start pipeline update",
    method: Method::Post,
    class: Class::PipelinesWrite,
    repeat: Repeat::Once,
    missing: Missing::Status,
};

const PATH: &str = "/api/2.0/pipelines";

impl Workspace {
    /// One pipeline with its specification.
    ///
    /// Errors: [`Error::NotFound`], and those of any call.
    pub async fn get_pipeline(&self, pipeline: &PipelineId) -> Result<Object, Error> {
        self.object(
            Request::new(&GET, PATH)
                .segment(pipeline.as_str())
                .on(format!("pipeline {pipeline}")),
        )
        .await
    }
}

impl Writer {
    /// Cancels the active update of a pipeline; does nothing without one. Asynchronous: poll for `IDLE`.
    ///
    /// Errors: [`Error::NotFound`], and those of any call.
    pub async fn stop_pipeline(&self, pipeline: &PipelineId) -> Result<(), Error> {
        let request = Request::new(&STOP, PATH)
            .segment(pipeline.as_str())
            .segment("stop")
            .on(format!("pipeline {pipeline}"));
        self.workspace().done(request).await
    }

    /// Starts an update of a pipeline. The platform refuses it while another one is active.
    ///
    /// Repeated only where the request was surely not processed; after [`Error::ReadTimeout`] or
    /// [`Error::ConnectionReset`] read the pipeline before asking again.
    ///
    /// Errors: [`Error::NotFound`], [`Error::Conflict`], and those of any call.
    pub async fn start_pipeline_update(
        &self,
        pipeline: &PipelineId,
    ) -> Result<PipelineUpdateId, Error> {
        let request = Request::new(&START_UPDATE, PATH)
            .segment(pipeline.as_str())
            .segment("updates")
            .body(json!({}))
            .on(format!("pipeline {pipeline}"));
        self.workspace()
            .field(request, "update_id", |value| {
                value.as_str().map(PipelineUpdateId::from)
            })
            .await
    }
}
