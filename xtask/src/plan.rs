//! `cargo xtask schema` and `cargo xtask plan-check`.

use std::path::Path;
use std::process::ExitCode;

use recovery::plan::Plan;

use crate::root;

/// The schema, from the repository's root.
pub(crate) const SCHEMA: &str = "infra/plan.schema.json";
/// The example, from the repository's root.
pub(crate) const EXAMPLE: &str = "infra/plan.example.json";

fn schema() -> Result<String, String> {
    let mut text = serde_json::to_string_pretty(&schemars::schema_for!(Plan))
        .map_err(|error| format!("the schema cannot be written as JSON: {error}"))?;
    text.push('\n');
    Ok(text)
}

pub(crate) fn write_schema() -> Result<ExitCode, String> {
    std::fs::write(root::path().join(SCHEMA), schema()?)
        .map_err(|error| format!("cannot write {SCHEMA}: {error}"))?;
    println!("wrote {SCHEMA}");
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn check_schema() -> Result<ExitCode, String> {
    if root::read(SCHEMA)? == schema()? {
        println!("{SCHEMA} is up to date");
        return Ok(ExitCode::SUCCESS);
    }
    Err(format!(
        "{SCHEMA} is not what the types say; write it with: cargo xtask schema"
    ))
}

pub(crate) fn check(file: &Path) -> Result<ExitCode, String> {
    let text =
        std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    match Plan::parse(&text) {
        Ok(_) => {
            println!("OK");
            Ok(ExitCode::SUCCESS)
        }
        Err(refusal) => {
            for problem in refusal.problems {
                println!("{problem}");
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_of_the_plan_is_what_the_types_say() {
        assert_eq!(
            root::read(SCHEMA).unwrap(),
            schema().unwrap(),
            "write it with: cargo xtask schema"
        );
    }

    #[test]
    fn a_good_plan_passes_and_a_bad_one_fails() {
        let example = root::path().join(EXAMPLE);
        assert_eq!(check(&example).unwrap(), ExitCode::SUCCESS);
        let folder = tempfile::tempdir().unwrap();
        let bad = folder.path().join("plan.json");
        std::fs::write(
            &bad,
            root::read(EXAMPLE)
                .unwrap()
                .replace("\"rto_seconds\": 3600", "\"rto_seconds\": 0"),
        )
        .unwrap();
        assert_eq!(check(&bad).unwrap(), ExitCode::FAILURE);
        assert!(check(&folder.path().join("absent.json")).is_err());
    }
}
