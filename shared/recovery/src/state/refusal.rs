//! Why a transition of the state was refused.

use jiff::Timestamp;

use crate::site::{Epoch, RunId, SiteLabel};

/// Why a transition was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// A hold blocks every start.
    #[error(
        "a hold by {who} since {since} blocks every start ({why}); release it with operate `release`"
    )]
    Held {
        /// Who set the hold.
        who: String,
        /// Why.
        why: String,
        /// Since when.
        since: Timestamp,
    },
    /// Another run is under way.
    #[error(
        "run {run} holds the lock since {since}; wait for it, or end it with operate `abandon`"
    )]
    Locked {
        /// The run.
        run: RunId,
        /// Since when.
        since: Timestamp,
    },
    /// The caller is not, or no longer, the holder of the lock.
    #[error("run {run} does not hold the lock with this token; its execution must stop acting")]
    LockLost {
        /// The caller's run.
        run: RunId,
    },
    /// The run has committed, so it cannot be abandoned.
    #[error(
        "run {run} has committed: its target is the active site; resume it, the way back is a switchover"
    )]
    Committed {
        /// The run.
        run: RunId,
    },
    /// The run has reached its end, so there is nothing to abandon.
    #[error("run {run} is completed; there is nothing to abandon")]
    Completed {
        /// The run.
        run: RunId,
    },
    /// A run has changed sites and did not complete, so nobody knows what it owes.
    #[error(
        "run {run} has changed sites and did not complete; resume it, or vouch for the active site with operate `vouch`"
    )]
    Unsettled {
        /// The run.
        run: RunId,
    },
    /// There is no fence to lift or to work on.
    #[error("no fence stands on the {site} site")]
    NoFence {
        /// The site.
        site: SiteLabel,
    },
    /// The site that would be left is not fenced, or the one that would become active is.
    #[error("the {from} site is not fenced or the {target} site is; nothing may be committed")]
    NotFenced {
        /// The site that would be left.
        from: SiteLabel,
        /// The site that would become active.
        target: SiteLabel,
    },
    /// The state changed since the run looked at it.
    #[error(
        "the {active} site is active in epoch {epoch} now, or a fence stands on the target; start again"
    )]
    Changed {
        /// The active site.
        active: SiteLabel,
        /// The epoch.
        epoch: Epoch,
    },
    /// Another pass is at the site.
    #[error("another pass is at the {site} site, until {until} at the latest")]
    PassUnderWay {
        /// The site.
        site: SiteLabel,
        /// When it is over at the latest.
        until: Timestamp,
    },
    /// A fence stands on the site.
    #[error("a fence stands on the {site} site; lift it first with operate `unfence`")]
    Fenced {
        /// The site.
        site: SiteLabel,
    },
    /// An order to reset a site stands.
    #[error("the {site} site is being reset since {since}; wait until it is done")]
    Resetting {
        /// The site.
        site: SiteLabel,
        /// Since when.
        since: Timestamp,
    },
    /// There is nothing to promote.
    #[error(
        "the {site} site is active and is the home already; a promotion follows a failover away from the home"
    )]
    AtHome {
        /// The site.
        site: SiteLabel,
    },
    /// The order is gone.
    #[error("the order {id} stands no more: it was done, or a run has begun")]
    NoReset {
        /// The order.
        id: RunId,
    },
    /// An operator is lifting the fence.
    #[error("an operator is lifting the fence on the {site} site")]
    Lifting {
        /// The site.
        site: SiteLabel,
    },
    /// No fresh reading shows the fenced site quiet, so that lifting its fence could make two active sites.
    #[error(
        "no fresh reading shows the {site} site quiet, and it is not the active one: without its fence both sites may run; wait for the watch's next reading (each minute), or accept this by name: add \"confirm\" with the plan's name"
    )]
    NeverQuiet {
        /// The site.
        site: SiteLabel,
    },
}
