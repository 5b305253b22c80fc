//! When a Quartz schedule fires next: only to order a fence, never to decide whether something is live.

use std::collections::HashMap;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use serde_json::Value;

/// The first and the last value of each Quartz field: second, minute, hour, day of month, month, day of week, year.
const RANGES: [(u32, u32); 7] = [
    (0, 59),
    (0, 59),
    (0, 23),
    (1, 31),
    (1, 12),
    (1, 7),
    (1970, 2099),
];
/// The day of month among the fields.
const DAY: usize = 3;
/// How many days are looked at for one that lies so many days before the end of its month: four candidates a month.
const CANDIDATES: usize = 4 * 12 * 8;

/// When schedules fire next, as seen at one moment. Many jobs share few expressions, so each is worked out once.
pub(crate) struct NextFires {
    now: Timestamp,
    /// By expression and time zone.
    known: HashMap<(String, String), Option<Timestamp>>,
}

impl NextFires {
    pub(crate) fn after(now: Timestamp) -> Self {
        Self {
            now,
            known: HashMap::new(),
        }
    }

    pub(crate) const fn now(&self) -> Timestamp {
        self.now
    }

    /// The next time a schedule object, whose expression stands in `field`, fires; `None` if it cannot be read, which a
    /// caller must take as "at once".
    pub(crate) fn of(&mut self, schedule: &Value, field: &str) -> Option<Timestamp> {
        let expression = schedule.get(field)?.as_str()?;
        let zone = schedule.get("timezone_id").and_then(Value::as_str);
        let key = (expression.to_owned(), zone.unwrap_or("UTC").to_owned());
        let now = self.now;
        *self
            .known
            .entry(key)
            .or_insert_with_key(|(expression, zone)| next_fire(expression, zone, now))
    }
}

fn next_fire(expression: &str, zone: &str, now: Timestamp) -> Option<Timestamp> {
    let zone = TimeZone::get(zone).ok()?;
    let mut fields: Vec<String> = expression.split_whitespace().map(str::to_owned).collect();
    if !(6..=7).contains(&fields.len()) {
        return None;
    }
    let before_end = days_before_end(fields.get(DAY)?);
    if let (Some(days), Some(field)) = (before_end, fields.get_mut(DAY)) {
        // The last day of a month is one of these four.
        let candidates: Vec<String> = (28..=31_u32)
            .filter_map(|last| last.checked_sub(days).filter(|day| *day > 0))
            .map(|day| day.to_string())
            .collect();
        *field = candidates.join(",");
    }
    let rewritten: Vec<String> = fields
        .iter()
        .zip(RANGES)
        .map(|(field, range)| with_ranges(field, range))
        .collect();
    let cron = CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Optional)
        .alternative_weekdays(true)
        .build()
        .parse(&rewritten.join(" "))
        .ok()?;
    let now = now.to_zoned(zone);
    let next = match before_end {
        None => cron.find_next_occurrence(&now, false).ok()?,
        Some(days) => next_before_end(&cron, now, days)?,
    };
    Some(next.timestamp())
}

/// croner has no `L-n`, which means n days before the last day of the month.
fn days_before_end(field: &str) -> Option<u32> {
    field.strip_prefix("L-")?.parse().ok().filter(|n| *n <= 30)
}

/// The next occurrence on a day that lies exactly so many days before the end of its month.
fn next_before_end(cron: &Cron, mut after: Zoned, days: u32) -> Option<Zoned> {
    let mut including = false;
    for _ in 0..CANDIDATES {
        let next = cron.find_next_occurrence(&after, including).ok()?;
        let date: Date = next.date();
        let wanted = u32::try_from(date.days_in_month()).ok()?.checked_sub(days);
        if wanted == u32::try_from(date.day()).ok() {
            return Some(next);
        }
        after = next.start_of_day().ok()?.checked_add(1.day()).ok()?;
        including = true;
    }
    None
}

