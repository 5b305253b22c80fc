//! What strangers, scanners and impatient people send: none of it decides.

use recovery::approval::{Asked, Choice, Door, End, Override};
use recovery::run::Outcome;
use recovery::site::PlanName;
use serde_json::json;

use crate::support::{Asking, Like, PLAN, approval, asking, form, form_headers, http};

/// The answer is a page that says nothing of plan, run, people or evidence.
fn reveals_nothing(asking: &Asking, body: &str) {
    for secret in [
        PLAN,
        asking.run.run.as_str(),
        "primary",
        "us-east",
        "ControlPlaneDown",
        "Ada",
        "the region is dark",
        asking.request.id.as_str(),
    ] {
        assert!(!body.contains(secret), "{secret} in {body}");
    }
}

#[tokio::test]
async fn a_person_approves_and_the_record_says_who_why_and_from_where() {
    let asking = asking(Like::default()).await;
    let path = asking.path().await;
    let nonce = asking.nonce(&path).await;
    let answer = asking.post(&path, &approval(&nonce)).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.body().contains("Approved"));
    let decisions = asking.decisions().await.unwrap();
    assert_eq!(decisions.end(), Some(End::Approved));
    let decision = decisions.last().unwrap();
    assert_eq!(
        (decision.who.as_str(), decision.why.as_str()),
        ("Ada", "the region is dark")
    );
    assert!(matches!(&decision.via, Door::Page { ip, .. } if ip == "192.0.2.1"));
    assert!(asking.notices.sent()[0].message.contains("by Ada"));
}

#[tokio::test]
async fn a_link_that_is_forged_or_cut_is_refused_with_one_and_the_same_page() {
    let asking = asking(Like::default()).await;
    let path = asking.path().await;
    let before = asking.store().await;
    let nonce = asking.nonce(&path).await;
    let cut = &path[..path.len() - 1];
    let (head, signature) = path.rsplit_once('/').unwrap();
    let other = format!("{head}/{}", signature.chars().rev().collect::<String>());
    let unknown =
        "/00000000000000000000000000000063/9999999999/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let page = asking.get("/").await;
    assert_eq!(page.status(), 404);
    reveals_nothing(&asking, page.body());
    for path in [
        cut,
        &other,
        unknown,
        &format!("{path}/"),
        &format!("/{path}"),
        "/favicon.ico",
        "//",
        "/%2e%2e/plan.json",
    ] {
        for answer in [
            asking.get(path).await,
            asking.post(path, &approval(&nonce)).await,
        ] {
            assert_eq!(answer.status(), 404, "{path}");
            assert_eq!(answer.body(), page.body(), "{path}");
        }
    }
    assert_eq!(asking.store().await, before);
}

#[tokio::test]
async fn a_link_of_another_plan_or_another_run_opens_nothing_here() {
    let here = asking(Like::default()).await;
    let path = here.path().await;
    let nonce = here.nonce(&path).await;
    let keys = here.ports.link_keys().await.unwrap().unwrap();
    // The same key, the same request, another plan.
    let other_plan = format!("/{}", keys.path(&PlanName::new("warehouse"), &here.request));
    // Another run's request, which was never opened here.
    let mut run = here.run.clone();
    run.run = recovery::site::RunId::new("incident-2");
    let other = Asked::start(&here.plan, &run, vec![]).request(
        recovery::approval::ApprovalId::from_bits(8),
        here.ports.now(),
    );
    let other_run = format!("/{}", keys.path(&here.plan.name, &other));
    for path in [other_plan, other_run] {
        let answer = here.post(&path, &approval(&nonce)).await;
        assert_eq!(answer.status(), 404);
        reveals_nothing(&here, answer.body());
    }
    // The other run's form on this run's link.
    let crossed = keys.nonce(&other, here.ports.now(), 1);
    assert_eq!(here.post(&path, &approval(&crossed)).await.status(), 403);
    assert_eq!(here.decisions().await, None);
}

