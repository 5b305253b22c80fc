//! Adds up books and markers to `replication/status.json`.

use std::collections::BTreeMap;

use delta_recovery::{GroupMember, GroupRecovery, group_recovery};
use jiff::Timestamp;
use recovery::plan::{DeltaSet, Group, Plan};
use recovery::replication::{
    Basis, DataSetStatus, GroupStatus, LastKnown, REPLICATION_FORMAT, ReplicationStatus, Standing,
    of_group, of_tables, predicted_losses,
};
use recovery::site::{DataSetName, SiteLabel};

use crate::book::{TableBook, TableRecord, moment};

/// The most tables that are named in a problem.
const MOST_NAMED: usize = 3;

/// A book with what was seen on the way.
pub(crate) struct Measured<'a> {
    pub(crate) set: &'a DeltaSet,
    pub(crate) book: TableBook,
    /// Why the source was not asked.
    pub(crate) dark: Option<String>,
    pub(crate) problems: Vec<String>,
}

/// The common versions of the tables of groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    pub(crate) status: Vec<GroupStatus>,
    /// Table to the version that its group starts from.
    pub(crate) versions: BTreeMap<(DataSetName, String), u64>,
    /// Tables of which an older complete version is needed, and from which moment.
    pub(crate) older: Vec<(DataSetName, String, i64)>,
}

/// The status of one Delta data set.
pub(crate) fn of_set(plan: &Plan, measured: &Measured<'_>) -> DataSetStatus {
    let book = &measured.book;
    let facts = book.tables.iter().map(|(path, record)| record.facts(path));
    let added = of_tables(facts.collect());
    let mut problems = measured.problems.clone();
    if book.found_at.is_some() && book.tables.is_empty() {
        problems.push("no Delta table was found".to_owned());
    }
    problems.extend(failures(book));
    if book.only_at_standby > 0 {
        problems.push(format!(
            "{} tables lie at the standby only and are not counted",
            book.only_at_standby
        ));
    }
    DataSetStatus {
        name: measured.set.name.clone(),
        recovery_point: added.point,
        basis: added.basis,
        proven_point: added.proven,
        last_known: last_known([measured].into_iter()),
        metrics: None,
        tables: Some(added.status),
        objective_seconds: plan
            .data_sets
            .iter()
            .find(|set| *set.name() == measured.set.name)
            .map_or(plan.objectives.rpo_seconds.0, |set| {
                plan.objective_of(set).0
            }),
        standing: Standing::default(),
        problems,
    }
}

/// The tables that could not be proven, counted, the first by name.
fn failures(book: &TableBook) -> Option<String> {
    let failed: Vec<String> = book
        .tables
        .iter()
        .filter_map(|(path, record)| Some((path, record.failed.as_ref()?)))
        .map(|(path, failed)| match path.as_str() {
            "" => failed.why.clone(),
            path => format!("{path}: {}", failed.why),
        })
        .collect();
    let named: Vec<&str> = failed.iter().take(MOST_NAMED).map(String::as_str).collect();
    (!failed.is_empty()).then(|| {
        format!(
            "{} of {} tables could not be proven: {}",
            failed.len(),
            book.tables.len(),
            named.join("; ")
        )
    })
}

fn last_known<'a>(sets: impl Iterator<Item = &'a Measured<'a>>) -> Option<LastKnown> {
    let dark: Vec<&Measured<'_>> = sets.filter(|measured| measured.dark.is_some()).collect();
    if dark.is_empty() {
        return None;
    }
    let tables = dark
        .iter()
        .flat_map(|measured| measured.book.tables.values());
    let read: Option<Vec<i64>> = tables
        .map(|record| record.source.map(|source| source.observed_at_ms))
        .collect();
    let earliest = read.and_then(|times| times.into_iter().min());
    Some(LastKnown {
        read_at: earliest.and_then(moment),
    })
}

