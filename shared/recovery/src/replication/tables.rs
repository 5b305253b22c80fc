//! The recovery point of a Delta table between two proofs, and of many tables together.
//!
//! A proof looks for every file and is dear; the logs of both sides are compared often. Between two proofs the log tells how
//! far the standby is, less what the newest proof found missing behind the log.

use jiff::{SignedDuration, Timestamp};

use super::{Basis, MOST_TABLES_SHOWN, TableStatus, TablesStatus};

/// What a proof has shown of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// When the standby was read.
    pub at: Timestamp,
    /// The newest moment at which the table is complete at the standby; `None` if no version of it is.
    pub point: Option<Timestamp>,
    /// How far `point` was behind what the logs alone said then. `None` if the logs could not be compared.
    pub behind_log: Option<SignedDuration>,
}

/// What the logs of both sides say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogComparison {
    /// When they were read.
    pub at: Timestamp,
    /// The newest moment of which the standby's log holds every commit.
    pub point: Timestamp,
}

/// What is known of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFacts {
    /// The newest proof.
    pub proof: Option<Proof>,
    /// The newest comparison of the logs.
    pub log: Option<LogComparison>,
    /// How it is shown. Its recovery point is filled in from the other fields.
    pub shown: TableStatus,
}

impl TableFacts {
    /// The newest moment at which the table is known to be complete at the standby, and what that rests on.
    #[must_use]
    pub fn point(&self) -> Option<(Timestamp, Basis)> {
        let proof = self.proof?;
        let proven = proof.point?;
        let by_log = self
            .log
            .filter(|log| log.at > proof.at)
            .zip(proof.behind_log)
            .and_then(|(log, behind)| log.point.checked_sub(behind).ok());
        Some(match by_log.filter(|by_log| *by_log > proven) {
            Some(by_log) => (by_log, Basis::Log),
            None => (proven, Basis::Proof),
        })
    }

    /// Whether the standby lacks the newest known version.
    fn is_behind(&self) -> bool {
        let (recovered, latest) = (self.shown.recovery_version, self.shown.latest_version);
        latest.is_some_and(|latest| recovered.is_none_or(|recovered| recovered < latest))
    }
}

/// The recovery point of tables that are one data set, and how they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablesPoint {
    /// The newest moment at which all of them are known to be complete; `None` if one is unknown or there is none.
    pub point: Option<Timestamp>,
    /// The weakest of what their points rest on.
    pub basis: Option<Basis>,
    /// The same by proofs alone.
    pub proven: Option<Timestamp>,
    /// Counts, and the worst by name.
    pub status: TablesStatus,
}

/// Adds up tables. One that is unknown makes the whole unknown; no tables at all are unknown, never "caught up".
#[must_use]
pub fn of_tables(tables: Vec<TableFacts>) -> TablesPoint {
    let points: Vec<Option<(Timestamp, Basis)>> = tables.iter().map(TableFacts::point).collect();
    let all: Option<Vec<(Timestamp, Basis)>> = points.iter().copied().collect();
    let proven: Option<Vec<Timestamp>> = tables.iter().map(|t| t.proof?.point).collect();
    let count = |what: &dyn Fn(&TableFacts) -> bool| tables.iter().filter(|t| what(t)).count();
    let mut status = TablesStatus {
        total: tables.len(),
        known: points.iter().flatten().count(),
        behind: count(&TableFacts::is_behind),
        unreadable: count(&|t| t.shown.readable_now == Some(false)),
        missing_files: tables.iter().filter_map(|t| t.shown.missing_files).sum(),
        worst: Vec::new(),
        not_shown: 0,
    };
    let mut shown: Vec<TableStatus> = tables
        .into_iter()
        .zip(points)
        .map(|(table, point)| TableStatus {
            recovery_point: point.map(|(at, _)| at),
            ..table.shown
        })
        .collect();
    // Unknown first, then the oldest; the path makes the order of equals the same each time.
    shown.sort_by(|a, b| (a.recovery_point, &a.path).cmp(&(b.recovery_point, &b.path)));
    status.not_shown = shown.len().saturating_sub(MOST_TABLES_SHOWN);
    shown.truncate(MOST_TABLES_SHOWN);
    status.worst = shown;
    TablesPoint {
        point: all.iter().flatten().map(|(at, _)| *at).min(),
        basis: all.iter().flatten().map(|(_, basis)| *basis).max(),
        proven: proven.into_iter().flatten().min(),
        status,
    }
}

