//! The data of a drill: Delta tables that are written in the primary's bucket, a marker object, and the S3 replication of both,
//! played by copying. When the region dies some objects have arrived and some have not, in no order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws::buckets::Buckets;
use aws_config::SdkConfig;
use recovery::failure::FailureName;
use recovery::site::Region;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::DrillError;
use crate::plan::{
    CONTROL_REGION, NAME, PRIMARY_BUCKET, PRIMARY_REGION, SECONDARY_BUCKET, SECONDARY_REGION,
    TABLES, TABLES_PREFIX,
};

/// How often new objects are copied from the primary's bucket to the secondary's.
const REPLICATE_EVERY: Duration = Duration::from_millis(700);
/// Each table gets a commit with every second copy.
const COMMIT_EVERY: u32 = 2;

/// Objects beside the tables that are written when the region dies, and whether they arrive.
const BESIDE: [(&str, bool); 3] = [
    ("raw/late news.csv", false),
    (REWRITTEN, false),
    ("raw/arrived.csv", true),
];
/// The standby writes an object by this name, too.
const REWRITTEN: &str = "raw/rewritten.csv";

/// One table as the world knows it: what was written, and what of it has arrived.
#[derive(Clone, Debug, Default)]
struct Table {
    /// Objects of each version: the commit and its data file.
    versions: Vec<[String; 2]>,
}

/// What the world knows of its data.
#[derive(Debug, Default)]
struct Known {
    tables: BTreeMap<&'static str, Table>,
    contents: BTreeMap<String, Vec<u8>>,
    arrived: BTreeSet<String>,
    held: Vec<String>,
    refused: BTreeSet<String>,
}

/// What came of the objects that were held back when the region died, once it was back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Objects that the standby's bucket took.
    pub arrived: Vec<String>,
    /// Objects that it refused; S3 marks them `FAILED`.
    pub refused: Vec<String>,
}

/// S3 replication as AWS sees it: a session of the replication role.
///
/// # Errors
/// If STS does not give the session.
pub async fn replicator(
    config: &SdkConfig,
    role: &str,
    to: &'static str,
) -> Result<Buckets, DrillError> {
    let regional = |region: &'static str| {
        let region = aws_config::Region::new(region);
        config.clone().into_builder().region(region)
    };
    let sts = aws_sdk_sts::Client::new(&regional(CONTROL_REGION).build());
    let session = sts
        .assume_role()
        .role_arn(role)
        .role_session_name("s3-replication")
        .send()
        .await
        .map_err(|e| {
            DrillError::Aws(format!(
                "becoming the replication role: {}",
                aws_sdk_sts::error::DisplayErrorContext(&e)
            ))
        })?;
    let Some(key) = session.credentials() else {
        return Err(DrillError::Aws("STS gave no credentials".to_owned()));
    };
    let credentials = aws_sdk_s3::config::Credentials::new(
        key.access_key_id(),
        key.secret_access_key(),
        Some(key.session_token().to_owned()),
        None,
        "replication",
    );
    let provider = aws_sdk_s3::config::SharedCredentialsProvider::new(credentials);
    let config = regional(to).credentials_provider(provider);
    Ok(Buckets::new(config.build()))
}

/// The data of both sites.
pub struct Lake {
    buckets: Arc<Buckets>,
    replicator: Arc<Buckets>,
    known: Arc<Mutex<Known>>,
    task: Option<(JoinHandle<()>, Arc<AtomicBool>)>,
}

impl Lake {
    /// Begins to write and to replicate.
    #[must_use]
    pub fn start(buckets: Buckets, replicator: Buckets) -> Self {
        let (buckets, replicator) = (Arc::new(buckets), Arc::new(replicator));
        let known = Arc::<Mutex<Known>>::default();
        let ends = Arc::<AtomicBool>::default();
        let task = tokio::spawn({
            let (buckets, replicator) = (Arc::clone(&buckets), Arc::clone(&replicator));
            let (known, ends) = (Arc::clone(&known), Arc::clone(&ends));
            async move {
                let mut round = 0_u32;
                while !ends.load(Ordering::SeqCst) {
                    if round.is_multiple_of(COMMIT_EVERY) {
                        for table in TABLES {
                            commit(&buckets, &known, table).await;
                        }
                    }
                    round = round.wrapping_add(1);
                    let waiting = lock(&known, |known| known.waiting());
                    for object in waiting {
                        // What fails is tried again in the next round, as replication does.
                        let _ = copy(&replicator, &known, &object).await;
                    }
                    copy_marker(&buckets, &replicator).await;
                    tokio::time::sleep(REPLICATE_EVERY).await;
                }
            }
        });
        Self {
            buckets,
            replicator,
            known,
            task: Some((task, ends)),
        }
    }

