//! What the fence on a switchover's target kept from the active site: S3 marks it `FAILED` and does not try it again, so it is listed
//! before anybody is asked. By listings of both sites only; no data is read.

use std::collections::BTreeMap;
use std::ops::AsyncFn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws::buckets::{Buckets, ListPage};
use aws::{Failure, Ports, keys};
use futures::{StreamExt, stream};
use recovery::plan::Plan;
use recovery::replication::{
    FencedSet, HELD_BACK_FORMAT, HeldBackDocument, HeldObject, LOOK_BACK, ListedObject,
    MOST_HELD_BACK, fenced_sets, manifest,
};
use recovery::run::{Mode, RunDocument};
use recovery::site::RunToken;
use tokio::time::Instant;

/// A look takes no longer than this: people wait for the request. S3 lists about 5,000 objects a second of a prefix.
const LONGEST: Duration = Duration::from_secs(300);
/// Data sets that are listed at the same time.
const SETS_AT_ONCE: usize = 4;

/// What was found of one data set.
#[derive(Debug, Default)]
struct Found {
    objects: Vec<HeldObject>,
    /// Why there may be more.
    problem: Option<String>,
}

/// Lists what the fence on the target held back, if this is a switchover to a fenced site and this attempt has not done so. Takes half
/// of `time` at most, so that what was found can be stored.
///
/// # Errors
/// `LockLost`, or what the store said. What cannot be listed is a problem in the document, not an error.
pub(crate) async fn list(
    ports: &Ports,
    plan: &Plan,
    buckets: &Buckets,
    document: &RunDocument,
    token: &RunToken,
    time: Duration,
) -> Result<(), Failure> {
    let site = document.target;
    let sets = fenced_sets(plan, site);
    let is_listed = document.evidence.held_back.is_some();
    if document.mode != Mode::Switchover || is_listed || sets.is_empty() {
        return Ok(());
    }
    let state = ports.state().await?;
    let Some(fence) = state.fences.get(&site) else {
        return Ok(());
    };
    let looked_at = ports.now();
    let since = fence.since.saturating_sub(LOOK_BACK).unwrap_or(fence.since);
    let end = Instant::now() + LONGEST.min(time / 2);
    let room = AtomicUsize::new(MOST_HELD_BACK);
    let (there, here) = (
        &plan.sites.get(site).region,
        &plan.sites.get(site.other()).region,
    );
    let walks = sets.iter().map(|set| {
        let room = &room;
        async move {
            let of = async |(bucket, prefix): (&str, &str), region, after: Option<String>| {
                let page = buckets.list_after(region, bucket, prefix, after.as_deref());
                tokio::time::timeout_at(end, page).await
            };
            let walk = Walk {
                set,
                since,
                room,
                there: async |after| within(of(set.there, there, after).await),
                here: async |after| within(of(set.here, here, after).await),
            };
            walk.to_the_end().await
        }
    });
    let found: Vec<Found> = stream::iter(walks).buffered(SETS_AT_ONCE).collect().await;
    let entries = sets.iter().zip(&found);
    let entries = entries.map(|(set, found)| set.entry(&found.objects, found.problem.clone()));
    let listing = HeldBackDocument {
        format_version: HELD_BACK_FORMAT,
        run: document.run.clone(),
        attempt: document.attempt,
        looked_at,
        site,
        fenced_since: fence.since,
        since,
        complete: found.iter().all(|found| found.problem.is_none()),
        data_sets: entries.collect(),
    };
    keep(ports, token, &listing, &sets, &found).await
}