#[tokio::test]
async fn an_expired_link_says_so_and_nothing_else() {
    let asking = asking(Like::default()).await;
    let path = asking.path().await;
    let nonce = asking.nonce(&path).await;
    asking.pass(3600);
    for answer in [
        asking.get(&path).await,
        asking.post(&path, &approval(&nonce)).await,
    ] {
        assert_eq!(answer.status(), 410);
        assert!(answer.body().contains("This link has expired"));
        reveals_nothing(&asking, answer.body());
    }
    assert_eq!(asking.decisions().await, None);
}

#[tokio::test]
async fn one_rotation_leaves_sent_links_open_and_a_second_closes_them() {
    let asking = asking(Like::default()).await;
    let path = asking.path().await;
    asking.rotate().await;
    assert_eq!(asking.get(&path).await.status(), 200);
    let nonce = asking.nonce(&path).await;
    asking.rotate().await;
    let answer = asking.post(&path, &approval(&nonce)).await;
    assert_eq!(answer.status(), 404);
    assert_eq!(asking.decisions().await, None);
    assert_eq!(
        asking.get(&asking.path().await).await.status(),
        200,
        "a reminder brings a new link"
    );
}

#[tokio::test]
async fn a_link_used_twice_decides_once_and_then_reveals_nothing() {
    let asking = asking(Like::default()).await;
    let path = asking.path().await;
    let nonce = asking.nonce(&path).await;
    let decline = form(&[
        ("nonce", &nonce),
        ("who", "Bob"),
        ("why", "no"),
        ("plan", PLAN),
        ("decision", "decline"),
    ]);
    assert_eq!(asking.post(&path, &decline).await.status(), 200);
    let again = asking.post(&path, &decline).await;
    assert_eq!(
        again.status(),
        200,
        "an impatient finger reads what it has done"
    );
    for answer in [
        asking.get(&path).await,
        asking.post(&path, &approval(&nonce)).await,
    ] {
        assert_eq!(answer.status(), 410);
        assert!(answer.body().contains("decided already"));
        assert!(!answer.body().contains("Bob") && !answer.body().contains("eclined"));
        reveals_nothing(&asking, answer.body());
    }
    let decisions = asking.decisions().await.unwrap();
    assert_eq!(decisions.decisions.len(), 1);
    assert_eq!(decisions.end(), Some(End::Declined));
    assert_eq!(asking.notices.sent().len(), 1);
}

#[tokio::test]
async fn an_approval_that_arrives_for_a_run_that_is_gone_says_so() {
    let asking = asking(Like::default()).await;
    let path = asking.path().await;
    let nonce = asking.nonce(&path).await;
    asking
        .ports
        .change_run(&asking.run.run, |run| run.outcome = Some(Outcome::Stopped))
        .await
        .unwrap();
    for answer in [
        asking.get(&path).await,
        asking.post(&path, &approval(&nonce)).await,
    ] {
        assert_eq!(answer.status(), 410);
        assert!(
            answer
                .body()
                .contains("Nobody waits for this decision any more")
        );
        reveals_nothing(&asking, answer.body());
    }
    assert_eq!(asking.decisions().await, None);
}

#[tokio::test]
async fn a_request_that_was_replaced_sends_people_to_the_newer_one() {
    let asking = asking(Like::default()).await;
    let path = asking.path().await;
    let nonce = asking.nonce(&path).await;
    let newer = Asked::start(&asking.plan, &asking.run, vec![]).request(
        recovery::approval::ApprovalId::from_bits(9),
        asking.ports.now(),
    );
    assert!(
        asking
            .ports
            .open_request(&newer, Some(&asking.request))
            .await
            .unwrap()
    );
    for answer in [
        asking.get(&path).await,
        asking.post(&path, &approval(&nonce)).await,
    ] {
        assert_eq!(answer.status(), 410);
        assert!(answer.body().contains("There is a newer request"));
        reveals_nothing(&asking, answer.body());
    }
    assert_eq!(asking.decisions().await, None);
}

