//! A deployment does not know of the fence, and undoes it.

use fencing::{Pace, Site};
use recovery::site::RunId;
use serde_json::{Value, json};

use crate::estate::small;
use crate::zombie::wake;

const JOBS: i64 = 500;

#[tokio::test(flavor = "multi_thread")]
async fn a_redeploy_that_unpauses_500_jobs_is_undone_by_the_next_pass_and_told_once() {
    let jobs: Vec<Value> = (1..=JOBS)
        .map(|id| {
            let schedule = json!({"quartz_cron_expression": "0 0 3 * * ?", "timezone_id": "UTC", "pause_status": "UNPAUSED"});
            json!({"job_id": id, "settings": {"name": format!("job {id}"), "schedule": schedule}})
        })
        .collect();
    let site = Site::start(json!({"jobs": jobs}), Pace::QUICK)
        .await
        .unwrap();
    site.raise().await.unwrap();
    site.fence_once().await.unwrap();
    assert!(site.is_verified().await.unwrap());
    let told = site.notices.sent().len();
    for job in 1..=JOBS {
        wake(&site, job).await;
    }
    site.fence_once().await.unwrap();
    assert!(site.is_verified().await.unwrap(), "one pass undoes it");
    let live = drill::live::places(&site.inventory().await.unwrap());
    assert!(live.is_empty(), "{} places are live", live.len());
    let news = site.notices.sent().split_off(told);
    assert_eq!(news.len(), 1, "{news:#?}");
    assert!(
        news[0].message.contains("Also fenced again: 500"),
        "{}",
        news[0].message
    );
    site.fence_once().await.unwrap();
    assert_eq!(site.notices.sent().len(), told + 1, "told once");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_lost_a_live_job_is_never_called_as_recorded() {
    let site = Site::start(small(), Pace::QUICK).await.unwrap();
    let record = site.learn().await.unwrap();
    let unsettle = site.ports.change_state(|state| {
        state.unsettled = Some(RunId::new("run-1"));
        Ok(())
    });
    unsettle.await.unwrap();
    site.raise().await.unwrap();
    site.fence_once().await.unwrap();
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .post(format!("{}/api/2.2/jobs/delete", site.url()))
        .bearer_auth("sim-token")
        .json(&json!({"job_id": 1}))
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
    site.lift().await.unwrap();
    site.order_reset(&record).await.unwrap();
    let told = site.notices.sent().len();
    site.restore_once().await.unwrap();
    let state = site.state().await.unwrap();
    assert!(state.resets.is_empty(), "there is nothing more to be done");
    assert!(state.unsettled.is_some(), "nobody may learn from it yet");
    let news = site.notices.sent().split_off(told);
    assert_eq!(news.len(), 1);
    assert!(news[0].subject.contains("could not be brought back whole"));
    assert!(
        news[0].message.contains("job 1 \"nightly\""),
        "{}",
        news[0].message
    );
    site.stop().await;
}
