//! The site that took over dies before anything was recorded of it, and the site that was left is well again.

use local_cloud::ExecutionStatus;
use recovery::run::Outcome;
use recovery::site::SiteLabel;
use recovery::state::State;
use serde_json::json;

use crate::plan::NAME;
use crate::script::Drill;
use crate::{DrillError, Summary, live};

impl Drill<'_> {
    /// People lift the fence of the primary and go back there: it becomes what it was when it was recorded itself.
    pub(crate) async fn go_back_to_the_well_site(
        &mut self,
        summary: &mut Summary,
    ) -> Result<(), DrillError> {
        let unfence = json!({"act": "unfence", "site": "primary", "who": "drill", "why": "it is well again", "confirm": NAME});
        self.world.operate(&unfence).await?;
        self.progress
            .say("the primary's fence is lifted; a person starts a failover back to it");
        let cloud = &self.world.cloud;
        let input = json!({"mode": "failover"});
        let by_hand = cloud.start_execution(Some("way-back"), &input).await?;
        let world = &*self.world;
        // The probe may have been faster: then the start by hand is refused, and its run is the one that counts.
        let run = world
            .wait("a run to begin", 60, || async {
                let state: Option<State> = world.read(aws::keys::STATE).await?;
                Ok(state.and_then(|s| s.lock).map(|lock| lock.run))
            })
            .await?;
        let execution = if run.as_str() == "way-back" {
            cloud.describe_execution(&by_hand).await?
        } else {
            let all = cloud.list_executions().await?.into_iter();
            let mut of_run = all.filter(|execution| execution.name == run.as_str());
            of_run.next().ok_or_else(|| {
                DrillError::Aws(format!("run {run} holds the lock and has no execution"))
            })?
        };
        let ended = self.follow(&execution).await?;
        let report = self.report(run.as_str()).await?;
        let outcome = report.as_ref().map(|report| report.outcome);
        if ended.status != ExecutionStatus::Succeeded || outcome != Some(Outcome::Completed) {
            summary.violations.push(format!(
                "the way back ended in {outcome:?}: {}",
                report.map_or_else(|| ended.cause.unwrap_or_default(), |report| report.reason)
            ));
            return Ok(());
        }
        let state: Option<State> = self.world.read(aws::keys::STATE).await?;
        if state.is_none_or(|state| state.active_site != SiteLabel::Primary) {
            let broken = "the primary is not the active site";
            summary.violations.push(broken.to_owned());
        }
        let primary = self.world.primary.inventory().await?;
        let (wanted, there) = (live::places(self.original), live::places(&primary));
        let missing = wanted
            .iter()
            .filter(|(place, n)| there.get(*place) != Some(n));
        summary
            .parity_differences
            .extend(missing.map(|((job, place), _)| {
                format!("{place} of job \"{job}\" is not live at the primary as it was recorded")
            }));
        let unwanted = there.keys().filter(|place| !wanted.contains_key(*place));
        summary
            .parity_differences
            .extend(unwanted.map(|(job, place)| {
                format!("{place} of job \"{job}\" is live at the primary and was not")
            }));
        Ok(())
    }
}
