//! The address of a workspace.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::Error;

/// The address of a workspace: scheme, host and optional port, nothing else.
///
/// `https` only; plain `http` is for loopback hosts (127.0.0.0/8, `::1`, `localhost`), where simulated workspaces live.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WorkspaceUrl {
    url: Url,
    text: String,
}

impl WorkspaceUrl {
    /// Reads an address. A trailing slash is dropped.
    ///
    /// Anything but scheme, host and port is [`Error::InvalidInput`]; the message does not repeat the text, since it
    /// may hold a password.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |reason: &str| Error::InvalidInput {
            what: "workspace url",
            reason: reason.to_owned(),
        };
        let url = Url::parse(text).map_err(|_| {
            invalid("it is not a URL; give scheme and host, as in https://dbc-a1b2345c-d6e7.cloud.databricks.com")
        })?;
        let host = url.host_str().unwrap_or_default();
        if host.is_empty() {
            return Err(invalid("it has no host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid(
                "it holds a user or a password; give credentials apart from the URL",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() || !matches!(url.path(), "" | "/") {
            return Err(invalid(
                "it has a path, a query or a fragment; give scheme and host only",
            ));
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(host) => {}
            "http" => return Err(invalid("http is for loopback addresses only; use https")),
            _ => return Err(invalid("its scheme is not https")),
        }
        let text = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { url, text })
    }

    /// Whether the host is one of Databricks' own, or a loopback address: a credential is sent to no other. Custom URLs of an account
    /// and hosts behind PrivateLink end in the same domains; `.us` and `.mil` are the domains of AWS GovCloud.
    #[must_use]
    pub fn is_of_databricks(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        is_loopback(host)
            || ["databricks.com", "databricks.us", "databricks.mil"]
                .iter()
                .any(|domain| {
                    host.strip_suffix(domain)
                        .is_some_and(|name| name.len() > 1 && name.ends_with('.'))
                })
    }

    /// The address without a trailing slash, as in `https://dbc-a1b2345c-d6e7.cloud.databricks.com`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host name or IP address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    pub(crate) fn to_url(&self) -> Url {
        self.url.clone()
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

impl FromStr for WorkspaceUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for WorkspaceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for WorkspaceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkspaceUrl({})", self.text)
    }
}

impl Serialize for WorkspaceUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for WorkspaceUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_https_and_loopback_http() {
        for (text, kept) in [
            (
                "https://dbc-1.cloud.databricks.com/",
                "https://dbc-1.cloud.databricks.com",
            ),
            (
                "https://DBC-1.cloud.databricks.com",
                "https://dbc-1.cloud.databricks.com",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://127.9.9.9:8080/", "http://127.9.9.9:8080"),
            ("http://[::1]:9", "http://[::1]:9"),
            ("http://localhost:9", "http://localhost:9"),
        ] {
            assert_eq!(WorkspaceUrl::parse(text).unwrap().as_str(), kept);
        }
    }

    #[test]
    fn refuses_everything_else_without_repeating_it() {
        for text in [
            "",
            "dbc-1.cloud.databricks.com",
            "http://dbc-1.cloud.databricks.com",
            "http://localhost.evil.example",
            "http://10.0.0.1",
            "https://user:s3cret@host",
            "https://host/path",
            "https://host/?o=1",
            "https://host/#x",
            "ftp://host",
            "https://",
        ] {
            let error = WorkspaceUrl::parse(text).unwrap_err();
            assert_eq!(error.name(), "InvalidInput", "{text}");
            assert!(!error.to_string().contains("s3cret"));
        }
    }

    #[test]
    fn only_hosts_of_databricks_and_loopback_are_given_a_credential() {
        let known = |text: &str| WorkspaceUrl::parse(text).unwrap().is_of_databricks();
        for text in [
            "https://dbc-a1b2345c-d6e7.cloud.databricks.com",
            "https://DBC-1.Cloud.Databricks.COM",
            "https://acme.databricks.com",
            "https://dbc-1.cloud.databricks.us",
            "http://127.0.0.1:8080",
        ] {
            assert!(known(text), "{text}");
        }
        for text in [
            "https://cloud.databricks.com.example.net",
            "https://evildatabricks.com",
            "https://databricks.com",
            "https://.databricks.com",
            "https://example.com",
            "https://203.0.113.7",
        ] {
            assert!(WorkspaceUrl::parse(text).is_err() || !known(text), "{text}");
        }
    }
}
