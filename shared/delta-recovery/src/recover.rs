//! The recovery point of one table.

use crate::error::Error;
use crate::join::Join;
use crate::location::Location;
use crate::log::Log;
use crate::presence::{PAGE, Presence};
use crate::readable::{Faults, judge, older_checkpoints};
use crate::replay::{Replay, VersionFacts};
use crate::report::{RecoveryPoint, SourceState, SourceView, TimeSource};
use crate::small::{checksum_files, last_checkpoint};
use crate::source::{Source, now_ms};
use crate::walk::Walk;
use std::collections::BTreeMap;
use std::time::Duration;

/// How a recovery point is looked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// The source's state when it was last read, used when it cannot be read now.
    pub last_known: Option<SourceState>,
    /// The longest time that reading the source may take; it may be dark.
    pub source_timeout: Duration,
    /// Go back until a complete version of this moment or before is found, in milliseconds since 1970.
    /// Groups need it when another member's recovery time is earlier.
    pub history_to_ms: Option<i64>,
    /// The most complete versions that are reported as history.
    pub history_limit: usize,
    /// The most missing files that are named.
    pub examples: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            last_known: None,
            source_timeout: Duration::from_secs(60),
            history_to_ms: None,
            history_limit: 100,
            examples: 5,
        }
    }
}

/// The newest version of a table that is complete at `replica`, and what would be lost by going on from it.
/// `source` is None if it is known to be dark.
///
/// # Errors
/// [`Error::StorageUnreadable`] if the replica does not answer, [`Error::NotATable`] if neither side has a log, and
/// the refusals [`Error::CatalogManaged`], [`Error::UnknownReaderFeature`] and [`Error::NotSelfContained`].
/// Trouble at the source is no error: the report's `source` and `notes` say so.
pub async fn recovery_point(
    source: Option<&Location>,
    replica: &Location,
    options: &Options,
) -> Result<RecoveryPoint, Error> {
    // In this order, so that what is found later is never older: hint, log, data.
    let hint = last_checkpoint(replica).await?;
    let (log, source) = futures::join!(Log::list(replica), Source::list(source, options));
    let log = log?;
    if log.is_empty() && source.log.is_none() {
        return Err(Error::NotATable {
            location: replica.address().to_owned(),
        });
    }
    let presence = Presence::list(replica).await?;
    let join = Join::new(&presence);
    let faults = differences(&log, source.log.as_ref());
    let mut usable = log.clone();
    usable
        .commits
        .retain(|version, _| !faults.commits.contains_key(version));
    let mut search = Search::new(
        Walk::new(replica, &usable, &join, faults),
        &log,
        &source,
        options,
    );
    search.run(replica).await?;
    let Search {
        walk,
        head,
        versions,
        found,
        mut notes,
        ..
    } = search;
    let readable = judge(&log, hint, &walk.faults);
    let restore_blocked_by = older_checkpoints(&log, &walk.faults, &readable.blockers);

    let replica_head = head.as_ref().and_then(|replay| replay.head().copied());
    let missing_at_replica_log = head.as_ref().map(Replay::missing);
    let mut latest = source.latest(log.newest(), options.last_known, &mut notes);
    let at_latest = source
        .replay_to(latest.version, head, &usable, &join, options, &mut notes)
        .await?;
    if let Some(last) = at_latest.newest() {
        last.check_self_contained(replica.address())?;
    }
    let latest_facts = at_latest.facts(latest.version);
    if latest.timestamp_ms.is_none() {
        latest.timestamp_ms = match latest_facts.and_then(|facts| facts.time) {
            Some((ms, _)) => Some(ms),
            None => source
                .time_of(latest.version, replica, &log)
                .await
                .map(|(ms, _)| ms),
        };
    }
    let recovered = match found {
        Some(facts) => match facts.time {
            Some(time) => Some((facts, Some(time))),
            None => Some((facts, source.time_of(facts.version, replica, &log).await)),
        },
        None => None,
    };
    let recovery_version = recovered.map(|(facts, _)| facts.version);
    let recovery_time = recovered.and_then(|(_, time)| time);
    let complete =
        |replay: &Replay| u64::try_from(replay.head().map_or(0, |facts| facts.live)).ok();
    let history = source.spans(&versions, &at_latest, &latest, options);
    Ok(RecoveryPoint {
        latest_version: latest.version,
        latest_timestamp_ms: latest.timestamp_ms,
        recovery_version,
        recovery_timestamp_ms: recovery_time.map(|(ms, _)| ms),
        recovery_timestamp_from: recovery_time.map(|(_, from)| from),
        loss_ms: loss(&latest, recovery_version, recovery_time),
        missing_at_latest: at_latest.exact(latest.version).map(Replay::missing),
        files_at_latest: at_latest.exact(latest.version).and_then(complete),
        missing_examples: at_latest
            .newest()
            .map(|replay| replay.missing_names(options.examples))
            .unwrap_or_default(),
        replica_log_version: replica_head.map(|facts| facts.version),
        missing_at_replica_log,
        readable_now: readable.blockers.is_empty(),
        blocked_by: readable.blockers,
        readable_version: readable.version,
        restore_blocked_by,
        has_txn: recovered.is_some_and(|(facts, _)| facts.has_txn)
            || replica_head.is_some_and(|facts| facts.has_txn),
        source: latest.view,
        source_state: (latest.view == SourceView::Read).then_some(SourceState {
            version: latest.version,
            timestamp_ms: latest.timestamp_ms,
            observed_at_ms: latest.observed_at_ms.unwrap_or_else(now_ms),
        }),
        notes,
        history,
        list_requests: presence.listed.div_ceil(PAGE).max(1),
    })
}

