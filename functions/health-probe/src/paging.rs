//! Waking people: for either site, once for each verdict of a time in which it is not `Healthy`.

use aws::documents::Change;
use aws::notices::{Audience, Notice};
use aws::{Failure, Ports, keys};
use recovery::incident::Paging;
use recovery::incident::paging::page_message;
use recovery::plan::Plan;
use recovery::site::SiteLabel;
use recovery::verdict::Judgement;

/// Pages for a site, if it is time. Says for what, in words.
pub(crate) async fn follow(
    ports: &Ports,
    plan: &Plan,
    site: SiteLabel,
    active: bool,
    judged: &Judgement,
) -> Result<Option<String>, Failure> {
    let now = ports.now();
    let wanted = change(ports, |paging| {
        paging.follow(&plan.detection, site, judged.verdict, now)
    })
    .await?;
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    let (subject, message) = page_message(plan, site, wanted, judged, active);
    ports
        .notices
        .publish(Notice {
            audience: Audience::Escalation,
            subject: subject.clone(),
            message,
        })
        .await?;
    change(ports, |paging| paging.told(site, wanted.page, now)).await?;
    Ok(Some(subject))
}

/// Changes the document; nothing is written if nothing changes.
async fn change<R: Send>(
    ports: &Ports,
    mut act: impl FnMut(&mut Paging) -> R + Send,
) -> Result<R, Failure> {
    ports
        .change(keys::PAGING, |stored: &mut Option<Paging>| {
            let before = stored.clone().unwrap_or_default();
            let mut paging = before.clone();
            let result = act(&mut paging);
            let same = before == paging;
            *stored = Some(paging);
            Ok(if same {
                Change::Keep(result)
            } else {
                Change::Write(result)
            })
        })
        .await
}
