//! `cargo xtask test`: the one command that runs every test.

use std::process::{Command, ExitCode, Stdio};

use crate::root;

/// Installed if there is no nextest at all.
const NEXTEST: &str = "0.9.143";
/// The accessibility checker, from npm.
const AXE: &str = "axe-core@4.14.1";

/// Builds, then tests. The binaries come first: tests start the functions and the drill as processes.
pub(crate) fn run(nextest: &[String]) -> Result<ExitCode, String> {
    root::venv()?;
    ensure_nextest()?;
    ensure_axe();
    // With the tests, so that both builds agree on the features of every dependency and nothing is built twice.
    let built = root::status(root::cargo().args(["build", "--workspace", "--bins", "--tests"]))?;
    if !built.success() {
        return Ok(root::code(built));
    }
    // The drills of the tests run these, instead of a build of their own with other features.
    let binaries =
        std::env::current_exe().map_err(|e| format!("this executable cannot be found: {e}"))?;
    let tested = root::status(
        root::cargo()
            .args(["nextest", "run", "--workspace"])
            .args(nextest)
            .env("DRILL_BINARIES", binaries.parent().unwrap_or(&binaries)),
    )?;
    Ok(root::code(tested))
}

/// The checker of the browser tests. Without it, as without a browser, they skip and say so.
fn ensure_axe() {
    let folder = root::path().join("target/axe");
    if folder.join("node_modules/axe-core/axe.min.js").is_file() {
        return;
    }
    let installed = Command::new("npm")
        .args([
            "install",
            "--silent",
            "--no-save",
            "--no-audit",
            "--no-fund",
        ])
        .arg("--prefix")
        .arg(&folder)
        .arg(AXE)
        .status();
    if !installed.is_ok_and(|status| status.success()) {
        eprintln!(
            "{AXE} could not be installed by npm: the accessibility check of the page is skipped"
        );
    }
}

fn ensure_nextest() -> Result<(), String> {
    let found = root::cargo()
        .args(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if found.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    eprintln!("cargo-nextest is missing; installing version {NEXTEST} (once, some minutes)");
    let version = format!("={NEXTEST}");
    let installed = root::status(root::cargo().args([
        "install",
        "cargo-nextest",
        "--locked",
        "--version",
        &version,
    ]))?;
    if installed.success() {
        return Ok(());
    }
    Err(format!(
        "cargo-nextest could not be installed; install it by hand with: cargo install cargo-nextest --locked --version {NEXTEST}"
    ))
}
