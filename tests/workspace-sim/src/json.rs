//! Small readers for raw JSON objects.

use serde_json::Value;

/// A JSON object as the simulator keeps it.
pub(crate) type Map = serde_json::Map<String, Value>;

/// The string under `key`, if it is one.
pub(crate) fn text<'a>(map: &'a Map, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Value::as_str)
}

/// The integer under `key`, also when it came as a numeric string, as some clients send ids.
pub(crate) fn int(map: &Map, key: &str) -> Option<i64> {
    let value = map.get(key)?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// The boolean under `key`, if it is one.
pub(crate) fn flag(map: &Map, key: &str) -> Option<bool> {
    map.get(key).and_then(Value::as_bool)
}

/// The object under `key`, if it is one.
pub(crate) fn object<'a>(map: &'a Map, key: &str) -> Option<&'a Map> {
    map.get(key).and_then(Value::as_object)
}

/// The array under `key`; nothing there is the empty array.
pub(crate) fn array<'a>(map: &'a Map, key: &str) -> &'a [Value] {
    map.get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Sets a field, whatever converts into JSON.
pub(crate) fn set(map: &mut Map, key: &str, value: impl Into<Value>) {
    map.insert(key.to_owned(), value.into());
}

/// A JSON object from a literal that is one; anything else is the empty object.
pub(crate) fn into_map(value: Value) -> Map {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A deterministic 64-bit hash (FNV-1a with a final mix), equal on every machine and in every run.
pub(crate) fn hash(parts: &[&str]) -> u64 {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.bytes().chain([0x1f]) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    mix(state)
}

/// Spreads the bits of a number over the whole word.
pub(crate) fn mix(value: u64) -> u64 {
    let mut state = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// A string of `digits` hexadecimal digits derived from a hash.
pub(crate) fn hex(seed: u64, digits: usize) -> String {
    let mut out = String::new();
    let mut state = seed;
    while out.len() < digits {
        state = mix(state);
        out.push_str(&format!("{state:016x}"));
    }
    out.truncate(digits);
    out
}

/// An identifier in the form of a UUID derived from a hash.
pub(crate) fn uuid(seed: u64) -> String {
    let hex = hex(seed, 32);
    let piece = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    format!(
        "{}-{}-{}-{}-{}",
        piece(0, 8),
        piece(8, 12),
        piece(12, 16),
        piece(16, 20),
        piece(20, 32)
    )
}
