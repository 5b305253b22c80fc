//! Telling people that the stored plan holds what cannot be meant: an earlier version may have accepted it, and functions treat it as off.

use aws::documents::Change;
use aws::notices::{Audience, Notice};
use aws::{Failure, Ports, keys};
use recovery::plan::Plan;
use serde::{Deserialize, Serialize};

/// `incidents/unsafe-settings.json`: what people know of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Notified {
    /// Always 1.
    format_version: u32,
    /// One line for each setting.
    settings: Vec<String>,
}

/// Notifies once of each set of such settings. Nobody's run waits for it, so a failure is in the logs only.
pub(crate) async fn notify_of_unsafe_settings(ports: &Ports, plan: &Plan) {
    if let Err(failure) = notify(ports, plan).await {
        tracing::warn!(%failure, "people were not notified of unsafe settings; the next probe tries again");
    }
}

async fn notify(ports: &Ports, plan: &Plan) -> Result<(), Failure> {
    let settings: Vec<String> = plan
        .unsafe_at_load
        .iter()
        .map(ToString::to_string)
        .collect();
    let known: Option<Notified> = ports.read(keys::UNSAFE_SETTINGS).await?;
    if known.unwrap_or_default().settings == settings {
        return Ok(());
    }
    // At-least-once: notify, then persist the marker.
    if !settings.is_empty() {
        ports.notices.publish(notice(plan, &settings)).await?;
    }
    let now_known = Notified {
        format_version: 1,
        settings,
    };
    ports
        .change(keys::UNSAFE_SETTINGS, |stored: &mut Option<Notified>| {
            *stored = Some(now_known.clone());
            Ok(Change::Write(()))
        })
        .await
}

fn notice(plan: &Plan, settings: &[String]) -> Notice {
    Notice {
        audience: Audience::Managers,
        subject: format!("[{}] the plan holds what cannot be meant", plan.name),
        message: format!(
            "plan.json in the state bucket holds settings that this version refuses. Nothing has failed: functions go on, do not approve by themselves \
             under an unsafe automatic failover, and wait at least two minutes before they leave a site that is not quiet.\n\n- {}\n\n\
             Mend the plan, check it with `cargo xtask plan-check plan.json`, and upload it.\n",
            settings.join("\n- ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use recovery::site::Region;
    use serde_json::{Value, json};

    use super::*;

    #[tokio::test]
    async fn each_set_of_unsafe_settings_is_told_once_and_the_plan_works_on() {
        let mut plan: Value =
            serde_json::from_str(include_str!("../../../infra/plan.example.json")).unwrap();
        let name = Plan::parse(plan.to_string().as_bytes()).unwrap().name;
        let (ports, _, _, notices) = Ports::in_memory(
            name,
            Region::new("us-west-2"),
            Arc::new(|| Timestamp::UNIX_EPOCH),
        );
        let told = |plan: &Value| {
            let (ports, plan) = (ports.clone(), plan.clone());
            let notices = notices.clone();
            async move {
                ports.put(keys::PLAN, &plan).await.unwrap();
                let loaded = ports.plan().await.unwrap();
                notify_of_unsafe_settings(&ports, &loaded).await;
                (loaded, notices.sent().len())
            }
        };
        assert_eq!(told(&plan).await.1, 0);
        plan["fence"]["proceed_when_unreachable_for_seconds"] = json!(5);
        let (loaded, sent) = told(&plan).await;
        assert_eq!(loaded.fence.proceed_when_unreachable_for_seconds.0, 120);
        assert_eq!(sent, 1);
        assert_eq!(told(&plan).await.1, 1, "once");
        plan["objectives"]["rpo_seconds"] = json!(60);
        assert_eq!(told(&plan).await.1, 2);
        let text = notices.sent().pop().unwrap().message;
        assert!(
            text.contains("fence.proceed_when_unreachable_for_seconds: is 5"),
            "{text}"
        );
        plan["fence"]["proceed_when_unreachable_for_seconds"] = json!(120);
        plan["objectives"]["rpo_seconds"] = json!(900);
        assert_eq!(told(&plan).await.1, 2, "mended");
    }
}
