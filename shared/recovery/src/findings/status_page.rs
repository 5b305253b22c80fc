//! What the vendor's status page says of a region. Weak evidence: pages lie both ways.

use serde_json::Value;

use crate::plan::StatusFormat;
use crate::verdict::{DegradedCause, Outcome, UnknownCause};

/// A page that is not of its format.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the status page is no {format:?} document: {problem}")]
pub struct PageError {
    format: StatusFormat,
    problem: String,
}

/// What a page says. With `region` only what bears that text in its name counts: the containers of status.io, the components of
/// Statuspage and those of groups of that name; if nothing does, the plan's text is wrong.
///
/// # Errors
/// The document is not of this format.
pub fn page_outcome(
    format: StatusFormat,
    json: &[u8],
    region: Option<&str>,
) -> Result<Outcome, PageError> {
    let error = |problem: &str| PageError {
        format,
        problem: problem.to_owned(),
    };
    let page: Value = serde_json::from_slice(json).map_err(|_| error("it is not json"))?;
    let levels = match format {
        StatusFormat::StatusIo => status_io(&page, region),
        StatusFormat::Statuspage => statuspage(&page, region),
    };
    let levels = levels.ok_or_else(|| error("a field is missing"))?;
    Ok(match levels.into_iter().max() {
        None => UnknownCause::NotConfigured.into(),
        Some(Level::Fine) => Outcome::Healthy,
        Some(Level::Impaired) => DegradedCause::PartialFailure.into(),
        Some(Level::Out) => Outcome::Down(None),
        Some(Level::Strange) => UnknownCause::ProbeError.into(),
    })
}

/// From the least to the most that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// A word or number that is not known here.
    Strange,
    Fine,
    Impaired,
    Out,
}

fn bears(value: &Value, text: &str) -> bool {
    value
        .get("name")
        .and_then(Value::as_str)
        .is_some_and(|name| name.to_lowercase().contains(&text.to_lowercase()))
}

/// `result.status_overall` and `result.status[].containers[]`, each with a `status_code` (the API's document of status.io: 100
/// operational, 200 planned maintenance, 300 degraded, 400 partial disruption, 500 disruption, 600 security event).
fn status_io(page: &Value, region: Option<&str>) -> Option<Vec<Level>> {
    let level = |value: &Value| {
        Some(match value.get("status_code")?.as_i64()? {
            100 | 200 => Level::Fine,
            300 | 400 => Level::Impaired,
            500 | 600 => Level::Out,
            _ => Level::Strange,
        })
    };
    let result = page.get("result")?;
    let Some(region) = region else {
        return Some(vec![level(result.get("status_overall")?)?]);
    };
    let components = result.get("status")?.as_array()?;
    components
        .iter()
        .flat_map(|component| {
            component
                .get("containers")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        })
        .filter(|container| bears(container, region))
        .map(level)
        .collect()
}

/// `status.indicator` and `components[]` of `summary.json`; a group is a component with `group: true`, and its members name it
/// in `group_id` (Atlassian Statuspage, status API v2).
fn statuspage(page: &Value, region: Option<&str>) -> Option<Vec<Level>> {
    let Some(region) = region else {
        let indicator = page.get("status")?.get("indicator")?.as_str()?;
        return Some(vec![match indicator {
            "none" | "maintenance" => Level::Fine,
            "minor" | "major" => Level::Impaired,
            "critical" => Level::Out,
            _ => Level::Strange,
        }]);
    };
    let components = page.get("components")?.as_array()?;
    let is_group = |component: &Value| component.get("group") == Some(&Value::Bool(true));
    let in_group = |component: &Value| {
        let group = component.get("group_id").filter(|id| !id.is_null());
        group.is_some_and(|group| {
            components
                .iter()
                .any(|other| other.get("id") == Some(group) && bears(other, region))
        })
    };
    components
        .iter()
        .filter(|component| !is_group(component))
        .filter(|component| bears(component, region) || in_group(component))
        .map(|component| {
            Some(match component.get("status")?.as_str()? {
                "operational" | "under_maintenance" => Level::Fine,
                "degraded_performance" | "partial_outage" => Level::Impaired,
                "major_outage" => Level::Out,
                _ => Level::Strange,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn says(format: StatusFormat, page: &Value, region: Option<&str>) -> String {
        page_outcome(format, page.to_string().as_bytes(), region)
            .map_or_else(|error| error.to_string(), |outcome| outcome.to_string())
    }

    #[test]
    fn status_io_is_read_by_container_or_whole() {
        let page = json!({"result": {
            "status_overall": {"status": "Partial Service Disruption", "status_code": 400},
            "status": [
                {"name": "Compute", "status_code": 500, "containers": [
                    {"name": "US East (N. Virginia)", "status_code": 500},
                    {"name": "US West (Oregon)", "status_code": 100}]},
                {"name": "Jobs", "status_code": 300, "containers": [
                    {"name": "US East (Ohio)", "status_code": 300},
                    {"name": "US West (Oregon)", "status_code": 200},
                    {"name": "Mars", "status_code": 700}]}]}});
        for (region, expected) in [
            (Some("n. virginia"), "Down"),
            (Some("US East (Ohio)"), "Degraded (PartialFailure)"),
            (Some("Oregon"), "Healthy"),
            (Some("Mars"), "Unknown (ProbeError)"),
            (Some("eu-west-1"), "Unknown (NotConfigured)"),
            (None, "Degraded (PartialFailure)"),
        ] {
            assert_eq!(
                says(StatusFormat::StatusIo, &page, region),
                expected,
                "{region:?}"
            );
        }
    }

    #[test]
    fn statuspage_is_read_by_component_by_group_or_whole() {
        let page = json!({"status": {"indicator": "minor"}, "components": [
            {"id": "g", "name": "us-east-1", "status": "major_outage", "group": true, "group_id": null},
            {"id": "1", "name": "Jobs", "status": "partial_outage", "group": false, "group_id": "g"},
            {"id": "2", "name": "SQL (us-east-1)", "status": "operational", "group": false, "group_id": null},
            {"id": "3", "name": "SQL us-west-2", "status": "operational", "group": false, "group_id": null},
            {"id": "4", "name": "SQL eu", "status": "major_outage", "group": false, "group_id": null}]});
        for (region, expected) in [
            (Some("us-east-1"), "Degraded (PartialFailure)"),
            (Some("us-west-2"), "Healthy"),
            (Some("EU"), "Down"),
            (Some("ap-south-1"), "Unknown (NotConfigured)"),
            (None, "Degraded (PartialFailure)"),
        ] {
            assert_eq!(
                says(StatusFormat::Statuspage, &page, region),
                expected,
                "{region:?}"
            );
        }
    }

    #[test]
    fn another_document_is_an_error() {
        for page in [json!({}), json!({"result": {}}), json!([1])] {
            for format in [StatusFormat::StatusIo, StatusFormat::Statuspage] {
                assert!(says(format, &page, None).contains("a field is missing"));
            }
        }
        assert!(page_outcome(StatusFormat::StatusIo, b"<html>", None).is_err());
    }
}
