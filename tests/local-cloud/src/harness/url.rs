//! Function URLs: each has a port of its own and invokes its function with an event of payload format 2.0.
//!
//! A body is handed over as Lambda does: text for text and JSON, base64 for all else, forms included. No check of who asks: this
//! is loopback, so a URL that wants a signature names no principal.

use std::sync::{Arc, Weak};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::{Harness, locked};

#[derive(Clone)]
struct Door {
    // Weak: the listener must not keep the harness alive after the cloud is gone.
    harness: Weak<Harness>,
    function: String,
}

pub(super) async fn serve(harness: &Arc<Harness>, function: &str) -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let door = Door {
        harness: Arc::downgrade(harness),
        function: function.to_owned(),
    };
    let router = Router::new()
        .fallback(|State(door): State<Door>, request: Request| async move {
            answer(door, request).await
        })
        .with_state(door);
    tokio::spawn(async move { drop(axum::serve(listener, router).await) });
    locked(&harness.urls).insert(function.to_owned(), url.clone());
    Ok(url)
}

async fn answer(door: Door, request: Request) -> Response {
    let failed = |status: StatusCode, reason: &str| (status, reason.to_owned()).into_response();
    let Some(harness) = door.harness.upgrade() else {
        return failed(StatusCode::SERVICE_UNAVAILABLE, "the local cloud has ended");
    };
    let Some(control) = harness.control.get() else {
        return failed(
            StatusCode::SERVICE_UNAVAILABLE,
            "the local cloud is starting",
        );
    };
    let Some(event) = event(request).await else {
        return failed(
            StatusCode::PAYLOAD_TOO_LARGE,
            "a header is no text, or the body has more than 6 MB",
        );
    };
    let arguments =
        json!({ "function": door.function, "payload": event, "region": harness.region });
    let Ok(result) = control.call::<Value>("invoke", &arguments).await else {
        return failed(StatusCode::BAD_GATEWAY, "the function could not be invoked");
    };
    if result
        .get("function_error")
        .is_some_and(|error| !error.is_null())
    {
        return failed(StatusCode::BAD_GATEWAY, "Internal Server Error");
    }
    respond(result.get("payload").unwrap_or(&Value::Null))
}

/// The event for a request; nothing if Lambda would refuse it.
pub async fn event(request: Request) -> Option<Value> {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, 6 * 1024 * 1024).await.ok()?.to_vec();
    let content = parts.headers.get("content-type");
    let content = content.and_then(|value| value.to_str().ok());
    let (body, base64) = match (is_text(content.unwrap_or_default()), bytes) {
        (true, bytes) => (String::from_utf8(bytes).ok()?, false),
        (false, bytes) if bytes.is_empty() => (String::new(), false),
        (false, bytes) => (STANDARD.encode(bytes), true),
    };
    let mut headers = Map::new();
    let mut cookies = Vec::new();
    for (name, value) in &parts.headers {
        let value = value.to_str().ok()?;
        if name == "cookie" {
            cookies.extend(value.split(';').map(|cookie| Value::from(cookie.trim())));
            continue;
        }
        let joined = match headers.get(name.as_str()).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value.to_owned(),
        };
        headers.insert(name.to_string(), Value::from(joined));
    }
    let query = parts.uri.query().unwrap_or_default();
    let parameters: Map<String, Value> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), Value::from(decoded(value))))
        .collect();
    let now = Timestamp::now();
    let path = parts.uri.path();
    Some(json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "cookies": cookies,
        "headers": headers,
        "queryStringParameters": parameters,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": headers.get("host"),
            "domainPrefix": "local",
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": headers.get("user-agent").and_then(Value::as_str).unwrap_or_default(),
            },
            "requestId": format!("url-{}", now.as_nanosecond()),
            "routeKey": "$default",
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.as_millisecond(),
        },
        "body": body,
        "isBase64Encoded": base64,
    }))
}

fn is_text(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.starts_with("text/")
        || [
            "application/json",
            "application/javascript",
            "application/xml",
        ]
        .contains(&kind)
}

/// Decodes a part of a query string.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            (other, _) => {
                bytes.push(*other);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The function's answer as HTTP: an object with a statusCode, or any JSON as the body of a 200.
#[must_use]
pub fn respond(payload: &Value) -> Response {
    let Some(status) = payload.get("statusCode").and_then(Value::as_u64) else {
        return ([("content-type", "application/json")], payload.to_string()).into_response();
    };
    let status = u16::try_from(status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok());
    let body = payload
        .get("body")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let mut response = (status.unwrap_or(StatusCode::BAD_GATEWAY), body).into_response();
    let pairs = payload
        .get("headers")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    for (name, value) in pairs {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        if let (Ok(name), Ok(value)) = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::try_from(text),
        ) {
            response.headers_mut().insert(name, value);
        }
    }
    for cookie in payload
        .get("cookies")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if let Some(Ok(value)) = cookie.as_str().map(HeaderValue::try_from) {
            response.headers_mut().append("set-cookie", value);
        }
    }
    response
}
