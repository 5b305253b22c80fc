//! The way back of a run that has not committed, and the clean-up of a drill: orders that activate-site works off and verifies.

use std::time::Duration;

use jiff::SignedDuration;
use recovery::baseline::BaselinePointer;
use recovery::failure::FailureName;
use recovery::reset::Reset;
use recovery::run::{Mode, RunDocument, Stage};
use recovery::site::{ContentDigest, RunId, SiteLabel};
use recovery::state::Lifted;

use crate::{Failure, Ports, keys};

/// How long a pass of the fence is waited for; it stops within seconds, unless it was killed.
const PATIENCE: SignedDuration = SignedDuration::from_secs(40);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

impl Ports {
    /// Leads a run that has not committed back: its fence is lifted, the site that it leaves is ordered to become what was recorded of
    /// it, and the target goes back behind its fence or into its posture. `None`: its fence does not stand, so there is no way to go
    /// back. The lock must be free.
    ///
    /// # Errors
    /// `Blocked` while a run or another order is under way or a pass of the fence does not end, or what the store said.
    pub async fn lead_back(
        &self,
        run: &RunDocument,
        who: &str,
        why: &str,
    ) -> Result<Option<String>, Failure> {
        let mut orders = vec![self.order(run.from, run.baseline().digest.clone(), who, why)?];
        let posture = self.posture(run.target).await?;
        if let Some(posture) = &posture {
            orders.push(self.order(run.target, posture.digest.clone(), who, why)?);
        }
        let asked_at = self.now();
        loop {
            let now = self.now();
            let lifted = self
                .change_state(|state| state.lead_back(run, &orders, now))
                .await;
            match lifted {
                Ok(Lifted::Done(_)) => break,
                Ok(Lifted::Waits) if now.duration_since(asked_at) < PATIENCE => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Ok(Lifted::Waits) => {
                    // Nobody waits any more, so passes need not make room.
                    self.change_state(|state| {
                        state.stop_lifting(run.from);
                        Ok(())
                    })
                    .await?;
                    return Err(Failure::new(
                        FailureName::Blocked,
                        format!(
                            "a pass of the fence on the {} site does not end; abandon the run again",
                            run.from
                        ),
                    ));
                }
                Err(failure) if failure.name == FailureName::InvalidEvent => return Ok(None),
                Err(failure) => return Err(failure),
            }
        }
        if let Err(failure) = self.announce_fences(&self.state().await?).await {
            // The watch tells it in its next pass.
            tracing::warn!(%failure, "the end of a fence was not told");
        }
        let target = match (&run.lifted, posture) {
            (Some(_), _) => "is fenced again as before",
            (None, Some(_)) => "goes back into its posture",
            (None, None) => "has no recorded posture and is left as it is",
        };
        Ok(Some(format!(
            "the fence on the {} site is lifted and the site is brought back to what was recorded of it; the {} site {target}; notices tell when it is done",
            run.from, run.target
        )))
    }

    /// What a drill that did not clean up after itself leaves to be done: its target goes into its posture. To be put in the step that
    /// frees its lock, so that no other run begins before.
    ///
    /// # Errors
    /// What the store said.
    pub async fn clean_up_order(&self, run: &RunDocument) -> Result<Option<Reset>, Failure> {
        let touched = run.stages.iter().any(|s| s.stage == Stage::Pools);
        let cleaned = run
            .stages
            .iter()
            .any(|s| s.stage == Stage::Standby && s.finished_at.is_some());
        if run.mode != Mode::Drill || !touched || cleaned {
            return Ok(None);
        }
        let posture = self.posture(run.target).await?;
        Ok(posture.map(|posture| Reset {
            id: run.run.clone(),
            site: run.target,
            record: posture.digest,
            who: format!("run {}", run.run),
            why: "the drill ended before it had cleaned up".to_owned(),
            ordered_at: self.now(),
            brings_up_owed: false,
            pass: None,
        }))
    }

    /// How a site stands by, if that was ever recorded.
    ///
    /// # Errors
    /// What the store said.
    pub async fn posture(&self, site: SiteLabel) -> Result<Option<BaselinePointer>, Failure> {
        let posture: Option<BaselinePointer> = self.read(&keys::posture(site)).await?;
        Ok(posture.filter(|posture| posture.site == site))
    }

    fn order(
        &self,
        site: SiteLabel,
        record: ContentDigest,
        who: &str,
        why: &str,
    ) -> Result<Reset, Failure> {
        Ok(Reset {
            id: RunId::new(format!("reset-{:032x}", self.random_bits()?)),
            site,
            record,
            who: who.to_owned(),
            why: why.to_owned(),
            ordered_at: self.now(),
            brings_up_owed: false,
            pass: None,
        })
    }
}
