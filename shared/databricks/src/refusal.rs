//! Reads the platform's error answers, in all the shapes they come in, and gives them their class.

use serde_json::Value;

use crate::error::{Error, Refusal, Target};
use crate::request::Missing;
use crate::secret::Secret;
use crate::transport::Answer;

/// The longest message kept, in characters.
const MESSAGE_LIMIT: usize = 500;

/// A text without control characters and secrets, cut to `limit` characters. Runs of white space become one space.
pub(crate) fn clean(text: &str, limit: usize, secrets: &[Secret]) -> String {
    let mut text = text.to_owned();
    for secret in secrets
        .iter()
        .map(Secret::expose)
        .filter(|secret| !secret.is_empty())
    {
        text = text.replace(secret, "[redacted]");
    }
    let mut cleaned = String::new();
    for word in text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
    {
        if !cleaned.is_empty() {
            cleaned.push(' ');
        }
        cleaned.push_str(word);
        if cleaned.len() > limit.saturating_mul(4) {
            break;
        }
    }
    match cleaned.char_indices().nth(limit) {
        Some((end, _)) => cleaned.get(..end).unwrap_or_default().to_owned(),
        None => cleaned,
    }
}

/// The error of an answer whose status is not a success.
pub(crate) fn refused(
    answer: &Answer,
    target: Box<Target>,
    missing: Missing,
    secrets: &[Secret],
) -> Error {
    if (300..400).contains(&answer.status) {
        return redirected(answer, target, secrets);
    }
    let (code, message) = parse(&answer.body);
    let refusal = Refusal {
        status: answer.status,
        error_code: clean(&code, 80, secrets),
        message: clean(&message, MESSAGE_LIMIT, secrets),
        retry_after: answer.retry_after,
    };
    classify(refusal, target, missing)
}

/// The error of the token endpoint, which has its own vocabulary (RFC 6749 section 5.2, and `errorCode`,
/// databricks-sdk-py 0.156.0 `oauth.py`).
pub(crate) fn token_refused(answer: &Answer, target: Box<Target>, secrets: &[Secret]) -> Error {
    let error = refused(answer, target, Missing::Status, secrets);
    match error {
        Error::BadRequest { target, refusal }
            if matches!(
                refusal.error_code.as_str(),
                "invalid_client" | "invalid_grant" | "unauthorized_client" | "access_denied"
            ) =>
        {
            Error::Unauthenticated { target, refusal }
        }
        other => other,
    }
}

fn redirected(answer: &Answer, target: Box<Target>, secrets: &[Secret]) -> Error {
    let location = answer.location.as_deref().unwrap_or("nowhere");
    if location.contains("login.html") && location.contains("error=private-link-validation-error") {
        return Error::PrivateLinkBlocked { target };
    }
    let bare = location.split(['?', '#']).next().unwrap_or_default();
    Error::Redirected {
        target,
        status: answer.status,
        location: clean(bare, 200, secrets),
    }
}

/// The `error_code` and the message of an error body (databricks-sdk-py 0.156.0, `errors/deserializer.py`).
fn parse(body: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if let Ok(Value::Object(object)) = serde_json::from_str::<Value>(text) {
        let get = |name: &str| match object.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        // SCIM: {"detail", "status", "scimType"}.
        if let Some(detail) = get("detail").filter(|_| !object.contains_key("message")) {
            let code = get("status")
                .map(|status| format!("SCIM_{status}"))
                .unwrap_or_default();
            let kind = get("scimType")
                .map(|kind| format!("{kind} "))
                .unwrap_or_default();
            return (code, format!("{kind}{detail}"));
        }
        // Token endpoint: {"error", "error_description"} or {"errorCode", "errorSummary"}.
        if let Some(description) = get("error_description") {
            return (get("error").unwrap_or_default(), description);
        }
        if let Some(code) = get("errorCode") {
            return (code, get("errorSummary").unwrap_or_default());
        }
        let code = get("error_code").unwrap_or_default();
        return match (get("message"), get("error")) {
            (Some(message), _) => (code, message),
            // API 1.2: {"error": "..."}; a token endpoint's code without a description looks the same.
            (None, Some(error)) if code.is_empty() && is_code(&error) => (error, String::new()),
            (None, error) => (code, error.unwrap_or_default()),
        };
    }
    for (open, close) in [("<pre>", "</pre>"), ("<title>", "</title>")] {
        let inner = text
            .split_once(open)
            .and_then(|(_, rest)| rest.split_once(close))
            .map(|(inner, _)| inner.trim());
        if let Some(inner) = inner.filter(|inner| !inner.is_empty()) {
            return (String::new(), inner.to_owned());
        }
    }
    // "ERROR_CODE: message".
    if let Some((code, message)) = text.split_once(':')
        && code.len() > 2
        && code
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    {
        return (code.to_owned(), message.trim().to_owned());
    }
    (String::new(), text.to_owned())
}

