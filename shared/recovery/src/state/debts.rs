//! What is owed: the list that counts, and who may change which one it is. The list itself is stored before the state names it.

use super::{Refusal, State};
use crate::activation::debts::DebtsPointer;
use crate::site::{ContentDigest, RunId};

impl State {
    /// The run has changed sites, and the active one runs what it should, but for these. Asking again changes nothing. Says whether the run
    /// was unsettled.
    pub fn settle_run(&mut self, run: &RunId, owed: Option<DebtsPointer>) -> bool {
        let was_unsettled = self.unsettled.as_ref() == Some(run);
        if was_unsettled {
            self.unsettled = None;
            self.debts = owed;
        }
        was_unsettled
    }

    /// Puts another list in the place of the one that was read. Says whether that one still counted.
    ///
    /// # Errors
    /// [`Refusal::Locked`] while a run is under way: it restores by the list that it found. [`Refusal::Unsettled`] while it is not known
    /// what a run has left owed.
    pub fn replace_debts(
        &mut self,
        read: &ContentDigest,
        owed: Option<DebtsPointer>,
    ) -> Result<bool, Refusal> {
        if let Some(lock) = &self.lock {
            return Err(Refusal::Locked {
                run: lock.run.clone(),
                since: lock.taken_at,
            });
        }
        if let Some(run) = &self.unsettled {
            return Err(Refusal::Unsettled { run: run.clone() });
        }
        let counts = self.debts.as_ref().is_some_and(|d| d.digest == *read);
        if counts {
            self.debts = owed;
        }
        Ok(counts)
    }
}
