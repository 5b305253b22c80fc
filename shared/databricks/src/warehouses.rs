//! SQL Warehouses API 2.0 (databricks-sdk-py 0.156.0, `service/sql.py`).

use crate::Object;
use crate::cause::Cause;
use crate::clusters::{Start, text};
use crate::error::Error;
use crate::ids::WarehouseId;
use crate::limits::Class;
use crate::repeat::Repeat;
use crate::request::{Method, Missing, Operation, Request};
use crate::workspace::{Workspace, Writer};

const GET: Operation = Operation::read("get warehouse", Class::WarehousesRead);
const START: Operation = Operation {
    name: "start warehouse",
    method: Method::Post,
    class: Class::WarehousesWrite,
    repeat: Repeat::Idempotent,
    missing: Missing::Status,
};
const STOP: Operation = Operation {
    name: "stop warehouse",
    method: Method::Post,
    class: Class::WarehousesWrite,
    repeat: Repeat::Idempotent,
    missing: Missing::Status,
};

const PATH: &str = "/api/2.0/sql/warehouses";

/// What came of asking for a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The platform took the request; it stops later.
    Requested,
    /// It was stopped or on its way already.
    AlreadyStopped,
}

impl Workspace {
    /// One SQL warehouse.
    ///
    /// Errors: [`Error::NotFound`], and those of any call.
    pub async fn get_warehouse(&self, warehouse: &WarehouseId) -> Result<Object, Error> {
        self.object(
            Request::new(&GET, PATH)
                .segment(warehouse.as_str())
                .on(format!("warehouse {warehouse}")),
        )
        .await
    }
}

impl Writer {
    /// Starts a warehouse. Asynchronous: read the state back.
    ///
    /// What the platform answers for a warehouse that is up is not documented: a refusal (400, 409) is success if the
    /// state read back is `RUNNING` or `STARTING`, and stays the error otherwise.
    ///
    /// Errors: [`Error::NotFound`], and those of any call.
    pub async fn start_warehouse(&self, warehouse: &WarehouseId) -> Result<Start, Error> {
        match self
            .ask(&START, warehouse, "start", &["RUNNING", "STARTING"])
            .await?
        {
            true => Ok(Start::Requested),
            false => Ok(Start::AlreadyStarted),
        }
    }

    /// Stops a warehouse. Asynchronous: read the state back. With `auto_resume` on, any client wakes it again.
    ///
    /// A refusal (400, 409) is success if the state read back is `STOPPED`, `STOPPING`, `DELETED` or `DELETING`.
    ///
    /// Errors: [`Error::NotFound`], and those of any call.
    pub async fn stop_warehouse(&self, warehouse: &WarehouseId) -> Result<Stop, Error> {
        match self
            .ask(
                &STOP,
                warehouse,
                "stop",
                &["STOPPED", "STOPPING", "DELETED", "DELETING"],
            )
            .await?
        {
            true => Ok(Stop::Requested),
            false => Ok(Stop::AlreadyStopped),
        }
    }

    /// Whether the platform took the request (`true`) or had nothing to do (`false`).
    async fn ask(
        &self,
        operation: &'static Operation,
        warehouse: &WarehouseId,
        verb: &str,
        wanted: &[&str],
    ) -> Result<bool, Error> {
        let request = Request::new(operation, PATH)
            .segment(warehouse.as_str())
            .segment(verb)
            .on(format!("warehouse {warehouse}"));
        let Err(refused) = self.workspace().done(request).await else {
            return Ok(true);
        };
        if !matches!(
            refused.cause(),
            Cause::BadRequest | Cause::InvalidState | Cause::Conflict
        ) {
            return Err(refused);
        }
        match self.workspace().get_warehouse(warehouse).await {
            Ok(now) if wanted.contains(&text(&now, "state")) => Ok(false),
            _ => Err(refused),
        }
    }
}
