//! When a Quartz schedule fires next: only to order a fence, never to decide whether something is live.

use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

/// The last value of each Quartz field: second, minute, hour, day of month, month, day of week, year.
const LAST: [u32; 7] = [59, 59, 23, 31, 12, 7, 2099];

/// The next time a `schedule` object fires after `now`; `None` if it cannot be read, which a caller must take as "at
/// once".
#[must_use]
pub fn next_fire(schedule: &Value, now: Timestamp) -> Option<Timestamp> {
    let expression = schedule.get("quartz_cron_expression")?.as_str()?;
    let zone = match schedule.get("timezone_id").and_then(Value::as_str) {
        Some(name) => TimeZone::get(name).ok()?,
        None => TimeZone::UTC,
    };
    let cron = CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Optional)
        .alternative_weekdays(true)
        .build()
        .parse(&with_ranges(expression)?)
        .ok()?;
    let next = cron.find_next_occurrence(&now.to_zoned(zone), false).ok()?;
    Some(next.timestamp())
}

/// croner refuses `a/n`; Quartz means by it "from a to the end of the field in steps of n", which is `a-last/n`.
fn with_ranges(expression: &str) -> Option<String> {
    let fields: Vec<String> = expression
        .split_whitespace()
        .zip(LAST)
        .map(|(field, last)| {
            field
                .split(',')
                .map(|part| match part.split_once('/') {
                    Some((from, step))
                        if !from.is_empty() && from.chars().all(|c| c.is_ascii_digit()) =>
                    {
                        format!("{from}-{last}/{step}")
                    }
                    _ => part.to_owned(),
                })
                .collect::<Vec<_>>()
                .join(",")
        })
        .collect();
    (fields.len() >= 6).then(|| fields.join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quartz_expressions_of_real_jobs_are_understood() {
        let now: Timestamp = "2026-03-01T00:10:00Z".parse().unwrap(); // a Sunday
        for (expression, zone, expected) in [
            ("0 0 9 * * ?", "UTC", Some("2026-03-01T09:00:00Z")),
            ("0 30 0/1 * * ?", "UTC", Some("2026-03-01T00:30:00Z")),
            (
                "33 30 6 ? * MON",
                "Europe/Amsterdam",
                Some("2026-03-02T05:30:33Z"),
            ),
            ("0 0 12 ? * 2", "UTC", Some("2026-03-02T12:00:00Z")),
            ("0 0 8 1 1 ? 2027", "UTC", Some("2027-01-01T08:00:00Z")),
            ("0 0 9 * * ?", "Mars/Olympus", None),
            ("every day", "UTC", None),
            ("0 0 99 * * ?", "UTC", None),
        ] {
            let schedule = json!({"quartz_cron_expression": expression, "timezone_id": zone});
            let expected: Option<Timestamp> = expected.map(|t| t.parse().unwrap());
            assert_eq!(next_fire(&schedule, now), expected, "{expression}");
        }
    }
}
