//! Whatever subset of files has arrived: the reported version is complete and no newer one is.

use crate::made::{Change, Table};
use crate::steps::compare;
use crate::support::{copy, files};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeSet;

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0_u8..4).prop_map(Change::Add),
        3 => any::<u8>().prop_map(Change::Remove),
        2 => any::<u8>().prop_map(Change::Vector),
        1 => Just(Change::Restore),
        1 => Just(Change::Classic),
        1 => (2_u8..4).prop_map(Change::Parts),
        1 => Just(Change::V2),
    ]
}

/// The table of these changes with the held back files missing at the replica.
fn check(changes: &[Change], held_back: &[Index]) {
    let (source, replica) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    Table::write(source.path(), changes);
    let all = files(source.path());
    let missing: BTreeSet<&String> = held_back.iter().map(|index| index.get(&all)).collect();
    copy(source.path(), replica.path(), |file| {
        !missing.iter().any(|path| *path == file)
    });
    compare(
        source.path(),
        replica.path(),
        &format!("{changes:?} without {missing:?}"),
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_newest_complete_version_is_found(
        changes in prop::collection::vec(change(), 1..24),
        held_back in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        check(&changes, &held_back);
    }

    #[test]
    fn so_it_is_when_next_to_nothing_has_arrived(
        changes in prop::collection::vec(change(), 1..12),
        held_back in prop::collection::vec(any::<Index>(), 12..80),
    ) {
        check(&changes, &held_back);
    }
}
