//! The tables of Delta data sets: where they lie, which there are, what their logs say, and what a proof says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use delta_recovery::{Error, Location, Options, find_tables, log_lag, recovery_point};
use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use recovery::plan::{BucketPrefix, DeltaSet, Holds, Plan};
use recovery::site::{Region, SiteLabel};

use crate::book::{StoredLog, TableBook, TableRecord, moment};

/// Opens a prefix of a bucket in a region. Nothing is contacted yet.
pub type OpenPrefix = Arc<dyn Fn(&Region, &BucketPrefix) -> Result<Location, Error> + Send + Sync>;

/// Logs that are compared at the same time.
const LOGS_AT_ONCE: usize = 16;
/// Tables that are proven at the same time. A table of 300,000 files takes about 50 MiB.
const PROOFS_AT_ONCE: usize = 4;
/// An invocation that claimed a table is gone after this: Lambda's longest.
const CLAIM: SignedDuration = SignedDuration::from_mins(15);
/// Complete versions that are kept of a table of a group.
const HISTORY: usize = 20;
/// The same where its group needs older ones.
const LONG_HISTORY: usize = 10_000;

/// One Delta data set, opened at both sites.
pub(crate) struct OpenSet<'a> {
    pub(crate) set: &'a DeltaSet,
    source: Location,
    replica: Location,
    /// Why the source is not asked, if it does not answer.
    pub(crate) dark: Option<String>,
    is_grouped: bool,
}

/// How a table is proven.
pub(crate) struct Due {
    pub(crate) path: String,
    options: Options,
}

