//! A failover for good: the secondary becomes the home, the primary its standby.

use recovery::site::SiteLabel;
use recovery::state::State;
use serde_json::json;

use crate::script::Drill;
use crate::{DrillError, Summary, live};

impl Drill<'_> {
    /// The primary has returned and is quiet; people order the promotion, and it is worked off.
    pub(crate) async fn promote(&mut self, summary: &mut Summary) -> Result<(), DrillError> {
        self.progress
            .say("people decide to stay: operate `promote`");
        let act = json!({"act": "promote", "who": "drill", "why": "the region was lost for days"});
        self.world.operate(&act).await?;
        let world = &*self.world;
        world
            .wait("the promotion to be finished", 120, || async {
                let state: Option<State> = world.read(aws::keys::STATE).await?;
                let done = state.filter(|s| s.home == SiteLabel::Secondary);
                Ok(done.map(|_| ()))
            })
            .await?;
        self.progress
            .say("the secondary is the home; the primary stands by as the secondary did");
        let primary = self.world.primary.inventory().await?;
        let firing = live::places(&primary);
        let firing = firing.keys().map(|(job, place)| {
            format!("{place} of job \"{job}\" is live at the primary, which is the standby now")
        });
        summary.parity_differences.extend(firing);
        let (wanted, there) = (live::compute(self.standby), live::compute(&primary));
        let differ = wanted.symmetric_difference(&there);
        summary
            .parity_differences
            .extend(differ.map(|(kind, name)| {
                format!("{kind} \"{name}\" is not at the primary as it was at the standby")
            }));
        let state: Option<State> = self.world.read(aws::keys::STATE).await?;
        if let Some(state) = state {
            let fenced = state.fences.keys();
            let fenced = fenced.map(|site| format!("a fence still stands on the {site} site"));
            summary.violations.extend(fenced);
            if state.promotion.is_some() {
                summary
                    .violations
                    .push("the promotion still stands".to_owned());
            }
        }
        let told = self.world.cloud.messages().await?;
        let mut subjects = told.iter().filter_map(|m| m.subject.as_deref());
        if !subjects.any(|s| s.contains("promotion done")) {
            let broken = "nobody was told that the promotion is done";
            summary.violations.push(broken.to_owned());
        }
        Ok(())
    }
}
