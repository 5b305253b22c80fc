//! The history of queries: every statement that was submitted.

use serde_json::{Value, json};

use super::{Call, Routes};
use crate::engine::World;
use crate::error::ApiError;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.get("/api/2.0/sql/history/queries", list)
}

/// As for a caller with CAN MONITOR: everybody's queries, newest first.
fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let most = call.int_arg("max_results")?.unwrap_or(100);
    if !(1..1000).contains(&most) {
        return Err(ApiError::invalid(format!(
            "Invalid max_results {most} - it has to be between 1 and 999."
        )));
    }
    let warehouses = call.args("filter_by.warehouse_ids");
    let from = call.int_arg("filter_by.query_start_time_range.start_time_ms")?;
    let mut found: Vec<_> = world
        .statements
        .iter()
        .filter(|(_, s)| warehouses.is_empty() || warehouses.contains(&s.warehouse.as_str()))
        .filter(|(_, s)| from.is_none_or(|from| s.submitted >= from))
        .collect();
    found.sort_by_key(|(_, s)| std::cmp::Reverse(s.submitted));
    let shown: Vec<Value> = found
        .into_iter()
        .take(usize::try_from(most).unwrap_or(100))
        .map(|(id, s)| {
            let status = match s.state {
                "SUCCEEDED" => "FINISHED",
                "FAILED" => "FAILED",
                "CANCELED" | "CLOSED" => "CANCELED",
                "PENDING" => "QUEUED",
                _ => "RUNNING",
            };
            json!({"query_id": id, "status": status, "is_final": s.terminal(), "query_text": s.text,
                "warehouse_id": s.warehouse, "endpoint_id": s.warehouse, "user_name": s.user,
                "executed_as_user_name": s.user, "query_start_time_ms": s.submitted})
        })
        .collect();
    Ok(json!({"res": shown, "has_next_page": false}))
}
