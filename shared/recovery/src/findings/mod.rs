//! What the raw answers to a probe say of a site: one file for each thing that is asked. Pure; the probe function asks, these
//! rules read.

mod aws_health;
mod clusters;
mod runs;
mod statement;
mod status_page;

pub use self::aws_health::{HEALTH_FORMAT, HealthEvent, HealthEvents, Taken};
pub use self::clusters::{ClusterStanding, clusters_outcome, is_wanted, standing_of};
pub use self::runs::runs_outcome;
pub use self::statement::{WarehouseUse, failed_statement, kpi_outcome, warehouse_use};
pub use self::status_page::{PageError, page_outcome};

/// A JSON object as the platform sent it.
pub(crate) type Object = serde_json::Map<String, serde_json::Value>;

/// A text field of an object, empty if it is not there.
pub(crate) fn text<'a>(object: &'a Object, field: &str) -> &'a str {
    object
        .get(field)
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default()
}
