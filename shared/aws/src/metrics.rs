//! Metrics in CloudWatch's embedded metric format: one JSON line on standard output each, no call to make or to lose.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use recovery::site::PlanName;
use serde_json::{Map, Value, json};

/// The namespace of all our metrics.
pub const NAMESPACE: &str = "DatabricksDR";

/// The line for some metrics under one set of dimensions. `Plan` is always one of them.
#[must_use]
pub fn line(
    plan: &PlanName,
    dimensions: &[(&str, &str)],
    metrics: &[(&str, f64, &str)],
    now: Timestamp,
) -> String {
    let mut names: Vec<&str> = vec!["Plan"];
    names.extend(dimensions.iter().map(|(name, _)| *name));
    let definitions: Vec<Value> = metrics
        .iter()
        .map(|(name, _, unit)| json!({"Name": name, "Unit": unit}))
        .collect();
    let mut object = Map::new();
    object.insert(
        "_aws".to_owned(),
        json!({"Timestamp": now.as_millisecond(), "CloudWatchMetrics": [
            {"Namespace": NAMESPACE, "Dimensions": [names], "Metrics": definitions}
        ]}),
    );
    object.insert("Plan".to_owned(), plan.as_str().into());
    for (name, value) in dimensions {
        object.insert((*name).to_owned(), (*value).into());
    }
    for (name, value, _) in metrics {
        object.insert((*name).to_owned(), (*value).into());
    }
    Value::Object(object).to_string()
}

/// Where the lines go.
#[derive(Clone, Debug, Default)]
pub enum Metrics {
    /// Standard output, from where Lambda's log group extracts the metrics.
    #[default]
    Output,
    /// Memory, for tests.
    Memory(Arc<Mutex<Vec<String>>>),
}

impl Metrics {
    /// Writes one line.
    pub fn emit(
        &self,
        plan: &PlanName,
        dimensions: &[(&str, &str)],
        metrics: &[(&str, f64, &str)],
        now: Timestamp,
    ) {
        match self {
            Self::Output => emit(plan, dimensions, metrics, now),
            Self::Memory(lines) => lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line(plan, dimensions, metrics, now)),
        }
    }

    /// Every line that went to memory.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Output => Vec::new(),
            Self::Memory(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// Prints the line. Lambda's log group extracts the metrics.
pub fn emit(
    plan: &PlanName,
    dimensions: &[(&str, &str)],
    metrics: &[(&str, f64, &str)],
    now: Timestamp,
) {
    println!("{}", line(plan, dimensions, metrics, now));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_what_cloudwatch_extracts() {
        let text = line(
            &PlanName::new("p"),
            &[("Site", "primary")],
            &[("Lag", 3.0, "Seconds")],
            Timestamp::UNIX_EPOCH,
        );
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
            json!([["Plan", "Site"]])
        );
        assert_eq!(value["Lag"], json!(3.0));
        assert_eq!(value["Site"], "primary");
    }
}
