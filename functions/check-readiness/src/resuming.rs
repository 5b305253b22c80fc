//! A large standby takes longer to read than one call lasts. What was answered so far is stored, and the next call goes on.

use std::time::Duration;

use aws::{Failure, Ports};
use jiff::{SignedDuration, Timestamp};
use recovery::failure::FailureName;
use serde::{Deserialize, Serialize};
use sites::{Details, StoredDetails};

/// What no call has gone on with for so long belongs to another reading: the schedule comes round each hour.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(3);
/// And what is older than this in any case.
const LONGEST_READING: SignedDuration = SignedDuration::from_hours(24);

/// What is stored between two calls.
#[derive(Serialize, Deserialize)]
struct Started {
    format_version: u32,
    began_at: Timestamp,
    stored_at: Timestamp,
    /// What it was told so far, which may be nothing; `None` once it was read to its end.
    details: Option<StoredDetails>,
}

/// What became of a reading.
pub(crate) enum Progress<R> {
    /// The site was read to its end.
    Done(R),
    /// This call had to end before; the next one goes on.
    GoesOn {
        /// So many details are known.
        known: usize,
        /// When the first call of this reading began.
        began_at: Timestamp,
    },
}

/// Reads within `time`, going on from what an earlier call has stored under `key`. What this one was told is stored if it does not get to its
/// end, whatever the reason.
pub(crate) async fn resume<R>(
    ports: &Ports,
    key: &str,
    time: Duration,
    read: impl AsyncFnOnce(&Details) -> Result<R, Failure>,
) -> Result<Progress<R>, Failure> {
    let now = ports.now();
    let earlier = earlier(ports, key, now).await?;
    let (was_started, began_at) = (
        earlier.is_some(),
        earlier.as_ref().map_or(now, |e| e.began_at),
    );
    let details = Details::resumed(earlier.and_then(|earlier| earlier.details));
    let keep = async |details: Option<StoredDetails>| {
        let started = Started {
            format_version: 1,
            began_at,
            stored_at: ports.now(),
            details,
        };
        ports.put_packed(key, &started).await
    };
    match tokio::time::timeout(time, read(&details)).await {
        Ok(Ok(done)) => {
            if was_started {
                keep(None).await?;
            }
            Ok(Progress::Done(done))
        }
        Ok(Err(failure)) => {
            if let Err(second) = keep(Some(details.to_stored())).await {
                tracing::warn!(%second, "what was read could not be stored");
            }
            Err(failure)
        }
        Err(_) => {
            let stored = details.to_stored();
            let known = stored.answers.len();
            keep(Some(stored)).await?;
            Ok(Progress::GoesOn { known, began_at })
        }
    }
}

/// What cannot be understood is read anew.
async fn earlier(ports: &Ports, key: &str, now: Timestamp) -> Result<Option<Started>, Failure> {
    match ports.read_packed::<Started>(key).await {
        Ok(started) => Ok(started.filter(|started| {
            started.details.is_some()
                && now.duration_since(started.stored_at) < LONGEST_PAUSE
                && now.duration_since(started.began_at) < LONGEST_READING
        })),
        Err(failure) if failure.name == FailureName::StateCorrupt => Ok(None),
        Err(failure) => Err(failure),
    }
}
