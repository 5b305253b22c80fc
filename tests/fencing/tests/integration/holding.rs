//! A deployment does not know of the fence, and undoes it.

use fencing::{Pace, Site};
use serde_json::{Value, json};

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
