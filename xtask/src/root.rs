//! Where the repository lies, and how the tasks start other programs there.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

use local_cloud::venv::{self, Venv};

/// The repository's root. Cargo says where this package is when it runs it; the built binary started by hand uses the
/// folder it was built from.
pub(crate) fn path() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map(Path::to_path_buf).unwrap_or(package)
}

/// The Python environment, made if it is missing.
pub(crate) fn venv() -> Result<Venv, String> {
    venv::ensure(&path(), &|what| eprintln!("{what}")).map_err(|error| error.to_string())
}

/// The Python environment that has the SAM and AWS command lines, made if it is missing.
pub(crate) fn command_lines() -> Result<Venv, String> {
    venv::ensure_command_lines(&path(), &|what| eprintln!("{what}"))
        .map_err(|error| error.to_string())
}

/// The cargo that runs this task, in the repository's root. What `cargo run` added to the environment is taken out: with
/// it a build would see other variables than one started by hand, and build again what is there.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(path());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text == "CARGO_PRIMARY_PACKAGE"
        {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a program to its end, its output in sight.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus, String> {
    command.status().map_err(|error| {
        format!(
            "cannot start {}: {error}",
            command.get_program().to_string_lossy()
        )
    })
}

/// The exit status of a program as ours. A program ended by a signal has failed.
pub(crate) fn code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    ExitCode::from(code)
}

/// Reads a file of the repository.
pub(crate) fn read(relative: &str) -> Result<String, String> {
    std::fs::read_to_string(path().join(relative))
        .map_err(|error| format!("cannot read {relative}: {error}"))
}
