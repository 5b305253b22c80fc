//! A workspace that means harm, or is somebody else: each answer is a named error, in bounded time and memory, and no credential
//! leaves for another host. What each took is printed (`--no-capture`, or in the log of a failure).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use databricks::{Credential, Secret, Settings, Timeouts, Workspace, WorkspaceUrl};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::server::{JOBS, Reply, Server};

const MIB: u64 = 1024 * 1024;

/// The most memory that this process has had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// A server that reads one request a connection and then sends what `send` sends; counts its connections.
async fn raw<F>(
    send: impl Fn(TcpStream) -> F + Send + Sync + 'static,
) -> (WorkspaceUrl, Arc<AtomicUsize>)
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut request = vec![0; 16 * 1024];
            let _ = stream.read(&mut request).await;
            // The client hangs up sooner or later; that ends it.
            tokio::spawn(send(stream));
        }
    });
    (WorkspaceUrl::parse(&url).unwrap(), count)
}

async fn settings(url: &WorkspaceUrl) -> Settings {
    let second = Duration::from_secs(1);
    Settings {
        url: url.clone(),
        timeouts: Timeouts {
            connect: second,
            call: second * 20,
            total: second * 20,
        },
        ..Server::start(|_| None).await.settings()
    }
}

fn by_secret(settings: Settings) -> Workspace {
    let credential = Credential::ClientSecret {
        client_id: "app-id".into(),
        client_secret: Secret::new("very-hidden"),
    };
    Workspace::connect(Settings {
        credential,
        ..settings
    })
    .unwrap()
}

/// Lists jobs, and tells what came of it.
async fn met(what: &str, workspace: &Workspace, wanted: &str) {
    let began = Instant::now();
    // Far longer than the call may take by its own settings.
    let result = tokio::time::timeout(Duration::from_secs(120), workspace.collection(&JOBS)).await;
    let error = result.expect("it does not end").unwrap_err();
    let (took, memory) = (began.elapsed(), peak() / MIB);
    println!(
        "{what:<42} {:<18} {took:>8.1?} peak {memory} MiB",
        error.name()
    );
    assert_eq!(error.cause().name(), wanted, "{what}: {error}");
    assert!(memory < 256, "{what}: {memory} MiB");
    assert!(
        !format!("{error} {error:?}").contains("very-hidden"),
        "{error}"
    );
}

async fn chunk(stream: &mut TcpStream, data: &[u8]) -> std::io::Result<()> {
    stream
        .write_all(format!("{:x}\r\n", data.len()).as_bytes())
        .await?;
    stream.write_all(data).await?;
    stream.write_all(b"\r\n").await
}

const CHUNKED: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";

