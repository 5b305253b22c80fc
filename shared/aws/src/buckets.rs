//! Marker objects in the data buckets of both sites' regions.

use aws_config::{Region as SdkRegion, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use recovery::failure::FailureName;
use recovery::site::Region;

use crate::Failure;
use crate::failure::aws_failure;

/// Reads and writes small objects in buckets of any region.
#[derive(Clone)]
pub struct Buckets {
    config: SdkConfig,
}

impl Buckets {
    /// Clients are derived from this configuration.
    #[must_use]
    pub const fn new(config: SdkConfig) -> Self {
        Self { config }
    }

    fn client(&self, region: &Region) -> Client {
        let config = aws_sdk_s3::config::Builder::from(&self.config)
            .region(SdkRegion::new(region.as_str().to_owned()))
            .build();
        Client::from_conf(config)
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
}
