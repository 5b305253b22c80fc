//! `cargo xtask at-rest`.

use std::path::Path;
use std::process::ExitCode;

use recovery::state::State;

pub(crate) fn check(file: &Path) -> Result<ExitCode, String> {
    let text =
        std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let state: State = serde_json::from_slice(&text)
        .map_err(|error| format!("{} is no state: {error}", file.display()))?;
    let under_way = state.under_way();
    for what in &under_way {
        println!("{what}");
    }
    if under_way.is_empty() {
        println!("OK");
        Ok(ExitCode::SUCCESS)
    } else {
        Ok(ExitCode::FAILURE)
    }
}

#[cfg(test)]
mod tests {
    use recovery::run::Mode;
    use recovery::site::{PlanName, RunId, RunToken, SiteLabel};

    use super::*;

    #[test]
    fn a_state_with_a_run_or_a_fence_is_not_at_rest() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.json");
        let mut state = State::initial(PlanName::new("p"));
        let is_at_rest = |state: &State| {
            std::fs::write(&file, serde_json::to_vec(state).unwrap()).unwrap();
            check(&file).unwrap() == ExitCode::SUCCESS
        };
        assert!(is_at_rest(&state));
        let (run, token) = (RunId::new("r"), RunToken::new("t"));
        let now = "2026-11-18T10:00:00Z".parse().unwrap();
        state.take_lock(&run, &token, Mode::Failover, now).unwrap();
        assert!(!is_at_rest(&state));
        let site = SiteLabel::Primary;
        state.raise_fence(site, &run, &token, now).unwrap();
        state.lock = None;
        assert!(!is_at_rest(&state));
    }
}
