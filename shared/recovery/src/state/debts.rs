//! What is owed: the list that counts, and who may change which one it is. The list itself is stored before the state names it.

use super::{Refusal, State};
use crate::activation::debts::DebtsPointer;
use crate::site::{ContentDigest, RunId};

impl State {
    /// The active site runs what it should after this run, but for what is owed: `gathered` names the run that made it active and the list of
    /// what that has left, if it was gathered. Asking again changes nothing. Says whether the run was unsettled.
    pub fn settle_run(
        &mut self,
        run: &RunId,
        gathered: Option<(&RunId, Option<DebtsPointer>)>,
    ) -> bool {
        let was_unsettled = self.unsettled.as_ref() == Some(run);
        if was_unsettled {
            self.unsettled = None;
        }
        // A run that an earlier version committed owes without saying so.
        if let Some((owing, owed)) = gathered
            && (self.owing.as_ref() == Some(owing) || (self.owing.is_none() && was_unsettled))
        {
            self.owing = None;
            self.debts = owed;
        }
        was_unsettled
    }

    /// A run that has committed goes on at the active site: nobody learns from it meanwhile, and what it leaves then is gathered anew.
    pub fn reopen(&mut self, run: &RunId) {
        self.unsettled = Some(run.clone());
        self.owing = Some(run.clone());
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
        if let Some(run) = &self.unsettled {
            return Err(Refusal::Unsettled { run: run.clone() });
        }
        self.put_debts(read, owed)
    }

    /// Forgets a whole list, which may be gone: this is allowed too while a run is unsettled, since a resume may be waiting for it.
    ///
    /// # Errors
    /// [`Refusal::Locked`].
    pub fn forget_debts(&mut self, read: &ContentDigest) -> Result<bool, Refusal> {
        self.put_debts(read, None)
    }

    fn put_debts(
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
        let counts = self.debts.as_ref().is_some_and(|d| d.digest == *read);
        if counts {
            self.debts = owed;
        }
        Ok(counts)
    }
}
