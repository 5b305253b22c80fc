//! The first state of a plan. It is made by a person: a stack that finds none would take the primary for the active site, whatever the
//! sites do by then.

use aws::store::Written;
use aws::{Failure, Ports, keys};
use recovery::failure::FailureName;
use recovery::state::State;

/// Documents that only a plan with a state has.
const SIGNS_OF_LIFE: [&str; 2] = ["runs/", "baselines/"];

/// Writes the first state: the primary is active, nothing is fenced. A repeat changes nothing. `confirmed`: a person says that there never
/// was one, although there are documents beside it.
///
/// # Errors
/// `StateCorrupt` beside runs or baselines: this plan had a state, which must be restored and not begun anew.
pub(crate) async fn create_state(ports: &Ports, confirmed: bool) -> Result<String, Failure> {
    if ports.store.get(keys::STATE).await?.is_some() {
        let state = ports.state().await?;
        return Ok(format!(
            "there is a state already: the {} site is active in epoch {}; nothing was changed",
            state.active_site, state.epoch
        ));
    }
    for prefix in SIGNS_OF_LIFE {
        if !confirmed && let Some(key) = ports.store.list(prefix).await?.first() {
            return Err(Failure::new(
                FailureName::StateCorrupt,
                format!(
                    "there is no {}, but there is {key}: this plan had a state; restore its newest version from the bucket's versions (docs/runbook.md, \"state.json is gone\"). If there never was one and the primary is the active site, add \"confirm\" with the plan's name",
                    keys::STATE
                ),
            ));
        }
    }
    let state = State::initial(ports.plan_name.clone());
    let active = state.active_site;
    match ports.create(keys::STATE, &state).await? {
        Written::Done => Ok(format!(
            "the first state is written: the {active} site is active in epoch {}",
            state.epoch
        )),
        Written::Conflict => Ok("somebody else has just written the first state".to_owned()),
    }
}