#[tokio::test]
async fn a_post_without_or_with_a_stale_nonce_decides_nothing_and_shows_the_page_again() {
    let asking = asking(Like::default()).await;
    let path = asking.path().await;
    let nonce = asking.nonce(&path).await;
    let without = approval("").replace("nonce=&", "");
    for body in [
        without.as_str(),
        &approval(""),
        &approval("1000.0.AAAA"),
        &approval(&nonce[1..]),
    ] {
        let answer = asking.post(&path, body).await;
        assert_eq!(answer.status(), 403);
        assert!(answer.body().contains("Nothing was decided"));
        assert!(
            !answer.body().contains("required checked"),
            "what was chosen on another page is not chosen here"
        );
    }
    asking.pass(901);
    assert_eq!(asking.post(&path, &approval(&nonce)).await.status(), 403);
    assert_eq!(asking.decisions().await, None);
    let fresh = asking.nonce(&path).await;
    assert_eq!(asking.post(&path, &approval(&fresh)).await.status(), 200);
}

#[tokio::test]
async fn a_form_sent_by_another_site_or_in_another_shape_decides_nothing() {
    let asking = asking(Like::default()).await;
    let path = asking.path().await;
    let nonce = asking.nonce(&path).await;
    let good = approval(&nonce);
    for site in ["cross-site", "same-site", "?"] {
        let mut headers = form_headers();
        headers["sec-fetch-site"] = json!(site);
        assert_eq!(
            asking
                .event(http("POST", &path, &good, headers))
                .await
                .status(),
            403,
            "{site}"
        );
    }
    for kind in [
        "",
        "text/plain",
        "application/json",
        "multipart/form-data; boundary=x",
    ] {
        let headers = json!({"content-type": kind});
        assert_eq!(
            asking
                .event(http("POST", &path, &good, headers))
                .await
                .status(),
            415,
            "{kind}"
        );
    }
    let twice = format!("{good}&decision=decline");
    assert_eq!(asking.post(&path, &twice).await.status(), 415);
    assert_eq!(asking.decisions().await, None);
}

#[tokio::test]
async fn an_incomplete_form_names_what_is_missing_and_keeps_what_was_typed() {
    let asking = asking(Like::default()).await;
    let path = asking.path().await;
    let nonce = asking.nonce(&path).await;
    let answer = asking.post(&path, &form(&[("nonce", &nonce)])).await;
    assert_eq!(answer.status(), 422);
    for field in ["#approve", "#who", "#why", "#plan"] {
        assert!(
            answer.body().contains(&format!("href=\"{field}\"")),
            "{field}"
        );
    }
    for plan in ["", "lakehous", "LAKEHOUSE", "lake house"] {
        let body = form(&[
            ("nonce", &nonce),
            ("who", "Ada"),
            ("why", "dark"),
            ("plan", plan),
            ("decision", "approve"),
        ]);
        let answer = asking.post(&path, &body).await;
        assert_eq!(answer.status(), 422, "{plan}");
        assert!(
            answer.body().contains("value=\"Ada\"") && answer.body().contains(">dark</textarea>")
        );
    }
    assert_eq!(asking.decisions().await, None);
}

#[tokio::test]
async fn a_loss_above_the_objective_is_accepted_by_name_or_not_approved() {
    let asking = asking(Like {
        loss: 1200,
        ..Like::default()
    })
    .await;
    let path = asking.path().await;
    let page = asking.get(&path).await;
    assert!(
        page.body()
            .contains("I accept: lake: 1200 s of data are lost")
    );
    let nonce = asking.nonce(&path).await;
    assert_eq!(asking.post(&path, &approval(&nonce)).await.status(), 422);
    assert_eq!(
        asking
            .post(
                &path,
                &format!("{}&accept=1&accept=-1&accept=x", approval(&nonce))
            )
            .await
            .status(),
        422
    );
    assert_eq!(asking.decisions().await, None);
    assert_eq!(
        asking
            .post(&path, &format!("{}&accept=0", approval(&nonce)))
            .await
            .status(),
        200
    );
    let accepted = asking.decisions().await.unwrap().accepted();
    assert!(matches!(
        &accepted[..],
        [Override::LossAboveObjective {
            loss_seconds: Some(1200),
            ..
        }]
    ));
}

