//! The trend in metrics, and people when something new blocks.

use std::collections::BTreeSet;

use aws::notices::{Audience, Notice};
use aws::{Failure, Ports};
use recovery::plan::Plan;
use recovery::readiness::{Finding, Readiness, ReadinessStatus};

use crate::ReadinessDocument;

/// So many objects are named in a notice; the document has all.
const NAMED: usize = 20;

/// One line of metrics for each status, and what blocks in all.
pub(crate) fn measure(ports: &Ports, plan: &Plan, document: &ReadinessDocument) {
    let (now, site) = (ports.now(), document.site.as_str());
    for status in ReadinessStatus::ALL {
        let dimensions = [("Site", site), ("Status", status.as_str())];
        let objects = document.readiness.count(status) as f64;
        let metrics = [("ReadinessObjects", objects, "Count")];
        ports.metrics.emit(&plan.name, &dimensions, &metrics, now);
    }
    let blocking = (document.summary.blocking + document.summary.blockers) as f64;
    let metrics = [("ReadinessBlocking", blocking, "Count")];
    ports
        .metrics
        .emit(&plan.name, &[("Site", site)], &metrics, now);
    ports.metrics.emit(&plan.name, &[], &metrics, now);
}

/// Tells the managers what blocks now and did not at the check before. It is told before the document is kept: if this function dies
/// between the two it is told twice, never not.
pub(crate) async fn tell(
    ports: &Ports,
    plan: &Plan,
    before: Option<&ReadinessDocument>,
    now: &ReadinessDocument,
) -> Result<(), Failure> {
    let known = before.map(|d| reasons(&d.readiness)).unwrap_or_default();
    let new: Vec<String> = reasons(&now.readiness)
        .into_iter()
        .filter(|(name, _)| !known.iter().any(|(known, _)| known == name))
        .map(|reason| reason.1)
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let mut message = format!(
        "What a failover to the {} site relies on is not in order. New since the check before:\n",
        now.site
    );
    for reason in new.iter().take(NAMED) {
        message.push_str(&format!("- {reason}\n"));
    }
    if new.len() > NAMED {
        message.push_str(&format!("- and {} more\n", new.len() - NAMED));
    }
    message.push_str(&format!(
        "\n{}\nEvery object with the fields that differ: {} in the state bucket.\n",
        now.summary.text,
        aws::keys::READINESS
    ));
    ports
        .notices
        .publish(Notice {
            audience: Audience::Managers,
            subject: format!(
                "[{}] the {} site is not ready: {} new",
                plan.name,
                now.site,
                new.len()
            ),
            message,
        })
        .await
}

/// Why a run could not go on: what names it, and in words.
fn reasons(readiness: &Readiness) -> BTreeSet<(String, String)> {
    let objects = readiness.blocking().map(|finding: &Finding| {
        let subject = &finding.subject;
        (
            format!("{} {}", subject.kind, subject.name),
            finding.in_words(),
        )
    });
    let others = readiness
        .blockers
        .iter()
        .map(|blocker| (blocker.clone(), blocker.clone()));
    objects.chain(others).collect()
}
