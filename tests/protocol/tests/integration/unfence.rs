//! A fence is lifted on a fresh reading, or on the override that this very decision accepted.

use async_trait::async_trait;
use aws::fence_watch::FenceWatch;
use aws::{Failure, Ports};
use jiff::SignedDuration;
use recovery::site::SiteLabel;
use recovery::state::QuietReading;
use serde_json::{Value, json};

use crate::world::{act, act_watched, before_the_commit, commit, now, stopped};

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
#[tokio::test(start_paused = true)]
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
#[tokio::test(start_paused = true)]
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

/// A watch whose pass reads the site a moment after it was started, and finds this.
struct Watch {
    ports: Ports,
    finds_quiet: bool,
}

#[async_trait]
impl FenceWatch for Watch {
    async fn start_pass(&self) -> Result<(), Failure> {
        let (ports, quiet) = (self.ports.clone(), self.finds_quiet);
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_secs(20)).await;
            let reading = QuietReading {
                began_at: now(),
                ended_at: now(),
            };
            let noted = ports.change_state(|state| {
                if let Some(fence) = state.fences.get_mut(&SiteLabel::Primary) {
                    if quiet {
                        fence.note_quiet(reading);
                    } else {
                        fence.retract_quiet();
                    }
                }
                Ok(())
            });
            noted.await.unwrap();
        });
        Ok(())
    }
}

/// The operator's act starts a reading, and lifts on its result and on nothing else.
#[tokio::test(start_paused = true)]
async fn an_act_reads_the_site_itself_and_lifts_on_what_that_shows() {
    for finds_quiet in [true, false] {
        let ports = moved(7 * 24 * 3600).await;
        let watch = Watch {
            ports: ports.clone(),
            finds_quiet,
        };
        let lifted = act_watched(&ports, &watch, unfence(None)).await;
        assert_eq!(lifted.is_ok(), finds_quiet, "{lifted:?}");
        assert_eq!(is_fenced(&ports).await, !finds_quiet);
    }
}
