//! Pausing what cannot be read: by the ids of the baseline that the run froze. Nothing is verified by it; a later reading does that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws::{Failure, Ports};
use databricks::Workspace;
use futures::future::join_all;
use jiff::SignedDuration;
use recovery::fence::{FenceStep, steps};
use recovery::inventory::{Inventory, Subject};
use recovery::plan::Plan;
use recovery::site::{RunId, SiteLabel};
use sites::carry_out;
use tokio::sync::OnceCell;

use crate::lanes::status_of;
use crate::records::Records;

/// What is tried at a site that does not let us sign in, the most dangerous first. If one of them succeeds, all are done.
const FIRST_ACTS: usize = 3;
/// What the platform acknowledged is done again after this long, since nobody can read whether it still holds.
pub(crate) const AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// What the baseline knows of one site.
pub(crate) struct Blind<'a> {
    ports: &'a Ports,
    plan: &'a Plan,
    site: SiteLabel,
    run: RunId,
    /// Read when it is needed first: most passes never need it.
    record: OnceCell<Option<Inventory>>,
}

impl<'a> Blind<'a> {
    pub(crate) fn new(ports: &'a Ports, plan: &'a Plan, site: SiteLabel, run: RunId) -> Self {
        Self {
            ports,
            plan,
            site,
            run,
            record: OnceCell::new(),
        }
    }

    /// The record of this very site; `None` if there is none, or if both sites have one URL, so that what answers may be the other one.
    pub(crate) async fn record(&self) -> Option<&Inventory> {
        let read = async {
            let run = self.ports.run(&self.run).await?;
            let urls = &run.evidence.workspace_urls;
            if run.baseline().site != self.site
                || urls.get(&self.site) == urls.get(&self.site.other())
            {
                return Ok(None);
            }
            let baseline = self.ports.baseline(&run.baseline().digest).await?;
            Ok::<_, Failure>(Some(baseline.inventory))
        };
        let record = self.record.get_or_init(|| async {
            read.await.unwrap_or_else(|failure| {
                tracing::warn!(%failure, "nothing can be paused by the record of the site");
                None
            })
        });
        record.await.as_ref()
    }

    /// The steps for what could not be read, by the record; what was acknowledged a while ago is left out, and what the lists did show.
    pub(crate) async fn due_steps(
        &self,
        unread: &BTreeMap<String, Option<BTreeSet<String>>>,
        records: &Records<'_>,
        repeat_after: Duration,
    ) -> Vec<FenceStep> {
        if unread.is_empty() {
            return Vec::new();
        }
        let Some(record) = self.record().await else {
            return Vec::new();
        };
        let now = self.ports.now();
        let is_due = |step: &FenceStep| {
            let subject = step.subject.as_ref();
            let is_unread = |subject: &Subject| match unread.get(&subject.kind) {
                Some(Some(ids)) => ids.contains(&subject.id),
                Some(None) => true,
                None => false,
            };
            subject.is_some_and(is_unread)
                && records.is_due_unseen(step, now, AGAIN_AFTER, repeat_after)
        };
        let all = steps(record, &self.plan.kinds, now);
        all.into_iter().filter(is_due).collect()
    }

    /// Tries the first few, once each.
    ///
    /// # Errors
    /// What the store said. What the site says is in the ledger and in the client's contacts.
    pub(crate) async fn first_acts(
        &self,
        door: &Workspace,
        records: &Records<'_>,
        run: &RunId,
    ) -> Result<(), Failure> {
        let Ok(writer) = door.unverified() else {
            return Ok(());
        };
        let kinds = self.plan.kinds.iter();
        let all = kinds.map(|kind| (kind.as_str().to_owned(), None)).collect();
        let mut first = self.due_steps(&all, records, Duration::ZERO).await;
        first.truncate(FIRST_ACTS);
        if first.is_empty() {
            return Ok(());
        }
        records.attempt(&first).await?;
        let acting = first.iter().map(|step| async {
            let result = carry_out(&writer, &step.act, run).await;
            records.answered(step, status_of(result.as_ref().err()))
        });
        records.write(join_all(acting).await).await
    }
}
