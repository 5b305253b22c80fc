//! Who this function is, in a token that others can check: issued by STS for its role.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_sdk_sts::Client;
use recovery::failure::FailureName;

use crate::Failure;
use crate::failure::aws_failure;

/// Whom the tokens are for, as Databricks documents it for AWS roles.
const AUDIENCE: &str = "databricks";
/// Databricks takes RS256 and ES256, STS issues RS256 and ES384.
const ALGORITHM: &str = "RS256";
/// STS's own default, and the most that the functions' roles may ask for.
const SECONDS: i32 = 300;
/// A token that ends sooner is not handed out again.
const LEFT: Duration = Duration::from_secs(60);

/// The port.
#[async_trait]
pub trait IdentityTokens: Send + Sync {
    /// A token that is good for another minute at least.
    async fn token(&self) -> Result<String, Failure>;
}

/// The adapter to STS of the function's own region: the global endpoint has no such call.
pub struct StsIdentity {
    client: Client,
    kept: Mutex<Option<(String, SystemTime)>>,
}

impl StsIdentity {
    /// Asks through this client.
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self {
            client,
            kept: Mutex::new(None),
        }
    }
}

#[async_trait]
impl IdentityTokens for StsIdentity {
    async fn token(&self) -> Result<String, Failure> {
        let kept = self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some((token, _)) = kept.filter(|(_, ends)| SystemTime::now() + LEFT < *ends) {
            return Ok(token);
        }
        let answer = self
            .client
            .get_web_identity_token()
            .audience(AUDIENCE)
            .signing_algorithm(ALGORITHM)
            .duration_seconds(SECONDS)
            .send()
            .await
            .map_err(aws_failure!("asking STS for an identity token"))?;
        let token = answer
            .web_identity_token()
            .ok_or_else(|| Failure::internal("STS gave no identity token"))?;
        let ends = answer
            .expiration()
            .and_then(|time| SystemTime::try_from(*time).ok());
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) =
            ends.map(|ends| (token.to_owned(), ends));
        Ok(token.to_owned())
    }
}

/// The in-memory twin: an account without outbound federation. With one, `tests/local-cloud` signs real tokens.
pub struct MemoryIdentity;

#[async_trait]
impl IdentityTokens for MemoryIdentity {
    async fn token(&self) -> Result<String, Failure> {
        Err(Failure::new(
            FailureName::AccessDenied,
            "outbound web identity federation is disabled",
        ))
    }
}
