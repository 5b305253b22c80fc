//! Credentials: the personal token, OAuth for machines, and their being revoked.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::federation::{self, Policies};
use crate::error::ApiError;
use crate::json;
use crate::server::{MAX_BODY, Shared};

/// The one personal access token.
const PERSONAL: &str = "sim-token";
/// `sim-client:sim-secret` in Base64, as HTTP Basic sends it.
const CLIENT: &str = "c2ltLWNsaWVudDpzaW0tc2VjcmV0";
const LIFETIME: Duration = Duration::from_secs(3600);
pub(crate) const PERSON: &str = "sim-admin@workspace.invalid";
pub(crate) const MACHINE: &str = "sim-client";

/// What the workspace thinks of its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    #[default]
    Ok,
    Revoked,
    Forbidden,
}

/// Issued tokens and the callers' standing.
#[derive(Debug, Default)]
pub(crate) struct Access {
    pub(crate) standing: Standing,
    /// The federation policies of the service principal; none at first.
    pub(crate) federation: Option<Policies>,
    tokens: HashMap<String, Instant>,
    issued: u64,
}

impl Access {
    fn issue(&mut self) -> String {
        self.issued += 1;
        let now = Instant::now();
        self.tokens.retain(|_, ends| *ends > now);
        let token = format!(
            "sim-oauth-{}",
            json::hex(json::hash(&["token", &self.issued.to_string()]), 24)
        );
        self.tokens.insert(token.clone(), now + LIFETIME);
        token
    }

    /// Ends every token issued so far.
    pub(crate) fn expire(&mut self) {
        self.tokens.clear();
    }

    fn known(&self, headers: &HeaderMap) -> Option<&'static str> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let token = value.strip_prefix("Bearer ")?;
        if token == PERSONAL {
            return Some(PERSON);
        }
        self.tokens
            .get(token)
            .filter(|ends| **ends > Instant::now())
            .map(|_| MACHINE)
    }

    /// Who is calling.
    pub(crate) fn user(&self, headers: &HeaderMap) -> String {
        self.known(headers).unwrap_or_default().to_owned()
    }

    /// Refuses callers without valid credentials, or all of them.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        match self.standing {
            Standing::Forbidden => Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "PERMISSION_DENIED",
                "The caller does not have permission to use this workspace.",
            )),
            Standing::Ok if self.known(headers).is_some() => Ok(()),
            _ => Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "UNAUTHENTICATED",
                "Credential was not sent, has expired or is not valid for this workspace.",
            )),
        }
    }
}

pub(crate) fn routes(router: Router<Shared>) -> Router<Shared> {
    router.route("/oidc/v1/token", post(token)).route(
        "/oidc/.well-known/oauth-authorization-server",
        get(discovery),
    )
}

async fn discovery(request: Request) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .unwrap_or("localhost");
    let base = format!("http://{host}/oidc");
    axum::Json(json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}/v1/authorize"),
        "token_endpoint": format!("{base}/v1/token"),
        "grant_types_supported": ["client_credentials", federation::GRANT],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    }))
    .into_response()
}

async fn token(State(sim): State<Shared>, request: Request) -> Response {
    let refuse = |status: StatusCode, error: &str, description: &str| {
        (
            status,
            axum::Json(json!({"error": error, "error_description": description})),
        )
            .into_response()
    };
    let basic = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok());
    let known = basic
        .and_then(|v| v.strip_prefix("Basic "))
        .is_some_and(|v| v == CLIENT);
    let body = to_bytes(request.into_body(), MAX_BODY)
        .await
        .unwrap_or_default();
    let form = format!("/?{}", String::from_utf8_lossy(&body)).parse::<Uri>();
    let form = form.map(|uri| super::query(&uri)).unwrap_or_default();
    let field = |name: &str| {
        form.iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    };
    // An exchange needs no client authentication: the policy of the service principal decides.
    let exchange = field("grant_type") == Some(federation::GRANT);
    if !(known || exchange) || sim.access().standing == Standing::Revoked {
        return refuse(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "Client authentication failed",
        );
    }
    match field("grant_type") {
        Some("client_credentials") => {}
        Some(_) if exchange => {
            let policies = sim.access().federation.clone();
            let checked = match &policies {
                Some(policies) if field("client_id") == Some(MACHINE) => {
                    policies.check(field, jiff::Timestamp::now().as_second())
                }
                _ => Err("the service principal has no federation policy"),
            };
            if let Err(why) = checked {
                return refuse(StatusCode::BAD_REQUEST, "invalid_grant", why);
            }
        }
        Some(_) => {
            let text = "Only client_credentials and token-exchange are supported";
            return refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type", text);
        }
        None => {
            return refuse(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "Missing grant_type",
            );
        }
    }
    let scope = field("scope").unwrap_or("all-apis").to_owned();
    let token = sim.access().issue();
    axum::Json(json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": LIFETIME.as_secs(),
        "scope": scope,
    }))
    .into_response()
}
