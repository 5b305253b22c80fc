//! Names and identities of a protected pair: labels, regions, workspaces, runs.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The fixed home label of a site. It says nothing about the role the site has now.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum SiteLabel {
    /// The site that is active when all is well.
    Primary,
    /// The site that stands by when all is well.
    Secondary,
}

impl SiteLabel {
    /// Both labels.
    pub const ALL: [Self; 2] = [Self::Primary, Self::Secondary];

    /// The other site of the pair.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Primary => Self::Secondary,
            Self::Secondary => Self::Primary,
        }
    }

    /// The label as it stands in documents and parameter paths.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        }
    }
}

impl fmt::Display for SiteLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Defines a text newtype that is serialised as the text itself.
macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a text that is known to be one.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_newtype! {
    /// The name of a plan: 1 to 21 of `a-z`, `0-9` and `-`. It is part of every parameter path and of the bucket's name.
    PlanName
}
text_newtype! {
    /// An AWS region such as `us-east-1`.
    Region
}
text_newtype! {
    /// The numeric id of a Databricks workspace, as text. It is what `X-Databricks-Org-Id` says.
    WorkspaceId
}
text_newtype! {
    /// The id of a run: the name of the execution that began it (Step Functions allows 80 characters).
    RunId
}
text_newtype! {
    /// Proof that a function acts for the execution that holds the lock: the execution's own id. A resumed run has
    /// another token than the execution it continues, so a zombie of the old one may not write.
    RunToken
}
text_newtype! {
    /// The name of a data set in the plan.
    DataSetName
}
text_newtype! {
    /// The name of a consistency group in the plan.
    GroupName
}
text_newtype! {
    /// An S3 Multi-Region Access Point: `arn:aws:s3::123456789012:accesspoint/example.mrap`.
    AccessPointArn
}
text_newtype! {
    /// An IAM role: `arn:aws:iam::123456789012:role/path/name`.
    RoleArn
}

impl RoleArn {
    /// Whether it is the ARN of one role.
    ///
    /// # Errors
    /// What it is instead.
    pub fn check(&self) -> Result<(), String> {
        let parts: Vec<&str> = self.0.splitn(6, ':').collect();
        let plain = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-/".contains(c);
        let fits = match parts.as_slice() {
            ["arn", partition, "iam", "", account, resource] => {
                partition.starts_with("aws")
                    && partition
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c == '-')
                    && account.len() == 12
                    && account.chars().all(|c| c.is_ascii_digit())
                    && resource.strip_prefix("role/").is_some_and(|path| {
                        path.chars().all(plain) && path.split('/').all(|part| !part.is_empty())
                    })
            }
            _ => false,
        };
        if fits {
            Ok(())
        } else {
            Err(format!(
                "is {:?}; allowed is the ARN of one role, such as arn:aws:iam::123456789012:role/s3-replication",
                self.0
            ))
        }
    }

    /// Its name: the last part, unique in its account whatever the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The account that it belongs to.
    #[must_use]
    pub fn account(&self) -> &str {
        self.0.split(':').nth(4).unwrap_or_default()
    }

    /// The partition, such as `aws`.
    #[must_use]
    pub fn partition(&self) -> &str {
        self.0.split(':').nth(1).unwrap_or_default()
    }
}

impl AccessPointArn {
    /// Whether it is the ARN of one access point.
    ///
    /// # Errors
    /// What it is instead.
    pub fn check(&self) -> Result<(), String> {
        let parts: Vec<&str> = self.0.splitn(6, ':').collect();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let fits = match parts.as_slice() {
            ["arn", partition, "s3", "", account, resource] => {
                partition.starts_with("aws")
                    && account.len() == 12
                    && account.chars().all(|c| c.is_ascii_digit())
                    && resource
                        .strip_prefix("accesspoint/")
                        .is_some_and(|alias| alias.ends_with(".mrap") && alias.chars().all(plain))
            }
            _ => false,
        };
        if fits {
            Ok(())
        } else {
            Err(format!(
                "is {:?}; allowed is the ARN of a Multi-Region Access Point with its alias, such as arn:aws:s3::123456789012:accesspoint/example.mrap",
                self.0
            ))
        }
    }

    /// The account that owns it.
    #[must_use]
    pub fn account(&self) -> &str {
        self.0.split(':').nth(4).unwrap_or_default()
    }

    /// Its alias.
    #[must_use]
    pub fn alias(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl RunId {
    /// The run that a stored incident starts, or any other name that AWS accepted as an execution's.
    ///
    /// # Errors
    /// The reason, if the text could not be an execution's name and so cannot be part of a key in the store.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fits = (1..=80).contains(&text.len())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "{text:?} is no run id: 1 to 80 letters, digits, '-', '_' or '.' are allowed"
            ))
        }
    }
}

/// Grows by one at every commit. A writer that carries an older epoch may not write.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch of a plan that never failed over.
    #[must_use]
    pub const fn first() -> Self {
        Self(0)
    }

    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The lower-case hexadecimal SHA-256 of a document: names a baseline and binds an approval to what was shown.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct ContentDigest(String);

impl ContentDigest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(64);
        for byte in Sha256::digest(bytes) {
            text.push_str(&format!("{byte:02x}"));
        }
        Self(text)
    }

    /// 64 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, for file names and for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_that_could_leave_its_folder_is_refused() {
        for bad in ["", "a/b", "../x", "a b", &"x".repeat(81)] {
            assert!(RunId::parse(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(RunId::parse("8a1b-incident_2026.11").is_ok());
    }

    #[test]
    fn digest_is_the_known_sha256() {
        assert_eq!(
            ContentDigest::of(b"abc").as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
