//! Telling those who deploy that a site is fenced, and when it is no more: a parameter to ask, an event and a notice to hear.

use jiff::Timestamp;
use recovery::site::{RunId, SiteLabel};
use recovery::state::State;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::events::Event;
use crate::notices::{Audience, Notice};
use crate::{Failure, Ports, keys};

/// The parameter `sites/<site>/fence`, for a deployment to read before it touches the site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pointer {
    fenced: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<RunId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

impl Pointer {
    const FREE: Self = Self {
        fenced: false,
        run: None,
        since: None,
    };

    fn of(state: &State, site: SiteLabel) -> Self {
        state.fences.get(&site).map_or(Self::FREE, |fence| Self {
            fenced: true,
            run: Some(fence.run.clone()),
            since: Some(fence.since),
        })
    }
}

impl Ports {
    /// Says of each site whether it is fenced, if that is news. The parameter in the control region holds what was said last; it is
    /// written after the telling, so that a function that dies in between tells twice rather than never.
    ///
    /// # Errors
    /// What SSM, SNS or EventBridge said.
    pub async fn announce_fences(&self, state: &State) -> Result<(), Failure> {
        for site in SiteLabel::ALL {
            let name = keys::fence_pointer(&self.plan_name, site);
            let now = Pointer::of(state, site);
            let told = self.parameters.get(&self.region, &name).await?;
            // What cannot be read is written anew.
            let told = told.map_or(Pointer::FREE, |text| {
                serde_json::from_str(&text).unwrap_or(Pointer {
                    fenced: !now.fenced,
                    ..Pointer::FREE
                })
            });
            if told == now {
                continue;
            }
            self.events.publish(event(self, site, &now)).await?;
            self.notices.publish(notice(self, site, &now)).await?;
            let text = json!(now).to_string();
            self.parameters.put(&self.region, &name, &text).await?;
        }
        Ok(())
    }
}

fn event(ports: &Ports, site: SiteLabel, now: &Pointer) -> Event {
    Event {
        name: if now.fenced {
            "Site Fenced"
        } else {
            "Site Unfenced"
        },
        detail: json!({"plan": ports.plan_name, "site": site, "run": now.run, "since": now.since}),
    }
}

fn notice(ports: &Ports, site: SiteLabel, now: &Pointer) -> Notice {
    let plan = &ports.plan_name;
    let name = keys::fence_pointer(plan, site);
    let region = &ports.region;
    let (subject, message) = match (&now.run, now.since) {
        (Some(run), Some(since)) => (
            format!("[{plan}] the {site} site is fenced: do not deploy to it"),
            format!(
                "Since {since}, by run {run}. Whatever a deployment or a person starts there is stopped within minutes.\n                 Deployments can ask parameter {name} in {region}.\n"
            ),
        ),
        _ => (
            format!("[{plan}] the {site} site is no longer fenced"),
            format!(
                "What the fence paused stays paused until somebody restores it (operate, act \"reset\").\n                 Deployments can ask parameter {name} in {region}.\n"
            ),
        ),
    };
    Notice {
        audience: Audience::Managers,
        subject,
        message,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use recovery::site::{PlanName, Region};
    use recovery::state::Fence;

    use super::*;
    use crate::events::MemoryEvents;

    #[tokio::test]
    async fn a_fence_and_its_end_are_told_once_each() {
        let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let plan = PlanName::new("lakehouse");
        let (mut ports, _, _, notices) = Ports::in_memory(
            plan.clone(),
            Region::new("us-west-2"),
            Arc::new(move || now),
        );
        let events = MemoryEvents::default();
        ports.events = Arc::new(events.clone());
        let free = State::initial(plan.clone());
        let mut fenced = free.clone();
        let fence = Fence::raised(RunId::new("run-1"), now);
        fenced.fences.insert(SiteLabel::Primary, fence);
        for state in [&free, &fenced, &fenced, &free, &free] {
            ports.announce_fences(state).await.unwrap();
        }
        let names: Vec<&str> = events.published().iter().map(|e| e.name).collect();
        assert_eq!(names, ["Site Fenced", "Site Unfenced"]);
        assert_eq!(events.published()[0].detail["site"], "primary");
        assert_eq!(notices.sent().len(), 2);
        let name = keys::fence_pointer(&plan, SiteLabel::Primary);
        let told = ports.parameters.get(&ports.region, &name).await.unwrap();
        assert_eq!(told.as_deref(), Some(r#"{"fenced":false}"#));
        assert!(name.ends_with("/sites/primary/fence"));
    }
}