    /// The region dies in the middle of replication: of the first table a commit has arrived without its data file, of the
    /// second a commit is missing and the next one is there. Of the objects beside them one arrives.
    pub async fn cut_off(&mut self) {
        self.stop().await;
        let region = Region::new(PRIMARY_REGION);
        for (key, arrives) in BESIDE {
            let bytes = format!("what the primary wrote to {key}").into_bytes();
            let put = self
                .buckets
                .put(&region, PRIMARY_BUCKET, key, bytes.clone());
            // What S3 did not take was never written.
            if put.await.is_err() {
                continue;
            }
            lock(&self.known, |known| {
                known.contents.insert(key.to_owned(), bytes);
            });
            if arrives {
                let _ = copy(&self.replicator, &self.known, key).await;
            } else {
                lock(&self.known, |known| known.held.push(key.to_owned()));
            }
        }
        let [first, second] = TABLES;
        for (table, arrives) in [
            (first, [true, false]),
            (second, [false, false]),
            (second, [true, true]),
        ] {
            if let Some(objects) = commit(&self.buckets, &self.known, table).await {
                for (object, arrives) in objects.into_iter().zip(arrives) {
                    if arrives {
                        let _ = copy(&self.replicator, &self.known, &object).await;
                    } else {
                        lock(&self.known, |known| known.held.push(object));
                    }
                }
            }
        }
    }

    /// The standby writes commits and an object of its own where the old site's are still on their way.
    ///
    /// # Errors
    /// What S3 said.
    pub async fn write_on_at_standby(&self) -> Result<(), DrillError> {
        let region = Region::new(SECONDARY_REGION);
        let held = lock(&self.known, |known| known.held.clone());
        for key in held.into_iter().filter(|key| key.contains("/_delta_log/")) {
            let commit = json!({"commitInfo": {"operation": "WRITE", "site": "secondary"}});
            let bytes = commit.to_string().into_bytes();
            self.buckets
                .put(&region, SECONDARY_BUCKET, &key, bytes)
                .await?;
        }
        let bytes = b"the standby's".to_vec();
        self.buckets
            .put(&region, SECONDARY_BUCKET, REWRITTEN, bytes)
            .await?;
        Ok(())
    }

