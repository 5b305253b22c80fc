//! Federation policies: tokens of another issuer, exchanged for the workspace's own (databricks-sdk-py 0.156.0, `oidc.py`;
//! the rules are those of Databricks' pages on token federation).

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

pub(crate) const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";

/// The policies of the one service principal: an issuer, for whom its tokens must be, and about whom.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policies {
    issuer: String,
    audiences: Vec<String>,
    /// One policy for each subject; Databricks allows 20 for a service principal.
    subjects: Vec<String>,
    /// The issuer's keys; Databricks fetches them from the issuer.
    jwks: Keys,
}

#[derive(Clone, Debug, Deserialize)]
struct Keys {
    keys: Vec<Key>,
}

/// A public key for RS256. Databricks takes ES256 too; AWS does not issue it.
#[derive(Clone, Debug, Deserialize)]
struct Key {
    kid: String,
    n: String,
    e: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Value,
    sub: String,
    exp: i64,
}

fn decoded(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

impl Policies {
    /// Whether the service principal may have a token for this form at this second, or why not.
    pub(crate) fn check<'a>(
        &self,
        field: impl Fn(&str) -> Option<&'a str>,
        now: i64,
    ) -> Result<(), &'static str> {
        if field("subject_token_type") != Some(TOKEN_TYPE) {
            return Err("subject_token_type must be a jwt");
        }
        let token = field("subject_token").ok_or("subject_token is missing")?;
        let claims = self.verified(token)?;
        let audiences = match &claims.aud {
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
            one => Vec::from_iter(one.as_str()),
        };
        if claims.iss != self.issuer {
            return Err("no federation policy has this issuer");
        }
        if claims.exp <= now {
            return Err("subject_token has expired");
        }
        if !audiences
            .iter()
            .any(|one| self.audiences.iter().any(|a| a == one))
        {
            return Err("no federation policy has this audience");
        }
        if !self.subjects.contains(&claims.sub) {
            return Err("no federation policy has this subject");
        }
        Ok(())
    }

    /// The claims of a token that the issuer has signed.
    fn verified(&self, token: &str) -> Result<Claims, &'static str> {
        let (signed, signature) = token.rsplit_once('.').ok_or("subject_token is no jwt")?;
        let (header, claims) = signed.split_once('.').ok_or("subject_token is no jwt")?;
        let header: Header = decoded(header)
            .and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or("subject_token is no jwt")?;
        if header.alg != "RS256" {
            return Err("subject_token must be signed with RS256");
        }
        let key = self.jwks.keys.iter().find(|key| key.kid == header.kid);
        let key = key.ok_or("subject_token is signed with an unknown key")?;
        let parts = decoded(&key.n).zip(decoded(&key.e)).zip(decoded(signature));
        let ((n, e), signature) = parts.ok_or("subject_token is no jwt")?;
        RsaPublicKeyComponents { n, e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
            .map_err(|_| "the signature of subject_token is wrong")?;
        decoded(claims)
            .and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or("subject_token lacks a claim")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(token: &str) -> Result<(), &'static str> {
        let policies: Policies = serde_json::from_value(json!({
            "issuer": "https://issuer", "audiences": ["databricks"], "subjects": ["role"],
            "jwks": {"keys": [{"kid": "k", "n": "AQAB", "e": "AQAB"}]},
        }))
        .unwrap();
        let field = |name: &str| match name {
            "subject_token" => Some(token),
            "subject_token_type" => Some(TOKEN_TYPE),
            _ => None,
        };
        policies.check(field, 0)
    }

    fn token(header: Value) -> String {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({"iss": "https://issuer", "aud": "databricks", "sub": "role", "exp": 9_000_000_000_i64});
        format!(
            "{}.{}.{}",
            part(header),
            part(claims),
            URL_SAFE_NO_PAD.encode("signature")
        )
    }

    #[test]
    fn an_unsigned_or_badly_signed_token_opens_nothing() {
        for (header, why) in [
            (
                json!({"alg": "none"}),
                "subject_token must be signed with RS256",
            ),
            (
                json!({"alg": "HS256", "kid": "k"}),
                "subject_token must be signed with RS256",
            ),
            (
                json!({"alg": "RS256", "kid": "other"}),
                "subject_token is signed with an unknown key",
            ),
            (
                json!({"alg": "RS256", "kid": "k"}),
                "the signature of subject_token is wrong",
            ),
        ] {
            assert_eq!(check(&token(header)), Err(why));
        }
        assert_eq!(check("a.b"), Err("subject_token is no jwt"));
        assert_eq!(check("eyJ"), Err("subject_token is no jwt"));
    }
}
