//! What is known of the source, which may be dark.

use crate::commit::Commit;
use crate::error::{Error, Fault};
use crate::join::Join;
use crate::location::Location;
use crate::log::Log;
use crate::presence::Presence;
use crate::readable::Faults;
use crate::recover::Options;
use crate::replay::{Replay, VersionFacts};
use crate::report::{SourceState, SourceView, TimeSource, VersionSpan};
use crate::walk::Walk;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

/// The source of one table.
pub(crate) struct Source<'a> {
    location: Option<&'a Location>,
    /// None if it cannot be read.
    pub(crate) log: Option<Log>,
    pub(crate) notes: Vec<String>,
    observed_at_ms: i64,
}

/// The newest version that is known of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latest {
    pub(crate) version: u64,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) view: SourceView,
    /// Until when it is known to have been the newest.
    pub(crate) observed_at_ms: Option<i64>,
}

/// A replay with the newest version in it, as far as that could be had.
pub(crate) struct AtLatest(Option<Replay>);

impl AtLatest {
    /// The newest state that is known.
    pub(crate) fn newest(&self) -> Option<&Replay> {
        self.0.as_ref()
    }

    /// The replay, if it ends at `version`.
    pub(crate) fn exact(&self, version: u64) -> Option<&Replay> {
        let ends = |replay: &&Replay| replay.head().is_some_and(|facts| facts.version == version);
        self.0.as_ref().filter(ends)
    }

