//! `cargo xtask cost`: what one plan costs a month, from the template's schedules, memory and alarms and a dated list of prices.

use std::collections::BTreeMap;
use std::process::ExitCode;

use infrastructure::Documents;
use serde::Deserialize;
use serde_json::Value;

use crate::root;

const PRICES: &str = "infra/prices.json";
/// What one plan at default settings should cost at most, beyond what every account has free.
const GOAL_USD: f64 = 5.0;
const MINUTES_A_MONTH: f64 = 30.0 * 24.0 * 60.0;

#[derive(Deserialize)]
struct Prices {
    as_of: String,
    region: String,
    note: String,
    prices: BTreeMap<String, Price>,
    typical: BTreeMap<String, Value>,
    stored_gb: f64,
    custom_metrics: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Price {
    usd: f64,
    free: f64,
    source: String,
}

/// A price's name and how much of it a month takes.
type Line = (&'static str, f64);

/// Prints the bill at default settings and with all metrics; fails if the first misses the goal.
pub(crate) fn run() -> Result<ExitCode, String> {
    let prices: Prices =
        serde_json::from_str(&root::read(PRICES)?).map_err(|e| format!("{PRICES}: {e}"))?;
    let documents = Documents::read().map_err(|e| e.to_string())?;
    println!(
        "One plan in {}, prices of {}. {}",
        prices.region, prices.as_of, prices.note
    );
    let mut left = 0.0;
    for detail in ["alarms", "all"] {
        println!("\nMetricsDetail={detail}");
        println!(
            "{:<24} {:>12} {:>9} {:>12}  price from",
            "", "a month", "USD", "beyond free"
        );
        let (mut list, mut beyond) = (0.0, 0.0);
        for (name, quantity) in lines(&prices, &documents, detail)? {
            let price = prices
                .prices
                .get(name)
                .ok_or_else(|| format!("{PRICES} has no {name}"))?;
            let (full, rest) = (
                quantity * price.usd,
                (quantity - price.free).max(0.0) * price.usd,
            );
            println!(
                "{name:<24} {quantity:>12.1} {full:>9.2} {rest:>12.2}  {}",
                price.source
            );
            list += full;
            beyond += rest;
        }
        println!("{:<24} {:>12} {list:>9.2} {beyond:>12.2}", "total", "");
        if detail == "alarms" {
            left = beyond;
        }
    }
    println!(
        "\nBeyond what every account has free each month: {left:.2} USD at default settings, goal {GOAL_USD:.2}. Each observer adds a key, four alarms and a probe."
    );
    Ok(if left <= GOAL_USD {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn lines(prices: &Prices, documents: &Documents, detail: &str) -> Result<Vec<Line>, String> {
    let count = |kind: &str| documents.of_type(kind).count() as f64;
    let (mut seconds, mut calls, mut writes, mut reads, mut logs) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for function in documents.functions() {
        let Some(each) = each_minutes(documents, &function.properties)? else {
            continue;
        };
        let typical = prices
            .typical
            .get(&function.package)
            .ok_or_else(|| format!("{PRICES} does not say what {} takes", function.package))?;
        let of = |name: &str| {
            typical
                .get(name)
                .and_then(Value::as_f64)
                .unwrap_or_default()
        };
        let times = MINUTES_A_MONTH / each;
        let memory = function
            .properties
            .get("MemorySize")
            .and_then(Value::as_f64);
        let memory = memory.ok_or_else(|| format!("{} has no MemorySize", function.id))? / 1024.0;
        calls += times;
        seconds += times * of("seconds") * memory;
        writes += times * of("s3_writes");
        reads += times * of("s3_reads");
        logs += times * of("log_kb") / (1024.0 * 1024.0);
    }
    let metrics = prices.custom_metrics.get(detail).copied();
    Ok(vec![
        ("lambda_gb_second_arm64", seconds),
        ("lambda_request", calls),
        ("scheduler_invocation", calls),
        ("alarm_metric", count("AWS::CloudWatch::Alarm")),
        ("composite_alarm", count("AWS::CloudWatch::CompositeAlarm")),
        ("custom_metric", metrics.unwrap_or_default()),
        (
            "dashboard",
            if detail == "all" {
                count("AWS::CloudWatch::Dashboard")
            } else {
                0.0
            },
        ),
        ("log_gb", logs),
        ("trace", calls),
        ("s3_write", writes),
        ("s3_read", reads),
        ("s3_gb_month", prices.stored_gb),
        ("kms_key", count("AWS::KMS::Key")),
    ])
}

/// Minutes between two invocations by the default schedule; none if no schedule starts the function.
fn each_minutes(documents: &Documents, properties: &Value) -> Result<Option<f64>, String> {
    let Some(expression) = properties.pointer("/Events/Schedule/Properties/ScheduleExpression")
    else {
        return Ok(None);
    };
    let parameter = expression.get("Ref").and_then(Value::as_str);
    let default = parameter.and_then(|name| {
        let parameters = documents.template.get("Parameters")?;
        parameters.get(name)?.get("Default")?.as_str()
    });
    let text = default
        .or_else(|| expression.as_str())
        .ok_or_else(|| format!("{expression} has no default"))?;
    rate(text)
        .map(Some)
        .ok_or_else(|| format!("{text} is no rate of minutes or hours"))
}

fn rate(text: &str) -> Option<f64> {
    let inner = text.strip_prefix("rate(")?.strip_suffix(')')?;
    let (number, unit) = inner.split_once(' ')?;
    let number: f64 = number.parse().ok()?;
    match unit {
        "minute" | "minutes" => Some(number),
        "hour" | "hours" => Some(number * 60.0),
        "day" | "days" => Some(number * 1440.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_minutes() {
        assert_eq!(rate("rate(1 minute)"), Some(1.0));
        assert_eq!(rate("rate(2 hours)"), Some(120.0));
        assert_eq!(rate("cron(0 0 * * ? *)"), None);
    }

    #[test]
    fn one_plan_at_default_settings_keeps_the_goal() {
        assert_eq!(run(), Ok(ExitCode::SUCCESS));
    }
}
