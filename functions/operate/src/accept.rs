//! Accepting a baseline that a capture kept aside.

use aws::documents::Change;
use aws::{Failure, Ports, keys};
use recovery::baseline::{BaselinePointer, Candidate};
use recovery::site::ContentDigest;
use recovery::state::Refusal;

use crate::invalid;

pub(crate) async fn accept(ports: &Ports, digest: &ContentDigest) -> Result<String, Failure> {
    let candidate: Option<Candidate> = ports.read(keys::BASELINE_CANDIDATE).await?;
    let (epoch, pointer) = match candidate {
        Some(candidate) if candidate.digest() != digest => {
            return Err(invalid(format!(
                "the candidate is {} by now; look at it and accept that one",
                candidate.digest().as_str()
            )));
        }
        Some(Candidate::Whole { epoch, pointer, .. }) => (epoch, pointer),
        Some(Candidate::DigestOnly(_)) => {
            return Err(invalid(
                "this candidate was kept aside by an earlier version; accept it after the next capture, within 15 minutes",
            ));
        }
        None => {
            return Err(invalid(
                "no capture was kept aside, so there is nothing to accept",
            ));
        }
    };
    let state = ports.state().await?;
    if let Some(lock) = state.lock {
        return Err(Refusal::Locked {
            run: lock.run,
            since: lock.taken_at,
        }
        .into());
    }
    if pointer.site != state.active_site || epoch != state.epoch {
        return Err(invalid(format!(
            "the candidate is of the {} site in epoch {}, but the {} site is active in epoch {}; wait for the next capture",
            pointer.site, epoch, state.active_site, state.epoch
        )));
    }
    let is_newest = ports
        .change(keys::BASELINE, |stored: &mut Option<BaselinePointer>| {
            let newer = |s: &BaselinePointer| s.captured_at > pointer.captured_at;
            if stored.as_ref().is_some_and(newer) {
                return Ok(Change::Keep(false));
            }
            *stored = Some(pointer.clone());
            Ok(Change::Write(true))
        })
        .await?;
    if !is_newest {
        return Err(invalid(
            "a newer capture was accepted by itself meanwhile; nothing is to be done",
        ));
    }
    Ok(format!(
        "the capture of {} is the baseline now: {} objects of the {} site",
        pointer.captured_at, pointer.objects, pointer.site
    ))
}
