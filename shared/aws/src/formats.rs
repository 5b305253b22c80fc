//! Formats of stored documents. Within one version a newer writer may add fields: readers tolerate them, and a change of the document
//! keeps them. A newer version is refused by name, so that an older function never acts on what it cannot understand.

use recovery::failure::FailureName;
use recovery::replication::REPLICATION_FORMAT;
use serde::Deserialize;
use serde_json::Value;

use crate::{Failure, keys};

/// The newest version of each stored format: the first, but for those that have changed since.
fn newest_format(key: &str) -> u64 {
    match key {
        keys::REPLICATION => u64::from(REPLICATION_FORMAT),
        _ => 1,
    }
}

#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    format_version: Option<Value>,
}

/// Refuses a document of a newer version. One without a version, and what is not an object, is of the first.
///
/// # Errors
/// `StateCorrupt`.
pub(crate) fn require_known_format(key: &str, bytes: &[u8]) -> Result<(), Failure> {
    let Ok(Version {
        format_version: Some(version),
    }) = serde_json::from_slice(bytes)
    else {
        return Ok(());
    };
    let newest = newest_format(key);
    if version.as_u64().is_some_and(|v| v <= newest) {
        return Ok(());
    }
    Err(Failure::new(
        FailureName::StateCorrupt,
        format!(
            "{key} has format_version {version}, and this version reads up to {newest}; deploy the version that wrote it"
        ),
    ))
}

/// `after` with everything that `raw` holds and this version does not know. `before` is `raw` as this version reads it: a field that is
/// missing there is unknown, one that is missing in `after` was taken away on purpose.
pub(crate) fn keep_unknown(raw: &Value, before: &Value, after: Value) -> Value {
    match (raw, before, after) {
        (Value::Object(raw), Value::Object(before), Value::Object(mut after)) => {
            for (key, value) in raw {
                match (before.get(key), after.get_mut(key)) {
                    (None, None) => {
                        after.insert(key.clone(), value.clone());
                    }
                    (Some(known), Some(new)) => {
                        *new = keep_unknown(value, known, new.take());
                    }
                    _ => {}
                }
            }
            Value::Object(after)
        }
        (Value::Array(raw), Value::Array(before), Value::Array(after)) => {
            let elements = after.into_iter().enumerate().map(|(place, new)| {
                // Lists grow at their end and lose from anywhere: what did not change is found wherever it is, and what did keeps its
                // place only if the list before it is the same.
                let same = before.iter().position(|known| *known == new);
                let unmoved = before.get(place).is_some() && raw.len() == before.len();
                let from = same.or_else(|| {
                    (unmoved && changes_in_place(before, place, &new)).then_some(place)
                });
                match from.and_then(|from| raw.get(from).zip(before.get(from))) {
                    Some((raw, known)) => keep_unknown(raw, known, new),
                    None => new,
                }
            });
            Value::Array(elements.collect())
        }
        (_, _, after) => after,
    }
}

/// Whether an element is an older one with other values, by its fields that name it: all that are texts and did not change.
fn changes_in_place(before: &[Value], place: usize, new: &Value) -> bool {
    let (Some(Value::Object(known)), Value::Object(new)) = (before.get(place), new) else {
        return false;
    };
    known
        .iter()
        .any(|(field, value)| value.is_string() && new.get(field) == Some(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_newer_writer_added_survives_a_change_and_what_was_taken_away_does_not_come_back() {
        let raw = json!({"a": 1, "new": true, "fence": {"since": 1, "new": 2}, "gone": {"x": 1},
            "list": [{"id": 1, "new": 3}, {"id": 2, "new": 4}]});
        let before = json!({"a": 1, "fence": {"since": 1}, "gone": {"x": 1}, "list": [{"id": 1}, {"id": 2}]});
        let after =
            json!({"a": 2, "fence": {"since": 5}, "list": [{"id": 2}, {"id": 3}], "own": 1});
        assert_eq!(
            keep_unknown(&raw, &before, after),
            json!({"a": 2, "new": true, "fence": {"since": 5, "new": 2}, "list": [{"id": 2, "new": 4}, {"id": 3}], "own": 1})
        );
    }

    #[test]
    fn a_newer_version_is_refused_and_anything_else_is_the_first() {
        for fine in ["{}", "[]", "\"digest\"", "{\"format_version\": 1}"] {
            assert!(require_known_format("k", fine.as_bytes()).is_ok(), "{fine}");
        }
        for newer in ["{\"format_version\": 2}", "{\"format_version\": \"x\"}"] {
            let refused = require_known_format("k", newer.as_bytes()).unwrap_err();
            assert_eq!(refused.name, FailureName::StateCorrupt, "{newer}");
        }
    }
}
