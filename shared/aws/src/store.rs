//! The state store: documents that are read whole and written by compare-and-swap.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use recovery::failure::FailureName;
use recovery::site::PlanName;
use recovery::state::State;

use crate::Failure;
use crate::failure::aws_failure;

/// The version of a document that a reader saw. A write names it, and fails if another writer was faster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(String);

/// A document as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its version.
    pub tag: Tag,
}

/// How a conditional write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It stands.
    Done,
    /// Another writer was faster: read again.
    Conflict,
}

/// The port.
#[async_trait]
pub trait Store: Send + Sync {
    /// Reads a document; `None` if there is none.
    async fn get(&self, key: &str) -> Result<Option<Stored>, Failure>;
    /// Writes a document that must not exist yet.
    async fn create(&self, key: &str, bytes: Vec<u8>) -> Result<Written, Failure>;
    /// Replaces the version that was read.
    async fn replace(&self, key: &str, bytes: Vec<u8>, read: &Tag) -> Result<Written, Failure>;
    /// All keys with a prefix, sorted.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, Failure>;
}

/// The adapter to a versioned S3 bucket, by If-Match and If-None-Match.
pub struct S3Store {
    client: Client,
    bucket: String,
}

impl S3Store {
    /// A store in this bucket.
    #[must_use]
    pub fn new(client: Client, bucket: impl Into<String>) -> Self {
        Self {
            client,
            bucket: bucket.into(),
        }
    }

    async fn put(&self, key: &str, bytes: Vec<u8>, read: Option<&Tag>) -> Result<Written, Failure> {
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type("application/json")
            .body(ByteStream::from(bytes));
        let request = match read {
            Some(tag) => request.if_match(&tag.0),
            None => request.if_none_match("*"),
        };
        match request.send().await {
            Ok(_) => Ok(Written::Done),
            // 412: another version stands. 409: a concurrent conditional write. 404: deleted meanwhile. All mean: read again.
            Err(error)
                if matches!(status_of(&error), Some(404 | 409 | 412))
                    && error.code() != Some("NoSuchBucket") =>
            {
                Ok(Written::Conflict)
            }
            Err(error) => Err(aws_failure!(format!("writing s3://{}/{key}", self.bucket))(
                error,
            )),
        }
    }
}

fn status_of<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|r| r.status().as_u16())
}

#[async_trait]
impl Store for S3Store {
    async fn get(&self, key: &str) -> Result<Option<Stored>, Failure> {
        let what = || format!("reading s3://{}/{key}", self.bucket);
        match self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await
        {
            Ok(object) => {
                let tag = Tag(object.e_tag().unwrap_or_default().to_owned());
                let bytes = object.body.collect().await.map_err(|e| {
                    Failure::new(FailureName::Transient, format!("{} broke off: {e}", what()))
                })?;
                Ok(Some(Stored {
                    bytes: bytes.to_vec(),
                    tag,
                }))
            }
            Err(error) if error.code() == Some("NoSuchKey") => Ok(None),
            Err(error) => Err(aws_failure!(what())(error)),
        }
    }

    async fn create(&self, key: &str, bytes: Vec<u8>) -> Result<Written, Failure> {
        self.put(key, bytes, None).await
    }

    async fn replace(&self, key: &str, bytes: Vec<u8>, read: &Tag) -> Result<Written, Failure> {
        self.put(key, bytes, Some(read)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, Failure> {
        let mut keys = Vec::new();
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(aws_failure!(format!(
                "listing s3://{}/{prefix}",
                self.bucket
            )))?;
            keys.extend(
                page.contents()
                    .iter()
                    .filter_map(|o| o.key().map(str::to_owned)),
            );
        }
        keys.sort();
        Ok(keys)
    }
}

/// Documents by key, each with the number of its version.
type Versioned = BTreeMap<String, (u64, Vec<u8>)>;

/// The in-memory twin.
#[derive(Clone, Default)]
pub struct MemoryStore {
    documents: Arc<Mutex<Versioned>>,
}

impl MemoryStore {
    fn with<R>(&self, act: impl FnOnce(&mut Versioned) -> R) -> R {
        act(&mut self
            .documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn put_first_state(&self, plan: &PlanName) {
        let state = State::initial(plan.clone());
        let bytes = serde_json::to_vec(&state).unwrap_or_default();
        self.with(|d| d.insert(crate::keys::STATE.to_owned(), (0, bytes)));
    }

    /// Every document by key, for assertions.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, Vec<u8>> {
        self.with(|d| d.iter().map(|(k, (_, v))| (k.clone(), v.clone())).collect())
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<Stored>, Failure> {
        Ok(self.with(|d| {
            d.get(key).map(|(version, bytes)| Stored {
                bytes: bytes.clone(),
                tag: Tag(version.to_string()),
            })
        }))
    }

    async fn create(&self, key: &str, bytes: Vec<u8>) -> Result<Written, Failure> {
        Ok(self.with(|d| {
            if d.contains_key(key) {
                Written::Conflict
            } else {
                d.insert(key.to_owned(), (1, bytes));
                Written::Done
            }
        }))
    }

    async fn replace(&self, key: &str, bytes: Vec<u8>, read: &Tag) -> Result<Written, Failure> {
        Ok(self.with(|d| match d.get_mut(key) {
            Some((version, content)) if version.to_string() == read.0 => {
                *version += 1;
                *content = bytes;
                Written::Done
            }
            _ => Written::Conflict,
        }))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, Failure> {
        Ok(self.with(|d| {
            d.keys()
                .filter(|k| k.starts_with(prefix))
                .cloned()
                .collect()
        }))
    }
}
