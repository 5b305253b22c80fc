//! The order of a measurement: find the tables, compare their logs, tell; prove what is due, tell again.

use std::time::Duration;

use aws::documents::Change;
use aws::{Failure, Invocation, Ports, keys};
use jiff::Timestamp;
use recovery::plan::{DataSet, DeltaSet, Plan};
use recovery::replication::{DataSetStatus, MeasureAnswer, ReplicationStatus, Standing};
use recovery::run::Stage;
use recovery::site::{RunId, RunToken, SiteLabel};
use serde_json::Value;

use crate::book::{BOOK_FORMAT, TableBook};
use crate::markers::{self, Seen, Watched};
use crate::status::{self, Groups, Measured};
use crate::tables::{Due, OpenSet};
use crate::{Answer, Reach, alert, measured};

/// Tables that are proven before what was found is stored.
const BATCH: usize = 64;

/// A Delta data set on its way through a measurement.
pub(crate) struct Work<'a> {
    /// None if its address cannot be used.
    open: Option<OpenSet<'a>>,
    pub(crate) measured: Measured<'a>,
}

/// How data sets are opened.
#[derive(Clone, Copy)]
pub(crate) struct Opening {
    /// Tables are looked for if that was last done before this.
    pub(crate) find_before: Timestamp,
    /// Whether the logs of both sides are compared.
    pub(crate) compares: bool,
    /// All of it takes no longer.
    pub(crate) time: Duration,
}

/// By the schedule.
pub(crate) async fn scheduled(
    ports: &Ports,
    plan: &Plan,
    reach: &Reach,
    invocation: &Invocation,
) -> Result<Answer, Failure> {
    let state = ports.state().await?;
    let from = state.active_site;
    let before = newest(ports, from).await;
    let find_before = ports.now() - plan.replication.prove_every_seconds.signed();
    let (watched, work) = futures::join!(
        watch_all(ports, plan, reach, from, before.as_ref()),
        open_all(
            ports,
            plan,
            reach,
            from,
            Opening {
                find_before,
                compares: true,
                time: invocation.left()
            }
        ),
    );
    let mut work = work?;
    let mut status = publish(ports, plan, from, &watched, &work).await?;
    if prove(ports, plan, &mut work, None, invocation.left()).await? > 0 {
        status = publish(ports, plan, from, &watched, &work).await?;
    }
    Ok(measured(&status))
}

/// In a switchover: what the fenced site wrote last is waited for, as long as the plan lets a run wait. The site answers and its
/// region too, so markers are written there and every table is proven against what it holds now.
pub(crate) async fn drain(
    ports: &Ports,
    plan: &Plan,
    reach: &Reach,
    invocation: &Invocation,
    run: &RunId,
    token: &RunToken,
) -> Result<Answer, Failure> {
    let document = ports.enter(run, token, Stage::Drain).await?;
    let drained = |reason: &str| Answer {
        answer: MeasureAnswer::Drained,
        reason: reason.to_owned(),
    };
    if !document.is_in(Stage::Drain) {
        return Ok(drained("what this attempt waited for has arrived"));
    }
    let from = document.from;
    let state = ports.state().await?;
    let quiet_since = state.fences.get(&from).and_then(|f| f.verified_at);
    let started = ports.now();
    let entered = document.entered_at(Stage::Drain, started);
    let is_over =
        |now: Timestamp| now.duration_since(entered) >= plan.replication.run_limit_seconds.signed();
    let waits = |reason: String| Answer {
        answer: if is_over(ports.now()) {
            MeasureAnswer::NotDrained
        } else {
            MeasureAnswer::Continue
        },
        reason,
    };
    // Something woke, and the watch makes the site quiet again: until then nothing that it writes is its last.
    let Some(since) = quiet_since else {
        return Ok(waits(format!("the {from} site is not quiet")));
    };
    let time = invocation.left();
    let before = newest(ports, from).await;
    let (watched, work) = futures::join!(
        watch_all(ports, plan, reach, from, before.as_ref()),
        open_all(
            ports,
            plan,
            reach,
            from,
            Opening {
                find_before: since,
                compares: true,
                time
            }
        ),
    );
    let mut work = work?;
    prove(ports, plan, &mut work, Some(since), time).await?;
    let mut status = publish(ports, plan, from, &watched, &work).await?;
    if !status.on_its_way(plan, since).is_empty() {
        prove(ports, plan, &mut work, Some(started), invocation.left()).await?;
        status = publish(ports, plan, from, &watched, &work).await?;
    }
    let mut on_its_way = status.on_its_way(plan, since);
    if on_its_way.is_empty() {
        let is_all = ports
            .change_state(|state| state.end_drain(from, run, token, since))
            .await?;
        if is_all {
            ports.finish(run, token, Stage::Drain).await?;
            return Ok(drained("everything that was written has arrived"));
        }
        on_its_way.push(format!(
            "something woke at the {from} site meanwhile, and what it wrote"
        ));
    }
    Ok(waits(on_its_way.join("; ")))
}

