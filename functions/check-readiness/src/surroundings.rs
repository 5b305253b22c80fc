//! What else a run needs: people who hear of it, a control region that survives, credentials that are taken.

use std::time::Duration;

use aws::concurrency::AtOnce;
use aws::notices::Audience;
use aws::{Ports, keys};
use databricks::Cause;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use recovery::operator_check::OperatorFinding;
use recovery::plan::Plan;
use recovery::readiness::Readiness;
use recovery::site::SiteLabel;
use sites::{Purpose, Role, connect};

use crate::Around;

/// The active site may be dark; then nothing is learned of its credential.
const PATIENCE: Duration = Duration::from_secs(5);
/// A secret that ends within so many days is named: time to make another one.
const DAYS_AHEAD: i32 = 30;
/// Each function of the stack once. Schedules, people and a run may call all of them in the same second of a disaster.
pub const FUNCTIONS: AtOnce = AtOnce(13);

/// Adds what a scheduled check finds around the standby.
pub(crate) async fn look(
    ports: &Ports,
    around: &Around,
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
    readiness.notes.extend(throttling(around).await);
    match operator(ports, active).await {
        Some(OperatorFinding::Blocker(words)) => readiness.blockers.push(words),
        Some(OperatorFinding::Note(words)) => readiness.notes.push(words),
        None => {}
    }
    for site in SiteLabel::ALL {
        // That a parameter is unfit is said by those who sign in with it.
        let day = sites::secret_expires_on(ports, site, Role::Observer).await;
        let ends = day.ok().flatten();
        readiness
            .notes
            .extend(ends.and_then(|day| ending(site, day, today(ports))));
    }
}

fn today(ports: &Ports) -> Date {
    ports.now().to_zoned(TimeZone::UTC).date()
}

/// What to say of a secret that ends soon, or has ended.
fn ending(site: SiteLabel, day: Date, today: Date) -> Option<String> {
    let left = today.until(day).map_or(0, |span| span.get_days());
    let words = match left {
        ..0 => format!("ended on {day}"),
        0..=DAYS_AHEAD => format!("ends on {day}, in {left} days"),
        _ => return None,
    };
    Some(format!(
        "the client secret of the {site} site's observer {words}: make a new one and store it with its secret_expires_on"
    ))
}

/// Whether the operator may fence the active site. Its credential is not this function's to read: a drill has asked with it.
async fn operator(ports: &Ports, active: SiteLabel) -> Option<OperatorFinding> {
    match ports.read(&keys::operator_check(active)).await {
        Ok(check) => OperatorFinding::of(check.as_ref(), active, ports.now()),
        Err(failure) => Some(OperatorFinding::Note(failure.message)),
    }
}

/// Whether the account leaves the functions enough. A throttled function is called again by the state machine and by the schedules,
/// so this costs time and stops nothing.
async fn throttling(around: &Around) -> Option<String> {
    match around.concurrency.unreserved().await {
        Ok(left) if left < FUNCTIONS => Some(format!(
            "the account leaves {} concurrent executions to functions without a reservation, and this stack has {} functions: a run can be throttled; ask for a higher quota of Lambda, or take back reservations",
            left.0, FUNCTIONS.0
        )),
        Ok(_) => None,
        Err(failure) => Some(format!(
            "how many functions may run at once is not known: {}",
            failure.message
        )),
    }
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

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_secret_is_named_from_a_month_before_its_end_on() {
        let on = |today| ending(SiteLabel::Primary, date(2027, 3, 1), today);
        assert_eq!(on(date(2027, 1, 29)), None);
        assert!(on(date(2027, 1, 30)).unwrap().contains("in 30 days"));
        assert!(on(date(2027, 3, 1)).unwrap().contains("in 0 days"));
        assert!(on(date(2027, 3, 2)).unwrap().contains("ended on"));
    }
}