fn loss(
    latest: &crate::source::Latest,
    version: Option<u64>,
    time: Option<(i64, TimeSource)>,
) -> Option<i64> {
    if version? == latest.version {
        return Some(0);
    }
    Some(latest.timestamp_ms?.saturating_sub(time?.0).max(0))
}

/// Log objects never change, so one whose size differs from the source's is half-written or another table's.
fn differences(log: &Log, source: Option<&Log>) -> Faults {
    let mut faults = Faults::default();
    for (version, listed) in &log.commits {
        let other = source.and_then(|source| source.commits.get(version));
        if listed.size == 0 {
            faults.commits.insert(*version, "it is empty".to_owned());
        } else if let Some(other) = other.filter(|other| other.size != listed.size) {
            let reason = format!(
                "it has {} bytes, but {} at the source",
                listed.size, other.size
            );
            faults.commits.insert(*version, reason);
        }
    }
    let theirs: BTreeMap<&str, u64> = source
        .into_iter()
        .flat_map(|source| source.checkpoints.values().flatten())
        .filter(|checkpoint| checkpoint.unique_name)
        .flat_map(|checkpoint| &checkpoint.files)
        .map(|(path, listed)| (path.as_str(), listed.size))
        .collect();
    for (path, listed) in log
        .checkpoints
        .values()
        .flatten()
        .flat_map(|checkpoint| &checkpoint.files)
    {
        if let Some(size) = theirs
            .get(path.as_str())
            .filter(|size| **size != listed.size)
        {
            let reason = format!("it has {} bytes, but {size} at the source", listed.size);
            faults.checkpoints.insert(path.clone(), reason);
        }
    }
    faults
}

/// Goes from the newest base back until a complete version is found.
struct Search<'a> {
    walk: Walk<'a>,
    log: &'a Log,
    source: &'a Source<'a>,
    options: &'a Options,
    /// The replay that reaches the newest version of the replica's log.
    head: Option<Replay>,
    versions: BTreeMap<u64, VersionFacts>,
    found: Option<VersionFacts>,
    notes: Vec<String>,
}

impl<'a> Search<'a> {
    fn new(walk: Walk<'a>, log: &'a Log, source: &'a Source<'a>, options: &'a Options) -> Self {
        Self {
            walk,
            log,
            source,
            options,
            head: None,
            versions: BTreeMap::new(),
            found: None,
            notes: source.notes.clone(),
        }
    }

    async fn run(&mut self, replica: &Location) -> Result<(), Error> {
        // The version above which all is judged, and the files that lack something there.
        let mut above: Option<(u64, Vec<u128>)> = None;
        for base in self.walk.bases() {
            let first = base.first();
            if let Some((at, missing)) = above.take() {
                let scanned = match missing.is_empty() {
                    true => None,
                    false => self.walk.still_missing(&missing, first, at).await?,
                };
                if let Some(still) = scanned.filter(|still| !still.is_empty()) {
                    above = Some((first, still));
                    continue;
                }
                above = Some((at, missing));
            }
            let ceiling = above.as_ref().map(|(at, _)| *at);
            if ceiling == Some(0) {
                break;
            }
            let Some(replay) = self.walk.replay(base, ceiling).await? else {
                continue;
            };
            self.judge(&replay, replica).await?;
            above = Some((first, replay.open_at_base.clone()));
            self.head.get_or_insert(replay);
            if self.done() {
                break;
            }
        }
        Ok(())
    }

    /// Takes over the versions of a replay; the newest complete one is checked against its checksum file.
    async fn judge(&mut self, replay: &Replay, replica: &Location) -> Result<(), Error> {
        for facts in replay.versions.iter().rev() {
            let mut facts = *facts;
            if self.found.is_none() && facts.complete {
                if self.agrees(&facts, replica).await? {
                    self.found = Some(facts);
                } else {
                    facts.complete = false;
                }
            }
            self.versions.insert(facts.version, facts);
        }
        Ok(())
    }

    async fn agrees(&mut self, facts: &VersionFacts, replica: &Location) -> Result<bool, Error> {
        if !self.log.checksums.contains(&facts.version) {
            return Ok(true);
        }
        let stated = checksum_files(replica, facts.version).await?;
        let live = u64::try_from(facts.live).unwrap_or(u64::MAX);
        let agrees = stated.is_none_or(|stated| stated == live);
        if !agrees {
            self.notes.push(format!(
                "version {} was passed over: its log gives {live} files, its checksum file {}; a log object is incomplete",
                facts.version,
                stated.unwrap_or_default()
            ));
        }
        Ok(agrees)
    }

    fn done(&self) -> bool {
        let Some(found) = self.found else {
            return false;
        };
        let Some(limit) = self.options.history_to_ms else {
            return true;
        };
        let complete = self.versions.values().filter(|facts| facts.complete);
        let times = complete
            .filter_map(|facts| facts.time.or_else(|| self.source.file_time(facts.version)));
        found.version == 0 || times.map(|(ms, _)| ms).any(|ms| ms <= limit)
    }
}
