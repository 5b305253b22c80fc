//! Where a table lies: a folder or an S3 prefix.

use crate::error::{Error, Fault};
use crate::folder;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt,
    RetryConfig,
};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The root of a table, or a prefix that holds tables.
#[derive(Clone)]
pub struct Location {
    store: Arc<dyn ObjectStore>,
    root: Path,
    address: String,
    /// The same place, if it is a folder on disk.
    folder: Option<PathBuf>,
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Location").field(&self.address).finish()
    }
}

/// How to reach an S3 bucket. What is not set comes from the usual `AWS_` variables.
#[derive(Debug, Clone, Default)]
pub struct S3Settings {
    /// The bucket's region, as `eu-west-1`. Source and replica lie in different ones.
    pub region: Option<String>,
    /// Another endpoint than AWS's. Plain HTTP is accepted for loopback addresses only.
    pub endpoint: Option<String>,
}

impl Location {
    /// A location in a store the caller has built. `address` is what messages call it.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, root: Path, address: impl Into<String>) -> Self {
        Self {
            store,
            root,
            address: address.into(),
            folder: None,
        }
    }

    /// A folder, or `s3://bucket/prefix`, with `?region=NAME` if it is not the one of `AWS_REGION`.
    /// Credentials, region and endpoint come from the usual `AWS_` variables. Nothing is contacted yet.
    ///
    /// # Errors
    /// [`Error::BadAddress`] if it is neither, [`Error::NoSuchFolder`] if the folder cannot be entered.
    pub fn parse(address: &str) -> Result<Self, Error> {
        if let Some(rest) = address.strip_prefix("s3://") {
            let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
            let region = match query.split_once('=') {
                None if query.is_empty() => None,
                Some(("region", region)) if !region.is_empty() => Some(region.to_owned()),
                _ => return Err(bad(address, "only `?region=NAME` may follow the prefix")),
            };
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let settings = S3Settings {
                region,
                endpoint: None,
            };
            return Self::s3(bucket, prefix, &settings);
        }
        if address.is_empty() || address.contains("://") {
            return Err(bad(address, "it is neither a folder nor an s3:// address"));
        }
        let store =
            LocalFileSystem::new_with_prefix(address).map_err(|error| Error::NoSuchFolder {
                address: address.to_owned(),
                reason: error.to_string(),
            })?;
        let mut location = Self::new(Arc::new(store), Path::default(), address);
        location.folder = Some(PathBuf::from(address));
        Ok(location)
    }

    /// A prefix of an S3 bucket. Nothing is contacted yet.
    ///
    /// # Errors
    /// [`Error::BadAddress`] if the bucket or prefix is malformed, or the endpoint is plain HTTP on another machine.
    pub fn s3(bucket: &str, prefix: &str, settings: &S3Settings) -> Result<Self, Error> {
        let address = format!("s3://{bucket}/{prefix}");
        if bucket.is_empty() {
            return Err(bad(&address, "the bucket is missing"));
        }
        let root = Path::parse(prefix).map_err(|error| bad(&address, &error.to_string()))?;
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: 6,
                retry_timeout: Duration::from_secs(45),
            });
        if let Some(region) = &settings.region {
            builder = builder.with_region(region);
        }
        let from_env = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok());
        let endpoint = settings.endpoint.clone().or(from_env);
        let plain = endpoint
            .as_deref()
            .is_some_and(|url| url.starts_with("http://"));
        if let Some(url) = &endpoint {
            if plain && !is_loopback(url) {
                return Err(bad(
                    &address,
                    &format!("the endpoint `{url}` is plain HTTP on another machine"),
                ));
            }
            builder = builder.with_endpoint(url);
        }
        // Set last, so that no variable of the environment can allow more.
        let client = ClientOptions::new()
            .with_allow_http(plain)
            .with_connect_timeout(Duration::from_secs(5))
            .with_timeout(Duration::from_secs(120));
        let store = builder
            .with_client_options(client)
            .build()
            .map_err(|error| bad(&address, &error.to_string()))?;
        Ok(Self::new(Arc::new(store), root, address))
    }

    /// The address as it was given.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks once whether the storage answers: one LIST request. An empty prefix is an answer.
    ///
    /// # Errors
    /// [`Error::StorageUnreadable`] with the storage client's message.
    pub async fn answers(&self) -> Result<(), Error> {
        self.list("").try_next().await.map(|_| ())
    }

    /// A location below this one. `relative` is taken as it is, without decoding.
    ///
    /// # Errors
    /// [`Error::BadAddress`] if `relative` has empty or relative segments.
    pub fn join(&self, relative: &str) -> Result<Self, Error> {
        let address = format!("{}/{relative}", self.address.trim_end_matches('/'));
        let root = self
            .path(relative)
            .map_err(|reason| bad(&address, &reason))?;
        let mut location = Self::new(Arc::clone(&self.store), root, address);
        location.folder = self.folder.as_ref().map(|folder| folder.join(relative));
        Ok(location)
    }

    pub(crate) fn path(&self, relative: &str) -> Result<Path, String> {
        let full = if self.root.as_ref().is_empty() {
            relative.to_owned()
        } else {
            format!("{}/{relative}", self.root)
        };
        Path::parse(full).map_err(|error| error.to_string())
    }

    pub(crate) fn folder(&self) -> Option<&std::path::Path> {
        self.folder.as_deref()
    }

    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store)
    }

    pub(crate) fn unreadable(&self, object: &str, reason: &dyn fmt::Display) -> Error {
        Error::StorageUnreadable {
            location: self.address.clone(),
            object: object.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// Every object below `relative`, page by page, with its path relative to it. A prefix that is not there is empty.
    pub(crate) fn list(
        &self,
        relative: &str,
    ) -> BoxStream<'static, Result<(String, ObjectMeta), Error>> {
        let this = self.clone();
        let object = if relative.is_empty() { "/" } else { relative }.to_owned();
        let prefix = match this.path(relative) {
            Ok(prefix) => prefix,
            Err(reason) => {
                let error = this.unreadable(&object, &reason);
                return futures::stream::once(async move { Err(error) }).boxed();
            }
        };
        let skip = match prefix.as_ref().len() {
            0 => 0,
            length => length + 1,
        };
        this.store
            .list((skip > 0).then_some(&prefix))
            .filter_map(move |item| {
                let item = match item {
                    Ok(meta) => {
                        let path = meta
                            .location
                            .as_ref()
                            .get(skip..)
                            .unwrap_or_default()
                            .to_owned();
                        Some(Ok((path, meta)))
                    }
                    Err(object_store::Error::NotFound { .. }) => None,
                    Err(error) => Some(Err(this.unreadable(&object, &error))),
                };
                async move { item }
            })
            .boxed()
    }

    /// The bytes of an object whose length the listing gave: a different length is a half-written object.
    pub(crate) async fn chunks(
        &self,
        object: &str,
    ) -> Result<BoxStream<'static, Result<bytes::Bytes, Fault>>, Fault> {
        let path = self.path(object).map_err(Fault::Unusable)?;
        let got = self
            .store
            .get(&path)
            .await
            .map_err(|error| self.read_fault(object, &error))?;
        let this = self.clone();
        let object = object.to_owned();
        let bytes = match got.payload {
            GetResultPayload::File(file, path) => folder::chunks(file, path),
            GetResultPayload::Stream(stream) => stream,
        };
        Ok(bytes
            .map_err(move |error| this.read_fault(&object, &error))
            .boxed())
    }

    /// An object that is gone is unusable; any other trouble of the storage decides nothing.
    pub(crate) fn read_fault(&self, object: &str, error: &object_store::Error) -> Fault {
        match error {
            object_store::Error::NotFound { .. } => {
                Fault::Unusable("it was listed but is gone".to_owned())
            }
            error => Fault::Fatal(self.unreadable(object, error)),
        }
    }
}