impl<'a> OpenSet<'a> {
    /// Opens a data set and asks once whether its source answers.
    pub(crate) async fn open(
        plan: &Plan,
        set: &'a DeltaSet,
        from: SiteLabel,
        open: &OpenPrefix,
    ) -> Result<OpenSet<'a>, Error> {
        let at = |site| open(&plan.sites.get(site).region, set.locations.get(site));
        let (source, replica) = (at(from)?, at(from.other())?);
        let limit = plan.detection.probe_timeout_seconds.duration();
        let dark = match tokio::time::timeout(limit, source.answers()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!(
                "`{}` did not answer within {} s",
                source.address(),
                limit.as_secs()
            )),
        };
        Ok(OpenSet {
            set,
            source,
            replica,
            dark,
            is_grouped: plan.is_grouped(&set.name),
        })
    }

    fn at_source(&self, path: &str) -> Result<Option<Location>, Error> {
        match self.dark {
            Some(_) => Ok(None),
            None => below(&self.source, path).map(Some),
        }
    }

    /// Which tables there are. A table that the active site does not have (any more) is not its data; while the active site is
    /// dark, what was known and what lies at the standby counts.
    pub(crate) async fn find(
        &self,
        book: &mut TableBook,
        limit: Duration,
        now: Timestamp,
    ) -> Result<(), String> {
        let mut only_at_standby = 0;
        let found = match self.set.holds {
            Holds::Table => vec![String::new()],
            Holds::Tables => {
                let at_standby = find_within(&self.replica, limit).await?;
                if self.dark.is_some() {
                    let known = book.tables.keys().cloned();
                    known.chain(at_standby).collect()
                } else {
                    let at_source = find_within(&self.source, limit).await?;
                    only_at_standby = at_standby
                        .iter()
                        .filter(|path| {
                            !at_source.contains(path) && !self.set.exclude.contains(path)
                        })
                        .count();
                    at_source
                }
            }
        };
        let mut tables: BTreeMap<String, TableRecord> = BTreeMap::new();
        for path in found.into_iter().filter(|p| !self.set.exclude.contains(p)) {
            let known = book.tables.remove(&path).unwrap_or_default();
            tables.entry(path).or_insert(known);
        }
        book.tables = tables;
        book.only_at_standby = only_at_standby;
        book.found_at = Some(now);
        Ok(())
    }

    /// Compares the logs of every table. Nothing is compared while the source is dark.
    pub(crate) async fn compare_logs(&self, book: &mut TableBook, limit: Duration) {
        if self.dark.is_some() {
            return;
        }
        let compared: Vec<_> = stream::iter(book.tables.keys().cloned().collect::<Vec<_>>())
            .map(|path| async move {
                let lag = async {
                    let (source, replica) =
                        (below(&self.source, &path), below(&self.replica, &path));
                    log_lag(&source?, &replica?).await
                };
                let lag = tokio::time::timeout(limit, lag).await;
                (path, lag)
            })
            .buffer_unordered(LOGS_AT_ONCE)
            .collect()
            .await;
        for (path, lag) in compared {
            // A log that cannot be compared now leaves the table with what was known; the next proof says why.
            let (Ok(Ok(lag)), Some(record)) = (lag, book.tables.get_mut(&path)) else {
                continue;
            };
            record.source = Some(lag.source);
            let observed = lag.source.observed_at_ms;
            let point = lag.lag_ms.map(|lag| observed.saturating_sub(lag));
            if let (Some(at), Some(point)) = (moment(observed), point.and_then(moment)) {
                record.log = Some(StoredLog { at, point });
            }
        }
    }

    /// The tables that must be proven now, the longest unproven first. In a run (`since`) whatever was not tried since then;
    /// else what is due by the plan and nobody else is at.
    pub(crate) fn due(
        &self,
        plan: &Plan,
        book: &TableBook,
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> Vec<Due> {
        let is_due = |record: &TableRecord| {
            if record.history_to_ms.is_some() {
                return true;
            }
            let tried = record.tried_at();
            match since {
                Some(since) => tried < Some(since),
                None => tried.is_none_or(|tried| {
                    now.duration_since(tried) >= plan.replication.prove_every_seconds.signed()
                }),
            }
        };
        // A claim that was followed by a proof, or that is older than any invocation, holds nobody off.
        let is_free = |record: &TableRecord| {
            let held = record.claimed_at.filter(|claimed| {
                record.tried_at().is_none_or(|tried| tried < *claimed)
                    && now.duration_since(*claimed) < CLAIM
            });
            since.is_some() || held.is_none()
        };
        let mut due: Vec<(&String, &TableRecord)> = book
            .tables
            .iter()
            .filter(|(_, record)| is_due(record) && is_free(record))
            .collect();
        due.sort_by_key(|(path, record)| (record.tried_at(), *path));
        due.into_iter()
            .map(|(path, record)| Due {
                path: path.clone(),
                options: Options {
                    last_known: record.source,
                    source_timeout: plan.replication.source_timeout_seconds.duration(),
                    history_to_ms: record.history_to_ms,
                    history_limit: match (self.is_grouped, record.history_to_ms) {
                        (false, _) => 1,
                        (true, None) => HISTORY,
                        (true, Some(_)) => LONG_HISTORY,
                    },
                    ..Options::default()
                },
            })
            .collect()
    }

    /// Proves tables; each is told as soon as it is done. Ends after `limit` with those that were done by then.
    pub(crate) async fn prove(
        &self,
        due: Vec<Due>,
        book: &mut TableBook,
        limit: Duration,
        now: &(dyn Fn() -> Timestamp + Send + Sync),
    ) -> usize {
        let mut proofs = stream::iter(due)
            .map(|due| async move {
                let at = now();
                let proof = async {
                    let replica = below(&self.replica, &due.path)?;
                    let source = self.at_source(&due.path)?;
                    recovery_point(source.as_ref(), &replica, &due.options).await
                };
                let outcome = proof.await;
                (due.path, at, outcome)
            })
            .buffer_unordered(PROOFS_AT_ONCE);
        let end = tokio::time::Instant::now() + limit;
        let mut done = 0;
        while let Ok(Some((path, at, outcome))) = tokio::time::timeout_at(end, proofs.next()).await
        {
            if let Some(record) = book.tables.get_mut(&path) {
                record.note(at, outcome);
                done += 1;
            }
        }
        done
    }
}

fn below(prefix: &Location, path: &str) -> Result<Location, Error> {
    if path.is_empty() {
        Ok(prefix.clone())
    } else {
        prefix.join(path)
    }
}

async fn find_within(prefix: &Location, limit: Duration) -> Result<Vec<String>, String> {
    match tokio::time::timeout(limit, find_tables(prefix)).await {
        Ok(found) => found.map_err(|error| error.to_string()),
        Err(_) => Err(format!(
            "`{}` was not listed within {} s",
            prefix.address(),
            limit.as_secs()
        )),
    }
}
