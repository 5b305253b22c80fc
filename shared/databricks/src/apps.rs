//! Apps API 2.0 (databricks-sdk-py 0.156.0, `service/apps.py`).

use serde_json::json;

use crate::cause::Cause;
use crate::error::Error;
use crate::limits::Class;
use crate::repeat::Repeat;
use crate::request::{Method, Missing, Operation, Request};
use crate::workspace::Writer;

const START: Operation = Operation {
    name: "start app",
    method: Method::Post,
    class: Class::AppsWrite,
    repeat: Repeat::Idempotent,
    missing: Missing::Status,
};
const STOP: Operation = Operation {
    name: "stop app",
    method: Method::Post,
    class: Class::AppsWrite,
    repeat: Repeat::Idempotent,
    missing: Missing::Status,
};

impl Writer {
    /// Starts an app's compute. Asynchronous: read `compute_status` back. An app that is up already is left alone.
    ///
    /// Errors: [`Error::NotFound`], and those of any call.
    pub async fn start_app(&self, name: &str) -> Result<(), Error> {
        self.move_app(&START, name, "start").await
    }

    /// Stops an app's compute. Asynchronous: read `compute_status` back. An app that is down already is left alone.
    ///
    /// Errors: [`Error::NotFound`], and those of any call.
    pub async fn stop_app(&self, name: &str) -> Result<(), Error> {
        self.move_app(&STOP, name, "stop").await
    }

    async fn move_app(
        &self,
        operation: &'static Operation,
        name: &str,
        verb: &str,
    ) -> Result<(), Error> {
        let request = Request::new(operation, "/api/2.0/apps")
            .segment(name)
            .segment(verb)
            .body(json!({}))
            .on(format!("app {name}"));
        match self.workspace().done(request).await {
            // What it says when the app is on its way already is not documented; the state is read back anyway.
            Err(error) if error.cause() == Cause::InvalidState => Ok(()),
            other => other,
        }
    }
}
