//! A fence is lifted on a fresh reading, or on the override that this very decision accepted.

use aws::Ports;
use jiff::SignedDuration;
use recovery::site::SiteLabel;
use recovery::state::QuietReading;
use serde_json::{Value, json};

use crate::world::{act, before_the_commit, commit, now, stopped};

/// The secondary is active, the primary is fenced and was read as quiet so many seconds ago.
async fn moved(quiet_seconds_ago: i64) -> Ports {
    let ports = before_the_commit().await;
    commit(&ports, "run-1").await.unwrap();
    stopped(&ports, "run-1").await.unwrap();
    let at = now() - SignedDuration::from_secs(quiet_seconds_ago);
    let reading = QuietReading {
        began_at: at,
        ended_at: at,
    };
    ports
        .change_state(|state| {
            if let Some(fence) = state.fences.get_mut(&SiteLabel::Primary) {
                fence.note_quiet(reading);
            }
            Ok(())
        })
        .await
        .unwrap();
    ports
}

fn unfence(confirm: Option<&str>) -> Value {
    json!({"act": "unfence", "site": "primary", "who": "Ada", "why": "it is back", "confirm": confirm})
}

async fn is_fenced(ports: &Ports) -> bool {
    let state = ports.state().await.unwrap();
    state.fences.contains_key(&SiteLabel::Primary)
}

/// Review finding 2b.
#[tokio::test]
async fn an_old_reading_lifts_nothing_without_a_confirmed_override() {
    let ports = moved(100).await;
    act(&ports, unfence(None)).await.unwrap();
    assert!(!is_fenced(&ports).await);

    let ports = moved(7 * 24 * 3600).await;
    let refused = act(&ports, unfence(None)).await.unwrap_err();
    assert!(refused.message.contains("no fresh reading"), "{refused}");
    assert!(is_fenced(&ports).await);
    let plan = ports.plan_name.to_string();
    act(&ports, unfence(Some(&plan))).await.unwrap();
    assert!(!is_fenced(&ports).await, "accepted by name");
}

/// Review finding 2c: the second of two people approves when the site has woken; nobody has accepted that.
#[tokio::test]
async fn an_approval_of_a_quiet_site_lifts_no_fence_of_one_that_woke() {
    let ports = moved(10).await;
    let request = {
        let plan = ports.plan().await.unwrap();
        let state = ports.state().await.unwrap();
        let fence = state.fences.get(&SiteLabel::Primary).unwrap();
        let run = ports.run(&fence.run).await.unwrap();
        let asked = recovery::approval::Asked::unfence(
            &plan,
            &run,
            SiteLabel::Primary,
            fence,
            false,
            now(),
        );
        let id = recovery::approval::ApprovalId::from_bits(7);
        asked.request(id, now())
    };
    assert!(ports.open_request(&request, None).await.unwrap());
    ports
        .change_state(|state| {
            if let Some(fence) = state.fences.get_mut(&SiteLabel::Primary) {
                fence.retract_quiet();
            }
            Ok(())
        })
        .await
        .unwrap();
    for confirm in [None, Some(ports.plan_name.as_str())] {
        let decide = json!({"act": "decide", "run": "run-1", "request": request.id, "decision": "approve",
            "who": "Bob", "why": "asked", "confirm": confirm});
        let refused = act(&ports, decide).await.unwrap_err();
        assert!(refused.message.contains("no fresh reading"), "{refused}");
        assert!(is_fenced(&ports).await, "both sites would run");
    }
}
