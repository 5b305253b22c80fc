//! The fence on a switchover's target is lifted, as an act of its own: not before the site that is left is quiet, and before anything
//! is started at the target.

use aws::{Failure, Invocation, Ports};
use recovery::failure::FailureName;
use recovery::ledger::{Entry, EntryStatus};
use recovery::run::{RunDocument, Stage};
use recovery::site::RunToken;
use recovery::state::Lifted;

/// What became of it.
pub(crate) enum Unfenced {
    /// No fence stands on the target.
    Yes,
    /// Not yet.
    Waits {
        /// The reason, in words.
        why: String,
        /// A pass of the fence there must end first.
        for_pass: bool,
    },
}

pub(crate) async fn unfence(
    ports: &Ports,
    run: &RunDocument,
    token: &RunToken,
    invocation: &Invocation,
) -> Result<Unfenced, Failure> {
    let target = run.target;
    let state = ports.state().await?;
    let Some(fence) = state.fences.get(&target) else {
        return Ok(Unfenced::Yes);
    };
    // Noted first: whoever abandons this run must find what to raise again.
    let before = fence.again();
    ports
        .change_own_run(&run.run, token, |d| {
            d.lifted.get_or_insert_with(|| before.clone());
        })
        .await?;
    let now = ports.now();
    let lifted = ports
        .change_state(|state| state.lift_in_run(target, &run.run, token, now))
        .await;
    match lifted {
        Ok(Some(Lifted::Waits)) => Ok(Unfenced::Waits {
            why: format!("a pass of the fence on the {target} site must end before it is lifted"),
            for_pass: true,
        }),
        Ok(Some(Lifted::Done(fence))) => {
            let entry = Entry {
                subject: None,
                act: format!("lift the fence of run {} on the {target} site", fence.run),
                at: now,
                attempts: 1,
                status: EntryStatus::Acknowledged,
            };
            let request = &invocation.request_id;
            let stage = format!("{:?}", Stage::Fence);
            ports
                .add_to_ledger(&run.run, target, &stage, request, vec![entry])
                .await?;
            crate::warn_untold(ports.announce_fences(&ports.state().await?).await);
            Ok(Unfenced::Yes)
        }
        Ok(None) => Ok(Unfenced::Yes),
        // The watch has not seen the target quiet lately: something was started there.
        Err(failure) if failure.name == FailureName::InvalidEvent => Ok(Unfenced::Waits {
            why: failure.message,
            for_pass: false,
        }),
        Err(failure) => Err(failure),
    }
}
