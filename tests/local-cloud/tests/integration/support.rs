//! A running cloud for a test, and waiting with a deadline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use local_cloud::{CloudOptions, Deployment, LocalCloud};
use tempfile::TempDir;

pub(crate) struct TestCloud {
    pub(crate) cloud: LocalCloud,
    pub(crate) deployment: Deployment,
    pub(crate) out: TempDir,
}

pub(crate) fn repo_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

pub(crate) async fn started(out: &Path) -> LocalCloud {
    let options = CloudOptions {
        repo_root: repo_root(),
        binaries: Path::new(env!("CARGO_BIN_EXE_echo-function"))
            .parent()
            .unwrap()
            .to_owned(),
        out: out.to_owned(),
        region: "us-west-2".to_owned(),
        bucket_regions: BTreeMap::from([("data-east".to_owned(), "us-east-1".to_owned())]),
    };
    LocalCloud::start(options).await.unwrap()
}

pub(crate) async fn deployed() -> TestCloud {
    let out = tempfile::tempdir().unwrap();
    let cloud = started(out.path()).await;
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/template.yaml");
    let parameters = BTreeMap::from([("Greeting".to_owned(), "good morning".to_owned())]);
    let deployment = cloud.deploy(&template, "test", &parameters).await.unwrap();
    TestCloud {
        cloud,
        deployment,
        out,
    }
}

/// Asks until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "{what} did not happen within a minute"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether a process exists that is not merely waiting to be collected.
pub(crate) fn alive(process: u32) -> bool {
    let output = std::process::Command::new("ps")
        .args(["-o", "stat=", "-p", &process.to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8(output.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}
