//! `verdict DIR`: judges every case file of a directory and prints one JSON line for each; `verdict --replay DIR`: judges stored
//! signals under other settings.

mod replay;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use recovery::verdict::{Case, CaseError, Expectation, Judgement, Verdict};
use serde::Serialize;

/// Judges signal cases: one JSON line per `.json` file of DIR, in the order of names.
///
/// The exit status is 0 only if every case is well formed and comes to the verdict it expects; with --replay only if no incident is
/// missed or late and no alert false.
#[derive(Parser)]
#[command(name = "verdict", version)]
struct Arguments {
    /// Where the case files are; with --replay: `plan.json`, signals of the state bucket, and `incidents.json`
    dir: PathBuf,
    /// Replays stored signals: which real incidents would be missed or late under these settings, which alerts false
    #[arg(long)]
    replay: bool,
    #[command(flatten)]
    settings: replay::Settings,
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    verdict: Verdict,
    actionable: bool,
    why_not: &'a [String],
    evidence: &'a [String],
    /// Only where it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<Expectation>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = io::stdout().lock();
    let result = if arguments.replay {
        replay::run(&arguments.dir, arguments.settings, &mut out)
    } else {
        run(&arguments.dir, &mut out, &mut io::stderr().lock())
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nowhere is left to report that stderr is gone.
            let _ = writeln!(io::stderr(), "verdict: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every case was well formed and came to what it expects.
fn run(dir: &Path, out: &mut impl Write, err: &mut impl Write) -> io::Result<bool> {
    let files = case_files(dir)?;
    if files.is_empty() {
        return Err(io::Error::other(format!(
            "{}: no .json file in it",
            dir.display()
        )));
    }
    let mut good = true;
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match read(&path) {
            Ok((case, judgement)) => {
                let expected = case.expect.filter(|expect| !expect.is_met_by(&judgement));
                good &= expected.is_none();
                let line = Line {
                    file: &name,
                    verdict: judgement.verdict,
                    actionable: judgement.actionable,
                    why_not: &judgement.why_not,
                    evidence: &judgement.evidence,
                    expected,
                };
                serde_json::to_writer(&mut *out, &line)?;
                writeln!(out)?;
            }
            Err(problem) => {
                good = false;
                writeln!(err, "{name}: {problem}")?;
            }
        }
    }
    out.flush()?;
    Ok(good)
}

fn case_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", dir.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(named)? {
        let path = entry.map_err(named)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
            && !path.is_dir()
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<(Case, Judgement), String> {
    let json = fs::read(path).map_err(|error| error.to_string())?;
    let case = Case::from_json(&json).map_err(|error: CaseError| error.to_string())?;
    let judgement = case.judge().map_err(|error| error.to_string())?;
    Ok((case, judgement))
}
