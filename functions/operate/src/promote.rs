//! Ordering that the active site stays the home. activate-site works it off.

use aws::{Failure, Ports};
use recovery::failure::FailureName;

pub(crate) async fn order(ports: &Ports, who: &str, why: &str) -> Result<String, Failure> {
    let plan = ports.plan().await?;
    let home = ports.state().await?.active_site;
    // The old home is prepared as the new one stood by; without that nothing would ever finish.
    if ports.posture(home).await?.is_none() {
        return Err(Failure::new(
            FailureName::NoBaseline,
            format!(
                "how the {home} site stood by was never recorded, so the other site cannot be prepared alike; keep the fence and prepare it by hand"
            ),
        ));
    }
    let now = ports.now();
    let promotion = ports
        .change_state(|state| state.promote(who, why, now))
        .await?;
    let region = &plan.sites.get(home).region;
    let elsewhere = if *region == plan.control_region {
        format!(
            "; and the stack must move out of {region}, which is the active site's region now (docs/runbook.md, \"Promotion\")"
        )
    } else {
        String::new()
    };
    Ok(format!(
        "the {} site becomes the home, by order of {}; unfinished until the {} site has returned, was seen quiet and stands by{elsewhere}",
        promotion.home,
        promotion.who,
        home.other()
    ))
}
