//! SQL canary and KPIs: when a statement may use a warehouse, and what its end says.

use serde_json::Value;

use super::{Object, text};
use crate::plan::{Bound, WarehouseRule};
use crate::verdict::{DegradedCause, DownCause, Outcome, UnknownCause};

/// Whether a statement may use a warehouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarehouseUse {
    /// Yes.
    Use,
    /// Yes, and this starts it: until it runs, a statement that does not end says nothing of the site.
    Start,
    /// If others have used it lately.
    IfOthersDo,
    /// No: it counts as cold.
    Cold,
}

/// Whether a statement may use this warehouse (databricks-sdk-py 0.156.0, `EndpointInfo`: `state`, `auto_stop_mins`, where 0
/// means never).
#[must_use]
pub fn warehouse_use(rule: WarehouseRule, warehouse: &Object) -> WarehouseUse {
    let runs = text(warehouse, "state") == "RUNNING";
    let never_stops = warehouse.get("auto_stop_mins").and_then(Value::as_i64) == Some(0);
    match rule {
        WarehouseRule::Wake if !runs => WarehouseUse::Start,
        _ if !runs => WarehouseUse::Cold,
        WarehouseRule::Wake | WarehouseRule::Keep => WarehouseUse::Use,
        WarehouseRule::WhileInUse if never_stops => WarehouseUse::Use,
        WarehouseRule::WhileInUse => WarehouseUse::IfOthersDo,
    }
}

/// What a failed statement says of the site. A statement that is wrong in itself, or that its principal may not run, is the
/// plan's own fault and says nothing: the error class stands in brackets at the beginning of the message.
#[must_use]
pub fn failed_statement(error_code: &str, message: &str) -> Outcome {
    let class = message
        .trim_start()
        .strip_prefix('[')
        .and_then(|rest| rest.split([']', '.']).next())
        .unwrap_or_default();
    match (error_code, class) {
        ("UNAUTHENTICATED", _) => UnknownCause::Unauthenticated.into(),
        ("RESOURCE_EXHAUSTED", _) => UnknownCause::Throttled.into(),
        ("CANCELLED", _) => UnknownCause::ProbeError.into(),
        ("PERMISSION_DENIED", _) | (_, "INSUFFICIENT_PERMISSIONS" | "PERMISSION_DENIED") => {
            UnknownCause::Forbidden.into()
        }
        (_, "PARSE_SYNTAX_ERROR" | "PARSE_EMPTY_STATEMENT" | "TABLE_OR_VIEW_NOT_FOUND") => {
            UnknownCause::NotConfigured.into()
        }
        (_, class) if class.starts_with("UNRESOLVED_") => UnknownCause::NotConfigured.into(),
        _ => DownCause::QueryFailed.into(),
    }
}

/// What the value of a KPI says. Nothing, or what is no number, says that the plan's statement is not fit.
#[must_use]
pub fn kpi_outcome(bound: Bound, value: Option<&str>) -> Outcome {
    match value.and_then(|text| text.trim().parse::<f64>().ok()) {
        Some(number) if !number.is_finite() => UnknownCause::NotConfigured.into(),
        Some(number) if bound.holds(number) => Outcome::Healthy,
        Some(_) => DegradedCause::PartialFailure.into(),
        None => UnknownCause::NotConfigured.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_statement_wakes_or_keeps_a_warehouse_unless_the_plan_says_so() {
        use WarehouseRule::{Keep, Wake, WhileInUse};
        for (rule, state, minutes, expected) in [
            (WhileInUse, "STOPPED", 10, WarehouseUse::Cold),
            (WhileInUse, "STARTING", 10, WarehouseUse::Cold),
            (WhileInUse, "RUNNING", 10, WarehouseUse::IfOthersDo),
            (WhileInUse, "RUNNING", 0, WarehouseUse::Use),
            (Keep, "STOPPED", 10, WarehouseUse::Cold),
            (Keep, "RUNNING", 10, WarehouseUse::Use),
            (Wake, "STOPPED", 10, WarehouseUse::Start),
            (Wake, "RUNNING", 10, WarehouseUse::Use),
        ] {
            let warehouse = json!({"state": state, "auto_stop_mins": minutes});
            let decided = warehouse_use(rule, warehouse.as_object().unwrap());
            assert_eq!(decided, expected, "{rule:?} {state} {minutes}");
        }
    }

    #[test]
    fn a_wrong_statement_is_no_outage() {
        for (code, message, expected) in [
            ("INTERNAL_ERROR", "boom", "Down (QueryFailed)"),
            (
                "BAD_REQUEST",
                "the metastore is not attached",
                "Down (QueryFailed)",
            ),
            (
                "BAD_REQUEST",
                "[PARSE_SYNTAX_ERROR] near x",
                "Unknown (NotConfigured)",
            ),
            (
                "BAD_REQUEST",
                "[UNRESOLVED_COLUMN.WITH_SUGGESTION] x",
                "Unknown (NotConfigured)",
            ),
            (
                "BAD_REQUEST",
                "[TABLE_OR_VIEW_NOT_FOUND] x",
                "Unknown (NotConfigured)",
            ),
            (
                "BAD_REQUEST",
                "[INSUFFICIENT_PERMISSIONS] x",
                "Unknown (Forbidden)",
            ),
            ("UNAUTHENTICATED", "x", "Unknown (Unauthenticated)"),
            ("RESOURCE_EXHAUSTED", "x", "Unknown (Throttled)"),
        ] {
            assert_eq!(
                failed_statement(code, message).to_string(),
                expected,
                "{message}"
            );
        }
    }

    #[test]
    fn a_kpi_is_a_number_within_its_bound() {
        for (value, expected) in [
            (Some("94.5"), "Healthy"),
            (Some("95"), "Healthy"),
            (Some("95.01"), "Degraded (PartialFailure)"),
            (Some("many"), "Unknown (NotConfigured)"),
            (Some("NaN"), "Unknown (NotConfigured)"),
            (None, "Unknown (NotConfigured)"),
        ] {
            let outcome = kpi_outcome(Bound::AtMost(95.0), value);
            assert_eq!(outcome.to_string(), expected, "{value:?}");
        }
    }
}
