//! What is acted upon at a site, by which right, and what the ledger says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aws::{Failure, Invocation, Ports};
use databricks::Writer;
use jiff::{SignedDuration, Timestamp};
use recovery::activation::{ActivationStep, PhaseWork};
use recovery::inventory::{Inventory, Subject};
use recovery::ledger::{Entry, EntryStatus, ReadEntry, Verified};
use recovery::site::{RunId, RunToken, SiteLabel};

use crate::act::carry_out;

/// Steps between two looks at the right: at 10 updates a second well under 15 seconds.
const BATCH: usize = 24;
/// An act is repeated if a reading this much later still shows the old state.
const REPEAT_AFTER: Duration = Duration::from_secs(10);
/// How old an answer about the right may be.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// A pass that was killed is believed to work for so long.
const LEASE: SignedDuration = SignedDuration::from_secs(60);

/// By what right something is changed.
#[derive(Clone, Debug)]
pub(crate) enum Right {
    /// The run holds the lock.
    Run(RunToken),
    /// An operator's order to reset the site stands.
    Order,
}

/// When something was last acted upon, and how often.
#[derive(Clone, Copy)]
struct Acted {
    at: Timestamp,
    /// None if an earlier call did it.
    tried: Option<Instant>,
    attempts: u32,
}

/// One effort at one site. `id` is the run, or the order.
pub(crate) struct Effort<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) invocation: &'a Invocation,
    id: RunId,
    site: SiteLabel,
    right: Right,
    /// Under which the ledger keeps it.
    stage: String,
    acted: BTreeMap<Subject, Acted>,
    /// What the platform refused for good: tried once a call, so that it does not hold up the rest.
    pub(crate) refused: BTreeSet<Subject>,
    told: BTreeSet<Subject>,
}

impl<'a> Effort<'a> {
    /// Goes on where earlier calls stopped: what they attempted and nobody has read back is read back by this one.
    pub(crate) async fn resume(
        ports: &'a Ports,
        invocation: &'a Invocation,
        id: RunId,
        site: SiteLabel,
        right: Right,
        stage: String,
    ) -> Result<Self, Failure> {
        let pages = ports.ledger_of(&id, &stage).await?;
        let here = pages.into_iter().filter(|page| page.site == site);
        let acted = unread(here.flat_map(|page| page.entries));
        Ok(Self {
            ports,
            invocation,
            id,
            site,
            right,
            stage,
            acted,
            refused: BTreeSet::new(),
            told: BTreeSet::new(),
        })
    }

    /// Whether it may still act. Asked before each batch.
    pub(crate) async fn require_right(&self) -> Result<(), Failure> {
        match &self.right {
            Right::Run(token) => self.ports.require_lock(&self.id, token).await.map(|_| ()),
            Right::Order => {
                let now = self.ports.now();
                let request = &self.invocation.request_id;
                self.ports
                    .change_state(|state| state.hold_reset(&self.id, request, now, now + LEASE))
                    .await
            }
        }
    }

    /// Does something as long as it may be done; dropped when it may not. The client repeats by itself for longer than a zombie may
    /// live.
    pub(crate) async fn during<R>(&self, act: impl Future<Output = R>) -> Result<R, Failure> {
        let mut act = std::pin::pin!(act);
        loop {
            self.require_right().await?;
            if let Ok(done) = tokio::time::timeout(CHECK_EVERY, &mut act).await {
                return Ok(done);
            }
        }
    }

    /// Steps of this work that the platform has not refused for good, and what is on its way.
    pub(crate) fn open(&self, work: &PhaseWork) -> usize {
        let steps = work.steps.iter();
        let steps = steps.filter(|s| !self.refused.contains(&s.subject));
        steps.count() + work.waiting.len()
    }

    /// What is left alone is named once.
    pub(crate) async fn list(&mut self, work: &PhaseWork) -> Result<(), Failure> {
        let at = self.ports.now();
        let entries = work
            .listed
            .iter()
            .filter(|(subject, _)| self.told.insert(subject.clone()))
            .map(|(subject, reason)| Entry {
                subject: Some(subject.clone()),
                act: "left alone".to_owned(),
                at,
                attempts: 0,
                status: EntryStatus::Listed {
                    reason: reason.clone(),
                },
            })
            .collect();
        self.write(entries).await
    }

