//! Schedules that belong to no job: of dashboards (Lakeview API 2.0) and of alerts (Alerts API 2.0)
//! (databricks-sdk-py 0.156.0, `service/dashboards.py`, `service/sql.py`).

use serde_json::{Value, json};

use crate::Object;
use crate::error::Error;
use crate::limits::Class;
use crate::repeat::Repeat;
use crate::request::{Method, Missing, Operation, Request};
use crate::workspace::Writer;

/// The etag makes a repeat after an effect a conflict instead of a second change.
const PUT_SCHEDULE: Operation = Operation {
    name: "update dashboard schedule",
    method: Method::Put,
    class: Class::DashboardsWrite,
    repeat: Repeat::Idempotent,
    missing: Missing::Status,
};
const PATCH_ALERT: Operation = Operation {
    name: "update alert",
    method: Method::Patch,
    class: Class::AlertsWrite,
    repeat: Repeat::Idempotent,
    missing: Missing::Status,
};

impl Writer {
    /// Replaces a schedule of a dashboard. Give the complete schedule as read, its `etag` included.
    ///
    /// Errors: [`Error::Conflict`] if it has changed since it was read, [`Error::NotFound`], and those of any call.
    pub async fn put_dashboard_schedule(
        &self,
        dashboard: &str,
        schedule: &str,
        body: Object,
    ) -> Result<(), Error> {
        let request = Request::new(&PUT_SCHEDULE, "/api/2.0/lakeview/dashboards")
            .segment(dashboard)
            .segment("schedules")
            .segment(schedule)
            .body(Value::Object(body))
            .on(format!("schedule {schedule} of dashboard {dashboard}"));
        self.workspace().done(request).await
    }

    /// Replaces the schedule of an alert and nothing else of it. Give the complete schedule.
    ///
    /// Errors: [`Error::NotFound`], and those of any call.
    pub async fn set_alert_schedule(&self, alert: &str, schedule: Object) -> Result<(), Error> {
        let request = Request::new(&PATCH_ALERT, "/api/2.0/alerts")
            .segment(alert)
            .query("update_mask", "schedule")
            .body(json!({ "schedule": schedule }))
            .on(format!("alert {alert}"));
        self.workspace().done(request).await
    }
}