pub(crate) fn measured_sets<'b, 'a>(work: &'b [Work<'a>]) -> Vec<&'b Measured<'a>> {
    work.iter().map(|w| &w.measured).collect()
}

/// The newest measurement of this direction. A status of another format is as good as none.
pub(crate) async fn newest(ports: &Ports, from: SiteLabel) -> Option<ReplicationStatus> {
    let stored: Option<ReplicationStatus> = ports.read(keys::REPLICATION).await.unwrap_or_default();
    stored.filter(|status| status.from == from)
}

/// Opens every Delta data set, looks for its tables and compares the logs as it is told, and stores it.
pub(crate) async fn open_all<'a>(
    ports: &Ports,
    plan: &'a Plan,
    reach: &Reach,
    from: SiteLabel,
    opening: Opening,
) -> Result<Vec<Work<'a>>, Failure> {
    let sets = plan
        .delta_sets()
        .map(|set| open_one(ports, plan, reach, set, from, opening));
    futures::future::join_all(sets).await.into_iter().collect()
}

async fn open_one<'a>(
    ports: &Ports,
    plan: &'a Plan,
    reach: &Reach,
    set: &'a DeltaSet,
    from: SiteLabel,
    opening: Opening,
) -> Result<Work<'a>, Failure> {
    let stored: Option<Value> = ports.read(&keys::table_book(&set.name)).await?;
    let mut book = understood(stored, from).unwrap_or_else(|| TableBook::empty(from));
    let mut problems = Vec::new();
    let open = match OpenSet::open(plan, set, from, &reach.open).await {
        Ok(open) => {
            if book
                .found_at
                .is_none_or(|found| found < opening.find_before)
            {
                // Half of the time at most: what is known already must be measured, too.
                if let Err(why) = open.find(&mut book, opening.time / 2, ports.now()).await {
                    problems.push(format!("the tables could not be looked for: {why}"));
                }
            }
            if opening.compares {
                let limit = plan.replication.source_timeout_seconds.duration();
                let comparing = open.compare_logs(&mut book, limit);
                let comparing = tokio::time::timeout(opening.time / 2, comparing);
                if comparing.await.is_err() {
                    problems.push("not all logs could be compared in time".to_owned());
                }
            }
            Some(open)
        }
        Err(error) => {
            problems.push(error.to_string());
            None
        }
    };
    let dark = open.as_ref().and_then(|open| open.dark.clone());
    let book = save(ports, set, book).await?;
    Ok(Work {
        open,
        measured: Measured {
            set,
            book,
            dark,
            problems,
        },
    })
}

fn understood(stored: Option<Value>, from: SiteLabel) -> Option<TableBook> {
    serde_json::from_value::<TableBook>(stored?)
        .ok()
        .filter(|book| book.format_version == BOOK_FORMAT && book.from == from)
}

/// Stores what was found beside what others have found meanwhile.
async fn save(ports: &Ports, set: &DeltaSet, book: TableBook) -> Result<TableBook, Failure> {
    ports
        .change(
            &keys::table_book(&set.name),
            |stored: &mut Option<Value>| {
                let mut merged = book.clone();
                if let Some(theirs) = understood(stored.take(), book.from) {
                    merged.merge(&theirs);
                }
                let value = serde_json::to_value(&merged);
                *stored = Some(value.map_err(|e| Failure::internal(e.to_string()))?);
                Ok(Change::Write(merged))
            },
        )
        .await
}

pub(crate) fn due(
    ports: &Ports,
    plan: &Plan,
    work: &Work<'_>,
    since: Option<Timestamp>,
) -> Vec<Due> {
    let open = work.open.as_ref();
    open.map_or_else(Vec::new, |open| {
        open.due(plan, &work.measured.book, since, ports.now())
    })
}

