//! Secrets and the credentials made of them.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde::Deserialize;

/// A text that is never shown: `Debug` is redacted, there is no `Display` and no `Serialize`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The hidden text, for the one place that sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

type Issue = dyn Fn() -> BoxFuture<'static, Result<Secret, String>> + Send + Sync;

/// Who issues the tokens that tell a workspace who we are: AWS, for the role of a function. Two are the same if they are
/// clones of one.
#[derive(Clone)]
pub struct IdentitySource(Arc<Issue>);

impl IdentitySource {
    /// A source that calls `issue` for each token; it says in words why it has none, without any secret.
    #[must_use]
    pub fn new(
        issue: impl Fn() -> BoxFuture<'static, Result<Secret, String>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(issue))
    }

    pub(crate) async fn issue(&self) -> Result<Secret, String> {
        (self.0)().await
    }
}

impl PartialEq for IdentitySource {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for IdentitySource {}

impl fmt::Debug for IdentitySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentitySource")
    }
}

/// How the client signs in to a workspace. `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A personal access token, sent as it is (databricks-sdk-py 0.156.0, `pat_auth`).
    Token(Secret),
    /// A service principal's OAuth secret; exchanged for tokens that live about an hour
    /// (databricks-sdk-py 0.156.0, `oauth.py`: client credentials flow).
    ClientSecret {
        /// The application id of the service principal.
        client_id: String,
        /// The OAuth secret of the service principal.
        client_secret: Secret,
    },
    /// A token that AWS issues for this function's role, exchanged at the workspace for one of its own
    /// (databricks-sdk-py 0.156.0, `oidc.py`: token exchange; the service principal has a federation policy for the role).
    Federated {
        /// The application id of the service principal.
        client_id: String,
        /// Who issues the token.
        identity: IdentitySource,
        /// Takes over when there is no token, or the workspace refuses it.
        fallback: Option<Secret>,
    },
}

impl Credential {
    /// The name of the way of signing in, as the SDKs put it in the User-Agent.
    pub(crate) fn auth_name(&self) -> &'static str {
        match self {
            Self::Token(_) => "pat",
            Self::ClientSecret { .. } => "oauth-m2m",
            // As the SDKs name a custom source of tokens (databricks-sdk-py 0.156.0, `credentials_provider.py`).
            Self::Federated { .. } => "env-oidc",
        }
    }

    /// The secrets that it holds.
    pub(crate) fn secrets(&self) -> Option<&Secret> {
        match self {
            Self::Token(secret)
            | Self::ClientSecret {
                client_secret: secret,
                ..
            } => Some(secret),
            Self::Federated { fallback, .. } => fallback.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let token = Credential::Token(Secret::new("dapi-hidden"));
        let client = Credential::ClientSecret {
            client_id: "app".into(),
            client_secret: Secret::new("dose-hidden"),
        };
        assert!(!format!("{token:?} {token:#?} {client:?}").contains("hidden"));
        assert!(format!("{client:?}").contains("app"));
    }
}
