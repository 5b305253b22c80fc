//! Notices to people by SNS.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_sns::Client;
use recovery::failure::FailureName;

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

/// The other forms of a notice, for subscribers that do not read mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forms {
    /// For an SMS.
    pub short: String,
    /// For machines: JSON.
    pub facts: String,
}

/// The protocols behind which machines listen. All others get text.
const MACHINES: [&str; 5] = ["email-json", "http", "https", "lambda", "sqs"];
/// SNS takes 256 KiB in all; the rest is for its envelope.
const LONGEST_MESSAGE: usize = 250 * 1024;

/// The message with one entry for each protocol (`MessageStructure` `json`). Facts that are too long for SNS are left out, the text
/// is not.
fn structured(text: &str, forms: &Forms) -> String {
    let whole = |facts: Option<&str>| {
        let mut entries = serde_json::Map::new();
        entries.insert("default".to_owned(), text.into());
        entries.insert("sms".to_owned(), forms.short.as_str().into());
        for protocol in MACHINES {
            entries.extend(facts.map(|facts| (protocol.to_owned(), facts.into())));
        }
        serde_json::Value::Object(entries).to_string()
    };
    let message = whole(Some(&forms.facts));
    if message.len() <= LONGEST_MESSAGE {
        message
    } else {
        whole(None)
    }
}

/// Who listens, shortened: enough to know who was asked, too little to write to them.
fn shortened(protocol: &str, endpoint: &str) -> String {
    let initial = |text: &str| text.chars().next().map(String::from).unwrap_or_default();
    match protocol {
        "email" | "email-json" => match endpoint.split_once('@') {
            Some((name, domain)) => format!("{}***@{domain}", initial(name)),
            None => "***".to_owned(),
        },
        "sms" => {
            let digits: Vec<char> = endpoint.chars().collect();
            let last: String = digits.iter().rev().take(2).rev().collect();
            format!("phone ***{last}")
        }
        "http" | "https" => endpoint
            .split('/')
            .nth(2)
            .and_then(|host| host.rsplit('@').next())
            .map_or_else(|| protocol.to_owned(), |host| format!("{protocol} {host}")),
        _ => format!(
            "{protocol} {}",
            endpoint.rsplit(':').next().unwrap_or_default()
        ),
    }
}

/// The port.
#[async_trait]
pub trait Notices: Send + Sync {
    /// Sends a notice.
    async fn publish(&self, notice: Notice) -> Result<(), Failure>;
    /// Sends a notice in several forms by one publish.
    async fn publish_in_forms(&self, notice: Notice, forms: Forms) -> Result<(), Failure>;
    /// Who listens, shortened; the first hundred.
    async fn listeners(&self, audience: Audience) -> Result<Vec<String>, Failure>;
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

impl SnsNotices {
    const fn topic(&self, audience: Audience) -> &String {
        match audience {
            Audience::Managers => &self.managers,
            Audience::Escalation => &self.escalation,
        }
    }

    async fn send(
        &self,
        audience: Audience,
        subject: &str,
        message: String,
        structure: Option<&str>,
    ) -> Result<(), Failure> {
        let topic = self.topic(audience);
        self.client
            .publish()
            .topic_arn(topic)
            .subject(subject_line(subject))
            .message(message)
            .set_message_structure(structure.map(str::to_owned))
            .send()
            .await
            .map(|_| ())
            .map_err(aws_failure!(format!("publishing to {topic}")))
    }
}

#[async_trait]
impl Notices for SnsNotices {
    async fn publish(&self, notice: Notice) -> Result<(), Failure> {
        self.send(notice.audience, &notice.subject, notice.message, None)
            .await
    }

    async fn publish_in_forms(&self, notice: Notice, forms: Forms) -> Result<(), Failure> {
        let message = structured(&notice.message, &forms);
        self.send(notice.audience, &notice.subject, message, Some("json"))
            .await
    }

    async fn listeners(&self, audience: Audience) -> Result<Vec<String>, Failure> {
        let topic = self.topic(audience);
        let answer = self
            .client
            .list_subscriptions_by_topic()
            .topic_arn(topic)
            .send()
            .await
            .map_err(aws_failure!(format!("listing who listens to {topic}")))?;
        Ok(answer
            .subscriptions()
            .iter()
            .filter(|s| s.subscription_arn() != Some("PendingConfirmation"))
            .filter_map(|s| Some(shortened(s.protocol()?, s.endpoint()?)))
            .collect())
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
    down: Arc<AtomicBool>,
    escalation_down: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<Notice>>>,
    forms: Arc<Mutex<Vec<Forms>>>,
}

impl MemoryNotices {
    /// While SNS is down, every publish and every listing fails as `Transient`.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }

    /// Only the escalation topic fails, for example because it was deleted.
    pub fn set_escalation_down(&self, down: bool) {
        self.escalation_down.store(down, Ordering::Relaxed);
    }

    fn require_audience(&self, audience: Audience) -> Result<(), Failure> {
        self.require_up()?;
        if audience == Audience::Escalation && self.escalation_down.load(Ordering::Relaxed) {
            return Err(Failure::new(
                FailureName::Transient,
                "the escalation topic is down",
            ));
        }
        Ok(())
    }

    fn require_up(&self) -> Result<(), Failure> {
        if self.down.load(Ordering::Relaxed) {
            return Err(Failure::new(FailureName::Transient, "SNS is down"));
        }
        Ok(())
    }

    /// Everything that was sent, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Notice> {
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The forms of everything that was sent in several, in order.
    #[must_use]
    pub fn forms(&self) -> Vec<Forms> {
        self.forms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait]
impl Notices for MemoryNotices {
    async fn publish(&self, notice: Notice) -> Result<(), Failure> {
        self.require_audience(notice.audience)?;
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(notice);
        Ok(())
    }

    async fn publish_in_forms(&self, notice: Notice, forms: Forms) -> Result<(), Failure> {
        self.require_audience(notice.audience)?;
        self.forms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(forms);
        self.publish(notice).await
    }

    async fn listeners(&self, audience: Audience) -> Result<Vec<String>, Failure> {
        self.require_up()?;
        let endpoint = match audience {
            Audience::Managers => "manager@example.com",
            Audience::Escalation => "escalation@example.com",
        };
        Ok(vec![shortened("email", endpoint)])
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

    #[test]
    fn people_get_text_machines_get_facts_by_one_publish() {
        let forms = Forms {
            short: "short".to_owned(),
            facts: "{}".to_owned(),
        };
        let message: serde_json::Value = serde_json::from_str(&structured("long", &forms)).unwrap();
        assert_eq!(message["default"], "long");
        assert_eq!(message["sms"], "short");
        assert_eq!(message["sqs"], "{}");
        let huge = Forms {
            facts: "x".repeat(LONGEST_MESSAGE),
            ..forms
        };
        let message = structured("long", &huge);
        assert!(message.len() < 100 && message.contains("long"));
    }

    #[test]
    fn who_listens_is_told_without_an_address_to_write_to() {
        for (protocol, endpoint, told) in [
            ("email", "ada@example.com", "a***@example.com"),
            ("sms", "+15550100", "phone ***00"),
            (
                "https",
                "https://user:pass@hooks.example/T0/secret",
                "https hooks.example",
            ),
            (
                "lambda",
                "arn:aws:lambda:us-west-2:1:function:chat",
                "lambda chat",
            ),
            ("email", "broken", "***"),
        ] {
            assert_eq!(shortened(protocol, endpoint), told);
        }
    }
}
