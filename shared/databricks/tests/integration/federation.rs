//! Signing in with the identity that AWS vouches for, and what takes over when that does not work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use databricks::{Credential, IdentitySource, Secret, Settings, Timeouts, Workspace};
use serde_json::json;

use crate::server::{CLIENT_SECRET, JOBS, Reply, Seen, Server};

const IDENTITY: &str = "identity-very-hidden";
const EXCHANGE: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";

fn issuer(answer: Result<&'static str, &'static str>) -> IdentitySource {
    IdentitySource::new(move || {
        Box::pin(async move { answer.map(Secret::new).map_err(str::to_owned) })
    })
}

fn federated(server: &Server, identity: IdentitySource, fallback: bool) -> Workspace {
    let credential = Credential::Federated {
        client_id: "app-id".into(),
        identity,
        fallback: fallback.then(|| Secret::new(CLIENT_SECRET)),
    };
    Workspace::connect(Settings {
        credential,
        ..server.settings()
    })
    .unwrap()
}

fn exchanges(seen: &Seen) -> bool {
    seen.body.as_str().is_some_and(|b| b.contains(EXCHANGE))
}

fn jobs(seen: &Seen) -> Option<Reply> {
    (seen.path != "/oidc/v1/token").then(|| Reply::ok(json!({})))
}

#[tokio::test]
async fn the_identity_is_exchanged_as_databricks_own_clients_do() {
    let server = Server::start(jobs).await;
    let workspace = federated(&server, issuer(Ok(IDENTITY)), true);
    workspace.collection(&JOBS).await.unwrap();
    workspace.collection(&JOBS).await.unwrap();
    let [token] = server.on("/oidc/v1/token").try_into().unwrap();
    assert_eq!(
        token.body,
        format!(
            "{EXCHANGE}&subject_token={IDENTITY}\
             &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&client_id=app-id&scope=all-apis"
        )
    );
    assert_eq!(token.authorization, "", "no secret goes with it");
}

#[tokio::test]
async fn the_secret_takes_over_by_itself_when_there_is_no_token_or_the_workspace_refuses_it() {
    // The issuer cannot be reached.
    let server = Server::start(jobs).await;
    let workspace = federated(&server, issuer(Err("no route to sts")), true);
    workspace.collection(&JOBS).await.unwrap();
    let [token] = server.on("/oidc/v1/token").try_into().unwrap();
    assert!(token.authorization.starts_with("Basic ") && !exchanges(&token));

    // The workspace cannot reach the issuer's keys, or has no policy for this role.
    for (status, error) in [(400, "invalid_grant"), (401, "invalid_client"), (500, "x")] {
        let server = Server::start(move |seen| {
            if seen.path == "/oidc/v1/token" && exchanges(seen) {
                return Some(Reply::json(status, json!({ "error": error })));
            }
            jobs(seen)
        })
        .await;
        let workspace = federated(&server, issuer(Ok(IDENTITY)), true);
        workspace.collection(&JOBS).await.unwrap();
        assert_eq!(server.on("/oidc/v1/token").len(), 2, "{status}");
    }
}

#[tokio::test]
async fn an_issuer_that_hangs_leaves_time_for_the_secret() {
    let server = Server::start(jobs).await;
    let hanging = IdentitySource::new(|| Box::pin(std::future::pending()));
    let second = Duration::from_secs(1);
    let credential = Credential::Federated {
        client_id: "app-id".into(),
        identity: hanging,
        fallback: Some(Secret::new(CLIENT_SECRET)),
    };
    let workspace = Workspace::connect(Settings {
        credential,
        timeouts: Timeouts {
            connect: second,
            call: second * 2,
            total: second * 2,
        },
        ..server.settings()
    })
    .unwrap();
    let began = Instant::now();
    workspace.sign_in().await.unwrap();
    assert!(
        began.elapsed() >= second,
        "half of the time is the issuer's"
    );
}

#[tokio::test]
async fn without_a_secret_the_error_says_what_is_missing_and_repeats_nothing_secret() {
    let server = Server::start(|seen| {
        let said = format!("{} {IDENTITY}", seen.body);
        (seen.path == "/oidc/v1/token").then(|| {
            Reply::json(
                401,
                json!({ "error": "invalid_client", "error_description": said }),
            )
        })
    })
    .await;
    let error = federated(&server, issuer(Err("disabled")), false)
        .sign_in()
        .await
        .unwrap_err();
    assert_eq!(error.name(), "IdentityUnavailable");
    assert!(!error.is_unreachable(), "it says nothing of the workspace");
    assert!(server.on("/oidc/v1/token").is_empty());
    let error = federated(&server, issuer(Ok(IDENTITY)), false)
        .sign_in()
        .await
        .unwrap_err();
    assert_eq!(error.name(), "Unauthenticated");
    assert!(
        !format!("{error} {error:?}").contains("very-hidden"),
        "{error}"
    );
}

#[tokio::test]
async fn a_workspace_that_does_not_answer_is_not_asked_twice() {
    let server = Server::start(|seen| (seen.path == "/oidc/v1/token").then_some(Reply::Lost)).await;
    let issued = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&issued);
    let identity = IdentitySource::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(Secret::new(IDENTITY)) })
    });
    let error = federated(&server, identity, true)
        .sign_in()
        .await
        .unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    assert_eq!(server.on("/oidc/v1/token").len(), 1);
    assert_eq!(issued.load(Ordering::Relaxed), 1);
}
