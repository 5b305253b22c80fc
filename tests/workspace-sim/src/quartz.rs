//! Fire times of Quartz cron expressions.
//!
//! The `cron` crate parses the fields; the days that only Quartz knows (`L`, `W`, `#`) and the time
//! zone are handled here, because the crate knows neither.

use std::ops::Bound;
use std::str::FromStr;

use cron::{Schedule, TimeUnitSpec};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use thiserror::Error;

/// Why an expression has no fire times.
#[derive(Debug, Error)]
pub(crate) enum QuartzError {
    #[error("a Quartz expression has 6 or 7 fields, this one has {0}")]
    Fields(usize),
    #[error("{0}")]
    Field(String),
    #[error("unknown time zone {0}")]
    Zone(String),
}

/// A day Quartz can name and plain cron cannot.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Day {
    Any,
    /// `L` or `L-n`: n days before the end of the month.
    FromEnd(i8),
    /// `LW`: the last weekday of the month.
    LastWeekday,
    /// `nW`: the weekday nearest to the day n.
    NearWeekday(i8),
    /// `d#n`: the n-th such day of the month (Sunday is 1).
    Nth(i8, i8),
    /// `dL`: the last such day of the month.
    Last(i8),
}

/// A parsed expression in its time zone.
#[derive(Debug, Clone)]
pub(crate) struct Quartz {
    schedule: Schedule,
    day: Day,
    zone: TimeZone,
}

/// Searched days before an expression is taken never to fire again: the leap day comes within 8 years.
const HORIZON_DAYS: usize = 366 * 9;

impl Quartz {
    pub(crate) fn parse(expression: &str, zone: &str) -> Result<Self, QuartzError> {
        let fields: Vec<&str> = expression.split_whitespace().collect();
        let count = fields.len();
        let ([second, minute, hour, day_of_month, month, day_of_week]
        | [second, minute, hour, day_of_month, month, day_of_week, _]) = fields.as_slice()
        else {
            return Err(QuartzError::Fields(count));
        };
        let year = fields.get(6).copied().unwrap_or("*");
        let (plain_month_day, by_month_day) = special_month_day(day_of_month)?;
        let (plain_week_day, by_week_day) = special_week_day(day_of_week)?;
        let day = if by_month_day == Day::Any {
            by_week_day
        } else {
            by_month_day
        };
        let plain =
            format!("{second} {minute} {hour} {plain_month_day} {month} {plain_week_day} {year}")
                .to_uppercase();
        let schedule = Schedule::from_str(&plain).map_err(|e| QuartzError::Field(e.to_string()))?;
        let zone = TimeZone::get(zone).map_err(|_| QuartzError::Zone(zone.to_owned()))?;
        Ok(Self {
            schedule,
            day,
            zone,
        })
    }

    /// The first fire time after the given one, both in Unix milliseconds.
    pub(crate) fn next(&self, after_ms: i64) -> Option<i64> {
        let after = Timestamp::from_millisecond(after_ms).ok()?;
        let local = after.to_zoned(self.zone.clone());
        let mut date = local.date();
        let mut floor = Some(local.time());
        for _ in 0..HORIZON_DAYS {
            if self.fires_on(date)
                && let Some(found) = self.first_on(date, floor, &after)
            {
                return Some(found.timestamp().as_millisecond());
            }
            date = date.checked_add(1.day()).ok()?;
            floor = None;
        }
        None
    }

    fn fires_on(&self, date: Date) -> bool {
        let number = |n: i8| u32::from(n.unsigned_abs());
        let week_day = date.weekday().to_sunday_one_offset();
        self.schedule
            .years()
            .includes(u32::from(date.year().unsigned_abs()))
            && self.schedule.months().includes(number(date.month()))
            && self.schedule.days_of_month().includes(number(date.day()))
            && self.schedule.days_of_week().includes(number(week_day))
            && match self.day {
                Day::Any => true,
                Day::FromEnd(n) => date.day() == date.days_in_month() - n,
                Day::LastWeekday => Some(date) == nearest_weekday(date, date.days_in_month()),
                Day::NearWeekday(n) => {
                    Some(date) == nearest_weekday(date, n.min(date.days_in_month()))
                }
                Day::Nth(wanted, nth) => week_day == wanted && (date.day() - 1) / 7 + 1 == nth,
                Day::Last(wanted) => week_day == wanted && date.day() + 7 > date.days_in_month(),
            }
    }

