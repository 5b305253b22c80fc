//! Schedule expressions of EventBridge: `rate(..)` and `cron(..)`.

use jiff::civil::DateTime;

/// An expression that cannot be played here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schedule expression {expression} cannot be played: {reason}")]
pub struct ScheduleError {
    expression: String,
    reason: String,
}

/// When a schedule fires, in minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// Every so many minutes after the clock started.
    Rate(u64),
    /// At the minutes that match.
    Cron(Cron),
}

/// The six fields of a cron expression, each as the set of values that match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: Vec<u16>,
    hours: Vec<u16>,
    days: Vec<u16>,
    months: Vec<u16>,
    /// 1 is Sunday.
    weekdays: Vec<u16>,
    years: Vec<u16>,
}

impl Expression {
    /// Reads an expression as it was deployed.
    ///
    /// # Errors
    /// When it is neither a rate nor a cron expression, or uses `L`, `W` or `#`.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let refuse = |reason: &str| ScheduleError {
            expression: text.to_owned(),
            reason: reason.to_owned(),
        };
        let inside = |kind: &str| text.strip_prefix(kind)?.strip_suffix(')');
        if let Some(rate) = inside("rate(") {
            let (count, unit) = rate
                .trim()
                .split_once(' ')
                .ok_or_else(|| refuse("a rate is a number and a unit"))?;
            let count: u64 = count
                .parse()
                .map_err(|_| refuse("the rate is not a number"))?;
            let minutes = match unit.trim().trim_end_matches('s') {
                "minute" => 1,
                "hour" => 60,
                "day" => 24 * 60,
                _ => return Err(refuse("the unit is none of minute, hour, day")),
            };
            if count == 0 {
                return Err(refuse("the rate is zero"));
            }
            return Ok(Self::Rate(count * minutes));
        }
        let fields =
            inside("cron(").ok_or_else(|| refuse("it is neither a rate nor a cron expression"))?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays, years] = fields.as_slice() else {
            return Err(refuse("a cron expression has six fields"));
        };
        let months_named = [
            "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
        ];
        let days_named = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
        let set = |field: &str, low, high, names: &[&str]| {
            values(field, low, high, names)
                .ok_or_else(|| refuse(&format!("field {field} is not understood")))
        };
        Ok(Self::Cron(Cron {
            minutes: set(minutes, 0, 59, &[])?,
            hours: set(hours, 0, 23, &[])?,
            days: set(days, 1, 31, &[])?,
            months: set(months, 1, 12, &months_named)?,
            weekdays: set(weekdays, 1, 7, &days_named)?,
            years: set(years, 1970, 2199, &[])?,
        }))
    }

    /// Whether it fires in the minute `elapsed` after the clock started, which is `now` in the schedule's time zone.
    #[must_use]
    pub fn fires(&self, elapsed: u64, now: DateTime) -> bool {
        match self {
            Self::Rate(minutes) => elapsed > 0 && elapsed.is_multiple_of(*minutes),
            Self::Cron(cron) => cron.matches(now),
        }
    }
}

impl Cron {
    fn matches(&self, now: DateTime) -> bool {
        let has =
            |set: &[u16], value: i16| u16::try_from(value).is_ok_and(|value| set.contains(&value));
        has(&self.minutes, now.minute().into())
            && has(&self.hours, now.hour().into())
            && has(&self.days, now.day().into())
            && has(&self.months, now.month().into())
            && has(&self.weekdays, now.weekday().to_sunday_one_offset().into())
            && has(&self.years, now.year())
    }
}

/// The values that a field allows: `*`, `?`, `5`, `MON-FRI`, `0/15`, `1-9/2`, and lists of these.
fn values(field: &str, low: u16, high: u16, names: &[&str]) -> Option<Vec<u16>> {
    let number = |text: &str| -> Option<u16> {
        let value = match names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text))
        {
            Some(position) => low + u16::try_from(position).ok()?,
            None => text.parse().ok()?,
        };
        (low..=high).contains(&value).then_some(value)
    };
    let mut found = Vec::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (
                range,
                Some(step.parse::<u16>().ok().filter(|step| *step > 0)?),
            ),
            None => (part, None),
        };
        let (first, last) = match range {
            "*" | "?" => (low, high),
            _ => match range.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None if step.is_some() => (number(range)?, high),
                None => (number(range)?, number(range)?),
            },
        };
        found.extend((first..=last).step_by(step.unwrap_or(1).into()));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::Expression;

    fn fires(expression: &str, elapsed: u64, hour: i8, minute: i8) -> bool {
        // 2026-03-04 is a Wednesday.
        Expression::parse(expression)
            .unwrap()
            .fires(elapsed, date(2026, 3, 4).at(hour, minute, 0, 0))
    }

    #[test]
    fn a_rate_fires_after_each_period() {
        assert!(!fires("rate(5 minutes)", 0, 0, 0));
        assert!(fires("rate(5 minutes)", 5, 0, 0));
        assert!(!fires("rate(5 minutes)", 6, 0, 0));
        assert!(fires("rate(1 hour)", 120, 0, 0));
        assert!(fires("rate(1 day)", 1440, 0, 0));
    }

    #[test]
    fn a_cron_fires_when_every_field_matches() {
        assert!(fires("cron(0/15 9 * * ? *)", 0, 9, 45));
        assert!(!fires("cron(0/15 9 * * ? *)", 0, 9, 46));
        assert!(fires("cron(30 9-17 ? MAR MON-FRI 2026)", 0, 12, 30));
        assert!(fires("cron(30 12 ? * 4 *)", 0, 12, 30));
        assert!(!fires("cron(30 12 ? * SUN,SAT *)", 0, 12, 30));
    }

    #[test]
    fn what_cannot_be_played_is_refused() {
        for wrong in [
            "rate(0 minutes)",
            "rate(5 weeks)",
            "cron(* * L * ? *)",
            "cron(* * *)",
            "at(2026-01-01T00:00:00)",
        ] {
            assert!(Expression::parse(wrong).is_err(), "{wrong}");
        }
    }
}
