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

/// Metrics that alarms of the templates watch.
const WATCHED: [&str; 5] = [
    "ActiveSiteActionable",
    "ActiveSiteHealthy",
    "ControlRegionStale",
    "IsolatedVantages",
    "StaleVantages",
];

/// Which lines CloudWatch makes metrics of: each costs, and a plan with many probes has hundreds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Those that alarms watch; all others are logged as plain lines, which Logs Insights can query.
    Alarms,
    /// All.
    #[default]
    All,
}

impl Detail {
    fn keeps(self, metrics: &[(&str, f64, &str)]) -> bool {
        self == Self::All || metrics.iter().any(|(name, _, _)| WATCHED.contains(name))
    }
}

/// Where the lines go.
#[derive(Clone, Debug)]
pub enum Metrics {
    /// Standard output, from where Lambda's log group extracts the metrics.
    Output(Detail),
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
            Self::Output(detail) if detail.keeps(metrics) => emit(plan, dimensions, metrics, now),
            Self::Output(_) => println!("{}", plain(plan, dimensions, metrics)),
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
            Self::Output(_) => Vec::new(),
            Self::Memory(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// The same values without the part that CloudWatch makes metrics of.
fn plain(plan: &PlanName, dimensions: &[(&str, &str)], metrics: &[(&str, f64, &str)]) -> String {
    let mut line = Map::from_iter([("Plan".to_owned(), plan.as_str().into())]);
    let places = dimensions.iter();
    line.extend(places.map(|(name, value)| ((*name).to_owned(), (*value).into())));
    let values = metrics.iter();
    line.extend(values.map(|(name, value, _)| ((*name).to_owned(), (*value).into())));
    Value::Object(line).to_string()
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
    fn only_what_alarms_watch_becomes_a_metric_unless_all_is_asked_for() {
        let (watched, other) = (
            [("StaleVantages", 0.0, "Count")],
            [("Latency", 3.0, "Milliseconds")],
        );
        assert!(Detail::Alarms.keeps(&watched) && !Detail::Alarms.keeps(&other));
        assert!(Detail::All.keeps(&watched) && Detail::All.keeps(&other));
        let text = plain(&PlanName::new("p"), &[("Site", "primary")], &other);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value,
            json!({"Plan": "p", "Site": "primary", "Latency": 3.0})
        );
    }

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
