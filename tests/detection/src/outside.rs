//! What lies outside of the workspaces: the object stores of both regions, the vendor's status page, a reference host. One server on
//! loopback.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::DetectionError;

/// How an object store fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFails {
    /// It answers nothing.
    Silent,
    /// It answers 503 to everything.
    Everything,
    /// It reads, and answers 503 to what writes.
    Writes,
    /// It refuses our role.
    Refuses,
}

/// What the status page says of the primary's region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSays {
    /// All is well.
    Operational,
    /// Nothing works.
    Outage,
}

#[derive(Default)]
struct Things {
    /// By bucket.
    failing: BTreeMap<String, StoreFails>,
    outage: bool,
    objects: BTreeMap<String, Bytes>,
}

type Shared = Arc<Mutex<Things>>;

fn lock(things: &Shared) -> MutexGuard<'_, Things> {
    things.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server.
pub struct Outside {
    address: std::net::SocketAddr,
    things: Shared,
    server: JoinHandle<()>,
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Outside {
    /// Serves when this returns.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> Result<Self, DetectionError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let things = Shared::default();
        let router = Router::new().fallback(answer).with_state(things.clone());
        let server = tokio::spawn(async move {
            // It ends with the world that started it.
            drop(axum::serve(listener, router).await);
        });
        Ok(Self {
            address,
            things,
            server,
        })
    }

    /// The address of the object stores.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Makes a bucket fail, or work again.
    pub fn store(&self, bucket: &str, fails: Option<StoreFails>) {
        let mut things = lock(&self.things);
        match fails {
            Some(fails) => things.failing.insert(bucket.to_owned(), fails),
            None => things.failing.remove(bucket),
        };
    }

    /// What the status page says from now on.
    pub fn page(&self, says: PageSays) {
        lock(&self.things).outage = says == PageSays::Outage;
    }

    /// Every object that lies in a bucket, by bucket and key.
    #[must_use]
    pub fn objects(&self) -> Vec<String> {
        lock(&self.things).objects.keys().cloned().collect()
    }
}

async fn answer(State(things): State<Shared>, method: Method, uri: Uri, body: Bytes) -> Response {
    let path = uri.path().trim_start_matches('/');
    match path {
        "reference" => return StatusCode::NO_CONTENT.into_response(),
        "status.json" => {
            let outage = lock(&things).outage;
            return axum::Json(page(outage)).into_response();
        }
        _ => {}
    }
    let bucket = path.split('/').next().unwrap_or_default();
    let fails = lock(&things).failing.get(bucket).copied();
    let unavailable = || {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "<Error><Code>ServiceUnavailable</Code></Error>",
        )
            .into_response()
    };
    match fails {
        Some(StoreFails::Silent) => return std::future::pending().await,
        Some(StoreFails::Everything) => return unavailable(),
        Some(StoreFails::Writes) if method != Method::GET => return unavailable(),
        Some(StoreFails::Refuses) => {
            let refusal = "<Error><Code>AccessDenied</Code></Error>";
            return (StatusCode::FORBIDDEN, refusal).into_response();
        }
        Some(StoreFails::Writes) | None => {}
    }
    let mut things = lock(&things);
    match method {
        Method::PUT => {
            things.objects.insert(path.to_owned(), body);
            StatusCode::OK.into_response()
        }
        Method::DELETE => {
            things.objects.remove(path);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => things.objects.get(path).map_or_else(
            || {
                let missing = "<Error><Code>NoSuchKey</Code></Error>";
                (StatusCode::NOT_FOUND, missing).into_response()
            },
            |object| object.clone().into_response(),
        ),
    }
}

/// As status.io writes it.
fn page(outage: bool) -> Value {
    let container = |name: &str, down: bool| {
        json!({"id": name, "name": name, "updated": "2026-03-01T00:00:00Z",
            "status": if down { "Service Disruption" } else { "Operational" }, "status_code": if down { 500 } else { 100 }})
    };
    let (east, ohio) = (container("East", outage), container("Ohio", false));
    json!({"result": {
        "status_overall": {"updated": "2026-03-01T00:00:00Z", "status": "x", "status_code": if outage { 500 } else { 100 }},
        "status": [{"id": "s", "name": "Jobs", "updated": "2026-03-01T00:00:00Z", "status": "x",
            "status_code": if outage { 500 } else { 100 }, "containers": [east, ohio]}],
        "incidents": [], "maintenance": {"active": [], "upcoming": []}}})
}
