//! What the client makes of answers, and of none.

use std::time::Duration;

use databricks::{
    Cause, ClusterId, Connections, Error, JobId, ObjectType, Retries, RunId, Settings, Timeouts,
    Workspace, WorkspaceUrl,
};
use serde_json::json;

use crate::server::{CLUSTERS, POOLS, Reply, Server};

fn probe(server: &Server) -> Workspace {
    Workspace::connect(Settings {
        retries: Retries::Off,
        connections: Connections::Fresh,
        timeouts: Timeouts {
            connect: Duration::from_millis(200),
            call: Duration::from_millis(300),
            total: Duration::from_secs(20),
        },
        ..server.settings()
    })
    .unwrap()
}

#[tokio::test]
async fn statuses_get_their_class() {
    for (status, name) in [
        (400, "BadRequest"),
        (401, "Unauthenticated"),
        (403, "Forbidden"),
        (404, "NotFound"),
        (409, "Conflict"),
        (429, "Throttled"),
        (500, "Http5xx"),
        (503, "Http5xx"),
    ] {
        let server = Server::start(move |_| Some(Reply::error(status, "", "some words"))).await;
        let error = probe(&server).me().await.unwrap_err();
        assert_eq!(error.name(), name);
        assert_eq!(error.refusal().unwrap().message, "some words");
        assert!(!error.is_unreachable());
        assert_eq!(server.seen().len(), 1, "a probe tries once");
    }
}

#[tokio::test]
async fn missing_objects_come_as_400_too() {
    let server = Server::start(|seen| {
        let (code, message) = match seen.path.as_str() {
            "/api/2.2/jobs/get" => ("INVALID_PARAMETER_VALUE", "Job 5 does not exist."),
            "/api/2.2/jobs/runs/get" => {
                ("INVALID_PARAMETER_VALUE", "Run: 5 in job: 6 doesn't exist.")
            }
            "/api/2.1/clusters/get" => ("INVALID_PARAMETER_VALUE", "Cluster 0-x does not exist"),
            _ => ("BAD_REQUEST", "Cannot access cluster 0-x"),
        };
        Some(Reply::error(400, code, message))
    })
    .await;
    let workspace = server.workspace();
    for error in [
        workspace.get_job(JobId(5)).await.unwrap_err(),
        workspace.get_run(RunId(5)).await.unwrap_err(),
        workspace
            .get_cluster(&ClusterId::from("0-x"))
            .await
            .unwrap_err(),
        workspace
            .permissions(ObjectType::Cluster, "0-x")
            .await
            .unwrap_err(),
    ] {
        assert!(error.is_not_found(), "{error}");
        assert!(
            error.to_string().contains("5") || error.to_string().contains("0-x"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/login.html" => Some(Reply::ok(json!({ "userName": "somebody" }))),
        "/api/2.1/clusters/list" => Some(Reply::text(302, "text/html", "").with(
            "location",
            "/login.html?error=private-link-validation-error:123",
        )),
        _ => {
            Some(Reply::text(303, "text/html", "").with("location", "/login.html?next_url=s3cret"))
        }
    })
    .await;
    let workspace = server.workspace();
    let error = workspace.collection(&CLUSTERS).await.unwrap_err();
    assert_eq!(
        (error.cause(), error.is_unreachable()),
        (Cause::PrivateLinkBlocked, false)
    );
    let error = workspace.me().await.unwrap_err();
    assert!(
        matches!(&error, Error::Redirected { status: 303, location, .. } if location == "/login.html"),
        "{error}"
    );
    assert!(server.on("/login.html").is_empty());
}

#[tokio::test]
async fn success_that_is_not_json_is_unexpected() {
    let page = format!("<html>\u{1b}[31m sign in {}", "x".repeat(500));
    let server = Server::start(move |_| Some(Reply::text(200, "text/html", &page))).await;
    let error = server.workspace().collection(&POOLS).await.unwrap_err();
    let Error::UnexpectedAnswer {
        content_type,
        start,
        status: 200,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(content_type, "text/html");
    assert!(
        start.starts_with("<html> [31m sign in xxx") && start.chars().count() == 80,
        "{start}"
    );
    assert_eq!(
        server.workspace().me().await.unwrap_err().name(),
        "UnexpectedAnswer"
    );
}

#[tokio::test]
async fn deep_json_is_refused_not_a_stack_overflow() {
    let deep = "[".repeat(200_000);
    let server = Server::start(move |_| Some(Reply::text(200, "application/json", &deep))).await;
    assert_eq!(
        server
            .workspace()
            .collection(&POOLS)
            .await
            .unwrap_err()
            .name(),
        "UnexpectedAnswer"
    );
}

#[tokio::test]
async fn oversized_answer_is_refused() {
    let server = Server::start(|_| {
        Some(Reply::Answer {
            status: 200,
            headers: Vec::new(),
            body: vec![b' '; 64 * 1024 * 1024 + 1],
        })
    })
    .await;
    let error = server.workspace().collection(&POOLS).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::AnswerTooLarge {
                limit: 67_108_864,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn no_answer_is_unreachable_and_named() {
    let server = Server::start(|_| Some(Reply::Silence)).await;
    let error = probe(&server).me().await.unwrap_err();
    assert_eq!(
        (error.name(), error.is_unreachable()),
        ("ReadTimeout", true)
    );

    let server = Server::start(|_| Some(Reply::Lost)).await;
    let error = probe(&server).me().await.unwrap_err();
    assert_eq!(
        (error.name(), error.is_unreachable()),
        ("ConnectionReset", true)
    );

    // A port that nobody listens on any more.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let at = |url: String| {
        let url = WorkspaceUrl::parse(&url).unwrap();
        Workspace::connect(Settings {
            url,
            retries: Retries::Off,
            ..server.settings()
        })
        .unwrap()
    };
    let error = at(format!("http://{address}")).me().await.unwrap_err();
    assert_eq!(
        (error.name(), error.is_unreachable()),
        ("ConnectionRefused", true),
        "{error}"
    );

    let error = at("https://no-such-host.invalid".into())
        .me()
        .await
        .unwrap_err();
    assert_eq!(
        (error.name(), error.is_unreachable()),
        ("NameNotFound", true),
        "{error}"
    );

    // Plain HTTP where TLS is spoken.
    let error = at(server.url.as_str().replace("http:", "https:"))
        .me()
        .await
        .unwrap_err();
    assert_eq!(
        (error.name(), error.is_unreachable()),
        ("TlsRejected", true),
        "{error}"
    );
}

#[tokio::test]
async fn hanging_tls_handshake_is_a_connect_timeout() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = WorkspaceUrl::parse(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
    let server = Server::start(|_| None).await;
    let settings = Settings {
        url,
        ..probe(&server).settings().clone()
    };
    let error = Workspace::connect(settings)
        .unwrap()
        .me()
        .await
        .unwrap_err();
    assert_eq!(error.name(), "ConnectTimeout", "{error}");
    drop(listener);
}
