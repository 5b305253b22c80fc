//! Two scripts for a person at the standby: which objects to move aside so that tables can be opened, and which
//! statements bring tables to the version that a run starts from. They are generated and reviewed; nothing runs them.
//!
//! RESTORE writes a new commit at the standby. Replication that is still open would later write over it, so both scripts
//! belong after the fence. RESTORE keeps the `txn` markers of the versions it undoes
//! (<https://github.com/delta-io/delta/blob/master/PROTOCOL.md#transaction-identifiers>).

use crate::report::{Blocker, RecoveryPoint};
use std::fmt::Write;

/// One table at the standby.
#[derive(Debug, Clone, Copy)]
pub struct StandbyTable<'a> {
    /// Its name in the report.
    pub name: &'a str,
    /// The bucket at the standby.
    pub bucket: &'a str,
    /// The key prefix of the table's root, without a slash at its end. Empty if the table is the bucket.
    pub prefix: &'a str,
    /// The bucket's region, as `eu-west-1`.
    pub region: &'a str,
    /// What was found, or why nothing was, in words.
    pub found: Result<&'a RecoveryPoint, &'a str>,
    /// The version that the table's consistency group starts from, if it is in one.
    pub group_version: Option<u64>,
}

/// The scripts, and what is in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairScripts {
    /// POSIX shell with the AWS command line: moves objects aside. It comes first.
    pub shell: String,
    /// SQL for a warehouse of the standby.
    pub sql: String,
    /// Objects that are moved aside.
    pub moved: usize,
    /// Tables that are restored to an older version.
    pub restored: usize,
    /// Tables for which a person must find a way: the comments say why.
    pub by_hand: usize,
    /// Restored tables that hold markers of streams.
    pub with_txn: usize,
}

impl RepairScripts {
    /// Whether every table can be used as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.moved + self.restored + self.by_hand == 0
    }
}

const SHELL: &str = "#!/bin/sh
# Run RUN: objects to move aside at the standby so that readers can open the tables. Generated: read it before you run it.
# Run it after the replication fence is verified, before the statements of the SQL script. Nothing is deleted: each object
# moves to databricks-dr-aside/ in the same bucket, under its old key.
set -eu
";

const SQL: &str = "-- Run RUN: statements that bring the standby's tables to the versions that the run starts from. Generated: read it
-- before you run it. Run it after the replication fence is verified (what still arrives would write over the commits made
-- here) and after the shell script, before any job writes to these tables.
";

