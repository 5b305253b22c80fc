//! What a client of one workspace is set up with.

use std::time::Duration;

use crate::error::Error;
use crate::ids::WorkspaceId;
use crate::secret::Credential;
use crate::url::WorkspaceUrl;

/// How long to wait for what. `connect` must not exceed `call`, nor `call` exceed `total`; none may be zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution, TCP and TLS, for one attempt.
    pub connect: Duration,
    /// One attempt: from connecting to the last byte of the answer.
    pub call: Duration,
    /// One call of an operation, over all its attempts and its waits (rate limit, back-off). Each page of a listing
    /// is a call of its own.
    pub total: Duration,
}

impl Default for Timeouts {
    /// 5 s to connect, 60 s an attempt, 300 s in total: the last two are what Databricks' own SDKs use
    /// (databricks-sdk-py 0.156.0, `config.py`, `retries.py`).
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            call: Duration::from_secs(60),
            total: Duration::from_secs(300),
        }
    }
}

impl Timeouts {
    /// Checks that they grow.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let invalid = |reason: &str| {
            Err(Error::InvalidInput {
                what: "timeouts",
                reason: reason.to_owned(),
            })
        };
        if self.connect.is_zero() {
            return invalid("connect is zero");
        }
        if self.connect > self.call || self.call > self.total {
            return invalid("they do not grow: connect <= call <= total");
        }
        if self.total > LONGEST_TOTAL {
            return invalid("total is more than a day");
        }
        Ok(())
    }
}

/// The part of a documented rate that this client may use, since others use the workspace too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateShare {
    percent: u32,
}

impl RateShare {
    /// 95 %: a run.
    pub const RUN: Self = Self { percent: 95 };
    /// 20 %: captures, checks, probes.
    pub const BACKGROUND: Self = Self { percent: 20 };

    /// A share of 1 to 100 percent, otherwise [`Error::InvalidInput`].
    pub fn new(percent: u32) -> Result<Self, Error> {
        if (1..=100).contains(&percent) {
            Ok(Self { percent })
        } else {
            Err(Error::InvalidInput {
                what: "rate share",
                reason: "it is not 1 to 100 percent".into(),
            })
        }
    }

    /// The share in percent.
    #[must_use]
    pub const fn percent(self) -> u32 {
        self.percent
    }
}

/// Whether failed attempts are repeated where that is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retries {
    /// Repeat within [`Timeouts::total`].
    #[default]
    On,
    /// One attempt: for probes, whose result is the failure itself. A token that the platform no longer takes (401)
    /// is still replaced once.
    Off,
}

/// Whether connections are kept between calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connections {
    /// Keep and reuse them: bulk work.
    #[default]
    Pooled,
    /// Open one for each attempt, and record its times: probes. A connection kept while a function sleeps goes stale and reads as an outage.
    Fresh,
}

/// No call may take longer.
const LONGEST_TOTAL: Duration = Duration::from_secs(86_400);

/// Everything a [`Workspace`](crate::Workspace) needs. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the workspace answers.
    pub url: WorkspaceUrl,
    /// The workspace that must answer there, or nothing is written.
    pub workspace_id: WorkspaceId,
    /// How to sign in.
    pub credential: Credential,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// How much of the documented rates to use.
    pub share: RateShare,
    /// Whether to repeat failed attempts.
    pub retries: Retries,
    /// Whether to keep connections.
    pub connections: Connections,
    /// How many of the platform's seconds pass in one of ours: 1, but for a simulated platform whose clock and rates run faster.
    /// Rates and waits between attempts follow it, timeouts do not.
    pub time_scale: f64,
}

impl Settings {
    /// Checks what the types cannot: the order of the timeouts, and that no credential is empty or unfit for a header.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.timeouts.check()?;
        if !(self.time_scale.is_finite() && self.time_scale >= 1.0) {
            return Err(Error::InvalidInput {
                what: "time scale",
                reason: "it is not a number of at least 1".to_owned(),
            });
        }
        let fit = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        let fits = match &self.credential {
            Credential::Token(token) => fit(token.expose()),
            Credential::ClientSecret {
                client_id,
                client_secret,
            } => fit(client_id) && fit(client_secret.expose()),
            Credential::Federated {
                client_id,
                fallback,
                ..
            } => fit(client_id) && fallback.as_ref().is_none_or(|secret| fit(secret.expose())),
        };
        if !fits {
            return Err(Error::InvalidInput {
                what: "credential",
                reason: "a part of it is empty or has characters other than visible ASCII; look for a line break at its end".to_owned(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn settings(token: &str, timeouts: Timeouts) -> Settings {
        Settings {
            url: WorkspaceUrl::parse("https://host").unwrap(),
            workspace_id: WorkspaceId::new(1),
            credential: Credential::Token(Secret::new(token)),
            timeouts,
            share: RateShare::RUN,
            retries: Retries::On,
            connections: Connections::Pooled,
            time_scale: 1.0,
        }
    }

    #[test]
    fn share_is_a_percentage() {
        assert!(RateShare::new(0).is_err());
        assert!(RateShare::new(101).is_err());
        assert_eq!(RateShare::new(95).unwrap(), RateShare::RUN);
    }

    #[test]
    fn settings_are_checked_and_show_no_secret() {
        assert!(settings("t0ken", Timeouts::default()).check().is_ok());
        assert!(!format!("{:?}", settings("t0ken", Timeouts::default())).contains("t0ken"));
        assert!(settings("", Timeouts::default()).check().is_err());
        let error = settings("t0ken\n", Timeouts::default())
            .check()
            .unwrap_err();
        assert!(!error.to_string().contains("t0ken"));
        let second = Duration::from_secs(1);
        for (connect, call, total) in [(2, 1, 3), (1, 3, 2), (0, 1, 1)] {
            let timeouts = Timeouts {
                connect: second * connect,
                call: second * call,
                total: second * total,
            };
            assert!(settings("t", timeouts).check().is_err());
        }
    }
}
