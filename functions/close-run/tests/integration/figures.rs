//! Figures as they are printed, read back: with other code than that which writes them.

use serde_json::Value;

/// Seconds that a text such as `24 min 10 s` stands for, and how coarse it is.
fn seconds(text: &str) -> Option<(f64, f64)> {
    let (mut all, mut step) = (0.0, 0.0);
    let words: Vec<&str> = text.split_whitespace().collect();
    for pair in words.chunks(2) {
        let [number, unit] = pair else { return None };
        let value: f64 = number.parse().ok()?;
        let unit = match *unit {
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        all += value * unit;
        step = match number.split_once('.') {
            Some((_, decimals)) => unit / 10_f64.powi(i32::try_from(decimals.len()).ok()?),
            None => unit,
        };
    }
    // `25 min` and `2 h` leave out what is none.
    let whole = words.len() == 2 && step >= 60.0;
    Some((all, if whole { step / 60.0 } else { step }))
}

/// Whether a printed figure says what is stored.
pub(crate) fn says(shown: &str, stored: &Value) -> bool {
    match stored {
        Value::Null => ["unknown", "not reached", "not seen"].contains(&shown),
        Value::Number(number) => {
            let wanted = number.as_f64().unwrap_or(f64::NAN);
            if let Ok(plain) = shown.parse::<f64>() {
                return plain == wanted;
            }
            seconds(shown).is_some_and(|(value, step)| (value - wanted).abs() <= step / 2.0 + 1e-9)
        }
        _ => false,
    }
}

#[test]
fn a_wrong_figure_is_found() {
    for (shown, stored, right) in [
        ("27.7 s", 27.663, true),
        ("27.8 s", 27.663, false),
        ("24 min 10 s", 1450.2, true),
        ("24 min 11 s", 1450.2, false),
        ("1 h 02 min", 3725.0, true),
        ("1 h 04 min", 3725.0, false),
        ("12", 12.0, true),
        ("13", 12.0, false),
        ("unknown", 12.0, false),
    ] {
        assert_eq!(says(shown, &Value::from(stored)), right, "{shown} {stored}");
    }
    assert!(says("unknown", &Value::Null) && !says("0 s", &Value::Null));
}