/// croner refuses `a/n` and ranges that go over the end. Quartz means by the first "from a to the end of the field in steps of
/// n", which is `a-last/n`, and by the second two ranges.
fn with_ranges(field: &str, (first, last): (u32, u32)) -> String {
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    field
        .split(',')
        .map(|part| {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, format!("/{step}")),
                None => (part, String::new()),
            };
            if range.is_empty() {
                return format!("{first}-{last}{step}");
            }
            if digits(range) && !step.is_empty() {
                return format!("{range}-{last}{step}");
            }
            match range.split_once('-') {
                // With a step the second range would have to go on where the first one ended.
                Some((from, to)) if digits(from) && digits(to) && step.is_empty() => {
                    match (from.parse::<u32>(), to.parse::<u32>()) {
                        (Ok(a), Ok(b)) if a > b => format!("{from}-{last},{first}-{to}"),
                        _ => part.to_owned(),
                    }
                }
                _ => part.to_owned(),
            }
        })
        .collect::<Vec<_>>()
        .join(",")
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
            ("0 5/15 * * * ?", "UTC", Some("2026-03-01T00:20:00Z")),
            ("0 /15 * * * ?", "UTC", Some("2026-03-01T00:15:00Z")),
            ("0 0 22-2 * * ?", "UTC", Some("2026-03-01T01:00:00Z")),
            ("0 0 0 10/5 * ?", "UTC", Some("2026-03-10T00:00:00Z")),
            (
                "33 30 6 ? * MON",
                "Europe/Amsterdam",
                Some("2026-03-02T05:30:33Z"),
            ),
            ("0 0 12 ? * 2", "UTC", Some("2026-03-02T12:00:00Z")),
            ("0 0 12 ? * 2/2", "UTC", Some("2026-03-02T12:00:00Z")),
            ("0 0 0 ? * MON#1", "UTC", Some("2026-03-02T00:00:00Z")),
            ("0 0 0 ? * 6L", "UTC", Some("2026-03-27T00:00:00Z")),
            ("0 0 0 L * ?", "UTC", Some("2026-03-31T00:00:00Z")),
            ("0 0 0 15W * ?", "UTC", Some("2026-03-16T00:00:00Z")),
            ("0 0 8 1 1 ? 2027", "UTC", Some("2027-01-01T08:00:00Z")),
            // Three days before the end of the month.
            ("0 0 6 L-3 * ?", "UTC", Some("2026-03-28T06:00:00Z")),
            ("0 0 6 L-3 2 ?", "UTC", Some("2027-02-25T06:00:00Z")),
            ("0 0 6 L-3 2 ? 2028", "UTC", Some("2028-02-26T06:00:00Z")),
            ("0 0 6 L-30 * ?", "UTC", Some("2026-03-01T06:00:00Z")),
            ("0 0 6 L-30 2 ?", "UTC", None),
            ("0 0 9 * * ?", "Mars/Olympus", None),
            ("every day", "UTC", None),
            ("0 0 99 * * ?", "UTC", None),
            ("0 0 9 * *", "UTC", None),
        ] {
            let schedule = json!({"quartz_cron_expression": expression, "timezone_id": zone});
            let expected: Option<Timestamp> = expected.map(|t| t.parse().unwrap());
            assert_eq!(
                NextFires::after(now).of(&schedule, "quartz_cron_expression"),
                expected,
                "{expression}"
            );
        }
    }

    #[test]
    fn a_day_before_the_end_is_kept_although_the_day_has_more_than_one_time() {
        let now: Timestamp = "2026-04-28T10:30:00Z".parse().unwrap();
        let schedule = json!({"quartz_cron_expression": "0 0 * L-2 * ?", "timezone_id": "UTC"});
        let next = NextFires::after(now)
            .of(&schedule, "quartz_cron_expression")
            .unwrap();
        assert_eq!(next.to_string(), "2026-04-28T11:00:00Z");
    }
}
