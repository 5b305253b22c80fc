//! The actions of a log, read from JSON lines. Only what decides completeness is kept.

use crate::paths::DeletionVector;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// One line of a commit or of a JSON checkpoint.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line<'a> {
    #[serde(borrow, default)]
    pub(crate) add: Option<Add<'a>>,
    #[serde(borrow, default)]
    pub(crate) remove: Option<Remove<'a>>,
    #[serde(default)]
    pub(crate) protocol: Option<Protocol>,
    #[serde(default)]
    pub(crate) meta_data: Option<IgnoredAny>,
    #[serde(default)]
    pub(crate) commit_info: Option<CommitInfo>,
    #[serde(default)]
    pub(crate) txn: Option<IgnoredAny>,
    #[serde(default)]
    pub(crate) sidecar: Option<Sidecar>,
    #[serde(default)]
    pub(crate) checkpoint_metadata: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Add<'a> {
    #[serde(borrow)]
    pub(crate) path: Cow<'a, str>,
    pub(crate) size: u64,
    #[serde(borrow, default)]
    pub(crate) deletion_vector: Option<JsonVector<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remove<'a> {
    #[serde(borrow)]
    pub(crate) path: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) deletion_vector: Option<JsonVector<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JsonVector<'a> {
    #[serde(borrow)]
    storage_type: Cow<'a, str>,
    #[serde(borrow)]
    path_or_inline_dv: Cow<'a, str>,
    #[serde(default)]
    offset: Option<u64>,
    size_in_bytes: u64,
}

impl JsonVector<'_> {
    pub(crate) fn view(&self) -> DeletionVector<'_> {
        DeletionVector {
            storage_type: &self.storage_type,
            path_or_inline: &self.path_or_inline_dv,
            offset: self.offset,
            size: self.size_in_bytes,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protocol {
    pub(crate) min_reader_version: i64,
    #[serde(default)]
    pub(crate) reader_features: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Sidecar {
    pub(crate) path: String,
    #[serde(rename = "sizeInBytes")]
    pub(crate) size_in_bytes: u64,
}

/// What a commit says of itself. Writers are free in it, so nothing but numbers is believed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommitInfo {
    #[serde(default)]
    pub(crate) timestamp: Option<Lenient>,
    #[serde(default)]
    pub(crate) in_commit_timestamp: Option<Lenient>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Lenient {
    Number(i64),
    Other(IgnoredAny),
}

impl Lenient {
    pub(crate) fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Other(_) => None,
        }
    }
}
