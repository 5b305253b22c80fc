//! An address that a probe asks: `https://host/path`, `tcp://host:port`, and plain `http` on loopback.

use std::net::IpAddr;
use std::str::FromStr;

/// What is spoken at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP over TLS.
    Https,
    /// HTTP without TLS: loopback only.
    Http,
    /// Nothing: a connection is all.
    Tcp,
}

/// An address that a probe asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// What is spoken there.
    pub scheme: Scheme,
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str =
            "allowed is https://host/path, tcp://host:port, or http on a loopback address";
        let (scheme, rest) = text.split_once("://").ok_or(SHAPE)?;
        let scheme = match scheme {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            "tcp" => Scheme::Tcp,
            _ => return Err(SHAPE),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err("it holds a user or a password; no probe signs in there");
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => {
                let (host, port) = v6.split_once(']').ok_or(SHAPE)?;
                (host, port.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || !host.chars().all(fit) {
            return Err(SHAPE);
        }
        let port = match (port, scheme) {
            (Some(port), _) => port.parse().map_err(|_| "its port is no number")?,
            (None, Scheme::Https) => 443,
            (None, Scheme::Http) => 80,
            (None, Scheme::Tcp) => return Err("it needs a port, as in tcp://host:443"),
        };
        let address = Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port,
        };
        if scheme == Scheme::Http && !address.is_loopback() {
            return Err("http is for loopback addresses only; use https");
        }
        Ok(address)
    }
}

impl Address {
    /// Whether it never leaves this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused() {
        for (text, scheme, host, port) in [
            (
                "https://Example.org/x?y=1",
                Scheme::Https,
                "example.org",
                443,
            ),
            (
                "https://example.org:8443",
                Scheme::Https,
                "example.org",
                8443,
            ),
            ("tcp://192.0.2.1:53", Scheme::Tcp, "192.0.2.1", 53),
            ("tcp://[2001:db8::1]:53", Scheme::Tcp, "2001:db8::1", 53),
            ("http://127.0.0.1:8080/ok", Scheme::Http, "127.0.0.1", 8080),
            ("http://localhost", Scheme::Http, "localhost", 80),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(
                (address.scheme, address.host.as_str(), address.port),
                (scheme, host, port),
                "{text}"
            );
        }
        for text in [
            "",
            "example.org",
            "http://example.org",
            "ftp://example.org",
            "tcp://example.org",
            "https://user:pass@example.org",
            "https:///x",
            "https://example.org:x",
            "https://exa mple.org",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
