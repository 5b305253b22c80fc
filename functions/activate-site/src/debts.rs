//! Debts end by themselves once a capture of the active site shows what is owed as it should be, whoever brought it up.

use aws::notices::{Audience, Notice};
use aws::{Failure, Ports};
use recovery::activation::debts::Debts;

/// Looks for what is owed in each new record of the active site, once.
pub(crate) async fn settle(ports: &Ports) -> Result<(), Failure> {
    let state = ports.state().await?;
    let Some(owed) = state.debts else {
        return Ok(());
    };
    // A run restores by the list that it found.
    if state.lock.is_some() || state.unsettled.is_some() {
        return Ok(());
    }
    let Some(record) = ports.baseline_pointer().await? else {
        return Ok(());
    };
    if record.site != state.active_site || owed.looked_in.as_ref() == Some(&record.digest) {
        return Ok(());
    }
    let debts = ports.debts(Some(&owed), state.active_site).await?;
    // A record from before the run shows nothing of what the run could not bring up.
    if debts
        .debts
        .iter()
        .any(|debt| debt.noted_at >= record.captured_at)
    {
        return Ok(());
    }
    // The pointer says when the site was last seen like this; the document when it first was.
    let mut reading = ports.baseline(&record.digest).await?.inventory;
    reading.read_at = record.captured_at;
    let (standing, settled) = debts.settle(&reading);
    let left = if settled.debts.is_empty() {
        Some(owed.clone())
    } else {
        ports.store_debts(&standing).await?
    };
    let left = left.map(|left| left.looked_at(Some(record.digest.clone())));
    let ours = ports
        .change_state(|state| state.replace_debts(&owed.digest, left.clone()))
        .await?;
    if ours && !settled.debts.is_empty() {
        notify(ports, &settled, &standing).await;
    }
    Ok(())
}

/// The state says it already; while SNS is down nobody is notified.
async fn notify(ports: &Ports, settled: &Debts, standing: &Debts) {
    let left = match standing.objects().len() {
        0 => "nothing is owed any more".to_owned(),
        count => format!("{count} objects are still owed: {}", standing.describe()),
    };
    let notice = Notice {
        audience: Audience::Managers,
        subject: format!(
            "[{}] {} objects that were owed are up",
            ports.plan_name,
            settled.objects().len()
        ),
        message: format!(
            "A capture of the active site shows as recorded: {}.\n{left}.\n",
            settled.describe()
        ),
    };
    if let Err(failure) = ports.notices.publish(notice).await {
        tracing::error!(%failure, "nobody was notified that debts are settled");
    }
}
