//! Taking secrets out of what a workspace says of itself. Better one value too many.

use serde_json::Value;

/// What stands there instead.
pub const REDACTED: &str = "[redacted]";

/// Words in the name of a field or parameter whose text is taken out.
const NAMES: [&str; 9] = [
    "password",
    "secret",
    "token",
    "credential",
    "access_key",
    "accesskey",
    "private_key",
    "api_key",
    "connection_string",
];
/// Names with such a word that hold no secret.
const HARMLESS: [&str; 4] = [
    "next_page_token",
    "prev_page_token",
    "idempotency_token",
    "secret_scope",
];
/// Objects whose every value is taken out.
const WHOLE: [&str; 2] = ["spark_env_vars", "environment_variables"];
/// How texts begin that are credentials whatever they are called.
const BEGINNINGS: [&str; 6] = ["dapi", "dose", "AKIA", "ASIA", "eyJ", "-----BEGIN"];

/// Replaces what is or may be secret, and says how many values that was.
pub fn redact(value: &mut Value) -> usize {
    match value {
        Value::Object(object) => object
            .iter_mut()
            .map(|(name, inner)| {
                let whole = WHOLE.contains(&name.as_str());
                if whole || (is_secret_name(name) && inner.is_string()) {
                    every_text(inner)
                } else {
                    redact(inner)
                }
            })
            .sum(),
        Value::Array(items) => items.iter_mut().map(redact).sum(),
        Value::String(text) => usize::from(cleaned(text).is_some_and(|clean| {
            *text = clean;
            true
        })),
        _ => 0,
    }
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    let plain = name.replace(['-', '.'], "_");
    NAMES.iter().any(|word| plain.contains(word)) && !HARMLESS.contains(&plain.as_str())
}

fn every_text(value: &mut Value) -> usize {
    match value {
        Value::Object(object) => object.values_mut().map(every_text).sum(),
        Value::Array(items) => items.iter_mut().map(every_text).sum(),
        Value::String(text) if text == REDACTED => 0,
        Value::Null => 0,
        other => {
            *other = Value::from(REDACTED);
            1
        }
    }
}

/// The text without a credential in it; `None` if there is none.
fn cleaned(text: &str) -> Option<String> {
    let long = |word: &str| word.len() >= 16 || word.starts_with("-----BEGIN");
    let is_secret = |word: &str| BEGINNINGS.iter().any(|b| word.starts_with(b)) && long(word);
    if text.split(['=', ' ', '"', '\'', ',', ';']).any(is_secret) {
        return Some(REDACTED.to_owned());
    }
    // scheme://user:password@host
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', ' ']).next().unwrap_or_default();
    let (user, _) = authority.rsplit_once('@')?;
    if !user.contains(':') {
        return None;
    }
    let tail = rest.strip_prefix(user)?;
    Some(format!("{scheme}://{REDACTED}{tail}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_go_wherever_they_stand_and_the_rest_stays() {
        let mut value = json!({
            "spark_env_vars": {"DB_USER": "etl", "DEPTH": {"x": 1}},
            "spark_conf": {"spark.hadoop.fs.s3a.secret.key": "abc", "spark.sql.shuffle.partitions": "200", "fs.s3a.access.key": "AKIAIOSFODNN7EXAMPLE"},
            "docker_image": {"url": "repo/image", "basic_auth": {"username": "u", "password": "p"}},
            "init_scripts": [{"s3": {"destination": "s3://bucket/init.sh", "region": "us-east-1"}}, {"file": {"destination": "https://u:pw@host/x.sh"}}],
            "parameters": ["--token=dapi0123456789abcdef0123456789abcdef", "--day", "2026-01-01", "https://host/a@b"],
            "next_page_token": "t", "task_key": "main", "job_cluster_key": "small", "api_token": null,
        });
        let count = redact(&mut value);
        let text = value.to_string();
        for secret in ["etl", "abc", "AKIA", "\"p\"", "u:pw", "dapi"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        for kept in [
            "200",
            "repo/image",
            "s3://bucket/init.sh",
            "2026-01-01",
            "host/x.sh",
            "https://host/a@b",
            "\"t\"",
            "main",
            "small",
            "DB_USER",
        ] {
            assert!(text.contains(kept), "{kept} not in {text}");
        }
        assert_eq!(count, 7);
        assert_eq!(redact(&mut value), 0, "what is clean stays as it is");
    }
}
