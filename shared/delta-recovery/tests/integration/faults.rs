//! Storage that throttles, ends a listing early, loses what it listed, or grows while it is read.

use crate::made::{Change, Table};
use crate::support::{copy, run};
use async_trait::async_trait;
use delta_recovery::{
    Error, Location, Options, RecoveryPoint, SourceState, SourceView, find_tables, log_lag,
    recovery_point, source_state,
};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[derive(Debug, Clone)]
enum Trouble {
    /// Listings fail after this many objects.
    Throttled(usize),
    /// Listings end without an error after this many objects.
    Truncated(usize),
    /// Reads of objects whose path ends so find nothing.
    Vanished(&'static str),
    /// Nothing ever answers.
    Silent,
    /// All is copied from here when the listing with this number starts.
    Grows(usize, PathBuf),
}

#[derive(Debug)]
struct Troubled {
    inner: LocalFileSystem,
    root: PathBuf,
    trouble: Trouble,
    listings: AtomicUsize,
}

impl fmt::Display for Troubled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.trouble)
    }
}

fn throttled() -> object_store::Error {
    object_store::Error::Generic {
        store: "test",
        source: "503 Slow Down".into(),
    }
}

#[async_trait]
impl ObjectStore for Troubled {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.inner.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        match &self.trouble {
            Trouble::Vanished(end) if at.as_ref().ends_with(end) => {
                Err(object_store::Error::NotFound {
                    path: at.to_string(),
                    source: "gone".into(),
                })
            }
            Trouble::Silent => std::future::pending().await,
            _ => self.inner.get_opts(at, options).await,
        }
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let number = self.listings.fetch_add(1, Ordering::SeqCst);
        if let Trouble::Grows(at, from) = &self.trouble
            && *at == number
        {
            copy(from, &self.root, |_| true);
        }
        let listed = self.inner.list(prefix);
        match self.trouble {
            Trouble::Throttled(after) => listed
                .take(after)
                .chain(stream::iter([Err(throttled())]))
                .boxed(),
            Trouble::Truncated(after) => listed.take(after).boxed(),
            Trouble::Silent => stream::pending().boxed(),
            _ => listed,
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn troubled(root: &std::path::Path, trouble: Trouble) -> Location {
    let inner = LocalFileSystem::new_with_prefix(root).unwrap();
    let store = Troubled {
        inner,
        root: root.to_owned(),
        trouble,
        listings: AtomicUsize::new(0),
    };
    Location::new(Arc::new(store), Path::default(), "troubled")
}

const CHANGES: [Change; 7] = [
    Change::Add(2),
    Change::Add(2),
    Change::Remove(0),
    Change::Classic,
    Change::Vector(1),
    Change::Add(1),
    Change::Add(1),
];

fn answer(
    source: Option<&Location>,
    replica: &Location,
) -> std::result::Result<RecoveryPoint, Error> {
    let options = Options {
        source_timeout: Duration::from_millis(200),
        ..Options::default()
    };
    run(recovery_point(source, replica, &options))
}

#[test]
fn a_throttled_listing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    Table::write(folder.path(), &CHANGES);
    for after in 0..30 {
        match answer(None, &troubled(folder.path(), Trouble::Throttled(after))) {
            Err(error) => assert_eq!(error.name(), "StorageUnreadable"),
            Ok(point) => panic!("an answer in spite of a failed listing: {point:?}"),
        }
    }
}

#[test]
fn a_truncated_listing_gives_an_older_answer_or_none() {
    let folder = tempfile::tempdir().unwrap();
    Table::write(folder.path(), &CHANGES);
    let whole = answer(None, &crate::support::location(folder.path()))
        .unwrap()
        .recovery_version;
    assert_eq!(whole, Some(6));
    for after in 0..30 {
        match answer(None, &troubled(folder.path(), Trouble::Truncated(after))) {
            Err(error) => assert_eq!(error.name(), "NotATable"),
            Ok(point) => assert!(point.recovery_version <= whole),
        }
    }
}

#[test]
fn what_vanishes_after_it_was_listed_gives_an_older_answer() {
    let folder = tempfile::tempdir().unwrap();
    Table::write(folder.path(), &CHANGES);
    for (end, expected) in [
        ("00000000000000000006.json", Some(5)),
        ("00000000000000000004.json", Some(3)),
        ("checkpoint.parquet", Some(6)),
        ("_last_checkpoint", Some(6)),
    ] {
        let point = answer(None, &troubled(folder.path(), Trouble::Vanished(end))).unwrap();
        assert_eq!(point.recovery_version, expected, "{end}");
    }
}

#[test]
fn a_table_that_grows_while_it_is_read_gives_a_state_it_had() {
    let whole = tempfile::tempdir().unwrap();
    Table::write(whole.path(), &CHANGES);
    for listing in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        // The first commits only, their data and the hint not yet.
        copy(whole.path(), folder.path(), |file| {
            file.ends_with("0.json") || file.ends_with("1.json")
        });
        let grows = Trouble::Grows(listing, whole.path().to_owned());
        let point = answer(None, &troubled(folder.path(), grows)).unwrap();
        assert!(point.readable_now, "{:?}", point.blocked_by);
        let expected = if listing == 0 { 6 } else { 1 };
        assert_eq!(point.recovery_version, Some(expected));
    }
}

