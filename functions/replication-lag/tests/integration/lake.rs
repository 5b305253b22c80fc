//! Two buckets in memory with small Delta tables, and what S3 replication would do between them.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use delta_recovery::Location;
use object_store::aws::AmazonS3Builder;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStoreExt};
use recovery::plan::BucketPrefix;
use recovery::site::Region;
use replication_lag::OpenPrefix;
use serde_json::{Value, json};

/// The primary's region in the example plan.
const PRIMARY: &str = "us-east-1";

/// Both buckets.
pub(crate) struct Lake {
    source: Arc<InMemory>,
    replica: Arc<InMemory>,
    dark: Arc<AtomicBool>,
    /// The standby's bucket hangs.
    stalled: Arc<AtomicBool>,
    /// A port that takes connections and never answers.
    silent: TcpListener,
    next: BTreeMap<String, u64>,
}

impl Lake {
    pub(crate) fn new() -> Self {
        Self {
            source: Arc::new(InMemory::new()),
            replica: Arc::new(InMemory::new()),
            dark: Arc::new(AtomicBool::new(false)),
            stalled: Arc::new(AtomicBool::new(false)),
            silent: TcpListener::bind("127.0.0.1:0").unwrap(),
            next: BTreeMap::new(),
        }
    }

    /// The source's region hangs from now on.
    pub(crate) fn darken(&self) {
        self.dark.store(true, Ordering::SeqCst);
    }

    /// The standby's bucket hangs, or answers again.
    pub(crate) fn stall(&self, stalls: bool) {
        self.stalled.store(stalls, Ordering::SeqCst);
    }

    pub(crate) fn open(&self) -> OpenPrefix {
        let (source, replica) = (Arc::clone(&self.source), Arc::clone(&self.replica));
        let (dark, stalled, port) = (
            Arc::clone(&self.dark),
            Arc::clone(&self.stalled),
            self.silent.local_addr().unwrap().port(),
        );
        Arc::new(move |region: &Region, at: &BucketPrefix| {
            let address = format!("s3://{}/{}", at.bucket, at.prefix);
            let root = Path::from(at.prefix.as_str());
            let is_source = region.as_str() == PRIMARY;
            let hangs = if is_source { &dark } else { &stalled };
            if hangs.load(Ordering::SeqCst) {
                let store = AmazonS3Builder::new()
                    .with_bucket_name(&at.bucket)
                    .with_region(PRIMARY)
                    .with_access_key_id("local")
                    .with_secret_access_key("local")
                    .with_endpoint(format!("http://127.0.0.1:{port}"))
                    .with_client_options(ClientOptions::new().with_allow_http(true))
                    .build()
                    .unwrap();
                return Ok(Location::new(Arc::new(store), root, address));
            }
            let store = if is_source { &source } else { &replica };
            Ok(Location::new(Arc::clone(store) as _, root, address))
        })
    }

    /// The next commit of a table at the source, made at this moment: one data file. Version 0 brings protocol and metadata.
    /// Returns the objects that it wrote: the commit, then the file.
    pub(crate) async fn commit(&mut self, table: &str, made_ms: i64) -> [String; 2] {
        let version = self.next.entry(table.to_owned()).or_default();
        let file = format!("part-{version:05}.parquet");
        let mut actions: Vec<Value> = vec![
            json!({"commitInfo": {"timestamp": made_ms, "operation": "WRITE"}}),
            json!({"add": {"path": file, "partitionValues": {}, "size": 4, "modificationTime": made_ms, "dataChange": true}}),
        ];
        if *version == 0 {
            actions.push(json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}));
            actions.push(json!({"metaData": {"id": "t", "format": {"provider": "parquet", "options": {}},
                "schemaString": "{\"type\":\"struct\",\"fields\":[]}", "partitionColumns": [], "configuration": {}}}));
        }
        let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
        let log = format!("{table}/_delta_log/{version:020}.json");
        let data = format!("{table}/{file}");
        *version += 1;
        for (path, bytes) in [(&data, "data".to_owned()), (&log, lines.join("\n"))] {
            self.source
                .put(&Path::from(path.as_str()), bytes.into())
                .await
                .unwrap();
        }
        [log, data]
    }

    /// These objects arrive at the standby.
    pub(crate) async fn arrive(&self, objects: &[String]) {
        for object in objects {
            let path = Path::from(object.as_str());
            let bytes = self.source.get(&path).await.unwrap().bytes().await.unwrap();
            self.replica.put(&path, bytes.into()).await.unwrap();
        }
    }

    /// A commit whose objects all arrive.
    pub(crate) async fn replicated(&mut self, table: &str, made_ms: i64) {
        let objects = self.commit(table, made_ms).await;
        self.arrive(&objects).await;
    }

    /// A table that arrived and was then deleted at the source.
    pub(crate) async fn dropped_at_source(&mut self, table: &str, made_ms: i64) {
        let objects = self.commit(table, made_ms).await;
        self.arrive(&objects).await;
        for object in &objects {
            self.source
                .delete(&Path::from(object.as_str()))
                .await
                .unwrap();
        }
    }
}
