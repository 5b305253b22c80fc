//! `cargo xtask schema`: what is published of the documents' shapes, written from the Rust types.

use std::process::ExitCode;

use recovery::plan::Plan;
use recovery::report::Report;
use schemars::Schema;

use crate::root;

/// The plan's, from the repository's root.
pub(crate) const PLAN: &str = "infra/plan.schema.json";
/// The report's.
pub(crate) const REPORT: &str = "infra/report.schema.json";

/// A report as an example, which the tests of its page show.
pub(crate) const REPORT_EXAMPLE: &str = "infra/report.example.json";

/// Each published schema.
pub(crate) const ALL: [&str; 2] = [PLAN, REPORT];

fn of(file: &str) -> Result<String, String> {
    let schema: Schema = match file {
        PLAN => schemars::schema_for!(Plan),
        REPORT => schemars::schema_for!(Report),
        _ => return Err(format!("{file} is no published schema")),
    };
    let mut text = serde_json::to_string_pretty(&schema)
        .map_err(|error| format!("the schema cannot be written as JSON: {error}"))?;
    text.push('\n');
    Ok(text)
}

pub(crate) fn write() -> Result<ExitCode, String> {
    for file in ALL {
        std::fs::write(root::path().join(file), of(file)?)
            .map_err(|error| format!("cannot write {file}: {error}"))?;
        println!("wrote {file}");
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn check_all() -> Result<ExitCode, String> {
    for file in ALL {
        check(file)?;
        println!("{file} is up to date");
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn check(file: &str) -> Result<(), String> {
    if root::read(file)? == of(file)? {
        return Ok(());
    }
    Err(format!(
        "{file} is not what the types say; write it with: cargo xtask schema"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_are_what_the_types_say() {
        for file in ALL {
            assert_eq!(check(file), Ok(()));
        }
    }
}