    /// The first time on this date which is after `after`; `floor` is the local time to begin at.
    fn first_on(
        &self,
        date: Date,
        floor: Option<jiff::civil::Time>,
        after: &Timestamp,
    ) -> Option<Zoned> {
        let from_hour = floor.map_or(0, |t| u32::from(t.hour().unsigned_abs()));
        for hour in self
            .schedule
            .hours()
            .range((Bound::Included(from_hour), Bound::Unbounded))
        {
            let first_hour = floor.filter(|_| hour == from_hour);
            let from_minute = first_hour.map_or(0, |t| u32::from(t.minute().unsigned_abs()));
            for minute in self
                .schedule
                .minutes()
                .range((Bound::Included(from_minute), Bound::Unbounded))
            {
                for second in self.schedule.seconds().iter() {
                    let time = |n: u32| i8::try_from(n).ok();
                    let civil = date.at(time(hour)?, time(minute)?, time(second)?, 0);
                    // A time that a clock change leaves out moves behind the gap, a double one is the first.
                    if let Ok(zoned) = self.zone.to_ambiguous_zoned(civil).compatible()
                        && zoned.timestamp() > *after
                    {
                        return Some(zoned);
                    }
                }
            }
        }
        None
    }
}

fn nearest_weekday(date: Date, day: i8) -> Option<Date> {
    let wanted = Date::new(date.year(), date.month(), day).ok()?;
    let shift = match wanted.weekday().to_sunday_one_offset() {
        7 if day == 1 => 2,
        7 => -1,
        1 if day == date.days_in_month() => -2,
        1 => 1,
        _ => 0,
    };
    wanted.checked_add(i64::from(shift).days()).ok()
}

fn special_month_day(field: &str) -> Result<(&str, Day), QuartzError> {
    let bad = || QuartzError::Field(format!("day of month {field}"));
    let upper = field.to_uppercase();
    if upper == "?" {
        return Ok(("*", Day::Any));
    }
    if upper == "LW" {
        return Ok(("*", Day::LastWeekday));
    }
    if let Some(rest) = upper.strip_prefix('L') {
        let back = if rest.is_empty() {
            Some(0)
        } else {
            rest.strip_prefix('-').and_then(|n| n.parse().ok())
        };
        return Ok((
            "*",
            Day::FromEnd(back.filter(|n| (0..=30).contains(n)).ok_or_else(bad)?),
        ));
    }
    if let Some(number) = upper.strip_suffix('W') {
        let day: i8 = number.parse().map_err(|_| bad())?;
        return if (1..=31).contains(&day) {
            Ok(("*", Day::NearWeekday(day)))
        } else {
            Err(bad())
        };
    }
    Ok((field, Day::Any))
}

fn special_week_day(field: &str) -> Result<(&str, Day), QuartzError> {
    let bad = || QuartzError::Field(format!("day of week {field}"));
    let upper = field.to_uppercase();
    if upper == "?" {
        return Ok(("*", Day::Any));
    }
    if upper == "L" {
        return Ok(("*", Day::Last(7)));
    }
    if let Some((day, nth)) = upper.split_once('#') {
        let nth: i8 = nth.parse().map_err(|_| bad())?;
        let day = week_day(day).ok_or_else(bad)?;
        return if (1..=5).contains(&nth) {
            Ok(("*", Day::Nth(day, nth)))
        } else {
            Err(bad())
        };
    }
    if let Some(day) = upper.strip_suffix('L').and_then(week_day) {
        return Ok(("*", Day::Last(day)));
    }
    Ok((field, Day::Any))
}