/// Every group of the plan.
pub(crate) fn of_groups(plan: &Plan, all: &[&Measured<'_>]) -> Groups {
    let mut groups = Groups::default();
    for group in &plan.groups {
        let status = of_one_group(plan, group, all, &mut groups);
        groups.status.push(status);
    }
    groups
}

fn of_one_group(
    plan: &Plan,
    group: &Group,
    all: &[&Measured<'_>],
    groups: &mut Groups,
) -> GroupStatus {
    let members: Vec<&Measured<'_>> = all
        .iter()
        .copied()
        .filter(|measured| group.members.contains(&measured.set.name))
        .collect();
    let mut tables: BTreeMap<String, (&DataSetName, &String, &TableRecord)> = BTreeMap::new();
    for measured in &members {
        for (path, record) in &measured.book.tables {
            let name = format!("{}/{path}", measured.set.name);
            tables.insert(name, (&measured.set.name, path, record));
        }
    }
    let mut problems = Vec::new();
    let mut proven = None;
    let unproven: Vec<&str> = tables
        .iter()
        .filter(|(_, (_, _, record))| record.proof.is_none())
        .map(|(name, _)| name.as_str())
        .take(MOST_NAMED)
        .collect();
    let is_whole = members.len() == group.members.len() && unproven.is_empty();
    if is_whole {
        let histories: Vec<GroupMember<'_>> = tables
            .iter()
            .filter_map(|(name, (_, _, record))| {
                Some(GroupMember::new(name, &record.proof.as_ref()?.point))
            })
            .collect();
        match group_recovery(&histories) {
            GroupRecovery::Found {
                time_ms, versions, ..
            } => {
                proven = moment(time_ms);
                for (name, version) in versions {
                    if let Some((set, path, _)) = tables.get(&name) {
                        let known = groups.versions.entry(((*set).clone(), (*path).clone()));
                        known
                            .and_modify(|v| *v = version.min(*v))
                            .or_insert(version);
                    }
                }
            }
            GroupRecovery::NeedsOlder { table, at_ms } => match tables.get(&table) {
                Some((set, path, record)) if !looked_back_to(record, at_ms) => {
                    groups.older.push(((*set).clone(), (*path).clone(), at_ms));
                    problems.push(format!("older versions of {table} are being looked for"));
                }
                _ => problems.push(format!(
                    "{table} has no complete version as old as the newest ones of the others"
                )),
            },
            GroupRecovery::Nothing { tables } => problems.push(if tables.is_empty() {
                "it has no table".to_owned()
            } else {
                format!("no version is complete of {}", named(&tables))
            }),
        }
    } else if members.len() < group.members.len() {
        problems.push("not all of its data sets could be measured".to_owned());
    } else {
        problems.push(format!("not proven yet: {}", unproven.join(", ")));
    }
    let points: Vec<Option<(Timestamp, Basis)>> = tables
        .values()
        .map(|(_, path, record)| record.facts(path).point())
        .collect();
    let point = of_group(proven, &points);
    GroupStatus {
        name: group.name.clone(),
        members: group.members.clone(),
        recovery_point: point.map(|(at, _)| at),
        basis: point.map(|(_, basis)| basis),
        proven_point: proven,
        last_known: last_known(members.into_iter()),
        objective_seconds: plan.objective_of_group(group).0,
        standing: Standing::default(),
        problems,
    }
}

/// Whether a proof has already looked for versions of this moment or before, so that there are none.
fn looked_back_to(record: &TableRecord, at_ms: i64) -> bool {
    let proof = record.proof.as_ref();
    proof
        .and_then(|proof| proof.history_to_ms)
        .is_some_and(|to| to <= at_ms)
}

fn named(tables: &[String]) -> String {
    let mut names = tables.to_vec();
    names.truncate(MOST_NAMED);
    let more = tables.len() - names.len();
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{rest}", names.join(", "))
}

/// The document, worst first.
pub(crate) fn document(
    plan: &Plan,
    from: SiteLabel,
    data_sets: Vec<DataSetStatus>,
    groups: Vec<GroupStatus>,
    now: Timestamp,
) -> ReplicationStatus {
    let mut status = ReplicationStatus {
        format_version: REPLICATION_FORMAT,
        measured_at: now,
        from,
        data_sets,
        groups,
    };
    let order: BTreeMap<String, usize> = predicted_losses(plan, Some(&status), now)
        .into_iter()
        .enumerate()
        .map(|(place, loss)| (loss.name, place))
        .collect();
    let place = |name: &str| order.get(name).copied();
    status.data_sets.sort_by_key(|set| place(set.name.as_str()));
    status
        .groups
        .sort_by_key(|group| place(group.name.as_str()));
    status
}