    /// The region is back and S3 goes on with what was pending, as the replication role. Says what came of it.
    ///
    /// # Errors
    /// What S3 said, unless it refused an object.
    pub async fn deliver(&self) -> Result<Delivery, DrillError> {
        let held = lock(&self.known, |known| std::mem::take(&mut known.held));
        let mut delivery = Delivery::default();
        for object in held {
            match copy(&self.replicator, &self.known, &object).await {
                Ok(()) => delivery.arrived.push(object),
                Err(failure) if failure.name == FailureName::AccessDenied => {
                    lock(&self.known, |known| known.refused.insert(object.clone()));
                    delivery.refused.push(object);
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(delivery)
    }

    /// Data files that the standby's bucket refused. A table whose log does not name them can have them below it.
    #[must_use]
    pub fn refused_files(&self) -> BTreeSet<String> {
        let all = lock(&self.known, |known| known.refused.clone());
        let files = all.into_iter().filter(|key| !key.contains("/_delta_log/"));
        files.collect()
    }

    /// The refused objects that still lie at the primary and not at the secondary, and whether the secondary has another one by that
    /// name.
    ///
    /// # Errors
    /// What S3 said.
    pub async fn still_held_back(&self) -> Result<BTreeMap<String, bool>, DrillError> {
        let (there, here) = (Region::new(PRIMARY_REGION), Region::new(SECONDARY_REGION));
        let mut found = BTreeMap::new();
        for key in lock(&self.known, |known| known.refused.clone()) {
            let old = self.buckets.get(&there, PRIMARY_BUCKET, &key).await?;
            let new = self.buckets.get(&here, SECONDARY_BUCKET, &key).await?;
            if let Some(old) = old
                && new.as_ref().map(Vec::len) != Some(old.len())
            {
                found.insert(key, new.is_some());
            }
        }
        Ok(found)
    }

    /// Every object of the tables and beside them in the standby's bucket, by key, with its content.
    ///
    /// # Errors
    /// What S3 said.
    pub async fn at_standby(&self) -> Result<BTreeMap<String, Vec<u8>>, DrillError> {
        let region = Region::new(SECONDARY_REGION);
        let keys = lock(&self.known, |k| {
            k.contents.keys().cloned().collect::<Vec<_>>()
        });
        let mut found = BTreeMap::new();
        for key in keys {
            if let Some(bytes) = self.buckets.get(&region, SECONDARY_BUCKET, &key).await? {
                found.insert(key, bytes);
            }
        }
        Ok(found)
    }

    /// Ends writing and replication between two objects, never within one.
    pub async fn stop(&mut self) {
        if let Some((task, ends)) = self.task.take() {
            ends.store(true, Ordering::SeqCst);
            // A task that panicked has ended, too.
            let _ = task.await;
        }
    }

    /// The newest version of each table that is complete at the standby, by what was copied.
    #[must_use]
    pub fn complete_versions(&self) -> BTreeMap<String, Option<u64>> {
        lock(&self.known, |known| {
            let versions = known.tables.iter().map(|(name, table)| {
                let complete = table
                    .versions
                    .iter()
                    .take_while(|objects| objects.iter().all(|o| known.arrived.contains(o)))
                    .count();
                (
                    (*name).to_owned(),
                    u64::try_from(complete).ok().and_then(|n| n.checked_sub(1)),
                )
            });
            versions.collect()
        })
    }
}

impl Known {
    fn waiting(&self) -> Vec<String> {
        let all = self
            .tables
            .values()
            .flat_map(|t| t.versions.iter().flatten());
        all.filter(|object| !self.arrived.contains(*object) && !self.held.contains(object))
            .cloned()
            .collect()
    }
}

fn lock<R>(known: &Mutex<Known>, act: impl FnOnce(&mut Known) -> R) -> R {
    act(&mut known.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Writes the next version of a table at the primary: its data file, then its commit. None if S3 did not take it.
async fn commit(
    buckets: &Buckets,
    known: &Mutex<Known>,
    table: &'static str,
) -> Option<[String; 2]> {
    let region = Region::new(PRIMARY_REGION);
    let version = lock(known, |k| k.tables.entry(table).or_default().versions.len());
    let now = jiff::Timestamp::now().as_millisecond();
    let root = format!("{TABLES_PREFIX}/{table}");
    let file = format!("part-{version:05}.parquet");
    let (data, log) = (
        format!("{root}/{file}"),
        format!("{root}/_delta_log/{version:020}.json"),
    );
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
    let written = [
        (data.clone(), content),
        (log.clone(), lines.join("\n").into_bytes()),
    ];
    for (key, bytes) in written {
        buckets
            .put(&region, PRIMARY_BUCKET, &key, bytes.clone())
            .await
            .ok()?;
        lock(known, |k| k.contents.insert(key, bytes));
    }
    let objects = [log, data];
    lock(known, |k| {
        let versions = &mut k.tables.entry(table).or_default().versions;
        versions.push(objects.clone());
    });
    Some(objects)
}

/// One object arrives, by the hand of replication.
async fn copy(
    replicator: &Buckets,
    known: &Mutex<Known>,
    object: &str,
) -> Result<(), aws::Failure> {
    let Some(bytes) = lock(known, |k| k.contents.get(object).cloned()) else {
        return Ok(());
    };
    let to = Region::new(SECONDARY_REGION);
    replicator.put(&to, SECONDARY_BUCKET, object, bytes).await?;
    lock(known, |k| k.arrived.insert(object.to_owned()));
    Ok(())
}

async fn copy_marker(buckets: &Buckets, replicator: &Buckets) {
    let (from, to) = (Region::new(PRIMARY_REGION), Region::new(SECONDARY_REGION));
    let key = format!("databricks-dr-marker/{NAME}/primary.json");
    if let Ok(Some(bytes)) = buckets.get(&from, PRIMARY_BUCKET, &key).await {
        let _ = replicator.put(&to, SECONDARY_BUCKET, &key, bytes).await;
    }
}
