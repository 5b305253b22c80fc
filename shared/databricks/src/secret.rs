//! Secrets and the credentials made of them.

use std::fmt;

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
}

impl Credential {
    /// The name of the way of signing in, as the SDKs put it in the User-Agent.
    pub(crate) fn auth_name(&self) -> &'static str {
        match self {
            Self::Token(_) => "pat",
            Self::ClientSecret { .. } => "oauth-m2m",
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
