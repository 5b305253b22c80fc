//! Two hundred people at once.

use std::collections::BTreeMap;

use crate::support::{Like, PLAN, asking, form};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_hundred_posts_at_once_exactly_one_counts() {
    let asking = std::sync::Arc::new(asking(Like::default()).await);
    let path = asking.path().await;
    let nonce = asking.nonce(&path).await;
    let posts = (0..200).map(|number| {
        let (asking, path) = (std::sync::Arc::clone(&asking), path.clone());
        let who = format!("person {number}");
        let decision = if number % 2 == 0 {
            "approve"
        } else {
            "decline"
        };
        let body = form(&[
            ("nonce", &nonce),
            ("who", &who),
            ("why", "at once"),
            ("plan", PLAN),
            ("decision", decision),
        ]);
        tokio::spawn(async move { (who, asking.post(&path, &body).await.status()) })
    });
    let mut by_status: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for answer in futures::future::join_all(posts).await {
        let (who, status) = answer.unwrap();
        by_status.entry(status).or_default().push(who);
    }
    let decisions = asking.decisions().await.unwrap();
    assert_eq!(decisions.decisions.len(), 1);
    assert_eq!(by_status[&200], [decisions.decisions[0].who.clone()]);
    assert_eq!(by_status[&410].len(), 199, "{by_status:?}");
    assert_eq!(asking.notices.sent().len(), 1);
}
