//! What the alarms and the dashboard look at is what the function says.

use std::collections::BTreeSet;

use detection::{CONTROL, OBSERVER};
use infrastructure::file;
use serde_json::Value;

use crate::setting::world;

type Named = (String, BTreeSet<String>);

/// Every metric with the names of its dimensions.
async fn emitted() -> BTreeSet<Named> {
    let world = world(|_| ()).await;
    world.round().await.unwrap();
    let mut all = BTreeSet::new();
    for vantage in [CONTROL, OBSERVER] {
        for line in world.vantage(vantage).unwrap().prober.ports.metrics.lines() {
            let line: Value = serde_json::from_str(&line).unwrap();
            let metrics = &line["_aws"]["CloudWatchMetrics"][0];
            let dimensions: BTreeSet<String> =
                serde_json::from_value(metrics["Dimensions"][0].clone()).unwrap();
            for metric in metrics["Metrics"].as_array().unwrap() {
                let name = metric["Name"].as_str().unwrap().to_owned();
                all.insert((name, dimensions.clone()));
            }
        }
    }
    all
}

/// Every metric of ours in an alarm of a template.
fn alarmed(template: &str) -> Vec<Named> {
    let template = infrastructure::template(&file(template).unwrap()).unwrap();
    let resources = template["Resources"].as_object().unwrap();
    resources
        .values()
        .filter(|r| r["Type"] == "AWS::CloudWatch::Alarm")
        .map(|r| &r["Properties"])
        .filter(|p| p["Namespace"] == "DatabricksDR")
        .map(|p| {
            let names = p["Dimensions"].as_array().unwrap().iter();
            let names = names.map(|d| d["Name"].as_str().unwrap().to_owned());
            (
                p["MetricName"].as_str().unwrap().to_owned(),
                names.collect(),
            )
        })
        .collect()
}

#[tokio::test]
async fn every_alarm_looks_at_a_metric_that_exists() {
    let emitted = emitted().await;
    for template in ["infra/template.yaml", "infra/observer.yaml"] {
        let alarmed = alarmed(template);
        assert!(
            !alarmed.is_empty(),
            "{template} has no alarm on a metric of ours"
        );
        for metric in alarmed {
            assert!(
                emitted.contains(&metric),
                "{template}: {metric:?} is never said"
            );
        }
    }
}

#[tokio::test]
async fn every_metric_is_documented_with_its_dimensions() {
    let text = file("docs/runbook.md").unwrap();
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    for (name, dimensions) in emitted().await {
        let wanted = format!("`{name}`");
        let row = rows.iter().find(|row| {
            let named: BTreeSet<&str> = row
                .split('|')
                .nth(2)
                .unwrap_or_default()
                .split(',')
                .map(str::trim)
                .collect();
            row.contains(&wanted) && dimensions.iter().map(String::as_str).eq(named)
        });
        assert!(
            row.is_some(),
            "{name} by {dimensions:?} is not in the runbook"
        );
    }
}
