//! Query history, API 2.0 (databricks-sdk-py 0.156.0, `service/sql.py`, `QueryHistoryAPI`).

use jiff::Timestamp;

use crate::Object;
use crate::error::Error;
use crate::ids::WarehouseId;
use crate::limits::Class;
use crate::request::{Operation, Request};
use crate::workspace::Workspace;

const LIST: Operation = Operation::read("list queries", Class::WarehousesRead);

/// "less than 1000" (`QueryHistoryAPI.list`).
const MOST: &str = "999";

impl Workspace {
    /// The newest queries of a warehouse that began at or after a moment, at most 999. Who has CAN MONITOR on the warehouse
    /// sees those of others; who has not sees only his own.
    ///
    /// Errors: those of any call.
    pub async fn queries_since(
        &self,
        warehouse: &WarehouseId,
        from: Timestamp,
    ) -> Result<Vec<Object>, Error> {
        // A nested filter travels as dotted names, as the SDK flattens it.
        let request = Request::new(&LIST, "/api/2.0/sql/history/queries")
            .query("filter_by.warehouse_ids", warehouse.as_str())
            .query(
                "filter_by.query_start_time_range.start_time_ms",
                &from.as_millisecond().to_string(),
            )
            .query("max_results", MOST)
            .on(format!("warehouse {warehouse}"));
        self.list_at_most(request, "res", 1).await
    }
}
