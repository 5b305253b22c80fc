//! Figures as people read them.

/// A duration: `0.46 s`, `27.7 s`, `24 min 10 s`, `1 h 02 min`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if seconds < 9.995 {
        return format!("{seconds:.2} s");
    }
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let (whole, unit, rest, small) = if seconds.round() < 3600.0 {
        (seconds.round(), "min", "s", 60.0)
    } else {
        ((seconds / 60.0).round(), "h", "min", 60.0)
    };
    let (large, left) = ((whole / small).floor(), whole % small);
    if left == 0.0 {
        format!("{large} {unit}")
    } else {
        format!("{large} {unit} {left:02} {rest}")
    }
}

/// Whole seconds, as an objective or a loss has them: `7 s`, `15 min`.
#[must_use]
pub fn seconds(seconds: i64) -> String {
    if seconds < 60 {
        format!("{seconds} s")
    } else {
        duration(seconds as f64)
    }
}

/// What a kind of object is called: `instance_pool` becomes `instance pool`.
#[must_use]
pub fn kind(name: &str) -> String {
    name.replace('_', " ")
}

/// A stage as people call it: `OneTimeRuns` becomes `One time runs`.
#[must_use]
pub fn stage(stage: crate::run::Stage) -> String {
    let mut words = String::new();
    for (index, letter) in format!("{stage:?}").chars().enumerate() {
        if index > 0 && letter.is_uppercase() {
            words.push(' ');
            words.extend(letter.to_lowercase());
        } else {
            words.push(letter);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Stage;

    #[test]
    fn durations_read_like_durations() {
        for (seconds, words) in [
            (0.0, "0.00 s"),
            (0.458, "0.46 s"),
            (9.999, "10.0 s"),
            (27.663, "27.7 s"),
            (59.96, "1 min"),
            (600.0, "10 min"),
            (1450.2, "24 min 10 s"),
            (3599.6, "1 h"),
            (3725.0, "1 h 02 min"),
        ] {
            assert_eq!(duration(seconds), words);
        }
        assert_eq!(stage(Stage::OneTimeRuns), "One time runs");
    }
}
