//! `cargo xtask package`: what Lambda runs.

use std::process::ExitCode;

use crate::root;

/// Builds all functions and prints what came of it. cargo-lambda installs the target of Arm if it is missing.
pub(crate) fn run(x86_64: bool) -> Result<ExitCode, String> {
    let names = functions()?;
    let mut build = root::cargo();
    build.args(["lambda", "build", "--release"]);
    build.arg(if x86_64 { "--x86-64" } else { "--arm64" });
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
    let machine = if x86_64 { "x86_64" } else { "arm64" };
    println!("{:<20} {:>5.1} MB, for {machine}", "all", megabytes(all));
    if x86_64 {
        println!("add \"Architecture=x86_64\" to both parameter_overrides in samconfig.toml");
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn megabytes(size: u64) -> f64 {
    size as f64 / 1e6
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
