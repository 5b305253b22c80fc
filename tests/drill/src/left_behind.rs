//! What did not start at the standby is left behind by name, owed, and brought up once that can be done.

use recovery::report::Report;
use serde_json::{Value, json};

use crate::script::Drill;
use crate::{DrillError, Summary, live};

impl Drill<'_> {
    /// The cause is mended; a person has the active site brought to its record, and a capture shows that nothing is owed any more.
    pub(crate) async fn bring_up_what_is_owed(
        &mut self,
        summary: &mut Summary,
    ) -> Result<(), DrillError> {
        let world = &*self.world;
        let owed = self.owed().await?;
        let down = self.clusters_down().await?;
        if down.is_empty() || owed != u64::try_from(down.len()).ok() {
            summary.violations.push(format!(
                "the clusters {down:?} were left behind, and the state says that {owed:?} objects are owed"
            ));
        }
        world.secondary.end_faults().await?;
        let reset = json!({"act": "reset", "site": "secondary", "who": "drill", "why": "the node type is there now"});
        // The standby that was is settled first; then its turn comes.
        world
            .wait("the order to reset to be taken", 90, || async {
                Ok(world.operate(&reset).await.ok().map(|_| ()))
            })
            .await?;
        world
            .wait("what is owed to be up", 90, || async {
                Ok(self.clusters_down().await?.is_empty().then_some(()))
            })
            .await?;
        world
            .wait("a capture to show that nothing is owed", 90, || async {
                Ok(self.owed().await?.is_none().then_some(()))
            })
            .await?;
        self.progress
            .say("what was left behind is up, and nothing is owed any more");
        Ok(())
    }

    /// How many objects the state says are owed.
    async fn owed(&self) -> Result<Option<u64>, DrillError> {
        let state: Option<Value> = self.world.read(aws::keys::STATE).await?;
        Ok(state.and_then(|state| state.pointer("/debts/count")?.as_u64()))
    }

    /// Clusters that ran at the primary before the disaster and do not run at the secondary, by name.
    async fn clusters_down(&self) -> Result<Vec<String>, DrillError> {
        let there = self.world.secondary.inventory().await?;
        let (wanted, there) = (live::compute(self.original), live::compute(&there));
        let missing = wanted.difference(&there);
        let clusters = missing.filter(|(kind, _)| *kind == "cluster");
        Ok(clusters.map(|(_, name)| name.clone()).collect())
    }
}

/// Exactly what did not start was left behind: the report names it, and nothing else is missing.
pub(crate) fn judge(report: Option<&Report>, differences: &mut Vec<String>) -> Vec<String> {
    let (clusters, others): (Vec<String>, Vec<String>) = std::mem::take(differences)
        .into_iter()
        .partition(|difference| difference.starts_with("cluster \""));
    *differences = others;
    let mut found = Vec::new();
    if clusters.is_empty() {
        found.push("every cluster is up, so nothing was left behind".to_owned());
    }
    for cluster in clusters {
        let is_named = report.is_some_and(|report| {
            let mut unverified = report.unverified.iter();
            unverified.any(|subject| cluster.contains(&format!("\"{}\"", subject.name)))
        });
        if !is_named {
            found.push(format!(
                "the report does not name what was left behind: {cluster}"
            ));
        }
    }
    found
}
