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
        Ok(plan) => {
            let found = plan.unsafe_settings();
            for setting in &found {
                println!("{setting}");
            }
            if !found.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
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
        let mut eager: serde_json::Value =
            serde_json::from_str(&root::read(EXAMPLE).unwrap()).unwrap();
        for vantages in [1, 2] {
            let all = ["us-west-2", "eu-west-1"];
            eager["detection"]["vantages"] = all.iter().take(vantages).copied().collect();
            eager["detection"]["policy"]["quorum"] = 2.into();
            eager["automatic_failover"] = serde_json::json!({"grace_seconds": 600});
            for (confirmations, good) in [(2, false), (3, vantages == 2)] {
                eager["detection"]["policy"]["confirmations"] = confirmations.into();
                std::fs::write(&bad, eager.to_string()).unwrap();
                let is_good = check(&bad).unwrap() == ExitCode::SUCCESS;
                assert_eq!(
                    is_good, good,
                    "{vantages} vantages, {confirmations} confirmations"
                );
            }
        }
    }
}
