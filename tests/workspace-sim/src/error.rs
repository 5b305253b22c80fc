//! Errors of the simulator itself and the error answers of the simulated API.

use std::net::SocketAddr;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use thiserror::Error;

/// Why a simulator could not be started or stopped.
#[derive(Debug, Error)]
pub enum SimError {
    /// The address is reachable from other machines; a workspace with a published password must not be.
    #[error("refusing to listen on {0}: only loopback addresses are allowed")]
    NotLoopback(SocketAddr),
    /// The address could not be bound.
    #[error("cannot listen on {address}")]
    Listen {
        /// The wanted address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The time scale is not a positive number.
    #[error("time scale {0} is not a positive finite number")]
    TimeScale(f64),
    /// The recording could not be opened.
    #[error("cannot write the recording {path}")]
    Record {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The inventory is unusable.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
}

/// Why an inventory was refused.
#[derive(Debug, Error)]
pub enum InventoryError {
    /// The file could not be read.
    #[error("cannot read the inventory {file}")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not JSON.
    #[error("inventory {file} is not JSON: {source}")]
    Json {
        /// The file.
        file: String,
        /// The parser's message, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// The JSON does not have the shape of an inventory.
    #[error("inventory{}: at {place}: {reason}", file.as_ref().map(|f| format!(" {f}")).unwrap_or_default())]
    Shape {
        /// The file, when the inventory came from one.
        file: Option<String>,
        /// The place inside the document, such as `jobs[3].job_id`.
        place: String,
        /// What is wrong there.
        reason: String,
    },
}

/// An error answer of the simulated API.
#[derive(Debug, Clone, Error)]
#[error("{status} {code}: {message}")]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// 400 INVALID_PARAMETER_VALUE: also how the jobs API says that an object does not exist.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message)
    }

    /// 400 INVALID_STATE.
    pub(crate) fn state(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_STATE", message)
    }

    /// 404 RESOURCE_DOES_NOT_EXIST.
    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", message)
    }

    /// 409 with the given code.
    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (
            self.status,
            axum::Json(json!({"error_code": self.code, "message": self.message})),
        )
            .into_response()
    }
}
