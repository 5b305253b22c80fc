//! The data on the way home: a person has repaired the standby's tables, the secondary writes them now, and its bucket is replicated
//! to the primary's.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws::buckets::Buckets;
use aws_sdk_s3::error::DisplayErrorContext;
use recovery::site::Region;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::DrillError;
use crate::plan::{
    NAME, PRIMARY_BUCKET, PRIMARY_REGION, SECONDARY_BUCKET, SECONDARY_REGION, TABLES, TABLES_PREFIX,
};

/// How often new objects are copied.
const REPLICATE_EVERY: Duration = Duration::from_millis(500);
/// The last commit of a table takes this long to arrive: a run that does not wait for it loses it.
const LATE: Duration = Duration::from_secs(4);

/// What is written and has not arrived.
#[derive(Debug, Default)]
struct Way {
    versions: usize,
    /// Key, content, and not to arrive before then.
    waiting: Vec<(String, Vec<u8>, Instant)>,
    arrived: BTreeSet<String>,
    last: Vec<String>,
}

/// The secondary's data and its replication.
pub struct Homeward {
    way: Arc<Mutex<Way>>,
    quiet: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Homeward {
    /// Begins to write at the secondary and to replicate from there.
    #[must_use]
    pub fn start(buckets: Buckets, replicator: Buckets) -> Self {
        let (way, quiet) = (Arc::<Mutex<Way>>::default(), Arc::<AtomicBool>::default());
        let task = tokio::spawn({
            let (way, quiet) = (Arc::clone(&way), Arc::clone(&quiet));
            async move {
                let mut was_quiet = false;
                loop {
                    let is_quiet = quiet.load(Ordering::SeqCst);
                    if !was_quiet {
                        // With the first look at a quiet site its last commit is written, and arrives late.
                        commit(&buckets, &way, is_quiet).await;
                    }
                    was_quiet = is_quiet;
                    replicate(&buckets, &replicator, &way).await;
                    tokio::time::sleep(REPLICATE_EVERY).await;
                }
            }
        });
        Self { way, quiet, task }
    }

    /// Nothing runs at the secondary any more: it has written its last.
    pub fn quiet(&self) {
        self.quiet.store(true, Ordering::SeqCst);
    }

    /// Objects of the last commit that have not arrived at the primary.
    #[must_use]
    pub fn lost(&self) -> Vec<String> {
        lock(&self.way, |way| {
            let last = way.last.iter();
            let mut lost: Vec<String> = last
                .filter(|key| !way.arrived.contains(*key))
                .cloned()
                .collect();
            if way.last.is_empty() {
                lost.push("no last commit was ever written".to_owned());
            }
            lost
        })
    }
}

impl Drop for Homeward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<R>(way: &Mutex<Way>, act: impl FnOnce(&mut Way) -> R) -> R {
    act(&mut way.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The next version of every table.
async fn commit(buckets: &Buckets, way: &Mutex<Way>, is_last: bool) {
    let region = Region::new(SECONDARY_REGION);
    let version = lock(way, |way| way.versions);
    let now = jiff::Timestamp::now().as_millisecond();
    let from = Instant::now() + if is_last { LATE } else { Duration::ZERO };
    let mut written = Vec::new();
    for table in TABLES {
        let root = format!("{TABLES_PREFIX}/{table}");
        let file = format!("home-{version:05}.parquet");
        let content = format!("rows of version {version}").into_bytes();
        let mut actions: Vec<Value> = vec![
            json!({"commitInfo": {"timestamp": now, "operation": "WRITE"}}),
            json!({"add": {"path": file, "partitionValues": {}, "size": content.len(), "modificationTime": now, "dataChange": true}}),
        ];
        if version == 0 {
            actions.push(json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}));
            actions.push(json!({"metaData": {"id": table, "format": {"provider": "parquet", "options": {}},
                "schemaString": "{\"type\":\"struct\",\"fields\":[]}", "partitionColumns": [], "configuration": {}}}));
        }
        let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
        written.push((format!("{root}/{file}"), content));
        let log = format!("{root}/_delta_log/{version:020}.json");
        written.push((log, lines.join("\n").into_bytes()));
    }
    for (key, bytes) in &written {
        let put = buckets.put(&region, SECONDARY_BUCKET, key, bytes.clone());
        // What S3 did not take does not exist: the next round writes the version again.
        if put.await.is_err() {
            return;
        }
    }
    lock(way, |way| {
        way.versions += 1;
        if is_last {
            way.last = written.iter().map(|(key, _)| key.clone()).collect();
        }
        let waiting = written.into_iter().map(|(key, bytes)| (key, bytes, from));
        way.waiting.extend(waiting);
    });
}

/// Whatever is due arrives, and the marker. What fails is tried again in the next round.
async fn replicate(buckets: &Buckets, replicator: &Buckets, way: &Mutex<Way>) {
    let (from, to) = (Region::new(SECONDARY_REGION), Region::new(PRIMARY_REGION));
    let now = Instant::now();
    let due = lock(way, |way| {
        let (due, later) = std::mem::take(&mut way.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|(_, _, from)| *from <= now);
        way.waiting = later;
        due
    });
    for (key, bytes, from) in due {
        let put = replicator.put(&to, PRIMARY_BUCKET, &key, bytes.clone());
        if put.await.is_ok() {
            lock(way, |way| way.arrived.insert(key));
        } else {
            lock(way, |way| way.waiting.push((key, bytes, from)));
        }
    }
    let key = format!("databricks-dr-marker/{NAME}/secondary.json");
    if let Ok(Some(bytes)) = buckets.get(&from, SECONDARY_BUCKET, &key).await {
        let _ = replicator.put(&to, PRIMARY_BUCKET, &key, bytes).await;
    }
}

/// What a person does by the scripts of the run, to the end: nothing of the failure is left in the tables of the bucket, but for these
/// objects.
///
/// # Errors
/// What S3 said.
pub async fn repair_tables(
    client: &aws_sdk_s3::Client,
    bucket: &str,
    but: &BTreeSet<String>,
) -> Result<(), DrillError> {
    let failed = |what: &str, error: String| DrillError::Aws(format!("{what} {bucket}: {error}"));
    let listed = client
        .list_objects_v2()
        .bucket(bucket)
        .prefix(TABLES_PREFIX)
        .send()
        .await
        .map_err(|e| failed("listing", DisplayErrorContext(&e).to_string()))?;
    let keys = listed.contents().iter().filter_map(|object| object.key());
    for key in keys.filter(|key| !but.contains(*key)) {
        client
            .delete_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
            .map_err(|e| failed("clearing", DisplayErrorContext(&e).to_string()))?;
    }
    Ok(())
}