fn is_code(text: &str) -> bool {
    text.contains('_') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `error_code` wins over the status (databricks-sdk-py 0.156.0, `errors/platform.py`).
fn classify(refusal: Refusal, target: Box<Target>, missing: Missing) -> Error {
    let status = refusal.status;
    if is_missing(&refusal, missing) {
        return Error::NotFound {
            target,
            refusal: Box::new(refusal),
        };
    }
    // SCIM answers a throttled call with 500 and this text (databricks-sdk-go 0.175.0, `apierr`).
    let throttled = refusal.message.contains("REQUEST_LIMIT_EXCEEDED");
    let code = refusal.error_code.clone();
    let refusal = Box::new(refusal);
    match code.as_str() {
        _ if throttled => Error::Throttled { target, refusal },
        "RESOURCE_EXHAUSTED" | "REQUEST_LIMIT_EXCEEDED" => Error::Throttled { target, refusal },
        "INVALID_STATE" => Error::InvalidState { target, refusal },
        "RESOURCE_DOES_NOT_EXIST" => Error::NotFound { target, refusal },
        "ABORTED" | "ALREADY_EXISTS" | "RESOURCE_ALREADY_EXISTS" => {
            Error::Conflict { target, refusal }
        }
        "INVALID_PARAMETER_VALUE" if status < 500 => Error::BadRequest { target, refusal },
        _ => match status {
            401 => Error::Unauthenticated { target, refusal },
            403 => Error::Forbidden { target, refusal },
            404 => Error::NotFound { target, refusal },
            409 => Error::Conflict { target, refusal },
            429 => Error::Throttled { target, refusal },
            500.. => Error::Http5xx { target, refusal },
            _ => Error::BadRequest { target, refusal },
        },
    }
}

/// Whether a 400 means "there is no such object" (databricks-sdk-py 0.156.0, `errors/overrides.py`; for clusters also
/// what terraform-provider-databricks knows of purged ones).
fn is_missing(refusal: &Refusal, missing: Missing) -> bool {
    if refusal.status != 400 {
        return false;
    }
    let message = refusal.message.as_str();
    let after = |start: &str, end: &str| {
        message
            .split_once(start)
            .is_some_and(|(_, rest)| rest.split_once(' ').is_some_and(|_| rest.contains(end)))
    };
    let invalid_value = refusal.error_code == "INVALID_PARAMETER_VALUE";
    let invalid_state = refusal.error_code == "INVALID_STATE";
    match missing {
        Missing::Status => false,
        Missing::Job => invalid_value && after("Job ", "does not exist"),
        Missing::Run => {
            invalid_value
                && (after("Run ", "does not exist")
                    || (after("Run: ", "doesn't exist") && message.contains("in job: ")))
        }
        Missing::Cluster => (invalid_value || invalid_state) && after("Cluster ", "does not exist"),
        Missing::ClusterRead => {
            invalid_state || (invalid_value && after("Cluster ", "does not exist"))
        }
        Missing::Permissions => message.contains("Cannot access cluster"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(status: u16, body: &str, missing: Missing) -> Error {
        let answer = Answer {
            status,
            content_type: None,
            retry_after: None,
            location: None,
            workspace_id: None,
            body: body.as_bytes().to_vec(),
        };
        refused(
            &answer,
            Box::new(Target {
                operation: "test",
                object: String::new(),
                host: "h".into(),
            }),
            missing,
            &[Secret::new("s3cret")],
        )
    }

    fn case(status: u16, body: &str) -> (&'static str, String, String) {
        let error = error_of(status, body, Missing::Status);
        let refusal = error.refusal().unwrap();
        (
            error.name(),
            refusal.error_code.clone(),
            refusal.message.clone(),
        )
    }

    #[test]
    fn reads_every_shape() {
        for (status, body, name, code, message) in [
            (
                400,
                r#"{"error_code":"INVALID_PARAMETER_VALUE","message":"m"}"#,
                "BadRequest",
                "INVALID_PARAMETER_VALUE",
                "m",
            ),
            (
                400,
                r#"{"error_code":1000,"message":"m"}"#,
                "BadRequest",
                "1000",
                "m",
            ),
            (
                400,
                r#"{"error_code":"INVALID_STATE","message":"m"}"#,
                "InvalidState",
                "INVALID_STATE",
                "m",
            ),
            (
                400,
                r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"m"}"#,
                "NotFound",
                "RESOURCE_DOES_NOT_EXIST",
                "m",
            ),
            (
                400,
                r#"{"error_code":"RESOURCE_ALREADY_EXISTS","message":"m"}"#,
                "Conflict",
                "RESOURCE_ALREADY_EXISTS",
                "m",
            ),
            (
                400,
                r#"{"error_code":"RESOURCE_EXHAUSTED","message":"m"}"#,
                "Throttled",
                "RESOURCE_EXHAUSTED",
                "m",
            ),
            (
                500,
                r#"{"error_code":"X","message":"REQUEST_LIMIT_EXCEEDED y"}"#,
                "Throttled",
                "X",
                "REQUEST_LIMIT_EXCEEDED y",
            ),
            (
                400,
                r#"{"error":"old style"}"#,
                "BadRequest",
                "",
                "old style",
            ),
            (
                403,
                r#"{"detail":"d","status":"403","scimType":"t"}"#,
                "Forbidden",
                "SCIM_403",
                "t d",
            ),
            (
                404,
                r#"{"detail":"d","status":404}"#,
                "NotFound",
                "SCIM_404",
                "d",
            ),
            (
                404,
                "ENDPOINT_NOT_FOUND: nothing here",
                "NotFound",
                "ENDPOINT_NOT_FOUND",
                "nothing here",
            ),
            (
                503,
                "<html><pre>\nbusy </pre></html>",
                "Http5xx",
                "",
                "busy",
            ),
            (
                502,
                "<html><head><title>502 Bad Gateway</title></head></html>",
                "Http5xx",
                "",
                "502 Bad Gateway",
            ),
            (401, "", "Unauthenticated", "", ""),
            (409, "{}", "Conflict", "", ""),
            (429, "[]", "Throttled", "", "[]"),
            (418, "tea", "BadRequest", "", "tea"),
        ] {
            assert_eq!(
                case(status, body),
                (name, code.to_owned(), message.to_owned()),
                "{status} {body}"
            );
        }
    }

    #[test]
    fn missing_objects_also_come_as_400() {
        let value = |message: &str| {
            format!(r#"{{"error_code":"INVALID_PARAMETER_VALUE","message":"{message}"}}"#)
        };
        for (missing, body) in [
            (Missing::Job, value("Job 5 does not exist.")),
            (Missing::Run, value("Run 5 does not exist.")),
            (Missing::Run, value("Run: 5 in job: 6 doesn't exist.")),
            (Missing::Cluster, value("Cluster 0-a does not exist")),
            (
                Missing::ClusterRead,
                r#"{"error_code":"INVALID_STATE","message":"purged"}"#.to_owned(),
            ),
            (
                Missing::Permissions,
                r#"{"message":"Cannot access cluster 0-a"}"#.to_owned(),
            ),
        ] {
            assert_eq!(error_of(400, &body, missing).name(), "NotFound", "{body}");
            assert_ne!(
                error_of(400, &body, Missing::Status).name(),
                "NotFound",
                "{body}"
            );
        }
        let start = r#"{"error_code":"INVALID_STATE","message":"Cluster 1 is in unexpected state Running."}"#;
        assert_eq!(
            error_of(400, start, Missing::Cluster).name(),
            "InvalidState"
        );
        assert_eq!(
            error_of(400, &value("Invalid limit 27"), Missing::Job).name(),
            "BadRequest"
        );
    }

    #[test]
    fn messages_are_bounded_and_clean() {
        let long = format!(
            r#"{{"message":"a\u0007\u001b[31m\n b s3cret {}"}}"#,
            "x".repeat(2000)
        );
        let (_, _, message) = case(400, &long);
        assert!(message.starts_with("a [31m b [redacted] xxx"), "{message}");
        assert_eq!(message.chars().count(), 500);
        assert_eq!(clean("ääääääää", 3, &[]), "äää");
    }
}
