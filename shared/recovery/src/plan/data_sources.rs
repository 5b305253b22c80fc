//! `data_sources`: what the jobs read from outside, and must reach from the other region.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Address, Plan, Seconds};
use crate::plan::check::Problems;
use crate::site::SiteLabel;

/// Each look costs the execution about nine of its 25,000 events.
const MOST_LOOKS: u32 = 1000;
/// All addresses are asked at once, and the function has 300 s.
const LONGEST_TIMEOUT: u32 = 60;

/// The data sources, and how patiently a run waits for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataSources {
    /// The sources.
    pub sources: Vec<DataSource>,
    /// All required ones must answer at every look for so long.
    #[serde(default = "a_minute")]
    pub green_for_seconds: Seconds,
    /// After this a run whose sources do not answer ends in `NotReady`; the fence stays.
    #[serde(default = "a_quarter_of_an_hour")]
    pub wait_at_most_seconds: Seconds,
    /// The pause between two looks.
    #[serde(default = "a_quarter_of_a_minute")]
    pub poll_seconds: Seconds,
    /// No single address is waited for longer.
    #[serde(default = "five_seconds")]
    pub timeout_seconds: Seconds,
}

impl Default for DataSources {
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            green_for_seconds: a_minute(),
            wait_at_most_seconds: a_quarter_of_an_hour(),
            poll_seconds: a_quarter_of_a_minute(),
            timeout_seconds: five_seconds(),
        }
    }
}

const fn a_minute() -> Seconds {
    Seconds(60)
}

const fn a_quarter_of_an_hour() -> Seconds {
    Seconds(900)
}

const fn a_quarter_of_a_minute() -> Seconds {
    Seconds(15)
}

const fn five_seconds() -> Seconds {
    Seconds(5)
}

const fn yes() -> bool {
    true
}

/// One source. It is asked from the control region: that it answers there says that it is up, not that the workspace's own network
/// reaches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// For people.
    pub name: String,
    /// What is asked while the primary is to be the active site: `https://host/path` (any answer below 500), `tcp://host:port`,
    /// `s3://bucket/prefix` (something lies there), or `jdbc:...//host:port/...` (its host answers). Of a cluster of brokers, each.
    pub primary: Vec<String>,
    /// What is asked while the secondary is to be the active site.
    pub secondary: Vec<String>,
    /// How many of the addresses must answer; all if absent.
    #[serde(default)]
    pub at_least: Option<usize>,
    /// Whether a run waits for it.
    #[serde(default = "yes")]
    pub required: bool,
}

impl DataSource {
    /// What is asked for a site.
    #[must_use]
    pub const fn addresses(&self, site: SiteLabel) -> &Vec<String> {
        match site {
            SiteLabel::Primary => &self.primary,
            SiteLabel::Secondary => &self.secondary,
        }
    }

    /// How many of a site's addresses must answer.
    #[must_use]
    pub fn needed(&self, site: SiteLabel) -> usize {
        self.at_least.unwrap_or(self.addresses(site).len())
    }
}

/// Where a source is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceAddress {
    /// A host.
    Host(Address),
    /// Objects of a bucket, in the site's region.
    Objects {
        /// The bucket.
        bucket: String,
        /// What their keys begin with.
        prefix: String,
    },
}

impl FromStr for SourceAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err("it names no bucket");
            }
            return Ok(Self::Objects {
                bucket: bucket.to_owned(),
                prefix: prefix.to_owned(),
            });
        }
        if let Some(rest) = text.strip_prefix("jdbc:") {
            let authority = rest.split_once("//").map(|(_, rest)| rest);
            let authority = authority.ok_or("a jdbc address has //host:port after its driver")?;
            let end = authority.find(['/', ';', '?', ',']);
            let authority = end
                .and_then(|end| authority.get(..end))
                .unwrap_or(authority);
            return format!("tcp://{authority}").parse().map(Self::Host);
        }
        text.parse().map(Self::Host)
    }
}

impl Plan {
    pub(super) fn check_data_sources(&self, found: &mut Problems) {
        let policy = &self.data_sources;
        for (field, seconds) in [
            ("wait_at_most_seconds", policy.wait_at_most_seconds),
            ("poll_seconds", policy.poll_seconds),
            ("timeout_seconds", policy.timeout_seconds),
        ] {
            found.positive(&format!("data_sources.{field}"), seconds);
        }
        if policy.timeout_seconds.0 > LONGEST_TIMEOUT {
            let problem = format!("allowed is 1 to {LONGEST_TIMEOUT}");
            found.add("data_sources.timeout_seconds", problem);
        }
        if policy.green_for_seconds >= policy.wait_at_most_seconds {
            let problem = "must be less than wait_at_most_seconds, or no run could go on";
            found.add("data_sources.green_for_seconds", problem);
        }
        let looks = policy.wait_at_most_seconds.0 / policy.poll_seconds.0.max(1);
        if looks > MOST_LOOKS {
            let problem = format!(
                "{looks} looks are more than an execution's history holds; allowed are {MOST_LOOKS}"
            );
            found.add("data_sources.poll_seconds", problem);
        }
        for (index, source) in policy.sources.iter().enumerate() {
            let path = format!("data_sources.sources[{index}]");
            let same = |other: &DataSource| other.name == source.name;
            if source.name.trim().is_empty() {
                found.add(format!("{path}.name"), "is empty");
            } else if policy.sources.iter().take(index).any(same) {
                found.add(format!("{path}.name"), "stands twice");
            }
            for site in SiteLabel::ALL {
                let addresses = source.addresses(site);
                for (place, address) in addresses.iter().enumerate() {
                    if let Err(problem) = address.parse::<SourceAddress>() {
                        found.add(format!("{path}.{site}[{place}]"), problem);
                    }
                }
                if source
                    .at_least
                    .is_some_and(|n| n == 0 || n > addresses.len())
                {
                    let problem = format!("the {site} has {} addresses", addresses.len());
                    found.add(format!("{path}.at_least"), problem);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_sources_are_read_or_refused() {
        let host = |text: &str| match text.parse() {
            Ok(SourceAddress::Host(address)) => Some((address.host, address.port)),
            _ => None,
        };
        for (text, expected) in [
            (
                "jdbc:postgresql://db.example.org:5432/sales?ssl=true",
                ("db.example.org", 5432),
            ),
            (
                "jdbc:sqlserver://db.example.org:1433;databaseName=x",
                ("db.example.org", 1433),
            ),
            ("tcp://b-1.example.org:9094", ("b-1.example.org", 9094)),
            ("https://api.example.org/health", ("api.example.org", 443)),
        ] {
            let expected = (expected.0.to_owned(), expected.1);
            assert_eq!(host(text), Some(expected), "{text}");
        }
        assert_eq!(
            "s3://lake/in/".parse(),
            Ok(SourceAddress::Objects {
                bucket: "lake".to_owned(),
                prefix: "in/".to_owned()
            })
        );
        for text in [
            "s3://",
            "jdbc:oracle:thin:@db:1521",
            "jdbc:x://db",
            "db:5432",
            "",
        ] {
            assert!(text.parse::<SourceAddress>().is_err(), "{text}");
        }
    }
}
