//! What this pass and those before it attempted, from the ledger, and what is written to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws::{Failure, Ports};
use jiff::{SignedDuration, Timestamp};
use recovery::fence::FenceStep;
use recovery::inventory::{Inventory, Subject};
use recovery::ledger::{Entry, EntryStatus, Verified};
use recovery::site::{RunId, SiteLabel};

/// The stage under which the ledger keeps the fence.
const STAGE: &str = "Fence";

/// What is known of something that was attempted and is not verified yet.
#[derive(Clone, Copy, Debug)]
struct Open {
    attempted_at: Timestamp,
    /// When that was answered; until then, when it was attempted. A reading that began before does not show what it did.
    settled_at: Timestamp,
    /// When this very pass tried it last, or had the answer.
    tried: Option<Instant>,
    attempts: u32,
}

#[derive(Default)]
struct Known {
    open: BTreeMap<Subject, Open>,
    /// Since when each thing has been fenced anew: the newest time at which it was found live after it had been quiet.
    woken: BTreeMap<Subject, Timestamp>,
    /// When the platform last accepted an act on each thing.
    acknowledged: BTreeMap<Subject, Timestamp>,
    not_fenced: BTreeSet<Subject>,
}

/// The ledger of one fence, as one pass sees it.
pub(crate) struct Records<'a> {
    ports: &'a Ports,
    run: RunId,
    site: SiteLabel,
    request: String,
    known: Mutex<Known>,
}

