//! Name, TCP, TLS.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::{Failure, Times, tls};

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// A name or an IP address, without brackets.
    pub name: String,
    /// The port.
    pub port: u16,
    /// Whether TLS is spoken.
    pub tls: bool,
}

/// A connection, with or without TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Opens a connection and closes it: the host's network answers.
///
/// # Errors
/// Why there is no connection within `limit`. What was done until then is in the times.
pub async fn reach(host: &Host, limit: Duration) -> (Times, Result<(), Failure>) {
    let mut times = Times::default();
    let result = connect(host, limit, &mut times).await.map(|_| ());
    (times, result)
}

pub(crate) async fn connect(
    host: &Host,
    limit: Duration,
    times: &mut Times,
) -> Result<Box<dyn Stream>, Failure> {
    // Nothing waits longer than a day.
    let deadline = Instant::now() + limit.min(Duration::from_secs(86_400));
    let addresses = resolve(host, deadline, times).await?;
    let start = Instant::now();
    let stream = first_of(&addresses, deadline).await?;
    times.tcp = Some(start.elapsed());
    if !host.tls {
        return Ok(Box::new(stream));
    }
    let start = Instant::now();
    let connector = TlsConnector::from(tls::config()?);
    let name = ServerName::try_from(host.name.clone())
        .map_err(|error| Failure::Unfit(error.to_string()))?;
    let stream = timeout_at(deadline, connector.connect(name, stream))
        .await
        .map_err(|_| Failure::ConnectTimeout("in the tls handshake".to_owned()))?
        .map_err(|error| Failure::shaking_hands(&error))?;
    times.tls = Some(start.elapsed());
    Ok(Box::new(stream))
}

async fn resolve(
    host: &Host,
    deadline: Instant,
    times: &mut Times,
) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(address) = host.name.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, host.port)]);
    }
    let start = Instant::now();
    let found = timeout_at(deadline, lookup_host((host.name.as_str(), host.port)))
        .await
        .map_err(|_| Failure::NameNotFound("no resolver answered in time".to_owned()))?
        .map_err(|error| Failure::NameNotFound(error.to_string()))?;
    let mut addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() {
        return Err(Failure::NameNotFound("it has no address".to_owned()));
    }
    // Functions seldom have IPv6. Otherwise the resolver's order stays.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    times.dns = Some(start.elapsed());
    Ok(addresses)
}

/// The first address that answers. Each gets an equal part of what time is left, so that one that is silent does not take it all.
async fn first_of(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Failure> {
    let mut failure = Failure::ConnectTimeout("no time was left".to_owned());
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let until = Instant::now() + left / others.max(1);
        failure = match timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Requests are small and waited for.
                drop(stream.set_nodelay(true));
                return Ok(stream);
            }
            Ok(Err(error)) => Failure::connecting(&error),
            Err(_) => Failure::ConnectTimeout(format!("{address} is silent")),
        };
    }
    Err(failure)
}
