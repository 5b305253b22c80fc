//! Where moto sends invocations to.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;

use super::{Harness, Request, url};
use crate::CloudError;

/// Serves invocations until the task is aborted; returns the address.
pub(crate) async fn serve(
    harness: Arc<Harness>,
) -> Result<(String, tokio::task::JoinHandle<()>), CloudError> {
    let listen = |source| CloudError::Listen {
        what: "the function harness",
        source,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let router = Router::new()
        .route("/functions/{name}/invocations", post(invocation))
        .route("/function-urls/{name}", post(function_url))
        .layer(DefaultBodyLimit::max(16 * 1024 * 1024))
        .with_state(harness);
    let task = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
    Ok((format!("http://{address}"), task))
}

async fn invocation(State(harness): State<Arc<Harness>>, Json(request): Json<Request>) -> Response {
    // A task of its own: an invocation does not end because the caller goes away.
    let asynchronous = request.kind == "Event";
    let running = tokio::spawn(async move { harness.invoke(request).await });
    if asynchronous {
        return StatusCode::ACCEPTED.into_response();
    }
    match running.await {
        Ok(outcome) if outcome.failed => {
            ([("x-function-error", "Unhandled")], outcome.payload).into_response()
        }
        Ok(outcome) => outcome.payload.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn function_url(State(harness): State<Arc<Harness>>, Path(name): Path<String>) -> Response {
    match url::serve(&harness, &name).await {
        Ok(url) => Json(json!({ "url": url })).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
