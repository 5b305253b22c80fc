//! Whether every recorded request and answer exists in Databricks' own SDK.

use std::path::{Path, PathBuf};
use std::process::Command;

/// `../shared`, where the checker lies; a user's machine has none.
pub(crate) fn shared() -> Option<PathBuf> {
    let shared = drill::build::repository().parent()?.join("shared");
    shared.is_dir().then_some(shared)
}

/// Fails on a request or an answer that the SDK does not know.
pub(crate) fn check(recordings: &[PathBuf]) {
    let Some(shared) = shared() else {
        eprintln!("skipped: the request checker in ../shared is not on this machine");
        return;
    };
    let tool = shared.join("tools/databricks-api");
    for recording in recordings {
        assert!(
            std::fs::metadata(recording).unwrap().len() > 0,
            "{} is empty",
            recording.display()
        );
        let done = run(&tool, recording);
        assert!(
            done.status.success(),
            "{}: {}",
            recording.display(),
            String::from_utf8_lossy(&done.stdout)
        );
    }
}

fn run(tool: &Path, recording: &Path) -> std::process::Output {
    Command::new("python3")
        .arg(tool.join("check_requests.py"))
        .args(["--quiet", "--model"])
        .arg(tool.join("model.nodocs.json"))
        .arg(recording)
        .output()
        .unwrap()
}

/// The check itself can fail: a request that does not exist is found.
#[test]
fn a_request_that_databricks_does_not_know_is_found() {
    let Some(shared) = shared() else {
        eprintln!("skipped: the request checker in ../shared is not on this machine");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.jsonl");
    std::fs::write(
        &file,
        "{\"method\":\"POST\",\"path\":\"/api/2.2/jobs/pause\",\"body\":{}}\n",
    )
    .unwrap();
    assert!(
        !run(&shared.join("tools/databricks-api"), &file)
            .status
            .success()
    );
}
