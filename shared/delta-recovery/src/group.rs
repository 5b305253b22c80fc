//! Tables that belong together have one common recovery time.

use crate::report::{RecoveryPoint, VersionSpan};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One table of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember<'a> {
    /// The table's name in the report.
    pub name: &'a str,
    /// Its complete versions, in any order.
    pub history: &'a [VersionSpan],
    /// The time of its newest known version, in milliseconds since 1970.
    pub latest_timestamp_ms: Option<i64>,
    /// The newest known version.
    pub latest_version: u64,
}

impl<'a> GroupMember<'a> {
    /// A member as its recovery point describes it.
    #[must_use]
    pub fn new(name: &'a str, point: &'a RecoveryPoint) -> Self {
        Self {
            name,
            history: &point.history,
            latest_timestamp_ms: point.latest_timestamp_ms,
            latest_version: point.latest_version,
        }
    }
}

/// The common recovery point of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum GroupRecovery {
    /// All members are complete as of one moment.
    Found {
        /// The newest such moment, in milliseconds since 1970.
        time_ms: i64,
        /// Table to the version it had at that moment.
        versions: BTreeMap<String, u64>,
        /// From `time_ms` to the newest commit of any member, 0 if every member keeps its newest version.
        /// None if a newest commit's time is unknown.
        loss_ms: Option<i64>,
    },
    /// A member's history ends too early. Ask for its recovery point again with
    /// [`Options::history_to_ms`](crate::Options::history_to_ms); if it has no older complete version, the group has none.
    NeedsOlder {
        /// The member.
        table: String,
        /// The moment at which or before which a complete version is needed, in milliseconds since 1970.
        at_ms: i64,
    },
    /// A member has no complete version, or the group has no members.
    Nothing {
        /// Members without one.
        tables: Vec<String>,
    },
}

/// The newest moment at which every member was at a version that is complete at the replica.
#[must_use]
pub fn group_recovery(members: &[GroupMember<'_>]) -> GroupRecovery {
    let newest = |member: &GroupMember<'_>| member.history.iter().map(|span| span.through_ms).max();
    let without = members.iter().filter(|member| member.history.is_empty());
    let tables: Vec<String> = without.map(|member| member.name.to_owned()).collect();
    let Some(mut time_ms) = members
        .iter()
        .filter_map(newest)
        .min()
        .filter(|_| tables.is_empty())
    else {
        return GroupRecovery::Nothing { tables };
    };
    // Each step takes the moment back to where one more member is complete, so it ends.
    loop {
        let mut earlier = time_ms;
        for member in members {
            match as_of(member, time_ms) {
                Some(span) => earlier = earlier.min(span.through_ms),
                None => {
                    return GroupRecovery::NeedsOlder {
                        table: member.name.to_owned(),
                        at_ms: time_ms,
                    };
                }
            }
        }
        if earlier == time_ms {
            break;
        }
        time_ms = earlier;
    }
    let chosen = members
        .iter()
        .filter_map(|member| Some((member, as_of(member, time_ms)?.version)));
    let kept = chosen
        .clone()
        .all(|(member, version)| version == member.latest_version);
    let latest: Option<Vec<i64>> = members
        .iter()
        .map(|member| member.latest_timestamp_ms)
        .collect();
    let loss_ms = match kept {
        true => Some(0),
        false => latest
            .and_then(|times| times.into_iter().max())
            .map(|last| last.saturating_sub(time_ms).max(0)),
    };
    GroupRecovery::Found {
        time_ms,
        versions: chosen
            .map(|(member, version)| (member.name.to_owned(), version))
            .collect(),
        loss_ms,
    }
}

/// The newest complete version made at `time_ms` or before.
fn as_of<'a>(member: &GroupMember<'a>, time_ms: i64) -> Option<&'a VersionSpan> {
    let made = member.history.iter().filter(|span| span.from_ms <= time_ms);
    made.max_by_key(|span| span.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(version: u64, from_ms: i64, through_ms: i64) -> VersionSpan {
        VersionSpan {
            version,
            from_ms,
            through_ms,
        }
    }

    fn member<'a>(
        name: &'a str,
        history: &'a [VersionSpan],
        latest: (u64, i64),
    ) -> GroupMember<'a> {
        GroupMember {
            name,
            history,
            latest_timestamp_ms: Some(latest.1),
            latest_version: latest.0,
        }
    }

    #[test]
    fn the_group_goes_back_to_where_all_are_complete() {
        // Version 4 of the first table, made at 80, is incomplete; the second table is complete up to 85 only.
        let orders = [span(5, 100, 200), span(3, 60, 79)];
        let lines = [span(9, 70, 85)];
        let found = group_recovery(&[
            member("orders", &orders, (5, 100)),
            member("lines", &lines, (12, 150)),
        ]);
        let versions = BTreeMap::from([("orders".to_owned(), 3), ("lines".to_owned(), 9)]);
        assert_eq!(
            found,
            GroupRecovery::Found {
                time_ms: 79,
                versions,
                loss_ms: Some(71)
            }
        );
    }

    #[test]
    fn a_group_at_its_newest_versions_loses_nothing() {
        let (a, b) = ([span(5, 100, 900)], [span(1, 10, 900)]);
        let found = group_recovery(&[member("a", &a, (5, 100)), member("b", &b, (1, 10))]);
        assert!(matches!(
            found,
            GroupRecovery::Found {
                time_ms: 900,
                loss_ms: Some(0),
                ..
            }
        ));
    }

    #[test]
    fn a_short_history_and_an_empty_one_are_named() {
        let (a, b) = ([span(5, 100, 900)], [span(1, 10, 50)]);
        let older = GroupRecovery::NeedsOlder {
            table: "a".to_owned(),
            at_ms: 50,
        };
        assert_eq!(
            group_recovery(&[member("a", &a, (5, 100)), member("b", &b, (2, 60))]),
            older
        );
        let nothing = GroupRecovery::Nothing {
            tables: vec!["a".to_owned()],
        };
        assert_eq!(
            group_recovery(&[member("a", &[], (5, 100)), member("b", &b, (1, 10))]),
            nothing
        );
        assert_eq!(
            group_recovery(&[]),
            GroupRecovery::Nothing { tables: Vec::new() }
        );
    }
}
