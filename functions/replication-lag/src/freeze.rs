//! What a run keeps of its measurement: the status as evidence, every table in full, and the scripts that make the standby's
//! tables usable.

use std::collections::BTreeMap;

use aws::{Failure, Ports, keys};
use delta_recovery::{RecoveryPoint, RepairScripts, StandbyTable, repair_scripts};
use jiff::Timestamp;
use recovery::plan::Plan;
use recovery::replication::{ProofProgress, ReplicationStatus};
use recovery::run::{Repair, RunDocument, Stage};
use recovery::site::{DataSetName, RunId, RunToken};
use serde::{Deserialize, Serialize};

use crate::book::TableRecord;
use crate::status::{Groups, Measured};

/// `runs/<id>/recovery-points.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct RecoveryPoints {
    /// Always 1.
    format_version: u32,
    run: RunId,
    attempt: u32,
    measured_at: Timestamp,
    /// Data set, then table by its path below the data set's prefix.
    data_sets: BTreeMap<DataSetName, BTreeMap<String, FrozenTable>>,
}

/// One table.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct FrozenTable {
    /// When the standby was read.
    proven_at: Option<Timestamp>,
    /// The version that its group starts from, if it is in one.
    group_version: Option<u64>,
    /// What was found.
    found: Option<RecoveryPoint>,
    /// What came in the way of the newest proof.
    problem: Option<String>,
}

/// What is frozen.
pub(crate) struct Frozen<'a> {
    pub(crate) status: &'a ReplicationStatus,
    pub(crate) proof: ProofProgress,
    pub(crate) sets: &'a [&'a Measured<'a>],
    pub(crate) groups: &'a Groups,
}

/// Keeps it, and notes the stage as done. The document of the run comes last: it is what the next stages read.
pub(crate) async fn freeze(
    ports: &Ports,
    plan: &Plan,
    document: &RunDocument,
    token: &RunToken,
    frozen: Frozen<'_>,
) -> Result<(), Failure> {
    let run = &document.run;
    let Frozen {
        status,
        proof,
        sets,
        groups,
    } = frozen;
    let frozen = RecoveryPoints {
        format_version: 1,
        run: run.clone(),
        attempt: document.attempt,
        measured_at: status.measured_at,
        data_sets: sets
            .iter()
            .map(|set| (set.set.name.clone(), tables_of(set, groups)))
            .collect(),
    };
    ports
        .put(&keys::of_run(run, "recovery-points.json"), &frozen)
        .await?;
    let scripts = scripts(plan, document, sets, groups);
    let repair = if scripts.is_empty() {
        None
    } else {
        let (shell, sql) = (
            keys::of_run(run, "repair/1-move-aside.sh"),
            keys::of_run(run, "repair/2-restore.sql"),
        );
        ports.put_text(&shell, &scripts.shell).await?;
        ports.put_text(&sql, &scripts.sql).await?;
        Some(Repair {
            shell,
            sql,
            moved: scripts.moved,
            restored: scripts.restored,
            by_hand: scripts.by_hand,
            with_txn: scripts.with_txn,
        })
    };
    let now = ports.now();
    ports
        .change_own_run(run, token, |d| {
            d.evidence.replication = Some(status.clone());
            d.evidence.repair.clone_from(&repair);
            d.evidence.proof = Some(proof);
            if d.is_in(Stage::RecoveryPoints) {
                d.finish(Stage::RecoveryPoints, now);
            }
        })
        .await
}

fn tables_of(measured: &Measured<'_>, groups: &Groups) -> BTreeMap<String, FrozenTable> {
    let tables = measured.book.tables.iter();
    tables
        .map(|(path, record)| {
            let frozen = FrozenTable {
                proven_at: record.proof.as_ref().map(|proof| proof.at),
                group_version: group_version(measured, path, groups),
                // The history is for groups, which are settled now.
                found: record.proof.as_ref().map(|proof| RecoveryPoint {
                    history: Vec::new(),
                    ..proof.point.clone()
                }),
                problem: record.failed.as_ref().map(|failed| failed.why.clone()),
            };
            (path.clone(), frozen)
        })
        .collect()
}

fn group_version(measured: &Measured<'_>, path: &str, groups: &Groups) -> Option<u64> {
    let key = (measured.set.name.clone(), path.to_owned());
    groups.versions.get(&key).copied()
}

/// A table of the scripts, with the texts that they borrow.
struct Listed<'a> {
    name: String,
    prefix: String,
    bucket: &'a str,
    record: &'a TableRecord,
    group_version: Option<u64>,
}

fn scripts(
    plan: &Plan,
    document: &RunDocument,
    sets: &[&Measured<'_>],
    groups: &Groups,
) -> RepairScripts {
    let mut listed = Vec::new();
    for measured in sets {
        let at = measured.set.locations.get(document.target);
        for (path, record) in &measured.book.tables {
            listed.push(Listed {
                name: joined(measured.set.name.as_str(), path),
                prefix: joined(&at.prefix, path),
                bucket: &at.bucket,
                record,
                group_version: group_version(measured, path, groups),
            });
        }
    }
    let tables: Vec<StandbyTable<'_>> = listed
        .iter()
        .map(|table| StandbyTable {
            name: &table.name,
            bucket: table.bucket,
            prefix: &table.prefix,
            region: plan.sites.get(document.target).region.as_str(),
            found: match (&table.record.proof, &table.record.failed) {
                (Some(proof), _) => Ok(&proof.point),
                (None, Some(failed)) => Err(failed.why.as_str()),
                (None, None) => Err("the time of the run did not suffice to prove it"),
            },
            group_version: table.group_version,
        })
        .collect();
    repair_scripts(document.run.as_str(), &tables)
}

fn joined(prefix: &str, path: &str) -> String {
    let parts = [prefix, path].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("/")
}
