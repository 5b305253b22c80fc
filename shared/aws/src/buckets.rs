//! The data buckets of both sites' regions: marker objects, and listings.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::{Region as SdkRegion, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use jiff::Timestamp;
use recovery::failure::FailureName;
use recovery::replication::{ListedObject, whole_key};
use recovery::site::Region;

use crate::Failure;
use crate::failure::aws_failure;

/// How long a signed request is valid.
const SIGNED_FOR: Duration = Duration::from_secs(60);

/// What a signed request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Writes the object.
    Put,
    /// Reads it.
    Get,
    /// Deletes it.
    Delete,
}

/// A request that needs nothing but to be sent. The URL holds its signature: not for logs.
#[derive(Clone)]
pub struct SignedRequest {
    /// As in `PUT`.
    pub method: String,
    /// Address and signature.
    pub url: String,
    /// Headers that were signed.
    pub headers: Vec<(String, String)>,
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    /// The objects by their keys below the prefix, in the order of the keys' bytes.
    pub objects: Vec<ListedObject>,
    /// Whether others come behind the last of them.
    pub more: bool,
}

/// A client of one region.
pub(crate) fn client(config: &SdkConfig, region: &Region) -> Client {
    let config = aws_sdk_s3::config::Builder::from(config)
        .region(SdkRegion::new(region.as_str().to_owned()))
        .build();
    Client::from_conf(config)
}

/// Reads and writes small objects in buckets of any region.
#[derive(Clone)]
pub struct Buckets {
    config: SdkConfig,
    /// One for each region, made when first used: making one reads the trust store.
    clients: Arc<Mutex<BTreeMap<Region, Client>>>,
}

impl Buckets {
    /// Clients are derived from this configuration.
    #[must_use]
    pub fn new(config: SdkConfig) -> Self {
        Self {
            config,
            clients: Arc::default(),
        }
    }

    fn client(&self, region: &Region) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients
            .entry(region.clone())
            .or_insert_with(|| client(&self.config, region))
            .clone()
    }

    /// A signed request for an object, for those who send it over a connection of their own. No network I/O, but for the
    /// credentials. Valid for a minute.
    ///
    /// # Errors
    /// What the SDK said; without credentials nothing can be signed.
    pub async fn signed(
        &self,
        region: &Region,
        bucket: &str,
        key: &str,
        verb: Verb,
    ) -> Result<SignedRequest, Failure> {
        let what = || format!("signing a {verb:?} of s3://{bucket}/{key}");
        let valid = PresigningConfig::expires_in(SIGNED_FOR)
            .map_err(|error| Failure::internal(format!("{}: {error}", what())))?;
        let client = self.client(region);
        let signed = match verb {
            Verb::Put => {
                let put = client.put_object().bucket(bucket).key(key);
                put.presigned(valid).await.map_err(aws_failure!(what()))
            }
            Verb::Get => {
                let get = client.get_object().bucket(bucket).key(key);
                get.presigned(valid).await.map_err(aws_failure!(what()))
            }
            Verb::Delete => {
                let delete = client.delete_object().bucket(bucket).key(key);
                delete.presigned(valid).await.map_err(aws_failure!(what()))
            }
        }?;
        Ok(SignedRequest {
            method: signed.method().to_owned(),
            url: signed.uri().to_owned(),
            headers: signed
                .headers()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        })
    }

    /// Writes an object, replacing what was there.
    ///
    /// # Errors
    /// What S3 said, or that the region did not answer.
    pub async fn put(
        &self,
        region: &Region,
        bucket: &str,
        key: &str,
        bytes: Vec<u8>,
    ) -> Result<(), Failure> {
        self.client(region)
            .put_object()
            .bucket(bucket)
            .key(key)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map(|_| ())
            .map_err(aws_failure!(format!("writing s3://{bucket}/{key}")))
    }

    /// Reads an object; `None` if there is none.
    ///
    /// # Errors
    /// What S3 said, or that the region did not answer.
    pub async fn get(
        &self,
        region: &Region,
        bucket: &str,
        key: &str,
    ) -> Result<Option<Vec<u8>>, Failure> {
        match self
            .client(region)
            .get_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
        {
            Ok(object) => {
                let bytes = object.body.collect().await.map_err(|e| {
                    Failure::new(
                        FailureName::Transient,
                        format!("reading s3://{bucket}/{key} broke off: {e}"),
                    )
                })?;
                Ok(Some(bytes.to_vec()))
            }
            Err(error) if error.code() == Some("NoSuchKey") => Ok(None),
            Err(error) => Err(aws_failure!(format!("reading s3://{bucket}/{key}"))(error)),
        }
    }

    /// Whether any key begins so. Reads one key.
    ///
    /// # Errors
    /// What S3 said, or that the region did not answer.
    pub async fn holds_any(
        &self,
        region: &Region,
        bucket: &str,
        prefix: &str,
    ) -> Result<bool, Failure> {
        self.client(region)
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .max_keys(1)
            .send()
            .await
            .map(|answer| answer.key_count().unwrap_or_default() > 0)
            .map_err(aws_failure!(format!("listing s3://{bucket}/{prefix}")))
    }

    /// The next 1000 objects below a prefix without slashes at its ends, behind a key below it. One request.
    ///
    /// # Errors
    /// What S3 said, or that the region did not answer.
    pub async fn list_after(
        &self,
        region: &Region,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<ListPage, Failure> {
        let what = || format!("listing s3://{bucket}/{prefix}");
        let folder = whole_key(prefix, "");
        let answer = self
            .client(region)
            .list_objects_v2()
            .bucket(bucket)
            .prefix(&folder)
            .set_start_after(after.map(|after| format!("{folder}{after}")))
            .send()
            .await
            .map_err(aws_failure!(what()))?;
        let listed = answer
            .contents()
            .iter()
            .map(|object| understood(object, &folder));
        let objects: Option<Vec<ListedObject>> = listed.collect();
        let more = answer.is_truncated().unwrap_or_default();
        match objects {
            // A caller goes on behind the last object, so there must be one.
            Some(objects) if !more || !objects.is_empty() => Ok(ListPage { objects, more }),
            _ => Err(Failure::internal(format!(
                "{}: the answer is not understood",
                what()
            ))),
        }
    }

    /// What S3 says of an object's replication: `PENDING`, `COMPLETED` or `FAILED` at the source, `REPLICA` at the
    /// destination. `None` if no rule covers it, or there is no such object.
    ///
    /// # Errors
    /// What S3 said, or that the region did not answer.
    pub async fn replication_status(
        &self,
        region: &Region,
        bucket: &str,
        key: &str,
    ) -> Result<Option<String>, Failure> {
        let answer = self
            .client(region)
            .head_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await;
        match answer {
            Ok(object) => Ok(object.replication_status().map(|s| s.as_str().to_owned())),
            // HEAD has no body and so no code but the status.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(HeadObjectError::is_not_found)
                    || error
                        .raw_response()
                        .is_some_and(|r| r.status().as_u16() == 404) =>
            {
                Ok(None)
            }
            Err(error) => Err(aws_failure!(format!(
                "reading the head of s3://{bucket}/{key}"
            ))(error)),
        }
    }
}

fn understood(object: &aws_sdk_s3::types::Object, folder: &str) -> Option<ListedObject> {
    let modified = object.last_modified()?.to_millis().ok()?;
    Some(ListedObject {
        key: object.key()?.strip_prefix(folder)?.to_owned(),
        size: u64::try_from(object.size()?).ok()?,
        modified: Timestamp::from_millisecond(modified).ok()?,
    })
}