#[test]
fn a_dark_source_costs_its_timeout_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    Table::write(folder.path(), &CHANGES);
    let replica = crate::support::location(folder.path());
    for trouble in [
        Trouble::Silent,
        Trouble::Throttled(0),
        Trouble::Vanished("json"),
    ] {
        let point = answer(Some(&troubled(folder.path(), trouble)), &replica).unwrap();
        assert_eq!(point.recovery_version, Some(6));
    }
}

#[test]
fn the_last_known_state_of_a_dark_source_is_marked() {
    let (folder, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let table = Table::write(folder.path(), &CHANGES);
    let source = crate::support::location(folder.path());
    let known = run(source_state(&source)).unwrap();
    assert_eq!(
        (known.version, known.timestamp_ms),
        (6, Some(table.time(6)))
    );
    copy(folder.path(), copied.path(), |file| {
        !file.ends_with("6.json") && !file.ends_with("5.json")
    });
    let replica = crate::support::location(copied.path());
    let options = Options {
        last_known: Some(known),
        ..Options::default()
    };
    let point = run(recovery_point(None, &replica, &options)).unwrap();
    assert_eq!(
        (point.source, point.latest_version, point.recovery_version),
        (SourceView::LastKnown, 6, Some(4))
    );
    assert_eq!((point.loss_ms, point.missing_at_latest), (Some(2000), None));
    let older = SourceState {
        version: 2,
        ..known
    };
    let options = Options {
        last_known: Some(older),
        ..Options::default()
    };
    assert_eq!(
        run(recovery_point(None, &replica, &options))
            .unwrap()
            .latest_version,
        4
    );

    let lag = run(log_lag(&source, &replica)).unwrap();
    assert_eq!((lag.source.version, lag.replica_version), (6, Some(4)));
    assert!(lag.lag_ms.is_some());
    assert_eq!(run(log_lag(&source, &source)).unwrap().lag_ms, Some(0));
}

#[test]
fn tables_are_found_below_a_prefix() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["sales/orders", "sales/lines", "stock"] {
        Table::write(&folder.path().join(name), &[Change::Add(1)]);
    }
    std::fs::create_dir(folder.path().join("no_table")).unwrap();
    let prefix = crate::support::location(folder.path());
    assert_eq!(
        run(find_tables(&prefix)).unwrap(),
        ["sales/lines", "sales/orders", "stock"]
    );
    let table = prefix.join("sales/orders").unwrap();
    assert_eq!(run(find_tables(&table)).unwrap(), [""]);
    assert_eq!(
        run(recovery_point(Some(&table), &table, &Options::default()))
            .unwrap()
            .recovery_version,
        Some(1)
    );
}
