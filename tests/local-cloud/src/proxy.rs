//! The AWS endpoint that functions and tests use: a reverse proxy in front of moto, in which a region can go dark.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::CloudError;

/// Bodies are kept in memory; nothing of this system sends more.
const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// One request to AWS, for assertions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsRequest {
    /// Region that it went to: of the bucket for S3, of the signature for everything else.
    pub region: Option<String>,
    /// Service of the signature.
    pub service: Option<String>,
    /// HTTP method.
    pub method: String,
    /// Path.
    pub path: String,
    /// The `X-Amz-Target` header, which names the operation of a JSON service.
    pub target: Option<String>,
    /// Whether it hung because its region was dark.
    pub hung: bool,
}

#[derive(Debug)]
pub(crate) struct Proxy {
    upstream: String,
    client: reqwest::Client,
    dark: watch::Sender<BTreeSet<String>>,
    buckets: Mutex<BTreeMap<String, String>>,
    requests: Mutex<Vec<AwsRequest>>,
}

impl Proxy {
    pub(crate) fn new(
        upstream: String,
        buckets: BTreeMap<String, String>,
    ) -> Result<Self, CloudError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| CloudError::Command {
                command: "proxy".to_owned(),
                reason: error.to_string(),
            })?;
        Ok(Self {
            upstream,
            client,
            dark: watch::Sender::new(BTreeSet::new()),
            buckets: Mutex::new(buckets),
            requests: Mutex::new(Vec::new()),
        })
    }

    pub(crate) fn darken(&self, region: &str) {
        self.dark.send_modify(|dark| {
            dark.insert(region.to_owned());
        });
    }

    pub(crate) fn light(&self, region: &str) {
        self.dark.send_modify(|dark| {
            dark.remove(region);
        });
    }

    pub(crate) fn set_bucket_region(&self, bucket: &str, region: &str) {
        locked(&self.buckets).insert(bucket.to_owned(), region.to_owned());
    }

    pub(crate) fn requests(&self) -> Vec<AwsRequest> {
        locked(&self.requests).clone()
    }

    fn is_dark(&self, region: Option<&str>) -> bool {
        region.is_some_and(|region| self.dark.borrow().contains(region))
    }

    /// Waits until the region is lit. What hung is then refused, never delivered late.
    async fn hang(&self, region: Option<&str>) -> Response {
        let mut changes = self.dark.subscribe();
        let lit = |dark: &BTreeSet<String>| !region.is_some_and(|region| dark.contains(region));
        drop(changes.wait_for(lit).await);
        (StatusCode::SERVICE_UNAVAILABLE, "the region was dark").into_response()
    }

    fn describe(&self, request: &Request) -> AwsRequest {
        let (signed, service) = scope(request);
        let path = request.uri().path().to_owned();
        let bucket_region = if service.as_deref() == Some("s3") {
            let buckets = locked(&self.buckets);
            bucket(request.headers(), &path, &buckets).cloned()
        } else {
            None
        };
        let region = bucket_region.or(signed);
        let target = request
            .headers()
            .get("x-amz-target")
            .and_then(|value| value.to_str().ok());
        AwsRequest {
            hung: self.is_dark(region.as_deref()),
            region,
            service,
            method: request.method().to_string(),
            target: target.map(str::to_owned),
            path,
        }
    }

    async fn forward(&self, request: Request) -> Response {
        let described = self.describe(&request);
        let region = described.region.clone();
        let hung = described.hung;
        locked(&self.requests).push(described);
        if hung {
            return self.hang(region.as_deref()).await;
        }
        let answer = match self.send(request).await {
            Ok(answer) => answer,
            Err(reason) => (
                StatusCode::BAD_GATEWAY,
                format!("moto did not answer: {reason}"),
            )
                .into_response(),
        };
        // A region that went dark meanwhile does not get its answer out: the call happened, the caller cannot know.
        if self.is_dark(region.as_deref()) {
            return self.hang(region.as_deref()).await;
        }
        answer
    }

    async fn send(&self, request: Request) -> Result<Response, String> {
        let (parts, body) = request.into_parts();
        let content = to_bytes(body, BODY_LIMIT)
            .await
            .map_err(|error| error.to_string())?;
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut headers = parts.headers;
        for name in [
            header::CONNECTION,
            header::TRANSFER_ENCODING,
            header::CONTENT_LENGTH,
            header::EXPECT,
        ] {
            headers.remove(name);
        }
        let answer = self
            .client
            .request(parts.method, format!("{}{path}", self.upstream))
            .headers(headers)
            .body(content)
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.extend(answer.headers().clone());
            headers.remove(header::CONNECTION);
            headers.remove(header::TRANSFER_ENCODING);
        }
        let content = answer.bytes().await.map_err(|error| error.to_string())?;
        response
            .body(Body::from(content))
            .map_err(|error| error.to_string())
    }
}

/// Serves the proxy until the task is aborted; returns its address.
pub(crate) async fn serve(
    proxy: Arc<Proxy>,
) -> Result<(String, tokio::task::JoinHandle<()>), CloudError> {
    let listen = |source| CloudError::Listen {
        what: "the AWS endpoint",
        source,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let router = Router::new()
        .fallback(
            |State(proxy): State<Arc<Proxy>>, request: Request| async move {
                proxy.forward(request).await
            },
        )
        .with_state(proxy);
    let task = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
    Ok((format!("http://{address}"), task))
}

/// Region and service of the signature: `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
fn scope(request: &Request) -> (Option<String>, Option<String>) {
    let authorization = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let query = request
        .uri()
        .query()
        .unwrap_or_default()
        .replace("%2F", "/");
    let text = authorization.unwrap_or(&query);
    let Some((_, credential)) = text.split_once("Credential=") else {
        return (None, None);
    };
    let credential = credential.split([',', '&', ' ']).next().unwrap_or_default();
    let mut fields = credential.split('/').skip(2).map(str::to_owned);
    (fields.next(), fields.next())
}

/// The region of the bucket in the path, or in the host's first label.
fn bucket<'a>(
    headers: &HeaderMap,
    path: &str,
    regions: &'a BTreeMap<String, String>,
) -> Option<&'a String> {
    let first = path
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default();
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    regions
        .get(first)
        .or_else(|| regions.get(host.split('.').next().unwrap_or_default()))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
