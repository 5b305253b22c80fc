//! The page served on loopback through the function's own handler.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use local_cloud::harness::url;
use tokio::net::TcpListener;

use crate::support::Asking;

/// Serves the page through the handler of the function. The URL has no slash at its end.
pub(crate) async fn serve(asking: &Arc<Asking>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .fallback(
            |State(asking): State<Arc<Asking>>, request: Request| async move {
                answer(&asking, request).await
            },
        )
        .with_state(Arc::clone(asking));
    tokio::spawn(async move { drop(axum::serve(listener, router).await) });
    base
}

async fn answer(asking: &Asking, request: Request) -> Response {
    match url::event(request).await {
        Some(event) => {
            let answer = asking.event(event).await;
            url::respond(&serde_json::to_value(answer).unwrap())
        }
        None => axum::http::StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    }
}
