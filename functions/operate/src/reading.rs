//! A fresh reading of a fenced site for somebody who wants to lift its fence: started now, and waited for.

use std::time::Duration;

use aws::fence_watch::FenceWatch;
use aws::{Failure, Invocation, Ports};
use recovery::site::SiteLabel;
use tokio::time::{Instant, sleep};

/// A reading of a site of the largest size takes minutes; whoever waits longer asks again.
const TIMEOUT: Duration = Duration::from_secs(150);
const POLL: Duration = Duration::from_secs(1);

/// What starts a reading.
pub(crate) struct Reader<'a> {
    pub(crate) watch: &'a dyn FenceWatch,
    pub(crate) invocation: &'a Invocation,
}

impl Reader<'_> {
    /// Returns once a fresh reading shows the site quiet, or the time for it is over; whether it is quiet is asked where the fence is
    /// lifted. A pass that cannot be started comes with the next minute by itself.
    pub(crate) async fn wait_for_quiet(
        &self,
        ports: &Ports,
        site: SiteLabel,
    ) -> Result<(), Failure> {
        if is_settled(ports, site).await? {
            return Ok(());
        }
        if let Err(failure) = self.watch.start_pass().await {
            tracing::warn!(%failure, "no reading was started; the watch makes one within a minute");
        }
        let end = Instant::now() + TIMEOUT.min(self.invocation.left());
        while Instant::now() < end {
            sleep(POLL).await;
            if is_settled(ports, site).await? {
                break;
            }
        }
        Ok(())
    }
}

/// Whether there is nothing to wait for: the site is quiet, active or no longer fenced.
async fn is_settled(ports: &Ports, site: SiteLabel) -> Result<bool, Failure> {
    let state = ports.state().await?;
    let fence = state.fences.get(&site);
    Ok(state.active_site == site || fence.is_none_or(|fence| fence.is_quiet(ports.now())))
}
