//! TLS by the system's trust store, without resumption: a resumed session is not a fresh one.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::BuilderVerifierExt;

use crate::Failure;

/// Reading the trust store takes milliseconds, so it is done once a process. A failure is kept too: the store does not appear later.
static CONFIG: OnceLock<Result<Arc<ClientConfig>, Failure>> = OnceLock::new();

pub(crate) fn config() -> Result<Arc<ClientConfig>, Failure> {
    CONFIG
        .get_or_init(|| build().map_err(|error| Failure::Tls(error.to_string())))
        .clone()
}

fn build() -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
