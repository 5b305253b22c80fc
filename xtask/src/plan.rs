//! `cargo xtask plan-check`.

use std::path::Path;
use std::process::ExitCode;

use recovery::plan::Plan;

/// The example, from the repository's root.
pub(crate) const EXAMPLE: &str = "infra/plan.example.json";

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
    use crate::root;

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
