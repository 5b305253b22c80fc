//! `cargo xtask package`: what Lambda runs.

use std::process::{Command, ExitCode};

use crate::root;

/// What Lambda's Arm machines run.
const ARM: &str = "aarch64-unknown-linux-gnu";

/// Builds all functions, for Arm where its target is installed, and prints what came of it.
pub(crate) fn run(x86_64: bool) -> Result<ExitCode, String> {
    let arm = !x86_64 && has_arm();
    let names = functions()?;
    let mut build = root::cargo();
    build.args(["lambda", "build", "--release"]);
    build.arg(if arm { "--arm64" } else { "--x86-64" });
    for name in &names {
        build.args(["--package", name]);
    }
    let status = root::status(&mut build)?;
    if !status.success() {
        eprintln!("if cargo-lambda is missing: pip install cargo-lambda");
        return Ok(root::code(status));
    }
    let mut all = 0;
    for name in &names {
        let file = root::path()
            .join("target/lambda")
            .join(name)
            .join("bootstrap");
        let size = std::fs::metadata(&file)
            .map_err(|e| format!("{}: {e}", file.display()))?
            .len();
        all += size;
        println!("{name:<20} {:>5.1} MB", megabytes(size));
    }
    let machine = if arm { "arm64" } else { "x86_64" };
    println!("{:<20} {:>5.1} MB, for {machine}", "all", megabytes(all));
    if !arm {
        println!("deploy with the parameter Architecture=x86_64");
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn megabytes(size: u64) -> f64 {
    size as f64 / 1e6
}

/// Whether rustup has the target of Arm; without rustup nobody knows, and Intel always works.
fn has_arm() -> bool {
    Command::new("rustup")
        .args(["target", "list", "--installed"])
        .current_dir(root::path())
        .output()
        .is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains(ARM))
}

fn functions() -> Result<Vec<String>, String> {
    let folder = root::path().join("functions");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}
