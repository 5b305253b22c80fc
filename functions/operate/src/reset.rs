//! Ordering that a site is brought back to what was recorded of it. activate-site works the order off.

use aws::{Failure, Ports, keys};
use recovery::baseline::BaselinePointer;
use recovery::failure::FailureName;
use recovery::reset::Reset;
use recovery::site::{RunId, SiteLabel};

pub(crate) async fn order(
    ports: &Ports,
    site: SiteLabel,
    who: &str,
    why: &str,
) -> Result<String, Failure> {
    let is_active = ports.state().await?.active_site == site;
    let (what, key) = if is_active {
        ("baseline", keys::BASELINE.to_owned())
    } else {
        ("posture", keys::posture(site))
    };
    let record: Option<BaselinePointer> = ports.read(&key).await?;
    let Some(record) = record.filter(|record| record.site == site) else {
        return Err(Failure::new(
            FailureName::NoBaseline,
            format!(
                "no {what} was ever captured from the {site} site in this role; restore it by hand"
            ),
        ));
    };
    let order = Reset {
        id: RunId::new(format!("reset-{:032x}", ports.random_bits()?)),
        site,
        record: record.digest.clone(),
        who: who.to_owned(),
        why: why.to_owned(),
        ordered_at: ports.now(),
        brings_up_owed: is_active,
        pass: None,
    };
    ports
        .change_state(|state| {
            state.order_reset(order.clone())?;
            Ok(())
        })
        .await?;
    Ok(format!(
        "the {site} site is brought back to its {what} of {}: {} objects; a notice tells when it is done, runs/{}/ledger/Reset/ what was done",
        record.captured_at, record.objects, order.id
    ))
}
