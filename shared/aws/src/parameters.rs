//! Parameters in SSM, in several regions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_config::{Region as SdkRegion, SdkConfig};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::ParameterType;
use recovery::site::Region;

use crate::Failure;
use crate::failure::aws_failure;

/// The port.
#[async_trait]
pub trait Parameters: Send + Sync {
    /// Reads a parameter (decrypted); `None` if there is none.
    async fn get(&self, region: &Region, name: &str) -> Result<Option<String>, Failure>;
    /// Writes a plain parameter, replacing what was there.
    async fn put(&self, region: &Region, name: &str, value: &str) -> Result<(), Failure>;
    /// Writes a SecureString under the account's key `aws/ssm`, replacing what was there.
    async fn put_secret(&self, region: &Region, name: &str, value: &str) -> Result<(), Failure>;
}

/// The adapter to SSM: one client per region, made when first used.
pub struct SsmParameters {
    config: SdkConfig,
    clients: Mutex<BTreeMap<Region, Client>>,
}

impl SsmParameters {
    /// Clients are derived from this configuration.
    #[must_use]
    pub const fn new(config: SdkConfig) -> Self {
        Self {
            config,
            clients: Mutex::new(BTreeMap::new()),
        }
    }

    fn client(&self, region: &Region) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients
            .entry(region.clone())
            .or_insert_with(|| {
                let config = aws_sdk_ssm::config::Builder::from(&self.config)
                    .region(SdkRegion::new(region.as_str().to_owned()))
                    .build();
                Client::from_conf(config)
            })
            .clone()
    }

    async fn write(
        &self,
        region: &Region,
        name: &str,
        value: &str,
        kind: ParameterType,
    ) -> Result<(), Failure> {
        self.client(region)
            .put_parameter()
            .name(name)
            .value(value)
            .r#type(kind)
            .overwrite(true)
            .send()
            .await
            .map(|_| ())
            .map_err(aws_failure!(format!(
                "writing parameter {name} in {region}"
            )))
    }
}

#[async_trait]
impl Parameters for SsmParameters {
    async fn get(&self, region: &Region, name: &str) -> Result<Option<String>, Failure> {
        let request = self
            .client(region)
            .get_parameter()
            .name(name)
            .with_decryption(true);
        match request.send().await {
            Ok(answer) => Ok(answer
                .parameter()
                .and_then(|p| p.value())
                .map(str::to_owned)),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|e| e.is_parameter_not_found()) =>
            {
                Ok(None)
            }
            Err(error) => Err(aws_failure!(format!(
                "reading parameter {name} in {region}"
            ))(error)),
        }
    }

    async fn put(&self, region: &Region, name: &str, value: &str) -> Result<(), Failure> {
        self.write(region, name, value, ParameterType::String).await
    }

    async fn put_secret(&self, region: &Region, name: &str, value: &str) -> Result<(), Failure> {
        self.write(region, name, value, ParameterType::SecureString)
            .await
    }
}

/// The in-memory twin.
#[derive(Clone, Default)]
pub struct MemoryParameters {
    values: Arc<Mutex<BTreeMap<(Region, String), String>>>,
}

#[async_trait]
impl Parameters for MemoryParameters {
    async fn get(&self, region: &Region, name: &str) -> Result<Option<String>, Failure> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(values.get(&(region.clone(), name.to_owned())).cloned())
    }

    async fn put(&self, region: &Region, name: &str, value: &str) -> Result<(), Failure> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert((region.clone(), name.to_owned()), value.to_owned());
        Ok(())
    }

    async fn put_secret(&self, region: &Region, name: &str, value: &str) -> Result<(), Failure> {
        self.put(region, name, value).await
    }
}
