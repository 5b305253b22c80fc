//! A promotion is worked off: the old site becomes the standby when it has returned and its fence has seen it quiet.

use aws::notices::{Audience, Notice};
use aws::{Failure, Ports, keys};
use recovery::baseline::BaselinePointer;
use recovery::plan::Plan;
use recovery::reset::Reset;
use recovery::site::RunId;
use recovery::state::Promotion;

/// Prepares the old site, if a promotion stands and it can be done now.
pub(crate) async fn work_off(ports: &Ports, plan: &Plan) -> Result<(), Failure> {
    let state = ports.state().await?;
    let Some(promotion) = state
        .standing_promotion()
        .filter(|p| p.preparing_since.is_none())
    else {
        return Ok(());
    };
    // As the new home stood by, so the old one stands by from now on. Its objects are found by kind and name.
    let posture: Option<BaselinePointer> = ports.read(&keys::posture(promotion.home)).await?;
    let Some(posture) = posture else {
        tracing::warn!(
            home = %promotion.home,
            "a promotion waits: how the new home stood by was never recorded, so the old one cannot be prepared alike"
        );
        return Ok(());
    };
    let now = ports.now();
    let order = Reset {
        id: RunId::new(format!("reset-{:032x}", ports.random_bits()?)),
        site: promotion.home.other(),
        record: posture.digest,
        who: promotion.who.clone(),
        why: format!("promotion: {}", promotion.why),
        ordered_at: now,
        brings_up_owed: false,
        pass: None,
    };
    let begun = ports
        .change_state(|state| state.prepare_standby(order.clone(), now))
        .await?;
    if begun && let Err(failure) = ports.announce_fences(&ports.state().await?).await {
        tracing::warn!(%failure, "the end of a fence was not told");
    }
    tracing::info!(begun, site = %plan.sites.get(order.site).region, "the old site is to stand by");
    Ok(())
}

/// Ends the promotion once all that belongs to it is done, and tells it.
pub(crate) async fn finish(ports: &Ports, plan: &Plan) -> Result<(), Failure> {
    let state = ports.state().await?;
    let Some(standing) = state.standing_promotion() else {
        return Ok(());
    };
    let control_is_right = plan.sites.get(standing.home).region != plan.control_region;
    let done = ports
        .change_state(|state| Ok(state.finish_promotion(control_is_right)))
        .await?;
    let Some(Promotion { home, who, why, .. }) = done else {
        return Ok(());
    };
    ports
        .notices
        .publish(Notice {
            audience: Audience::Managers,
            subject: format!("[{}] promotion done: {home} is the home now", plan.name),
            message: format!(
                "The {home} site ({}) is the home of the active role; the {} site stands by.\nOrdered by {who}: {why}\n",
                plan.sites.get(home).region,
                home.other(),
            ),
        })
        .await
}