async fn endless(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(CHUNKED).await?;
    loop {
        chunk(&mut stream, &[b' '; 64 * 1024]).await?;
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_is_named_and_gets_nothing() {
    let (other, reached) =
        raw(async |mut stream: TcpStream| stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await).await;
    for status in [301, 302, 307, 308] {
        let place = format!("{}/api/2.2/jobs/list", other.as_str());
        let server = Server::start(move |_| {
            Some(Reply::text(status, "text/html", "").with("location", &place))
        })
        .await;
        met(
            &format!("redirect {status} to another host"),
            &server.workspace(),
            "Redirected",
        )
        .await;
        met(
            &format!("redirect {status} of the sign-in"),
            &server.with_client_secret(),
            "Redirected",
        )
        .await;
    }
    assert_eq!(
        reached.load(Ordering::Relaxed),
        0,
        "a credential may have left for another host"
    );
}

#[tokio::test]
async fn a_body_of_ten_gigabytes_is_refused_by_its_length() {
    let (url, _) = raw(async |mut stream: TcpStream| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10737418240\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        loop {
            stream.write_all(&[b' '; 64 * 1024]).await?;
        }
    })
    .await;
    let workspace = Workspace::connect(settings(&url).await).unwrap();
    met("a body of 10 GB", &workspace, "AnswerTooLarge").await;
}

#[tokio::test]
async fn an_endless_body_ends_at_the_limit() {
    let (url, _) = raw(endless).await;
    let workspace = Workspace::connect(settings(&url).await).unwrap();
    met("an endless chunked body", &workspace, "AnswerTooLarge").await;
    met(
        "the same from the token endpoint",
        &by_secret(settings(&url).await),
        "AnswerTooLarge",
    )
    .await;
}

#[tokio::test]
async fn a_body_that_drips_ends_with_the_time_of_the_call() {
    let (url, _) = raw(async |mut stream: TcpStream| {
        stream.write_all(CHUNKED).await?;
        loop {
            chunk(&mut stream, b" ").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let second = Duration::from_secs(1);
    let timeouts = Timeouts {
        connect: second,
        call: second,
        total: second * 2,
    };
    let workspace = Workspace::connect(Settings {
        timeouts,
        ..settings(&url).await
    })
    .unwrap();
    met("one byte at a time", &workspace, "ReadTimeout").await;
}

#[tokio::test]
async fn what_is_not_the_api_is_unexpected() {
    let login = "<!doctype html><title>Sign in</title>";
    for (what, reply) in [
        (
            "deep JSON, 8 MiB",
            Reply::text(200, "application/json", &"[".repeat(8 << 20)),
        ),
        (
            "deep objects, 8 MiB",
            Reply::text(200, "application/json", &"{\"a\":".repeat(8 << 17)),
        ),
        (
            "a login page with 200",
            Reply::text(200, "text/html", login),
        ),
        ("an image", Reply::text(200, "image/png", "\u{89}PNG")),
        ("a list that is a text", Reply::ok(json!({"jobs": "none"}))),
        ("nothing at all", Reply::text(200, "application/json", "")),
    ] {
        let reply = std::sync::Mutex::new(Some(reply));
        let server = Server::start(move |_| reply.lock().unwrap().take()).await;
        met(what, &server.workspace(), "UnexpectedAnswer").await;
    }
}

#[tokio::test]
async fn a_token_endpoint_that_hangs_or_talks_nonsense_is_named() {
    let second = Duration::from_secs(1);
    let server = Server::start(|_| Some(Reply::Silence)).await;
    let timeouts = Timeouts {
        connect: second,
        call: second,
        total: second * 2,
    };
    let hanging = by_secret(Settings {
        timeouts,
        ..server.settings()
    });
    met("a token endpoint that hangs", &hanging, "ReadTimeout").await;
    for (what, body) in [
        (
            "a token of 1 MiB of line breaks",
            json!({"access_token": "\n".repeat(1 << 20)}),
        ),
        ("a token that is a number", json!({"access_token": 7})),
        (
            "a token that is empty",
            json!({"access_token": "", "expires_in": 3600}),
        ),
        ("a list in place of a token", json!([1, 2, 3])),
    ] {
        let server = Server::start(move |_| Some(Reply::ok(body.clone()))).await;
        met(what, &server.with_client_secret(), "UnexpectedAnswer").await;
    }
}

#[tokio::test]
async fn pages_that_never_end_do() {
    // Always another token, and objects so large that they would fill the memory long before they are too many.
    let server = Server::start(|seen| {
        let job = json!({"job_id": seen.nth, "settings": {"name": "x".repeat(24 << 20)}});
        Some(Reply::ok(
            json!({"jobs": [job], "next_page_token": format!("page-{}", seen.nth)}),
        ))
    })
    .await;
    met(
        "pages without end, 24 MiB each",
        &server.workspace(),
        "EndlessPaging",
    )
    .await;
    let server = Server::start(|_| Some(Reply::ok(json!({"next_page_token": "again"})))).await;
    met(
        "the same page again and again",
        &server.workspace(),
        "EndlessPaging",
    )
    .await;
}
