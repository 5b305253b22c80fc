//! What else a run needs: people who hear of it, a control region that survives, credentials that are taken.

use std::time::Duration;

use aws::Ports;
use aws::notices::Audience;
use databricks::Cause;
use recovery::plan::Plan;
use recovery::readiness::Readiness;
use recovery::site::SiteLabel;
use sites::{Purpose, Role, connect};

/// The active site may be dark; then nothing is learned of its credential.
const PATIENCE: Duration = Duration::from_secs(5);

/// Adds what a scheduled check finds around the standby.
pub(crate) async fn look(
    ports: &Ports,
    plan: &Plan,
    standby: SiteLabel,
    readiness: &mut Readiness,
) {
    let active = standby.other();
    if plan.control_region == plan.sites.get(active).region {
        readiness.blockers.push(format!(
            "the control region is the region of the active {active} site: a disaster there takes this system with it; deploy the stack in another region"
        ));
    }
    readiness.notes.extend(listeners(ports).await);
    readiness
        .notes
        .extend(credential_of_active(ports, plan, active).await);
}

/// Whether anybody would read the request for an approval.
pub(crate) async fn listeners(ports: &Ports) -> Option<String> {
    match ports.notices.listeners(Audience::Managers).await {
        Ok(listeners) if listeners.is_empty() => Some(
            "nobody has confirmed a subscription to the managers' topic: only the command line can approve".to_owned(),
        ),
        Ok(_) => None,
        Err(failure) => Some(format!(
            "who listens to the managers' topic is not known: {}",
            failure.message
        )),
    }
}

/// The standby's credential has just been used. One that the active site refuses makes the baseline grow old; a site that is silent says
/// nothing of it.
async fn credential_of_active(ports: &Ports, plan: &Plan, active: SiteLabel) -> Option<String> {
    let purpose = Purpose::Probe(PATIENCE);
    let workspace = match connect(ports, plan, active, Role::Observer, purpose).await {
        Ok(workspace) => workspace,
        Err(failure) => return Some(failure.message),
    };
    match workspace.verified().await {
        Err(error)
            if matches!(
                error.cause(),
                Cause::Unauthenticated | Cause::Forbidden | Cause::WrongWorkspace
            ) =>
        {
            Some(format!(
                "the {active} site refuses the observer's credential: {error}"
            ))
        }
        _ => None,
    }
}
