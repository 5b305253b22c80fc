//! What a run would lose, and what of it nobody has accepted.

use recovery::approval::{Asked, Decisions, Loss, Override, Question};
use recovery::plan::Plan;
use recovery::replication::{PredictedLoss, ReplicationStatus, predicted_losses, worse_of};
use recovery::run::RunDocument;

use crate::{Failure, Ports, keys};

impl Ports {
    /// The losses of a run: what it froze, or what a newer measurement says if that is worse. Worst first.
    ///
    /// # Errors
    /// What the store said. A measurement that cannot be understood is none.
    pub async fn losses(
        &self,
        plan: &Plan,
        run: &RunDocument,
    ) -> Result<Vec<PredictedLoss>, Failure> {
        let moment = run.loss_moment();
        let frozen = run.evidence.replication.as_ref();
        let losses = predicted_losses(plan, frozen, moment);
        let newest: Option<ReplicationStatus> = match self.store.get(keys::REPLICATION).await? {
            Some(stored) => serde_json::from_slice(&stored.bytes).ok(),
            None => None,
        };
        let newer = newest
            .filter(|status| status.from == run.from)
            .filter(|status| frozen.is_none_or(|f| status.measured_at > f.measured_at));
        Ok(match newer {
            Some(status) => worse_of(losses, &predicted_losses(plan, Some(&status), moment)),
            None => losses,
        })
    }

    /// The losses above their objective that the approval of this run does not cover.
    ///
    /// # Errors
    /// What the store said.
    pub async fn unaccepted_losses(
        &self,
        plan: &Plan,
        run: &RunDocument,
    ) -> Result<Vec<Override>, Failure> {
        let losses = self.losses(plan, run).await?;
        let losses = losses.iter().map(Loss::from).collect();
        let decisions = match self.request(&run.run, &Question::Start).await? {
            Some(request) => self.decisions_on(&request).await?,
            None => None,
        };
        let accepted = decisions
            .as_ref()
            .map(Decisions::accepted)
            .unwrap_or_default();
        let tolerance = plan.approval.loss_tolerance_seconds;
        let needed = Asked::start(plan, run, losses).overrides.into_iter();
        Ok(needed
            .filter(|needed| matches!(needed, Override::LossAboveObjective { .. }))
            .filter(|needed| !accepted.iter().any(|a| a.covers(needed, tolerance)))
            .collect())
    }
}
