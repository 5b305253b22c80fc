//! Cheap questions: which tables lie below a prefix, and what does the log alone say.

use crate::error::Error;
use crate::location::Location;
use crate::log::Log;
use crate::names::LOG;
use crate::recover::Options;
use crate::report::SourceState;
use crate::source::{Source, now_ms};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The paths, relative to `prefix`, of all tables below it, sorted. Every object below it is listed, 1000 a request.
/// A table that is the prefix itself has the path "". Tables below another table's folder are found too.
///
/// # Errors
/// [`Error::StorageUnreadable`] if the storage does not answer.
pub async fn find_tables(prefix: &Location) -> Result<Vec<String>, Error> {
    let mut tables = BTreeSet::new();
    let mut items = prefix.list("");
    let (inner, first) = (format!("/{LOG}/"), format!("{LOG}/"));
    while let Some((path, _)) = items.try_next().await? {
        if path.starts_with(&first) {
            tables.insert(String::new());
        } else if let Some((table, _)) = path.split_once(&inner) {
            tables.insert(table.to_owned());
        }
    }
    Ok(tables.into_iter().collect())
}

/// The newest version of a table by its log alone: one listing of the log and one read.
///
/// # Errors
/// [`Error::StorageUnreadable`] if the storage does not answer, [`Error::NotATable`] if there is no log.
pub async fn source_state(location: &Location) -> Result<SourceState, Error> {
    let observed_at_ms = now_ms();
    let log = Log::list(location).await?;
    state_of(location, &log, observed_at_ms).await
}

/// The newest version of a log that was listed.
async fn state_of(
    location: &Location,
    log: &Log,
    observed_at_ms: i64,
) -> Result<SourceState, Error> {
    let version = log.newest().ok_or_else(|| Error::NotATable {
        location: location.address().to_owned(),
    })?;
    let source = Source::list(None, &Options::default()).await;
    Ok(SourceState {
        version,
        timestamp_ms: source
            .time_of(version, location, log)
            .await
            .map(|(ms, _)| ms),
        observed_at_ms,
    })
}

/// How far the replica's log is behind the source's, by the logs alone. It proves nothing about data files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLag {
    /// The source's state.
    pub source: SourceState,
    /// The newest version that the replica's log may describe: the end of the unbroken commits after its newest
    /// checkpoint or from the first commit. None if there is none.
    pub replica_version: Option<u64>,
    /// From the first commit that the replica lacks to the moment of asking, in milliseconds; 0 if it lacks none.
    /// None if that commit's time is unknown.
    pub lag_ms: Option<i64>,
}

/// Compares the logs of source and replica without looking at data files: one listing of each and one read.
///
/// # Errors
/// [`Error::StorageUnreadable`] if one side does not answer, [`Error::NotATable`] if the source has no log.
pub async fn log_lag(source: &Location, replica: &Location) -> Result<LogLag, Error> {
    let observed_at_ms = now_ms();
    let (theirs, ours) = futures::join!(Log::list(source), Log::list(replica));
    let (theirs, ours) = (theirs?, ours?);
    let state = state_of(source, &theirs, observed_at_ms).await?;
    let start = ours.commits.contains_key(&0).then_some(0);
    let base = ours.complete_checkpoints().next_back().or(start);
    let replica_version = base.map(|version| ours.run_end(version));
    let first_missing = replica_version.map_or(0, |version| version.saturating_add(1));
    let lag_ms = if replica_version.is_some_and(|version| version >= state.version) {
        Some(0)
    } else {
        let listed = theirs.commits.get(&first_missing);
        listed.map(|listed| {
            state
                .observed_at_ms
                .saturating_sub(listed.modified_ms)
                .max(0)
        })
    };
    Ok(LogLag {
        source: state,
        replica_version,
        lag_ms,
    })
}
