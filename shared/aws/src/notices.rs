//! Notices to people by SNS.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_sns::Client;

use crate::Failure;
use crate::failure::aws_failure;

/// SNS refuses subjects of 100 characters and more.
const LONGEST_SUBJECT: usize = 99;

/// Whom a notice goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Incident managers.
    Managers,
    /// Whom to wake when they do not answer.
    Escalation,
}

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whom it goes to.
    pub audience: Audience,
    /// One line, ASCII, under 100 characters; longer ones are cut.
    pub subject: String,
    /// Plain text that reads well on a phone.
    pub message: String,
}

/// The port.
#[async_trait]
pub trait Notices: Send + Sync {
    /// Sends a notice.
    async fn publish(&self, notice: Notice) -> Result<(), Failure>;
}

/// The adapter to SNS.
pub struct SnsNotices {
    client: Client,
    managers: String,
    escalation: String,
}

impl SnsNotices {
    /// Publishes to these topics.
    #[must_use]
    pub fn new(client: Client, managers: impl Into<String>, escalation: impl Into<String>) -> Self {
        Self {
            client,
            managers: managers.into(),
            escalation: escalation.into(),
        }
    }
}

#[async_trait]
impl Notices for SnsNotices {
    async fn publish(&self, notice: Notice) -> Result<(), Failure> {
        let topic = match notice.audience {
            Audience::Managers => &self.managers,
            Audience::Escalation => &self.escalation,
        };
        self.client
            .publish()
            .topic_arn(topic)
            .subject(subject_line(&notice.subject))
            .message(notice.message)
            .send()
            .await
            .map(|_| ())
            .map_err(aws_failure!(format!("publishing to {topic}")))
    }
}

/// SNS takes printable ASCII without line breaks.
#[must_use]
pub fn subject_line(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_graphic() || c == ' ' {
                c
            } else {
                '?'
            }
        })
        .take(LONGEST_SUBJECT)
        .collect()
}

/// The in-memory twin: keeps what was sent.
#[derive(Clone, Default)]
pub struct MemoryNotices {
    sent: Arc<Mutex<Vec<Notice>>>,
}

impl MemoryNotices {
    /// Everything that was sent, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Notice> {
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait]
impl Notices for MemoryNotices {
    async fn publish(&self, notice: Notice) -> Result<(), Failure> {
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(notice);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_that_sns_would_refuse_is_made_acceptable() {
        assert_eq!(subject_line("a\nb\u{e9}"), "a?b?");
        assert_eq!(subject_line(&"x".repeat(200)).len(), 99);
    }
}
