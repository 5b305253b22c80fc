//! Tokens, and secrets that stay secret.

use std::sync::atomic::{AtomicUsize, Ordering};

use databricks::{Credential, Secret, Settings, Workspace};
use serde_json::json;

use crate::server::{CLIENT_SECRET, CLUSTERS, JOBS, PAT, Reply, Server};

#[tokio::test]
async fn token_is_fetched_once_for_many_callers_and_kept() {
    let server =
        Server::start(|seen| (seen.path != "/oidc/v1/token").then(|| Reply::ok(json!({})))).await;
    let workspace = server.with_client_secret();
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let workspace = workspace.clone();
            // Calls can be spawned: their futures are Send.
            tokio::spawn(async move { workspace.collection(&JOBS).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let tokens = server.on("/oidc/v1/token");
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].method, "POST");
    assert_eq!(
        tokens[0].body,
        "grant_type=client_credentials&scope=all-apis"
    );
    assert!(tokens[0].authorization.starts_with("Basic "));
    let lists = server.on("/api/2.2/jobs/list");
    assert!(
        lists
            .iter()
            .all(|seen| seen.authorization == "Bearer token-very-hidden-0")
    );
}

#[tokio::test]
async fn token_that_is_no_longer_taken_is_replaced_once() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/oidc/v1/token" => None,
        _ if seen.authorization.ends_with("hidden-0") => Some(Reply::error(401, "", "expired")),
        _ => Some(Reply::ok(json!({}))),
    })
    .await;
    server.with_client_secret().collection(&JOBS).await.unwrap();
    assert_eq!(
        (
            server.on("/oidc/v1/token").len(),
            server.on("/api/2.2/jobs/list").len()
        ),
        (2, 2)
    );

    let server =
        Server::start(|seen| (seen.path != "/oidc/v1/token").then(|| Reply::error(401, "", "no")))
            .await;
    let error = server
        .with_client_secret()
        .collection(&JOBS)
        .await
        .unwrap_err();
    assert_eq!(error.name(), "Unauthenticated");
    assert_eq!(
        (
            server.on("/oidc/v1/token").len(),
            server.on("/api/2.2/jobs/list").len()
        ),
        (2, 2)
    );
}

#[tokio::test]
async fn short_lived_token_is_not_used_twice() {
    let server = Server::start(|seen| {
        Some(match seen.path.as_str() {
            "/oidc/v1/token" => {
                Reply::ok(json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 40 }))
            }
            _ => Reply::ok(json!({})),
        })
    })
    .await;
    let workspace = server.with_client_secret();
    workspace.collection(&JOBS).await.unwrap();
    workspace.collection(&JOBS).await.unwrap();
    assert_eq!(server.on("/oidc/v1/token").len(), 2);
}

#[tokio::test]
async fn sign_in_is_afresh_and_tells_the_life() {
    let server = Server::start(|_| None).await;
    let workspace = server.with_client_secret();
    for _ in 0..2 {
        let signed_in = workspace.sign_in().await.unwrap();
        assert_eq!(signed_in.expires_in.unwrap().as_secs(), 3600);
    }
    assert_eq!(server.on("/oidc/v1/token").len(), 2);
    let signed_in = server.workspace().sign_in().await.unwrap();
    assert_eq!(signed_in.identity.unwrap().user_name, "app-id");
}

#[tokio::test]
async fn token_endpoint_errors_have_their_class() {
    for (status, body, name) in [
        (
            401,
            json!({ "error": "invalid_client", "error_description": "Client authentication failed" }),
            "Unauthenticated",
        ),
        (400, json!({ "error": "invalid_client" }), "Unauthenticated"),
        (
            400,
            json!({ "error": "invalid_scope", "error_description": "no" }),
            "BadRequest",
        ),
        (
            403,
            json!({ "errorCode": "E1", "errorSummary": "no" }),
            "Forbidden",
        ),
        (500, json!({}), "Http5xx"),
        (200, json!({ "token_type": "Bearer" }), "UnexpectedAnswer"),
        (
            200,
            json!({ "access_token": "line\nbreak" }),
            "UnexpectedAnswer",
        ),
    ] {
        let server = Server::start(move |_| Some(Reply::json(status, body.clone()))).await;
        let workspace = server.with_client_secret();
        assert_eq!(workspace.sign_in().await.unwrap_err().name(), name);
        let error = workspace.collection(&JOBS).await.unwrap_err();
        assert_eq!(error.name(), name);
        assert!(error.to_string().starts_with("sign in at "), "{error}");
        assert!(server.on("/api/2.2/jobs/list").is_empty());
    }
}

#[tokio::test]
async fn busy_token_endpoint_is_asked_again() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let server = Server::start(|seen| match seen.path.as_str() {
        "/oidc/v1/token" if ASKED.fetch_add(1, Ordering::Relaxed) == 0 => {
            Some(Reply::text(503, "text/plain", "busy"))
        }
        "/oidc/v1/token" => None,
        _ => Some(Reply::ok(json!({}))),
    })
    .await;
    server.with_client_secret().collection(&JOBS).await.unwrap();
    assert_eq!(server.on("/oidc/v1/token").len(), 2);
}

#[tokio::test]
async fn secrets_appear_nowhere() {
    // The platform repeats what it was sent, in every place that an error shows.
    let server = Server::start(|seen| {
        let said = format!("{} {CLIENT_SECRET} {PAT}", seen.authorization);
        Some(match seen.path.as_str() {
            "/oidc/v1/token" if seen.nth == 0 => Reply::json(
                400,
                json!({ "error": CLIENT_SECRET, "error_description": said }),
            ),
            "/oidc/v1/token" => return None,
            "/api/2.2/jobs/list" => Reply::error(403, PAT, &said),
            "/api/2.1/clusters/list" => Reply::text(200, &said, &said),
            _ => Reply::text(302, "text/html", "").with("location", &format!("/{said}?{said}")),
        })
    })
    .await;
    let pat = server.workspace();
    let oauth = server.with_client_secret();
    let mut shown = format!(
        "{pat:?} {oauth:#?} {:?} {:?}",
        pat.settings(),
        oauth.settings()
    );
    shown += &format!("{:?}", oauth.sign_in().await.unwrap_err());
    oauth.sign_in().await.unwrap();
    for workspace in [&pat, &oauth] {
        let errors = [
            workspace.collection(&JOBS).await.unwrap_err(),
            workspace.collection(&CLUSTERS).await.unwrap_err(),
            workspace.me().await.unwrap_err(),
        ];
        for error in errors {
            shown += &format!("{error} {error:?} {error:#?}");
        }
    }
    // The other credential's secret is unknown to a client; so only its own are asserted for each.
    let own: Vec<&str> = shown.matches("token-very-hidden").collect();
    assert!(own.is_empty(), "{shown}");
    assert!(shown.contains("[redacted]"));

    let only_pat = Server::start(|seen| Some(Reply::error(403, "X", &seen.authorization))).await;
    let error = only_pat.workspace().me().await.unwrap_err();
    assert!(
        !format!("{error} {error:?}").contains("very-hidden"),
        "{error}"
    );
}

#[tokio::test]
async fn writer_and_errors_of_connect_show_no_secret() {
    let server = Server::start(|_| None).await;
    let writer = server.workspace().verified().await.unwrap();
    assert!(!format!("{writer:?}").contains("very-hidden"));
    let credential = Credential::Token(Secret::new("very-hidden\n"));
    let error = Workspace::connect(Settings {
        credential,
        ..server.settings()
    })
    .unwrap_err();
    assert!(!format!("{error} {error:?}").contains("very-hidden"));
}