/// The common moment of a group: by proof, or by the log if every table has gone on since.
///
/// `proven` is the newest moment at which the proofs show all tables complete together; without one nothing is known. `tables`
/// are the points of all its tables.
#[must_use]
pub fn of_group(
    proven: Option<Timestamp>,
    tables: &[Option<(Timestamp, Basis)>],
) -> Option<(Timestamp, Basis)> {
    let proven = proven?;
    let all: Option<Vec<(Timestamp, Basis)>> = tables.iter().copied().collect();
    let common = all.into_iter().flatten().map(|(at, _)| at).min();
    Some(match common.filter(|common| *common > proven) {
        Some(common) => (common, Basis::Log),
        None => (proven, Basis::Proof),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn table(path: &str, proof: Option<(i64, Option<i64>, Option<i64>)>) -> TableFacts {
        TableFacts {
            proof: proof.map(|(read, point, behind)| Proof {
                at: at(read),
                point: point.map(at),
                behind_log: behind.map(SignedDuration::from_secs),
            }),
            log: None,
            shown: TableStatus {
                path: path.to_owned(),
                recovery_point: None,
                recovery_version: Some(3),
                latest_version: Some(5),
                missing_files: Some(2),
                readable_now: Some(false),
                problem: None,
            },
        }
    }

    fn with_log(mut table: TableFacts, read: i64, point: i64) -> TableFacts {
        table.log = Some(LogComparison {
            at: at(read),
            point: at(point),
        });
        table
    }

    #[test]
    fn between_two_proofs_the_log_goes_on_less_what_was_missing_behind_it() {
        let proven = Some((100, Some(90), Some(10)));
        for (table, expected) in [
            (table("a", None), None),
            (table("a", Some((100, None, Some(0)))), None),
            (table("a", proven), Some((90, Basis::Proof))),
            (
                with_log(table("a", proven), 200, 200),
                Some((190, Basis::Log)),
            ),
            // The log stands still: what was proven stays proven.
            (
                with_log(table("a", proven), 200, 95),
                Some((90, Basis::Proof)),
            ),
            // A comparison from before the proof says nothing new.
            (
                with_log(table("a", proven), 99, 99),
                Some((90, Basis::Proof)),
            ),
            // How far the files are behind the log is not known: only the proof counts.
            (
                with_log(table("a", Some((100, Some(90), None))), 200, 200),
                Some((90, Basis::Proof)),
            ),
            (
                with_log(table("a", Some((100, None, Some(0)))), 200, 200),
                None,
            ),
        ] {
            let expected = expected.map(|(second, basis)| (at(second), basis));
            assert_eq!(table.point(), expected, "{table:?}");
        }
    }

    #[test]
    fn one_unknown_table_makes_the_data_set_unknown_and_is_shown_first() {
        let known = table("known", Some((100, Some(90), Some(0))));
        let added = of_tables(vec![known.clone(), table("lost", None)]);
        assert_eq!((added.point, added.basis, added.proven), (None, None, None));
        assert_eq!(added.status.known, 1);
        assert_eq!(added.status.worst[0].path, "lost");
        let alone = of_tables(vec![known]);
        assert_eq!(alone.point, Some(at(90)));
        assert_eq!(
            (
                alone.status.behind,
                alone.status.unreadable,
                alone.status.missing_files
            ),
            (1, 1, 2)
        );
        assert_eq!(of_tables(vec![]).point, None, "no table is not caught up");
    }

    #[test]
    fn a_group_goes_on_by_the_log_only_when_every_table_does() {
        let by_log = Some((at(200), Basis::Log));
        let proof = Some((at(90), Basis::Proof));
        assert_eq!(of_group(None, &[by_log]), None);
        assert_eq!(
            of_group(Some(at(80)), &[by_log, None]),
            Some((at(80), Basis::Proof))
        );
        assert_eq!(
            of_group(Some(at(80)), &[by_log, proof]),
            Some((at(90), Basis::Log))
        );
        assert_eq!(of_group(Some(at(80)), &[]), Some((at(80), Basis::Proof)));
    }

    type Made = (Option<(i64, Option<i64>, Option<i64>)>, Option<(i64, i64)>);

    fn made() -> impl Strategy<Value = Made> {
        let proof = (
            0i64..1000,
            proptest::option::of(0i64..1000),
            proptest::option::of(0i64..500),
        );
        (
            proptest::option::of(proof),
            proptest::option::of((0i64..2000, 0i64..2000)),
        )
    }

    proptest! {
        #[test]
        fn a_data_set_is_never_newer_than_any_of_its_tables(all in proptest::collection::vec(made(), 0..25)) {
            let tables: Vec<TableFacts> = all
                .into_iter()
                .enumerate()
                .map(|(i, (proof, log))| {
                    let table = table(&format!("t{i}"), proof);
                    match log {
                        Some((read, point)) => with_log(table, read, point),
                        None => table,
                    }
                })
                .collect();
            let added = of_tables(tables.clone());
            for table in &tables {
                let own = table.point().map(|(point, _)| point);
                prop_assert!(added.point <= own, "{:?} is newer than {:?}", added.point, own);
                let proven = table.proof.and_then(|p| p.point);
                prop_assert!(proven <= own, "what was proven is kept");
                prop_assert_eq!(own.is_some(), proven.is_some(), "nothing is known without a proof");
            }
            prop_assert!(added.proven <= added.point);
            prop_assert_eq!(added.point.is_some(), added.basis.is_some());
            prop_assert_eq!(added.status.worst.len() + added.status.not_shown, tables.len());
            if let Some(first) = added.status.worst.first() {
                prop_assert_eq!(first.recovery_point, tables.iter().map(|t| t.point().map(|(p, _)| p)).min().flatten());
            }
        }
    }
}
