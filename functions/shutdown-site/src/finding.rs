//! What a pass found out about its site, in words for people and as what people must accept to leave it so.

use std::collections::{BTreeMap, BTreeSet};

use databricks::Contacts;
use recovery::approval::Override;
use recovery::inventory::{Subject, ids_by_kind};
use recovery::kind::Kind;
use recovery::site::SiteLabel;
use recovery::state::{QuietReading, SiteCondition};

/// Objects that are named in a sentence.
const MOST_NAMED: usize = 3;
/// How a subject says that it is a run.
const RUN: &str = "run";

/// What a pass found at its end.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// The last reading showed nothing live.
    Quiet(QuietReading),
    /// It answers, and is not known to be quiet.
    NotQuiet(Remains),
    /// No attempt succeeded, and some were refused.
    Refusing(String),
    /// Nothing came back from it.
    Silent(String),
    /// Others go on: this pass found nothing out.
    GaveWay(String),
}

/// What keeps a site that answers from being quiet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remains {
    /// Live in the last reading.
    pub(crate) live: Vec<Subject>,
    /// Kinds that could not be read whole, each with the reason.
    pub(crate) unread: BTreeMap<String, String>,
}

impl Remains {
    /// Nothing is known, for this reason.
    pub(crate) fn unknown(kinds: &[Kind], why: &str) -> Self {
        let unread = kinds.iter().map(|kind| kind.as_str().to_owned());
        Self {
            live: Vec::new(),
            unread: unread.map(|kind| (kind, why.to_owned())).collect(),
        }
    }

    fn describe(&self) -> String {
        let mut parts = Vec::new();
        if !self.live.is_empty() {
            let names: Vec<String> = self
                .live
                .iter()
                .take(MOST_NAMED)
                .map(|s| format!("{} \"{}\"", s.kind, s.name))
                .collect();
            parts.push(format!(
                "{} still live: {}",
                self.live.len(),
                names.join(", ")
            ));
        }
        if let Some((_, why)) = self.unread.first_key_value() {
            let kinds: Vec<&str> = self.unread.keys().map(String::as_str).collect();
            parts.push(format!("could not be read: {} ({why})", kinds.join(", ")));
        }
        format!("answers; {}", parts.join("; "))
    }

    /// What people must accept to leave the site like this.
    pub(crate) fn as_override(&self, site: SiteLabel) -> Override {
        let mut live = ids_by_kind(&self.live);
        let mut unread: BTreeSet<String> = self.unread.keys().cloned().collect();
        // Each pass shows other runs: what people accept is that runs go on.
        if live.remove(RUN).is_some() {
            unread.insert(RUN.to_owned());
        }
        Override::FenceIncomplete { site, unread, live }
    }
}

impl Found {
    pub(crate) const fn is_quiet(&self) -> bool {
        matches!(self, Self::Quiet(_))
    }

    /// What this says of the site; `None` if this pass found nothing out.
    pub(crate) const fn condition(&self) -> Option<SiteCondition> {
        match self {
            Self::Quiet(reading) => Some(SiteCondition::Quiet(*reading)),
            Self::NotQuiet(_) => Some(SiteCondition::Answering),
            Self::Refusing(_) => Some(SiteCondition::Refusing),
            Self::Silent(_) => Some(SiteCondition::Silent),
            Self::GaveWay(_) => None,
        }
    }

    pub(crate) fn words(&self) -> String {
        match self {
            Self::Quiet(_) => "nothing of the protected kinds is live, by its own word".to_owned(),
            Self::NotQuiet(remains) => remains.describe(),
            Self::Refusing(error) => format!("answers nothing but refusals ({error})"),
            Self::Silent(error) => format!("cannot be reached ({error})"),
            Self::GaveWay(why) => format!("this pass gave way: {why}"),
        }
    }
}

/// That no attempt succeeded; `None` if one did, or none was made.
pub(crate) fn gone(contacts: &Contacts) -> Option<Found> {
    let error = contacts.last_failure.clone().unwrap_or_default();
    match contacts {
        Contacts { answered: 1.., .. } => None,
        Contacts { refused: 1.., .. } => Some(Found::Refusing(error)),
        Contacts { silent: 1.., .. } => Some(Found::Silent(error)),
        Contacts { .. } => None,
    }
}
