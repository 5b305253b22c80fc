//! What every answer carries, and what the methods do.

use serde_json::json;

use crate::support::{Like, asking, http};

#[tokio::test]
async fn every_answer_is_kept_by_nobody_runs_nothing_and_leads_nowhere() {
    let asking = asking(Like::default()).await;
    let path = asking.path().await;
    for (method, path) in [
        ("GET", path.as_str()),
        ("GET", "/"),
        ("POST", path.as_str()),
        ("OPTIONS", path.as_str()),
        ("HEAD", path.as_str()),
        ("PUT", path.as_str()),
    ] {
        let answer = asking.event(http(method, path, "", json!({}))).await;
        let header = |name| answer.headers().get(name).map(String::as_str).unwrap_or("");
        assert_eq!(header("cache-control"), "no-store", "{method} {path}");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("x-frame-options"), "DENY");
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("script-src"));
        assert!(!answer.body().contains("<script") && !answer.body().contains(" style="));
    }
}

#[tokio::test]
async fn get_head_and_options_change_nothing_but_the_list_of_who_looked() {
    let asking = asking(Like::default()).await;
    let path = asking.path().await;
    let before = asking.store().await;
    let shown = asking.get(&path).await;
    assert_eq!(shown.status(), 200);
    let head = asking.event(http("HEAD", &path, "", json!({}))).await;
    assert_eq!((head.status(), head.body()), (200, ""));
    let options = asking.event(http("OPTIONS", &path, "", json!({}))).await;
    assert_eq!((options.status(), options.body()), (204, ""));
    for method in ["PUT", "DELETE", "PATCH", "get", ""] {
        let answer = asking.event(http(method, &path, "", json!({}))).await;
        assert_eq!(answer.status(), 405, "{method}");
        assert!(answer.headers().contains_key("allow"));
    }
    assert_eq!(asking.store().await, before);
    let views = asking.ports.views(&asking.run.run).await.unwrap();
    assert_eq!(views[0].count, 1, "only the GET is a look");
    assert_eq!(views[0].views[0].ip, "192.0.2.1");
    assert!(asking.notices.sent().is_empty());
}

#[tokio::test]
async fn the_page_holds_neither_the_link_nor_the_key() {
    let asking = asking(Like::default()).await;
    let path = asking.path().await;
    let page = asking.get(&path).await;
    let signature = path.rsplit('/').next().unwrap();
    assert!(!page.body().contains(signature));
    let keys = asking
        .ports
        .link_keys()
        .await
        .unwrap()
        .unwrap()
        .to_parameter();
    for secret in keys.split('"').filter(|part| part.len() >= 64) {
        assert!(!page.body().contains(secret));
    }
}
