//! Recovery points from S3 and from folders: the same objects give the same answers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use delta_recovery::{Location, Options, recovery_point};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{ClientOptions, ObjectStoreExt};
use serde_json::{Value, json};

use crate::support::{repo_root, started};

/// Tables that ship with this project's own test: a log with two commits, its files, one path with odd characters.
fn made(root: &Path) -> PathBuf {
    let table = root.join("made");
    fs::create_dir_all(table.join("_delta_log")).unwrap();
    let metadata = json!({"metaData": {"id": "t", "format": {"provider": "parquet", "options": {}},
        "schemaString": "{\"type\":\"struct\",\"fields\":[]}", "partitionColumns": [], "configuration": {}}});
    let protocol = json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}});
    for (version, file) in ["part 0%.parquet", "part-1=ü.parquet"].iter().enumerate() {
        fs::write(table.join(file), "rows").unwrap();
        let encoded = file
            .replace('%', "%25")
            .replace(' ', "%20")
            .replace('ü', "%C3%BC");
        let add = json!({"add": {"path": encoded, "partitionValues": {}, "size": 4, "modificationTime": 1, "dataChange": true}});
        let mut lines = vec![
            json!({"commitInfo": {"timestamp": 1_700_000_000_000_u64 + version as u64}})
                .to_string(),
        ];
        if version == 0 {
            lines.extend([metadata.to_string(), protocol.to_string()]);
        }
        lines.push(add.to_string());
        fs::write(
            table.join(format!("_delta_log/{version:020}.json")),
            lines.join("\n"),
        )
        .unwrap();
    }
    table
}

fn files(root: &Path) -> Vec<String> {
    fn walk(root: &Path, at: &Path, into: &mut Vec<String>) {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, into);
            } else {
                into.push(
                    path.strip_prefix(root)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }
    let mut found = Vec::new();
    walk(root, root, &mut found);
    // Hidden checksums of the file system that a table came from are no objects of it.
    found.retain(|file| {
        !file
            .rsplit('/')
            .next()
            .is_some_and(|name| name.starts_with('.'))
    });
    found.sort();
    found
}

/// What is left out of a replica: nothing, the last commit, the first data file, the first checkpoint file, or the hint alone.
fn damages(files: &[String]) -> Vec<(&'static str, Option<String>)> {
    let is_commit =
        |f: &&String| f.starts_with("_delta_log/0") && f.ends_with(".json") && f.len() == 36;
    let first = |what: &dyn Fn(&&String) -> bool| files.iter().find(what).cloned();
    [
        ("the last commit", files.iter().rfind(is_commit).cloned()),
        ("a data file", first(&|f| !f.starts_with("_delta_log/"))),
        ("a checkpoint file", first(&|f| f.contains(".checkpoint"))),
        ("a sidecar", first(&|f| f.contains("_sidecars/"))),
    ]
    .into_iter()
    .filter(|(_, file)| file.is_some())
    .chain([("nothing", None)])
    .collect()
}

async fn upload(
    store: &AmazonS3,
    prefix: &str,
    root: &Path,
    files: &[String],
    without: Option<&String>,
) {
    for file in files.iter().filter(|file| Some(*file) != without) {
        let key = Key::parse(format!("{prefix}/{file}")).unwrap();
        store
            .put(&key, fs::read(root.join(file)).unwrap().into())
            .await
            .unwrap();
    }
}

/// What must be the same. Times of files differ: they are when the copies were made.
fn comparable(answer: Result<delta_recovery::RecoveryPoint, delta_recovery::Error>) -> Value {
    match answer {
        Ok(point) => {
            let mut value = serde_json::to_value(&point).unwrap();
            let fields = value.as_object_mut().unwrap();
            for times in [
                "source_state",
                "history",
                "notes",
                "list_requests",
                "loss_ms",
            ] {
                fields.remove(times);
            }
            for (time, from) in [
                ("recovery_timestamp_ms", "recovery_timestamp_from"),
                ("latest_timestamp_ms", "recovery_timestamp_from"),
            ] {
                if fields[from] == "file" {
                    fields.remove(time);
                }
            }
            value
        }
        Err(error) => json!({"refusal": error.name()}),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_objects_give_the_same_answer_from_s3_and_from_a_folder() {
    let out = tempfile::tempdir().unwrap();
    let cloud = started(out.path()).await;
    let store = Arc::new(
        AmazonS3Builder::new()
            .with_bucket_name("tables")
            .with_region("us-west-2")
            .with_access_key_id("local")
            .with_secret_access_key("local")
            .with_endpoint(cloud.endpoint())
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .build()
            .unwrap(),
    );
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let scope = "AWS4-HMAC-SHA256 Credential=local/20260101/us-west-2/s3/aws4_request, SignedHeaders=host, Signature=00";
    let created = client.put(format!("{}/tables", cloud.endpoint()));
    let location = "<CreateBucketConfiguration><LocationConstraint>us-west-2</LocationConstraint></CreateBucketConfiguration>";
    let created = created
        .header("authorization", scope)
        .body(location)
        .send()
        .await
        .unwrap();
    assert_eq!(created.status(), 200);

    let own = tempfile::tempdir().unwrap();
    let mut tables = vec![made(own.path())];
    let given = repo_root().join("../shared/data/delta");
    match fs::read_dir(&given) {
        Ok(entries) => tables.extend(
            entries
                .map(|e| e.unwrap().path())
                .filter(|path| path.is_dir()),
        ),
        Err(_) => {
            eprintln!("the given tables are not on this machine: only the test's own is compared")
        }
    }
    for table in tables {
        let name = table.file_name().unwrap().to_str().unwrap().to_owned();
        let files = files(&table);
        upload(&store, &format!("source/{name}"), &table, &files, None).await;
        for (number, (what, without)) in damages(&files).into_iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir_all(folder.path().join("_delta_log")).unwrap();
            for file in files.iter().filter(|file| Some(*file) != without.as_ref()) {
                let to = folder.path().join(file);
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::write(to, fs::read(table.join(file)).unwrap()).unwrap();
            }
            let prefix = format!("replica/{name}/{number}");
            upload(&store, &prefix, &table, &files, without.as_ref()).await;
            let in_s3 = |prefix: &str| {
                let address = format!("s3://tables/{prefix}");
                Location::new(
                    Arc::clone(&store) as _,
                    Key::parse(prefix).unwrap(),
                    address,
                )
            };
            let options = Options::default();
            let (source, replica) = (in_s3(&format!("source/{name}")), in_s3(&prefix));
            let from_s3 = recovery_point(Some(&source), &replica, &options).await;
            let at = |path: &Path| Location::parse(path.to_str().unwrap()).unwrap();
            let (source, replica) = (at(&table), at(folder.path()));
            let from_folder = recovery_point(Some(&source), &replica, &options).await;
            assert_eq!(
                comparable(from_s3),
                comparable(from_folder),
                "{name} without {what}"
            );
        }
    }
    cloud.stop().await;
}
