//! One comparison of the answer with the naive check.

use crate::brute;
use crate::support::{ask, run};
use delta_recovery::{Location, Options, RecoveryPoint, SourceView, recovery_point};
use object_store::local::LocalFileSystem;
use std::path::Path;
use std::sync::Arc;

/// Compares the answers for `replica`, with its source and without, to the naive check.
pub(crate) fn compare(source: &Path, replica: &Path, what: &str) {
    let theirs = brute::check(source, None);
    let latest = *theirs.states.keys().max().unwrap();
    let expected = brute::check(replica, Some(source));
    let point = ask(Some(source), replica).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(
        point.recovery_version, expected.recovery,
        "{what}: {point:#?}"
    );
    assert_eq!(point.latest_version, latest, "{what}");
    assert_eq!(point.source, SourceView::Read, "{what}");
    let missing = brute::lacking(replica, &theirs.states[&latest]);
    assert_eq!(point.missing_at_latest, Some(missing), "{what}: {point:#?}");
    assert_eq!(point.readable_now, expected.readable, "{what}: {point:#?}");
    assert_eq!(point.readable_now, point.blocked_by.is_empty(), "{what}");
    assert_eq!(
        point.recovery_timestamp_ms.is_some(),
        expected.recovery.is_some(),
        "{what}"
    );
    assert!(point.loss_ms.is_none_or(|loss| loss >= 0), "{what}");
    if expected.recovery == Some(latest) {
        assert_eq!(point.loss_ms, Some(0), "{what}");
    }

    let same = |point: &RecoveryPoint| {
        (
            point.recovery_version,
            point.missing_at_latest,
            point.recovery_timestamp_ms,
        )
    };
    let stored = through_store(source, replica);
    assert_eq!(same(&stored), same(&point), "{what}, as an object store");

    let expected = brute::check(replica, None);
    match ask(None, replica) {
        Ok(point) => {
            assert_eq!(
                point.recovery_version, expected.recovery,
                "{what}, source dark: {point:#?}"
            );
            assert_eq!(point.source, SourceView::Unreadable, "{what}");
            assert_eq!(
                point.readable_now, expected.readable,
                "{what}, source dark: {point:#?}"
            );
        }
        Err(error) => assert!(expected.states.is_empty(), "{what}, source dark: {error}"),
    }
    repair(replica, what);
}

/// The answer when nothing is known to be a folder, as it is for S3.
fn through_store(source: &Path, replica: &Path) -> RecoveryPoint {
    let location = |path: &Path| {
        let store = LocalFileSystem::new_with_prefix(path).unwrap();
        Location::new(
            Arc::new(store),
            object_store::path::Path::default(),
            "store",
        )
    };
    let (source, replica) = (location(source), location(replica));
    run(recovery_point(Some(&source), &replica, &Options::default())).unwrap()
}

/// What the answer says to move aside makes the table readable.
fn repair(replica: &Path, what: &str) {
    let Ok(point) = ask(None, replica) else {
        return;
    };
    let helps = point
        .blocked_by
        .iter()
        .all(|blocker| !blocker.move_aside.is_empty());
    if point.readable_now || !helps {
        return;
    }
    let copy = tempfile::tempdir().unwrap();
    let moved: Vec<&String> = point
        .blocked_by
        .iter()
        .flat_map(|blocker| &blocker.move_aside)
        .collect();
    crate::support::copy(replica, copy.path(), |file| {
        !moved.iter().any(|path| *path == file)
    });
    let after = brute::check(copy.path(), None);
    assert!(after.readable, "{what}: {:#?}", point.blocked_by);
    let again = ask(None, copy.path()).unwrap();
    assert!(again.readable_now, "{what}");
    assert_eq!(again.readable_version, point.readable_version, "{what}");
}
