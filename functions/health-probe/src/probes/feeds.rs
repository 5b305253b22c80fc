//! What the provider says of itself: the status page and AWS Health. Weak evidence; a feed that does not answer says nothing.

use std::time::Duration;

use aws::{Ports, keys};
use recovery::findings::{HealthEvents, page_outcome};
use recovery::plan::{AwsHealth, PageRegions, StatusPage};
use recovery::site::{Region, SiteLabel};
use recovery::verdict::UnknownCause;
use wire::{Limits, Request};

use super::Finding;

/// A summary of all regions stays far below.
const LARGEST_PAGE: usize = 4 * 1024 * 1024;

/// The page as it came, fetched once for both sites.
pub(crate) type Page = Result<Vec<u8>, ()>;

/// Fetches the page.
pub(crate) async fn fetch(page: &StatusPage, timeout: Duration) -> (Option<wire::Times>, Page) {
    let limits = Limits {
        connect: timeout,
        total: timeout,
        body: LARGEST_PAGE,
    };
    let (times, result) = wire::exchange(Request::get(&page.url), limits).await;
    let body = match result {
        Ok(answer) if answer.status == 200 => Ok(answer.body.to_vec()),
        Ok(_) | Err(_) => Err(()),
    };
    (Some(times), body)
}

/// What the page says of a site's region.
pub(crate) fn read(page: &StatusPage, body: &Page, site: SiteLabel) -> Finding {
    let region = page
        .regions
        .as_ref()
        .map(|names| PageRegions::get(names, site));
    let outcome = body
        .as_ref()
        .ok()
        .and_then(|json| page_outcome(page.format, json, region).ok());
    Finding::new(outcome.unwrap_or_else(|| UnknownCause::ProbeError.into()))
}

/// What the delivered events say of a site's region.
pub(crate) async fn health(ports: &Ports, probe: &AwsHealth, region: &Region) -> Finding {
    match ports.read::<HealthEvents>(keys::AWS_HEALTH).await {
        Ok(events) => Finding::new(
            events
                .unwrap_or_default()
                .outcome(probe, region, ports.now()),
        ),
        Err(_) => Finding::new(UnknownCause::ProbeError),
    }
}