#[tokio::test]
async fn where_two_must_approve_the_page_only_takes_a_decline() {
    let asking = asking(Like {
        required: Some(2),
        ..Like::default()
    })
    .await;
    let path = asking.path().await;
    let page = asking.get(&path).await;
    assert!(!page.body().contains("value=\"approve\""));
    let nonce = asking.nonce(&path).await;
    assert_eq!(asking.post(&path, &approval(&nonce)).await.status(), 422);
    assert_eq!(asking.decisions().await, None);
    let decline = approval(&nonce).replace("=approve", "=decline");
    assert_eq!(asking.post(&path, &decline).await.status(), 200);
    assert_eq!(
        asking.decisions().await.unwrap().decisions[0].decision,
        Choice::Decline
    );
}

const HOSTILE: &str = "\"><script>alert(1)</script>\r\nX-Evil: 1\r\n\r\n<img src=x onerror=alert(1)>{{7*7}}'&#39;\u{202e}";

#[tokio::test]
async fn hostile_names_and_reasons_stay_text() {
    let asking = asking(Like {
        loss: 1200,
        data_set: Some(HOSTILE),
        ..Like::default()
    })
    .await;
    let path = asking.path().await;
    let nonce = asking.nonce(&path).await;
    let shown = asking.get(&path).await;
    let typed = form(&[
        ("nonce", &nonce),
        ("who", HOSTILE),
        ("why", HOSTILE),
        ("plan", HOSTILE),
        ("decision", "approve"),
    ]);
    let refused = asking.post(&path, &typed).await;
    let sent = form(&[
        ("nonce", &nonce),
        ("who", HOSTILE),
        ("why", HOSTILE),
        ("plan", PLAN),
        ("decision", "approve"),
        ("accept", "0"),
    ]);
    let recorded = asking.post(&path, &sent).await;
    assert_eq!(
        (shown.status(), refused.status(), recorded.status()),
        (200, 422, 200)
    );
    for answer in [&shown, &refused, &recorded] {
        assert!(
            !answer.body().contains("<script") && !answer.body().contains("<img"),
            "{}",
            answer.body()
        );
        assert!(
            answer.body().contains("&#60;script&#62;"),
            "{}",
            answer.body()
        );
        for (name, value) in answer.headers() {
            assert!(
                !value.contains(['\r', '\n']) && !value.contains("Evil"),
                "{name}"
            );
        }
    }
    for notice in asking.notices.sent() {
        assert!(!notice.message.contains("\nX-Evil"), "{}", notice.message);
    }
}

#[tokio::test]
async fn a_body_of_a_megabyte_is_refused_whether_text_or_base64() {
    let asking = asking(Like::default()).await;
    let path = asking.path().await;
    let nonce = asking.nonce(&path).await;
    let huge = format!("{}&x={}", approval(&nonce), "a".repeat(1024 * 1024));
    assert_eq!(asking.post(&path, &huge).await.status(), 413);
    let mut event = http("POST", &path, &"YQ==".repeat(256 * 1024), form_headers());
    event["isBase64Encoded"] = json!(true);
    assert_eq!(asking.event(event).await.status(), 413);
    let long_name = form(&[
        ("nonce", &nonce),
        ("who", &"a".repeat(300)),
        ("why", "x"),
        ("plan", PLAN),
        ("decision", "approve"),
    ]);
    assert_eq!(asking.post(&path, &long_name).await.status(), 422);
    assert_eq!(asking.decisions().await, None);
}

#[tokio::test]
async fn nonsense_at_the_url_is_a_page_and_not_an_error() {
    let asking = asking(Like::default()).await;
    for event in [
        json!({"requestContext": {"http": {}}}),
        json!({"requestContext": {"http": {"method": 7}}}),
        json!({"requestContext": {"http": {"method": "POST"}}, "rawPath": {}, "body": []}),
    ] {
        let answer = asking.event(event).await;
        assert_eq!(answer.status(), 404);
        reveals_nothing(&asking, answer.body());
    }
}
