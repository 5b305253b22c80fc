//! The way back before the commit: a run is abandoned, the old site's fence lifted, and both sites are as they were.

use std::collections::BTreeMap;

use recovery::site::SiteLabel;
use recovery::state::State;
use serde_json::{Value, json};

use crate::live;
use crate::script::Drill;
use crate::{DrillError, Summary};

impl Drill<'_> {
    /// The run has ended before its commit; its people give it up and go back.
    pub(crate) async fn give_up_and_go_back(&mut self, run: &str) -> Result<(), DrillError> {
        self.progress
            .say("the run is abandoned; the primary's region is back");
        let act =
            json!({"act": "abandon", "run": run, "who": "drill", "why": "the region is back"});
        self.world.operate(&act).await?;
        self.world.recover().await?;
        self.fence_has_caught_primary().await?;
        self.progress
            .say("the fence caught the primary first; it is lifted, and both sites are reset");
        let act = json!({"act": "unfence", "site": "primary", "who": "drill", "why": "going back"});
        self.world.operate(&act).await?;
        // What runs at the target is stopped before the old site begins.
        for site in [SiteLabel::Secondary, SiteLabel::Primary] {
            let act = json!({"act": "reset", "site": site, "who": "drill", "why": "going back"});
            self.world.operate(&act).await?;
            let world = &*self.world;
            world
                .wait("the reset to be done", 120, || async {
                    let state: Option<State> = world.read(aws::keys::STATE).await?;
                    Ok(state.filter(|s| s.resets.is_empty()).map(|_| ()))
                })
                .await?;
        }
        self.progress
            .say("both sites say that they are as they were recorded");
        Ok(())
    }

    /// Both sites against how they were when the drill began, and the state that must learn again.
    pub(crate) async fn judge_way_back(&self, summary: &mut Summary) -> Result<(), DrillError> {
        let primary = self.world.primary.inventory().await?;
        let secondary = self.world.secondary.inventory().await?;
        for (site, before, now) in [
            ("primary", self.original, &primary),
            ("standby", self.standby, &secondary),
        ] {
            let differences = differences(before, now);
            let told = differences
                .into_iter()
                .map(|d| format!("{d} at the {site}"));
            summary.parity_differences.extend(told);
        }
        let state: Option<State> = self.world.read(aws::keys::STATE).await?;
        if let Some(state) = state {
            if !state.fences.is_empty() {
                summary.violations.push("a fence still stands".to_owned());
            }
            if let Some(run) = state.unsettled {
                let text = format!("run {run} still keeps the active site from being captured");
                summary.violations.push(text);
            }
        }
        let told = self.world.cloud.messages().await?;
        let heard = |word: &str| {
            told.iter()
                .filter_map(|m| m.subject.as_deref())
                .any(|s| s.contains(word))
        };
        for news in [
            "the primary site is fenced",
            "the primary site is no longer fenced",
            "reset: the primary site is as it was recorded",
            "reset: the secondary site is as it was recorded",
        ] {
            if !heard(news) {
                summary.violations.push(format!("nobody was told: {news}"));
            }
        }
        Ok(())
    }
}

/// Objects that are not as they were: the whole JSON of what schedules, what is up of the rest.
#[must_use]
pub fn differences(before: &Value, now: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (kind, id) in [
        ("jobs", "job_id"),
        ("alerts", "id"),
        ("dashboards", "dashboard_id"),
    ] {
        let by_id = |site: &Value| -> BTreeMap<String, Value> {
            let all = site.get(kind).and_then(Value::as_array);
            all.into_iter()
                .flatten()
                .filter_map(|o| Some((o.get(id)?.to_string(), lasting(o))))
                .collect()
        };
        let (before, now) = (by_id(before), by_id(now));
        found.extend(
            before
                .iter()
                .filter(|(id, object)| now.get(*id) != Some(object))
                .map(|(id, _)| format!("{kind} {id} is not as it was")),
        );
        let new = now.keys().filter(|id| !before.contains_key(*id));
        found.extend(new.map(|id| format!("{kind} {id} is new")));
    }
    let (before, now) = (live::compute(before), live::compute(now));
    let change = before.symmetric_difference(&now);
    found.extend(
        change.map(|(kind, name)| format!("{kind} \"{name}\" is up or down, not as before")),
    );
    found
}

/// The object without what the platform itself changes with every write.
fn lasting(object: &Value) -> Value {
    match object {
        Value::Object(fields) => {
            let fields = fields.iter();
            let kept = fields.filter(|(key, _)| !matches!(key.as_str(), "update_time" | "etag"));
            kept.map(|(key, value)| (key.clone(), lasting(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(lasting).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_difference_is_seen() {
        let before = json!({"jobs": [{"job_id": 1, "settings": {"x": 1}}], "clusters": [{"cluster_name": "c", "state": "RUNNING"}]});
        assert_eq!(differences(&before, &before), Vec::<String>::new());
        for now in [
            json!({"jobs": [{"job_id": 1, "settings": {"x": 2}}], "clusters": [{"cluster_name": "c", "state": "RUNNING"}]}),
            json!({"jobs": [], "clusters": [{"cluster_name": "c", "state": "RUNNING"}]}),
            json!({"jobs": [{"job_id": 1, "settings": {"x": 1}}, {"job_id": 2}], "clusters": [{"cluster_name": "c", "state": "RUNNING"}]}),
            json!({"jobs": [{"job_id": 1, "settings": {"x": 1}}], "clusters": [{"cluster_name": "c", "state": "TERMINATED"}]}),
        ] {
            assert_eq!(differences(&before, &now).len(), 1, "{now}");
        }
    }
}
