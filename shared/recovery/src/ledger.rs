//! The ledger: what was attempted on each resource, and what was then read back. Documents are only added.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws_fence::PolicyReading;
use crate::inventory::{Inventory, Subject};
use crate::kind::Object;
use crate::routes::{Route, RoutesReading};
use crate::site::{RunId, SiteLabel};

/// The version of a ledger document.
pub const LEDGER_FORMAT: u32 = 1;

/// Proof that the platform itself said so, later than the attempt. It can only be made from a reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Verified {
    read_at: Timestamp,
}

impl Verified {
    /// The proof that `holds` in a reading that began after the attempt; `None` if the reading is too old or says
    /// otherwise.
    #[must_use]
    pub fn by_reading(
        after: &Inventory,
        attempted_at: Option<Timestamp>,
        holds: impl FnOnce(&Inventory) -> bool,
    ) -> Option<Self> {
        let later = attempted_at.is_none_or(|attempt| after.read_at >= attempt);
        (later && holds(after)).then_some(Self {
            read_at: after.read_at,
        })
    }

    /// The proof that `holds` in one object's own answer, whose reading began at `read_at`. For what is read singly, as a
    /// run is.
    #[must_use]
    pub fn by_object(
        read_at: Timestamp,
        answer: &Object,
        holds: impl FnOnce(&Object) -> bool,
    ) -> Option<Self> {
        holds(answer).then_some(Self { read_at })
    }

    /// The proof that `holds` in a bucket's policy, in a reading that began after the attempt.
    #[must_use]
    pub fn by_policy(
        reading: &PolicyReading,
        attempted_at: Option<Timestamp>,
        holds: impl FnOnce(&PolicyReading) -> bool,
    ) -> Option<Self> {
        let later = attempted_at.is_none_or(|attempt| reading.began() >= attempt);
        (later && holds(reading)).then_some(Self {
            read_at: reading.began(),
        })
    }

    /// The proof that an access point has these routes, in a reading that began after the attempt.
    #[must_use]
    pub fn by_routes(
        reading: &RoutesReading,
        attempted_at: Option<Timestamp>,
        wanted: &[Route],
    ) -> Option<Self> {
        let later = attempted_at.is_none_or(|attempt| reading.began() >= attempt);
        (later && reading.says(wanted)).then_some(Self {
            read_at: reading.began(),
        })
    }

    /// When the reading began.
    #[must_use]
    pub const fn read_at(&self) -> Timestamp {
        self.read_at
    }
}

/// What is known of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status")]
pub enum EntryStatus {
    /// About to be tried; written before the call, so that a killed function leaves a trace.
    Attempted,
    /// The platform accepted the call. That proves nothing yet.
    Acknowledged,
    /// A later reading confirmed it.
    Verified {
        /// The proof.
        read_at: Verified,
    },
    /// AWS accepted it, and nothing can prove its effect.
    Applied,
    /// The platform refused it; tried again in the next pass.
    Failed {
        /// The error, without secrets.
        error: String,
    },
    /// The platform gave no answer, so that nobody knows whether it was done; tried again in the next pass.
    Unreachable {
        /// The error, without secrets.
        error: String,
    },
    /// It cannot or must not be fenced, and may go on.
    NotFenced {
        /// Why.
        reason: String,
    },
    /// Listed on purpose, nothing was done.
    Listed {
        /// Why nothing was done.
        reason: String,
    },
}

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What was acted on; none for an act on the site as a whole.
    pub subject: Option<Subject>,
    /// What was done or found, for example `pause schedule`.
    pub act: String,
    /// When, by our clock.
    pub at: Timestamp,
    /// Which attempt on this resource it was, from 1; 0 where nothing was attempted.
    #[serde(skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// What is known.
    #[serde(flatten)]
    pub status: EntryStatus,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
const fn is_zero(attempts: &u32) -> bool {
    *attempts == 0
}

/// One document: a batch of entries of one pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page {
    /// Always [`LEDGER_FORMAT`].
    pub format_version: u32,
    /// The run.
    pub run: RunId,
    /// The site that was acted on.
    pub site: SiteLabel,
    /// The stage, for example `Fence` or `Schedules`.
    pub stage: String,
    /// The entries in order.
    pub entries: Vec<Entry>,
}

/// The same lines as they are read for the report: statuses are only text there, so that reading a ledger can never
/// make a `Verified`.
#[derive(Clone, Debug, Deserialize)]
pub struct ReadPage {
    /// The site that was acted on.
    pub site: SiteLabel,
    /// The stage.
    pub stage: String,
    /// The entries in order.
    pub entries: Vec<ReadEntry>,
}

/// One line as it is read back for the report.
#[derive(Clone, Debug, Deserialize)]
pub struct ReadEntry {
    /// What was acted on.
    pub subject: Option<Subject>,
    /// What was done.
    pub act: String,
    /// When.
    pub at: Timestamp,
    /// Which attempt it was.
    #[serde(default)]
    pub attempts: u32,
    /// The name of the status.
    pub status: String,
    /// The error, if any.
    #[serde(default)]
    pub error: Option<String>,
    /// The reason of a listed entry.
    #[serde(default)]
    pub reason: Option<String>,
}