impl<'a> Records<'a> {
    /// What earlier passes attempted and nobody has verified yet is verified by this one.
    pub(crate) async fn read(
        ports: &'a Ports,
        run: RunId,
        site: SiteLabel,
        request: &str,
    ) -> Result<Self, Failure> {
        let mut known = Known::default();
        for page in ports.ledger_of(&run, STAGE).await? {
            if page.site != site {
                continue;
            }
            for entry in page.entries {
                let Some(subject) = entry.subject else {
                    continue;
                };
                match entry.status.as_str() {
                    "Verified" => {
                        known.open.remove(&subject);
                    }
                    "NotFenced" => {
                        known.not_fenced.insert(subject);
                    }
                    "Acknowledged" => {
                        known.acknowledged.insert(subject, entry.at);
                    }
                    "Attempted" => known.attempted(subject, entry.at, entry.attempts, None),
                    _ => {}
                }
            }
        }
        Ok(Self {
            ports,
            run,
            site,
            request: request.to_owned(),
            known: Mutex::new(known),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a step is to be done now. What was done after the reading began, or a moment ago, is not seen by it yet.
    pub(crate) fn is_due(
        &self,
        step: &FenceStep,
        read_at: Timestamp,
        repeat_after: Duration,
    ) -> bool {
        let Some(subject) = &step.subject else {
            return true;
        };
        self.known().open.get(subject).is_none_or(|open| {
            open.tried
                .is_none_or(|tried| open.settled_at < read_at && tried.elapsed() >= repeat_after)
        })
    }

    /// Whether a step on what cannot be read is to be done now: not while it is being done, nor soon after the platform accepted it.
    pub(crate) fn is_due_unseen(
        &self,
        step: &FenceStep,
        now: Timestamp,
        again_after: SignedDuration,
        repeat_after: Duration,
    ) -> bool {
        let Some(subject) = &step.subject else {
            return false;
        };
        let known = self.known();
        let is_accepted = known
            .acknowledged
            .get(subject)
            .is_some_and(|at| now.duration_since(*at) < again_after);
        let is_fresh = known
            .open
            .get(subject)
            .and_then(|open| open.tried)
            .is_some_and(|tried| tried.elapsed() < repeat_after);
        !is_accepted && !is_fresh
    }

    /// Whether the platform accepted an act at this site within this time.
    pub(crate) fn has_accepted_within(&self, time: SignedDuration) -> bool {
        let now = self.ports.now();
        let known = self.known();
        let mut accepted = known.acknowledged.values();
        accepted.any(|at| now.duration_since(*at) < time)
    }

    /// Notes that these are about to be tried, so that a killed function leaves a trace.
    pub(crate) async fn attempt(&self, steps: &[FenceStep]) -> Result<(), Failure> {
        let at = self.ports.now();
        let entries = {
            let mut known = self.known();
            let mut entry = |step: &FenceStep| {
                let attempts = step.subject.as_ref().map_or(1, |subject| {
                    let before = known.open.get(subject).map_or(0, |open| open.attempts);
                    let attempts = before.saturating_add(1);
                    known.attempted(subject.clone(), at, attempts, Some(Instant::now()));
                    attempts
                });
                Entry {
                    subject: step.subject.clone(),
                    act: step.act.quieting_words().to_owned(),
                    at,
                    attempts,
                    status: EntryStatus::Attempted,
                }
            };
            steps.iter().map(&mut entry).collect()
        };
        self.write(entries).await
    }

    /// The entry for what the platform said to a step.
    pub(crate) fn answered(&self, step: &FenceStep, status: EntryStatus) -> Entry {
        let at = self.ports.now();
        let attempts = step.subject.as_ref().map_or(1, |subject| {
            let mut known = self.known();
            if status == EntryStatus::Acknowledged {
                known.acknowledged.insert(subject.clone(), at);
            }
            known.open.get_mut(subject).map_or(1, |open| {
                open.settled_at = at;
                open.tried = Some(Instant::now());
                open.attempts
            })
        });
        Entry {
            subject: step.subject.clone(),
            act: step.act.quieting_words().to_owned(),
            at,
            attempts,
            status,
        }
    }

    /// Notes what this reading shows as quiet and was acted upon before it. A reading of a part proves nothing of the rest: `shows` says
    /// which kinds were read whole.
    pub(crate) async fn verify(
        &self,
        inventory: &Inventory,
        live: &BTreeSet<Subject>,
        shows: impl Fn(&str) -> bool + Send,
    ) -> Result<(), Failure> {
        let mut entries = Vec::new();
        self.known().open.retain(|subject, open| {
            let proof = Verified::by_reading(inventory, Some(open.attempted_at), |_| {
                shows(&subject.kind) && !live.contains(subject)
            });
            let Some(proof) = proof else { return true };
            entries.push(Entry {
                subject: Some(subject.clone()),
                act: "read back".to_owned(),
                at: inventory.read_at,
                attempts: open.attempts,
                status: EntryStatus::Verified { read_at: proof },
            });
            false
        });
        self.write(entries).await
    }

    /// Names what is not fenced, once a fence.
    pub(crate) async fn not_fenced(&self, found: Vec<(Subject, String)>) -> Result<(), Failure> {
        let at = self.ports.now();
        let entries = {
            let mut known = self.known();
            found
                .into_iter()
                .filter(|(subject, _)| known.not_fenced.insert(subject.clone()))
                .map(|(subject, reason)| Entry {
                    subject: Some(subject),
                    act: "left alone".to_owned(),
                    at,
                    attempts: 0,
                    status: EntryStatus::NotFenced { reason },
                })
                .collect()
        };
        self.write(entries).await
    }

    /// What was found live after this moment, with the newest time of each.
    pub(crate) fn woken_after(&self, moment: Option<Timestamp>) -> BTreeMap<Subject, Timestamp> {
        self.known()
            .woken
            .iter()
            .filter(|(_, at)| moment.is_none_or(|moment| **at > moment))
            .map(|(subject, at)| (subject.clone(), *at))
            .collect()
    }

    pub(crate) async fn write(&self, entries: Vec<Entry>) -> Result<(), Failure> {
        self.ports
            .add_to_ledger(&self.run, self.site, STAGE, &self.request, entries)
            .await
    }
}

impl Known {
    fn attempted(
        &mut self,
        subject: Subject,
        at: Timestamp,
        attempts: u32,
        tried: Option<Instant>,
    ) {
        if !self.open.contains_key(&subject) {
            self.woken.insert(subject.clone(), at);
        }
        self.open.insert(
            subject,
            Open {
                attempted_at: at,
                settled_at: at,
                tried,
                attempts,
            },
        );
    }
}