    pub(crate) fn facts(&self, version: u64) -> Option<VersionFacts> {
        let versions = &self.0.as_ref()?.versions;
        let at = versions
            .binary_search_by_key(&version, |facts| facts.version)
            .ok()?;
        versions.get(at).copied()
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl<'a> Source<'a> {
    /// Lists the source's log; trouble becomes a note.
    pub(crate) async fn list(location: Option<&'a Location>, options: &Options) -> Self {
        let observed_at_ms = now_ms();
        let listed = match location {
            None => Err("it was not asked".to_owned()),
            Some(location) => match timeout(options.source_timeout, Log::list(location)).await {
                Ok(Ok(log)) if log.is_empty() => Err(format!(
                    "there is no delta log under `{}`",
                    location.address()
                )),
                Ok(Ok(log)) => Ok(log),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!(
                    "it did not answer within {} s",
                    options.source_timeout.as_secs()
                )),
            },
        };
        let (log, notes) = match listed {
            Ok(log) => (Some(log), Vec::new()),
            Err(reason) => (None, vec![format!("the source was not read: {reason}")]),
        };
        Self {
            location,
            log,
            notes,
            observed_at_ms,
        }
    }

    /// The newest version known from the source, its last known state and the replica's own log.
    pub(crate) fn latest(
        &self,
        replica: Option<u64>,
        last_known: Option<SourceState>,
        notes: &mut Vec<String>,
    ) -> Latest {
        let mut latest = match (self.log.as_ref().and_then(Log::newest), last_known) {
            (Some(version), _) => Latest {
                version,
                timestamp_ms: None,
                view: SourceView::Read,
                observed_at_ms: Some(self.observed_at_ms),
            },
            (None, Some(state)) => Latest {
                version: state.version,
                timestamp_ms: state.timestamp_ms,
                view: SourceView::LastKnown,
                observed_at_ms: Some(state.observed_at_ms),
            },
            (None, None) => Latest {
                version: 0,
                timestamp_ms: None,
                view: SourceView::Unreadable,
                observed_at_ms: None,
            },
        };
        if let Some(version) = replica.filter(|version| *version > latest.version) {
            if latest.view == SourceView::Read {
                notes.push(format!(
                    "the replica's log holds version {version}, the source's listing ends at {}",
                    latest.version
                ));
            }
            latest.version = version;
            latest.timestamp_ms = None;
            latest.observed_at_ms = None;
        }
        latest
    }

    /// Carries the replica's newest state on to `latest` with the source's commits, or replays the source's log.
    /// Trouble at the source is a note; what the source's log forbids is an error.
    pub(crate) async fn replay_to(
        &self,
        latest: u64,
        head: Option<Replay>,
        replica: &Log,
        join: &Join<'_>,
        options: &Options,
        notes: &mut Vec<String>,
    ) -> Result<AtLatest, Error> {
        let reached = head
            .as_ref()
            .and_then(Replay::head)
            .map(|facts| facts.version);
        let (Some(location), Some(log)) = (self.location, self.log.as_ref()) else {
            return Ok(AtLatest(head));
        };
        if reached == Some(latest) || (reached > log.newest() && replica.newest() > log.newest()) {
            return Ok(AtLatest(head));
        }
        let mut walk = Walk::new(location, log, join, Faults::default());
        let work = carry_on(&mut walk, log, latest, head);
        match timeout(options.source_timeout, work).await {
            Ok(Ok(replay)) => {
                for (version, reason) in &walk.faults.commits {
                    notes.push(format!(
                        "the source's commit {version} cannot be used: {reason}"
                    ));
                }
                Ok(AtLatest(replay))
            }
            Ok(Err(Error::StorageUnreadable { object, reason, .. })) => {
                notes.push(format!("the source's `{object}` was not read: {reason}"));
                Ok(AtLatest(None))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => {
                notes.push(format!(
                    "the source's log was not read within {} s",
                    options.source_timeout.as_secs()
                ));
                Ok(AtLatest(None))
            }
        }
    }

    /// The time of a version whose commit was not among those replayed, from the source's commit, its file, or the
    /// replica's.
    pub(crate) async fn time_of(
        &self,
        version: u64,
        replica: &Location,
        log: &Log,
    ) -> Option<(i64, TimeSource)> {
        let nothing = Presence::default();
        let join = Join::new(&nothing);
        let sides = [self.location.zip(self.log.as_ref()), Some((replica, log))];
        for (location, log) in sides.into_iter().flatten() {
            if let Some(listed) = log.commits.get(&version)
                && let Some(time) = stated_time(location, version, listed.size, &join).await
            {
                return Some(time);
            }
        }
        let checkpoint = || {
            let newest = log
                .checkpoints
                .get(&version)?
                .iter()
                .flat_map(|checkpoint| &checkpoint.files);
            newest.map(|(_, listed)| listed.modified_ms).min()
        };
        self.file_time(version)
            .or_else(|| Some((log.commits.get(&version)?.modified_ms, TimeSource::File)))
            .or_else(|| Some((checkpoint()?, TimeSource::File)))
    }

    /// The modification time of the source's commit file.
    pub(crate) fn file_time(&self, version: u64) -> Option<(i64, TimeSource)> {
        let listed = self.log.as_ref()?.commits.get(&version)?;
        Some((listed.modified_ms, TimeSource::File))
    }

    /// Complete versions, newest first, with the time in which each is known to have been the newest.
    pub(crate) fn spans(
        &self,
        versions: &BTreeMap<u64, VersionFacts>,
        at_latest: &AtLatest,
        latest: &Latest,
        options: &Options,
    ) -> Vec<VersionSpan> {
        let time = |version: u64| {
            let facts = versions
                .get(&version)
                .copied()
                .or_else(|| at_latest.facts(version));
            facts
                .and_then(|facts| facts.time)
                .or_else(|| self.file_time(version))
                .map(|(ms, _)| ms)
        };
        let span = |facts: &VersionFacts| {
            let from_ms = time(facts.version)?;
            let next = facts
                .version
                .checked_add(1)
                .and_then(time)
                .map(|ms| ms.saturating_sub(1));
            let still = latest
                .observed_at_ms
                .filter(|_| facts.version == latest.version);
            Some(VersionSpan {
                version: facts.version,
                from_ms,
                through_ms: next.or(still).unwrap_or(from_ms).max(from_ms),
            })
        };
        versions
            .values()
            .rev()
            .filter(|facts| facts.complete)
            .filter_map(span)
            .take(options.history_limit)
            .collect()
    }
}

async fn stated_time(
    location: &Location,
    version: u64,
    size: u64,
    join: &Join<'_>,
) -> Option<(i64, TimeSource)> {
    let read = timeout(
        std::time::Duration::from_secs(30),
        Commit::read(location, version, size, join),
    );
    match read.await {
        Ok(Ok(commit)) => commit.time,
        Ok(Err(Fault::Unusable(_) | Fault::Fatal(_))) | Err(_) => None,
    }
}

async fn carry_on(
    walk: &mut Walk<'_>,
    log: &Log,
    latest: u64,
    head: Option<Replay>,
) -> Result<Option<Replay>, Error> {
    if let Some(mut replay) = head
        && let Some(reached) = replay.head().map(|facts| facts.version)
        && log.run_end(reached) >= latest
    {
        walk.extend(&mut replay, reached.saturating_add(1)..=latest)
            .await?;
        return Ok(Some(replay));
    }
    for base in walk.bases() {
        if base.first() <= latest
            && let Some(replay) = walk.replay(base, latest.checked_add(1)).await?
        {
            return Ok(Some(replay));
        }
    }
    Ok(None)
}
