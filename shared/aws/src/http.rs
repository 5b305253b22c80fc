//! Requests to a function URL (payload format 2.0), and answers to them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Failure;
use crate::serve::parse;

/// A request to a function URL.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRequest {
    /// The path, beginning with a slash.
    #[serde(default)]
    pub raw_path: String,
    /// The headers, their names in lower case.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    request_context: Context,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct Context {
    http: Http,
    #[serde(default)]
    authorizer: Option<Authorizer>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    method: String,
    #[serde(default)]
    source_ip: String,
    #[serde(default)]
    user_agent: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Authorizer {
    iam: Option<Iam>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Iam {
    user_arn: String,
}

/// Why a body cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadBody {
    /// It is longer than allowed.
    TooLong,
    /// It is no text.
    NoText,
}

impl HttpRequest {
    /// Whether an event came by a function URL.
    #[must_use]
    pub fn is_one(event: &Value) -> bool {
        event.pointer("/requestContext/http").is_some()
    }

    /// Reads the event.
    ///
    /// # Errors
    /// `InvalidEvent`.
    pub fn read(event: Value) -> Result<Self, Failure> {
        parse(event)
    }

    /// The method, as it was sent.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.request_context.http.method
    }

    /// A header by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The caller's address.
    #[must_use]
    pub fn source_ip(&self) -> &str {
        &self.request_context.http.source_ip
    }

    /// The browser, as it calls itself.
    #[must_use]
    pub fn user_agent(&self) -> &str {
        &self.request_context.http.user_agent
    }

    /// The principal that AWS vouches for, if the URL asks for a signature.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        let iam = self.request_context.authorizer.as_ref()?.iam.as_ref()?;
        Some(iam.user_arn.as_str()).filter(|arn| arn.starts_with("arn:"))
    }

    /// The body as text, of at most `longest` bytes.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn text(&self, longest: usize) -> Result<String, BadBody> {
        let body = self.body.as_deref().unwrap_or_default();
        // Base64 takes four bytes for three: what is longer is refused before it is decoded.
        if body.len() > longest.saturating_mul(4).div_ceil(3).saturating_add(4) {
            return Err(BadBody::TooLong);
        }
        let bytes = if self.is_base64_encoded {
            STANDARD.decode(body).map_err(|_| BadBody::NoText)?
        } else {
            body.as_bytes().to_vec()
        };
        if bytes.len() > longest {
            return Err(BadBody::TooLong);
        }
        String::from_utf8(bytes).map_err(|_| BadBody::NoText)
    }
}

/// The answer of a function URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpAnswer {
    /// The status.
    pub status_code: u16,
    /// The headers.
    pub headers: BTreeMap<&'static str, String>,
    /// The body, text.
    pub body: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(body: &str, base64: bool) -> HttpRequest {
        HttpRequest::read(json!({"requestContext": {"http": {"method": "POST"}}, "body": body, "isBase64Encoded": base64}))
            .unwrap()
    }

    #[test]
    fn a_body_comes_as_text_or_in_base64_and_within_its_limit() {
        assert_eq!(request("a=b", false).text(3), Ok("a=b".to_owned()));
        assert_eq!(request("YT1i", true).text(3), Ok("a=b".to_owned()));
        assert_eq!(request("a=bc", false).text(3), Err(BadBody::TooLong));
        assert_eq!(request("YT1iYw==", true).text(3), Err(BadBody::TooLong));
        assert_eq!(
            request(&"x".repeat(1_000_000), true).text(100),
            Err(BadBody::TooLong)
        );
        assert_eq!(request("/w==", true).text(3), Err(BadBody::NoText));
        assert_eq!(request("?", true).text(3), Err(BadBody::NoText));
    }
}
