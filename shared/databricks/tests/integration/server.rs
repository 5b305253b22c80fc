//! A workspace that answers by script and remembers every request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::response::Response;
use databricks::{
    Collection, Connections, Credential, RateShare, Retries, Secret, Settings, Timeouts, Workspace,
    WorkspaceId, WorkspaceUrl,
};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) const PAT: &str = "dapi-very-hidden-pat";
pub(crate) const CLIENT_SECRET: &str = "dose-very-hidden-client";
pub(crate) const WORKSPACE: u64 = 4711;

const fn list(
    path: &'static str,
    items: &'static str,
    page: Option<(&'static str, &'static str)>,
) -> Collection<'static> {
    Collection {
        path,
        items,
        page,
        query: &[],
    }
}

pub(crate) const JOBS: Collection<'_> = list("/api/2.2/jobs/list", "jobs", Some(("limit", "100")));
pub(crate) const EXPANDED_JOBS: Collection<'_> = Collection {
    query: &[("expand_tasks", "true")],
    ..JOBS
};
pub(crate) const POOLS: Collection<'_> =
    list("/api/2.0/instance-pools/list", "instance_pools", None);
pub(crate) const CLUSTERS: Collection<'_> = list(
    "/api/2.1/clusters/list",
    "clusters",
    Some(("page_size", "100")),
);
pub(crate) const WAREHOUSES: Collection<'_> = list(
    "/api/2.0/sql/warehouses",
    "warehouses",
    Some(("page_size", "100")),
);
pub(crate) const PIPELINES: Collection<'_> = list(
    "/api/2.0/pipelines",
    "statuses",
    Some(("max_results", "100")),
);

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    pub(crate) authorization: String,
    pub(crate) user_agent: String,
    pub(crate) body: Value,
    /// How many requests with this method and path came before it.
    pub(crate) nth: usize,
}

pub(crate) enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// Closes the connection after the request was read.
    Lost,
    /// Never answers.
    Silence,
}

impl Reply {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self::Answer {
            status,
            headers: vec![("content-type", "application/json".into())],
            body: body.to_string().into(),
        }
    }

    pub(crate) fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, json!({ "error_code": code, "message": message }))
    }

    pub(crate) fn text(status: u16, kind: &str, body: &str) -> Self {
        Self::Answer {
            status,
            headers: vec![("content-type", kind.into())],
            body: body.into(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }
}

type Script = dyn Fn(&Seen) -> Option<Reply> + Send + Sync;

#[derive(Clone)]
pub(crate) struct Server {
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Script>,
    pub(crate) url: WorkspaceUrl,
}

impl Server {
    /// Starts a server. What the script leaves out (`None`) is answered as a healthy workspace would: token, `/Me`.
    pub(crate) async fn start(
        script: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url =
            WorkspaceUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let server = Self {
            seen: Arc::default(),
            script: Arc::new(script),
            url,
        };
        let app = Router::new().fallback(handle).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        server
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn on(&self, path: &str) -> Vec<Seen> {
        self.seen()
            .into_iter()
            .filter(|seen| seen.path == path)
            .collect()
    }

    /// Requests that write, the token's aside.
    pub(crate) fn writes(&self) -> usize {
        self.seen()
            .iter()
            .filter(|seen| seen.method != "GET" && seen.path != "/oidc/v1/token")
            .count()
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            url: self.url.clone(),
            workspace_id: WorkspaceId::new(WORKSPACE),
            credential: Credential::Token(Secret::new(PAT)),
            timeouts: Timeouts {
                connect: Duration::from_secs(5),
                call: Duration::from_secs(10),
                total: Duration::from_secs(30),
            },
            share: RateShare::new(100).unwrap(),
            retries: Retries::On,
            connections: Connections::Pooled,
            time_scale: 1.0,
        }
    }

    pub(crate) fn workspace(&self) -> Workspace {
        Workspace::connect(self.settings()).unwrap()
    }

    pub(crate) fn with_client_secret(&self) -> Workspace {
        let credential = Credential::ClientSecret {
            client_id: "app-id".into(),
            client_secret: Secret::new(CLIENT_SECRET),
        };
        Workspace::connect(Settings {
            credential,
            ..self.settings()
        })
        .unwrap()
    }
}

async fn handle(State(server): State<Server>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    let pairs = parts
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    let seen = {
        let mut all = server.seen.lock().unwrap();
        let seen = Seen {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            authorization: header(AUTHORIZATION.as_str()),
            user_agent: header("user-agent"),
            body: serde_json::from_slice(&body)
                .unwrap_or(Value::String(String::from_utf8_lossy(&body).into_owned())),
            nth: all
                .iter()
                .filter(|other: &&Seen| {
                    other.path == parts.uri.path() && other.method == parts.method.as_str()
                })
                .count(),
        };
        all.push(seen.clone());
        seen
    };
    let reply = (server.script)(&seen).unwrap_or_else(|| healthy(&seen));
    match reply {
        Reply::Answer {
            status,
            headers,
            body,
        } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).unwrap()
        }
        // Ends the connection's task without an answer, and without the noise of a panic message.
        Reply::Lost => std::panic::resume_unwind(Box::new("connection lost on purpose")),
        Reply::Silence => std::future::pending().await,
    }
}

fn healthy(seen: &Seen) -> Reply {
    match seen.path.as_str() {
        "/oidc/v1/token" => Reply::ok(json!({
            "access_token": format!("token-very-hidden-{}", seen.nth), "token_type": "Bearer", "expires_in": "3600"
        })),
        "/api/2.0/preview/scim/v2/Me" => {
            Reply::ok(json!({ "userName": "app-id", "id": "1", "active": true }))
                .with("x-databricks-org-id", &WORKSPACE.to_string())
        }
        _ => Reply::error(404, "ENDPOINT_NOT_FOUND", "no script for this"),
    }
}