fn week_day(name: &str) -> Option<i8> {
    let names = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    let by_name = (1..=7)
        .zip(names)
        .find(|(_, n)| *n == name)
        .map(|(number, _)| number);
    by_name.or_else(|| name.parse().ok().filter(|n| (1..=7).contains(n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(expression: &str, zone: &str, after: &str) -> String {
        let after: Timestamp = after.parse().unwrap();
        let quartz = Quartz::parse(expression, zone).unwrap();
        Timestamp::from_millisecond(quartz.next(after.as_millisecond()).unwrap())
            .unwrap()
            .to_string()
    }

    #[test]
    fn daily_in_a_zone_follows_the_clock_change() {
        let at_nine = "0 0 9 * * ?";
        assert_eq!(
            next(at_nine, "UTC", "2026-03-01T09:00:00Z"),
            "2026-03-02T09:00:00Z"
        );
        assert_eq!(
            next(at_nine, "Europe/Amsterdam", "2026-03-28T09:00:00Z"),
            "2026-03-29T07:00:00Z"
        );
    }

    #[test]
    fn steps_names_and_years() {
        assert_eq!(
            next("0 30 0/1 * * ?", "UTC", "2026-03-01T09:30:00Z"),
            "2026-03-01T10:30:00Z"
        );
        assert_eq!(
            next("33 30 6 ? * MON", "UTC", "2026-03-03T00:00:00Z"),
            "2026-03-09T06:30:33Z"
        );
        assert_eq!(
            next("0 0 0 ? * 2-6", "UTC", "2026-03-06T12:00:00Z"),
            "2026-03-09T00:00:00Z"
        );
        assert_eq!(
            next("0 0 0 29 2 ?", "UTC", "2026-03-01T00:00:00Z"),
            "2028-02-29T00:00:00Z"
        );
        assert!(
            Quartz::parse("0 0 0 1 1 ? 2020", "UTC")
                .unwrap()
                .next(1_800_000_000_000)
                .is_none()
        );
    }

    #[test]
    fn days_only_quartz_knows() {
        assert_eq!(
            next("0 0 0 L * ?", "UTC", "2026-02-01T00:00:00Z"),
            "2026-02-28T00:00:00Z"
        );
        assert_eq!(
            next("0 0 0 LW * ?", "UTC", "2026-02-01T00:00:00Z"),
            "2026-02-27T00:00:00Z"
        );
        assert_eq!(
            next("0 0 0 15W * ?", "UTC", "2026-02-01T00:00:00Z"),
            "2026-02-16T00:00:00Z"
        );
        assert_eq!(
            next("0 0 0 ? * MON#1", "UTC", "2026-03-03T00:00:00Z"),
            "2026-04-06T00:00:00Z"
        );
        assert_eq!(
            next("0 0 0 ? * 6L", "UTC", "2026-03-03T00:00:00Z"),
            "2026-03-27T00:00:00Z"
        );
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Quartz::parse("every morning", "UTC").is_err());
        assert!(Quartz::parse("0 0 99 * * ?", "UTC").is_err());
        assert!(Quartz::parse("0 0 9 * * ?", "Mars/Olympus").is_err());
    }

    #[test]
    fn a_time_in_the_gap_moves_and_a_double_one_fires_once() {
        let half_past_two = "0 30 2 * * ?";
        assert_eq!(
            next(half_past_two, "Europe/Amsterdam", "2026-03-28T12:00:00Z"),
            "2026-03-29T01:30:00Z"
        );
        let first = next(half_past_two, "Europe/Amsterdam", "2026-10-24T12:00:00Z");
        assert_eq!(first, "2026-10-25T00:30:00Z");
        assert_eq!(
            next(half_past_two, "Europe/Amsterdam", &first),
            "2026-10-26T01:30:00Z"
        );
    }
}