/// The scripts for all tables of a run. The same tables give the same text, in whatever order they come.
#[must_use]
pub fn repair_scripts(run: &str, tables: &[StandbyTable<'_>]) -> RepairScripts {
    let mut sorted = tables.to_vec();
    sorted.sort_by_key(|table| (table.name, table.bucket, table.prefix));
    let run_shown = shown(run);
    let mut scripts = RepairScripts {
        shell: SHELL.replace("RUN", &run_shown),
        sql: SQL.replace("RUN", &run_shown),
        ..RepairScripts::default()
    };
    for table in &sorted {
        match table.found {
            Ok(point) => one(&mut scripts, run, table, point),
            Err(reason) => {
                scripts.by_hand += 1;
                let why = format!("no recovery point is known: {reason}");
                note(&mut scripts.sql, "-- ", table, &why);
            }
        }
    }
    if scripts.moved == 0 {
        scripts.shell.push_str("\n# Nothing is to be moved.\n");
    }
    if scripts.restored == 0 {
        scripts.sql.push_str("\n-- No table is to be restored.\n");
    }
    scripts
}

fn one(scripts: &mut RepairScripts, run: &str, table: &StandbyTable<'_>, point: &RecoveryPoint) {
    let Some(own) = point.recovery_version else {
        scripts.by_hand += 1;
        note(
            &mut scripts.sql,
            "-- ",
            table,
            "no version of it is complete at the standby: clone it from a backup or wait for its source",
        );
        return;
    };
    let target = table.group_version.map_or(own, |group| group.min(own));
    let restore = point.readable_version.filter(|open| *open > target);
    let mut hand = Vec::new();
    if point.readable_version.is_none_or(|open| open < target) {
        hand.push(format!(
            "version {target} is complete, but readers cannot open it before a person has repaired the log"
        ));
    }
    let older = restore.map_or(&[][..], |_| point.restore_blocked_by.as_slice());
    let blockers: Vec<&Blocker> = point.blocked_by.iter().chain(older).collect();
    let names = [table.bucket, table.prefix, table.region, run];
    let moved = blockers.iter().flat_map(|blocker| &blocker.move_aside);
    if names.into_iter().chain(moved.map(String::as_str)).any(odd) {
        hand.push("its address holds characters that no script should carry".to_owned());
    } else {
        for blocker in &blockers {
            block(scripts, run, table, blocker, &mut hand);
        }
        if let Some(open) = restore {
            statement(scripts, table, point, open, target);
        }
    }
    if !hand.is_empty() {
        scripts.by_hand += 1;
        for why in &hand {
            note(&mut scripts.sql, "-- ", table, &format!("BY HAND: {why}"));
        }
    }
}

/// One object that is in the way: the lines that move it aside, or what else to do.
fn block(
    scripts: &mut RepairScripts,
    run: &str,
    table: &StandbyTable<'_>,
    blocker: &Blocker,
    hand: &mut Vec<String>,
) {
    let what = format!("{}: {}; {}", blocker.object, blocker.detail, blocker.repair);
    if blocker.move_aside.is_empty() {
        hand.push(what);
        return;
    }
    note(&mut scripts.shell, "# ", table, &what);
    for object in &blocker.move_aside {
        let key = key(table.prefix, object);
        let from = format!("s3://{}/{key}", table.bucket);
        let to = format!("s3://{}/databricks-dr-aside/{run}/{key}", table.bucket);
        let (from, to, region) = (quoted(&from), quoted(&to), quoted(table.region));
        let _ = writeln!(scripts.shell, "aws s3 mv --region {region} {from} {to}");
        scripts.moved += 1;
    }
}

fn statement(
    scripts: &mut RepairScripts,
    table: &StandbyTable<'_>,
    point: &RecoveryPoint,
    open: u64,
    target: u64,
) {
    let because = match point.recovery_version {
        Some(own) if own > target => "the common version of its group",
        _ => "the newest version that is complete",
    };
    let what = format!("readers open version {open}; {target} is {because}");
    note(&mut scripts.sql, "-- ", table, &what);
    let address = format!("s3://{}/{}", table.bucket, table.prefix).replace('`', "``");
    let _ = writeln!(
        scripts.sql,
        "RESTORE TABLE delta.`{address}` TO VERSION AS OF {target};"
    );
    scripts.restored += 1;
    if point.has_txn {
        scripts.with_txn += 1;
        scripts.sql.push_str(
            "-- WARNING: streams write to this table, and RESTORE keeps their txn markers of the versions it undoes. A stream\n\
             -- that goes on from its checkpoint runs those batches again and they are skipped: their rows stay lost. Start\n\
             -- these streams with a new checkpoint or a new txnAppId, from the data of this version on.\n",
        );
    }
}

/// A comment about a table. Whatever the names hold, it stays a comment of one line.
fn note(script: &mut String, mark: &str, table: &StandbyTable<'_>, text: &str) {
    let _ = writeln!(script, "\n{mark}{}: {}", shown(table.name), shown(text));
}

fn key(prefix: &str, object: &str) -> String {
    [prefix, object]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("/")
}

/// As one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Without anything that ends a line or changes how it is shown.
fn shown(text: &str) -> String {
    let visible = text.chars().map(|c| if hides(c) { '\u{fffd}' } else { c });
    visible.collect::<String>().replace("${", "$ {")
}

/// What a reviewer would not see as it is, and `${`, which Spark replaces within a statement before it parses it.
fn odd(text: &str) -> bool {
    text.chars().any(hides) || text.contains("${")
}

/// Control characters, separators of lines, and marks that turn the direction of writing.
fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
#[path = "repair_tests.rs"]
mod tests;