/// Writes the manifests, then the document that counts them, then the run that names all.
async fn keep(
    ports: &Ports,
    token: &RunToken,
    listing: &HeldBackDocument,
    sets: &[FencedSet<'_>],
    found: &[Found],
) -> Result<(), Failure> {
    let run = &listing.run;
    let written = async |name: &str, overwrites: bool| {
        let lines = sets.iter().zip(found).map(|(set, found)| {
            let objects = found.objects.iter();
            manifest(
                set.there.0,
                objects.filter(|object| object.overwrites == overwrites),
            )
        });
        let text: String = lines.collect();
        if text.is_empty() {
            return Ok(None);
        }
        let key = keys::of_run(run, name);
        ports.put_text(&key, &text).await.map(|()| Some(key))
    };
    let sendable = written("repair/held-back.csv", false).await?;
    let overwriting = written("repair/held-back-overwrites.csv", true).await?;
    let key = keys::of_run(run, "held-back.json");
    ports.put(&key, listing).await?;
    let summary = listing.summary(key, sendable, overwriting);
    ports
        .change_own_run(run, token, |d| {
            d.evidence.held_back = Some(summary.clone());
        })
        .await
}

fn within(
    answer: Result<Result<ListPage, Failure>, tokio::time::error::Elapsed>,
) -> Result<ListPage, String> {
    match answer {
        Ok(Ok(page)) => Ok(page),
        Ok(Err(failure)) => Err(failure.message),
        Err(_) => Err("the time for it was over".to_owned()),
    }
}

/// One data set, listed at both sites side by side. Of each site a page is in memory, and the sizes of what is in question.
struct Walk<'a, T, H> {
    set: &'a FencedSet<'a>,
    since: jiff::Timestamp,
    /// How many objects may still be named, of all data sets together.
    room: &'a AtomicUsize,
    /// The next objects at the fenced site behind a key.
    there: T,
    /// The same at the active site.
    here: H,
}

impl<T, H> Walk<'_, T, H>
where
    T: AsyncFn(Option<String>) -> Result<ListPage, String>,
    H: AsyncFn(Option<String>) -> Result<ListPage, String>,
{
    async fn to_the_end(&self) -> Found {
        let mut found = Found::default();
        let mut after = None;
        loop {
            let stopped_at = after.clone();
            let page = match (self.there)(after.take()).await {
                Ok(page) => page,
                Err(why) => return found.stopped(stopped_at, &why),
            };
            let last = page.objects.last().map(|object| object.key.clone());
            let in_question: Vec<ListedObject> = page
                .objects
                .into_iter()
                .filter(|object| self.set.is_in_question(object, self.since))
                .collect();
            // Second, so that what arrives meanwhile is seen.
            let sizes = match self.sizes(&in_question).await {
                Ok(sizes) => sizes,
                Err(why) => return found.stopped(stopped_at, &why),
            };
            let held = self.set.held_back(&in_question, &sizes);
            let room = self.take_room(held.len());
            let is_full = room < held.len();
            found.objects.extend(held.into_iter().take(room));
            if is_full {
                let why = format!("only {MOST_HELD_BACK} objects are named");
                return found.stopped(None, &why);
            }
            match last.filter(|_| page.more) {
                Some(last) => after = Some(self.set.resume_after(&last)),
                None => return found,
            }
        }
    }

    fn take_room(&self, wanted: usize) -> usize {
        let take = |room: usize| Some(room.saturating_sub(wanted));
        let before = self
            .room
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        wanted.min(before.unwrap_or_else(|room| room))
    }

    /// The active site's sizes of these objects, as far as it has them. Listed from one object to the next: where few are in question
    /// most of the bucket is skipped.
    async fn sizes(&self, in_question: &[ListedObject]) -> Result<BTreeMap<String, u64>, String> {
        let mut sizes = BTreeMap::new();
        let mut seen_to: Option<String> = None;
        for ListedObject { key, .. } in in_question {
            while seen_to.as_ref() < Some(key) {
                let page = (self.here)(seen_to.take().max(before(key))).await?;
                let last = page.objects.last().map(|object| object.key.clone());
                sizes.extend(page.objects.into_iter().map(|o| (o.key, o.size)));
                match last.filter(|_| page.more) {
                    Some(last) => seen_to = Some(last),
                    None => return Ok(sizes),
                }
            }
        }
        Ok(sizes)
    }
}

/// Behind which key a listing begins with this one or close before it. S3 repeats it in its XML, so it holds no control character.
fn before(key: &str) -> Option<String> {
    let mut chars = key.chars();
    let last = chars.next_back()?;
    let shorter = chars.as_str();
    let previous = u32::from(last).checked_sub(1).and_then(char::from_u32);
    match previous.filter(|c| !c.is_control()) {
        // No key sorts between those that begin so and this one.
        Some(previous) => Some(format!("{shorter}{previous}{}", char::MAX)),
        None if shorter.is_empty() => None,
        None => Some(shorter.to_owned()),
    }
}

impl Found {
    /// It was looked at behind this key no more.
    fn stopped(mut self, after: Option<String>, why: &str) -> Self {
        self.problem = Some(match after {
            Some(after) => format!(
                "{why}; nothing behind {} was looked at",
                after.trim_end_matches(char::MAX)
            ),
            None => why.to_owned(),
        });
        self
    }
}

#[cfg(test)]
#[path = "held_back_tests.rs"]
mod tests;