    pub(crate) async fn verify(
        &mut self,
        target: &Inventory,
        work: &PhaseWork,
    ) -> Result<(), Failure> {
        let as_wanted: BTreeSet<&Subject> = work.as_wanted.iter().collect();
        let mut entries = Vec::new();
        self.acted.retain(|subject, acted| {
            match Verified::by_reading(target, Some(acted.at), |_| as_wanted.contains(subject)) {
                Some(proof) => {
                    entries.push(Entry {
                        subject: Some(subject.clone()),
                        act: "read back".to_owned(),
                        at: target.read_at,
                        attempts: acted.attempts,
                        status: EntryStatus::Verified { read_at: proof },
                    });
                    false
                }
                None => true,
            }
        });
        self.write(entries).await
    }

    /// Does the steps of this work up to a wave, but those that were done a moment ago.
    pub(crate) async fn act(
        &mut self,
        writer: &Writer,
        work: &PhaseWork,
        last_wave: usize,
    ) -> Result<(), Failure> {
        let repeat_after = REPEAT_AFTER.div_f64(self.ports.time_scale);
        let due: Vec<&ActivationStep> = work
            .steps
            .iter()
            .filter(|step| step.wave <= last_wave && !self.refused.contains(&step.subject))
            .filter(|step| {
                self.acted
                    .get(&step.subject)
                    .and_then(|acted| acted.tried)
                    .is_none_or(|tried| tried.elapsed() >= repeat_after)
            })
            .collect();
        for batch in due.chunks(BATCH) {
            if self.invocation.is_over() {
                return Ok(());
            }
            self.require_right().await?;
            self.announce(batch).await?;
            let acted = &self.acted;
            let attempts = |subject: &Subject| acted.get(subject).map_or(1, |a| a.attempts);
            let clock = &self.ports.clock;
            let acting = carry_out(writer, batch, attempts, &self.id, clock);
            let (results, refused) = self.during(acting).await?;
            self.refused.extend(refused);
            self.write(results).await?;
        }
        Ok(())
    }

    /// Notes that these are about to be tried, so that a killed function leaves a trace.
    async fn announce(&mut self, batch: &[&ActivationStep]) -> Result<(), Failure> {
        let at = self.ports.now();
        let mut entries = Vec::new();
        for step in batch {
            let before = self.acted.get(&step.subject).map_or(0, |a| a.attempts);
            let acted = Acted {
                at,
                tried: Some(Instant::now()),
                attempts: before.saturating_add(1),
            };
            self.acted.insert(step.subject.clone(), acted);
            entries.push(Entry {
                subject: Some(step.subject.clone()),
                act: step.act.restoring_words().to_owned(),
                at,
                attempts: acted.attempts,
                status: EntryStatus::Attempted,
            });
        }
        self.write(entries).await
    }

    pub(crate) async fn write(&self, entries: Vec<Entry>) -> Result<(), Failure> {
        let request = &self.invocation.request_id;
        self.ports
            .add_to_ledger(&self.id, self.site, &self.stage, request, entries)
            .await
    }
}

/// What was attempted and never read back, by lines in the order in which they were written.
fn unread(entries: impl Iterator<Item = ReadEntry>) -> BTreeMap<Subject, Acted> {
    let mut acted = BTreeMap::new();
    for entry in entries {
        let Some(subject) = entry.subject else {
            continue;
        };
        match entry.status.as_str() {
            "Verified" => {
                acted.remove(&subject);
            }
            "Attempted" => {
                let last = Acted {
                    at: entry.at,
                    tried: None,
                    attempts: entry.attempts,
                };
                acted.insert(subject, last);
            }
            _ => {}
        }
    }
    acted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_zombie_may_still_send_lands_within_ten_seconds() {
        assert!(CHECK_EVERY + sites::ACTIVATION_CALL <= Duration::from_secs(10));
    }
}