/// Proves what is due, then what groups need of it, until nothing is left or the time is over. Says how many were proven.
pub(crate) async fn prove(
    ports: &Ports,
    plan: &Plan,
    work: &mut [Work<'_>],
    since: Option<Timestamp>,
    time: Duration,
) -> Result<usize, Failure> {
    let end = std::time::Instant::now() + time;
    let mut proven = 0;
    let mut asked = false;
    loop {
        let mut round = 0;
        for one in work.iter_mut() {
            round += prove_set(ports, plan, one, since, end).await?;
        }
        proven += round;
        let stuck = asked && round == 0;
        asked = ask_for_older(plan, work);
        if !asked || stuck || end <= std::time::Instant::now() {
            return Ok(proven);
        }
    }
}

/// Notes which tables must be looked at again for the sake of their groups. Says whether there are any.
fn ask_for_older(plan: &Plan, work: &mut [Work<'_>]) -> bool {
    let older = status::of_groups(plan, &measured_sets(work)).older;
    let mut asked = false;
    for (set, path, at_ms) in &older {
        let books = work.iter_mut().filter(|w| w.measured.set.name == *set);
        for record in books.filter_map(|w| w.measured.book.tables.get_mut(path)) {
            if record.failed.is_none() {
                record.history_to_ms = Some(*at_ms);
                asked = true;
            }
        }
    }
    asked
}

async fn prove_set(
    ports: &Ports,
    plan: &Plan,
    work: &mut Work<'_>,
    since: Option<Timestamp>,
    end: std::time::Instant,
) -> Result<usize, Failure> {
    let mut due = due(ports, plan, work, since).into_iter().peekable();
    let mut done = 0;
    while due.peek().is_some() {
        let left = end.saturating_duration_since(std::time::Instant::now());
        let Some(open) = work.open.as_ref().filter(|_| !left.is_zero()) else {
            break;
        };
        let batch: Vec<Due> = due.by_ref().take(BATCH).collect();
        let book = &mut work.measured.book;
        for one in &batch {
            if let Some(record) = book.tables.get_mut(&one.path) {
                record.claimed_at = Some(ports.now());
            }
        }
        *book = save(ports, open.set, book.clone()).await?;
        done += open.prove(batch, book, left, &|| ports.now()).await;
        *book = save(ports, open.set, book.clone()).await?;
    }
    Ok(done)
}

/// Every marker and bucket data set, measured now.
async fn watch_all(
    ports: &Ports,
    plan: &Plan,
    reach: &Reach,
    from: SiteLabel,
    before: Option<&ReplicationStatus>,
) -> Vec<DataSetStatus> {
    let sets = plan.data_sets.iter().filter_map(|set| {
        let watched = Watched::of(set, from)?;
        Some(async move {
            let seen = markers::measure(
                ports,
                plan,
                &watched,
                from,
                &reach.buckets,
                &reach.cloudwatch,
            )
            .await;
            of_watched(plan, set, seen, before)
        })
    });
    futures::future::join_all(sets).await
}

/// Every marker and bucket data set as it was last measured: in a run nothing is written in the region that is left.
pub(crate) fn as_last_seen(plan: &Plan, before: Option<&ReplicationStatus>) -> Vec<DataSetStatus> {
    let sets = plan
        .data_sets
        .iter()
        .filter(|set| !matches!(set, DataSet::Delta(_)));
    sets.map(|set| {
        let stored = before.and_then(|b| b.data_sets.iter().find(|d| d.name == *set.name()));
        stored
            .cloned()
            .unwrap_or_else(|| of_watched(plan, set, Seen::default(), None))
    })
    .collect()
}

fn of_watched(
    plan: &Plan,
    set: &DataSet,
    seen: Seen,
    before: Option<&ReplicationStatus>,
) -> DataSetStatus {
    // What was once seen to have arrived stays known, also when the standby cannot be read now.
    let known = before
        .and_then(|b| b.data_sets.iter().find(|d| d.name == *set.name()))
        .and_then(|d| d.recovery_point.zip(d.basis));
    let newest = seen.recovery_point.zip(seen.basis).max(known);
    DataSetStatus {
        name: set.name().clone(),
        recovery_point: newest.map(|(point, _)| point),
        basis: newest.map(|(_, basis)| basis),
        proven_point: None,
        last_known: None,
        metrics: seen.metrics,
        tables: None,
        objective_seconds: plan.objective_of(set).0,
        standing: Standing::default(),
        problems: seen.problems,
    }
}

pub(crate) fn summed(
    plan: &Plan,
    from: SiteLabel,
    watched: &[DataSetStatus],
    work: &[Work<'_>],
    groups: &Groups,
    now: Timestamp,
) -> ReplicationStatus {
    let tables = work.iter().map(|w| status::of_set(plan, &w.measured));
    let sets = watched.iter().cloned().chain(tables).collect();
    status::document(plan, from, sets, groups.status.clone(), now)
}

/// Metrics, messages, document. Told first, kept then: a function that dies in between tells twice, never not at all.
async fn publish(
    ports: &Ports,
    plan: &Plan,
    from: SiteLabel,
    watched: &[DataSetStatus],
    work: &[Work<'_>],
) -> Result<ReplicationStatus, Failure> {
    let now = ports.now();
    let groups = status::of_groups(plan, &measured_sets(work));
    let mut status = summed(plan, from, watched, work, &groups, now);
    alert::emit(plan, &status, now);
    let before = newest(ports, from).await;
    alert::alert(ports, plan, before.as_ref(), &mut status, now).await?;
    ports
        .change(keys::REPLICATION, |stored: &mut Option<Value>| {
            let newer = stored
                .as_ref()
                .and_then(|s| serde_json::from_value::<ReplicationStatus>(s.clone()).ok())
                .is_some_and(|s| s.measured_at > status.measured_at);
            if newer {
                return Ok(Change::Keep(()));
            }
            let value = serde_json::to_value(&status);
            *stored = Some(value.map_err(|e| Failure::internal(e.to_string()))?);
            Ok(Change::Write(()))
        })
        .await?;
    Ok(status)
}