fn bad(address: &str, reason: &str) -> Error {
    Error::BadAddress {
        address: address.to_owned(),
        reason: reason.to_owned(),
    }
}

fn is_loopback(url: &str) -> bool {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_needs_a_loopback_endpoint() {
        for url in [
            "http://127.0.0.1:5000",
            "http://localhost",
            "http://[::1]:9000/x",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "http://10.0.0.1:5000",
            "http://localhost.example.org",
            "http://127.0.0.1@example.org",
        ] {
            assert!(!is_loopback(url), "{url}");
            let settings = S3Settings {
                region: None,
                endpoint: Some(url.to_owned()),
            };
            let error = Location::s3("bucket", "table", &settings).unwrap_err();
            assert_eq!(error.name(), "BadAddress");
        }
    }

    #[test]
    fn addresses_that_name_nothing_are_refused() {
        for address in [
            "",
            "s3://",
            "gs://bucket/x",
            "s3://bucket/a?zone=b",
            "s3://bucket/a//b",
        ] {
            assert_eq!(
                Location::parse(address).unwrap_err().name(),
                "BadAddress",
                "{address}"
            );
        }
        let missing = Location::parse("/no/such/folder").unwrap_err();
        assert_eq!(missing.name(), "NoSuchFolder");
    }
}
