//! Identifiers of the objects of a workspace, one type for each, so that none is taken for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::Error;

/// The number of a workspace, as in the response header `X-Databricks-Org-Id`
/// (databricks-sdk-py 0.156.0, `mixins/files.py`).
///
/// Reads a JSON number or a string of digits, writes a string: ids exceed what a JavaScript number holds exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkspaceId(u64);

impl WorkspaceId {
    /// Takes the number as it is.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for WorkspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for WorkspaceId {
    type Err = Error;

    /// Reads decimal digits. Any other text is [`Error::InvalidInput`].
    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || {
            Error::InvalidInput {
            what: "workspace id",
            reason: "it is not a decimal number of at most 64 bits; copy it from the workspace's URL (?o=...)".into(),
        }
        };
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        text.parse().map(Self).map_err(|_| invalid())
    }
}

impl Serialize for WorkspaceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WorkspaceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = WorkspaceId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a workspace id: a number or a string of digits")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<WorkspaceId, E> {
                Ok(WorkspaceId(number))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<WorkspaceId, E> {
                u64::try_from(number).map(WorkspaceId).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<WorkspaceId, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text of the id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    };
}

number_id!(
    /// A job: `job_id` of the Jobs API 2.2.
    JobId
);
number_id!(
    /// A run of a job: `run_id` of the Jobs API 2.2.
    RunId
);
text_id!(
    /// A cluster: `cluster_id` of the Clusters API 2.1.
    ClusterId
);
text_id!(
    /// An instance pool: `instance_pool_id` of the Instance Pools API 2.0.
    PoolId
);
text_id!(
    /// A SQL warehouse: `id` of the SQL Warehouses API 2.0.
    WarehouseId
);
text_id!(
    /// A pipeline: `pipeline_id` of the Pipelines API 2.0.
    PipelineId
);
text_id!(
    /// A SQL statement: `statement_id` of the Statement Execution API 2.0.
    StatementId
);
text_id!(
    /// An update (one execution) of a pipeline: `update_id` of the Pipelines API 2.0.
    PipelineUpdateId
);

/// What makes two `jobs/run-now` requests one: the platform starts exactly one run for a token
/// (databricks-sdk-py 0.156.0, `jobs.run_now`). Its lifetime is not documented.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct IdempotencyToken(String);

impl IdempotencyToken {
    /// The longest token the platform takes, in characters.
    pub const MAX_LENGTH: usize = 64;

    /// Checks a token: 1 to 64 visible ASCII characters, otherwise [`Error::InvalidInput`].
    pub fn new(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        let reason = if text.is_empty() {
            "it is empty".to_owned()
        } else if text.len() > Self::MAX_LENGTH {
            format!(
                "it has {} bytes, at most 64 are allowed; send a hash",
                text.len()
            )
        } else if !text.bytes().all(|b| b.is_ascii_graphic()) {
            "it has characters that are not visible ASCII; send a hash in hex".to_owned()
        } else {
            return Ok(Self(text));
        };
        Err(Error::InvalidInput {
            what: "idempotency token",
            reason,
        })
    }

    /// The token's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspace_id_reads_number_and_text_and_writes_text() {
        let id: WorkspaceId = serde_json::from_str("1234567890123456789").unwrap();
        assert_eq!(id, serde_json::from_str("\"1234567890123456789\"").unwrap());
        assert_eq!(
            serde_json::to_string(&id).unwrap(),
            "\"1234567890123456789\""
        );
        for wrong in ["-1", "\"\"", "\"+1\"", "\"1 \"", "1.5", "\"x\"", "null"] {
            assert!(
                serde_json::from_str::<WorkspaceId>(wrong).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn ids_are_transparent() {
        assert_eq!(serde_json::to_string(&JobId(7)).unwrap(), "7");
        assert_eq!(
            serde_json::from_str::<ClusterId>("\"0-a\"").unwrap(),
            ClusterId::from("0-a")
        );
        assert_eq!(RunId(9).to_string(), "9");
    }

    #[test]
    fn idempotency_token_is_checked() {
        assert!(IdempotencyToken::new("a".repeat(64)).is_ok());
        for wrong in ["", &"a".repeat(65), "a b", "ä"] {
            assert_eq!(
                IdempotencyToken::new(wrong).unwrap_err().name(),
                "InvalidInput",
                "{wrong}"
            );
        }
    }
}
