//! Building the function binaries that the local cloud runs.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::DrillError;

/// The repository of this command.
#[must_use]
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Builds every function with the profile of this command and says where the binaries lie.
///
/// # Errors
/// What the compiler said last.
pub async fn functions(root: &Path) -> Result<PathBuf, DrillError> {
    let folder = target_folder()?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(root)
        .args(["build", "--quiet"])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    // By binary and not by package, so that features are resolved as for the whole workspace and nothing compiles twice.
    let functions = std::fs::read_dir(root.join("functions"))
        .map_err(DrillError::file(root.join("functions")))?;
    for function in functions.flatten() {
        if function.path().join("Cargo.toml").is_file() {
            command.arg("--bin").arg(function.file_name());
        }
    }
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let done = command
        .output()
        .await
        .map_err(|e| DrillError::Build(format!("cargo could not be started: {e}")))?;
    if done.status.success() {
        return Ok(folder);
    }
    let text = String::from_utf8_lossy(&done.stderr);
    let tail: Vec<&str> = text.lines().rev().take(20).collect();
    Err(DrillError::Build(
        tail.into_iter().rev().collect::<Vec<_>>().join("\n"),
    ))
}

/// The folder of this executable, or the one above if it is a test.
fn target_folder() -> Result<PathBuf, DrillError> {
    let exe = std::env::current_exe()
        .map_err(|e| DrillError::Build(format!("this executable cannot be found: {e}")))?;
    let folder = exe.parent().unwrap_or(Path::new("."));
    let folder = if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    Ok(folder.to_owned())
}
