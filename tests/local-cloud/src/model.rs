//! What goes into the local cloud and what comes out of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a local cloud needs.
#[derive(Debug, Clone)]
pub struct CloudOptions {
    /// The repository's root: `.venv` and the Python part are there.
    pub repo_root: PathBuf,
    /// Folder of the function binaries, one for each package, named after it.
    pub binaries: PathBuf,
    /// Folder for logs; `logs/<function>.log` is appended to.
    pub out: PathBuf,
    /// Region of the stack.
    pub region: String,
    /// Regions of buckets that are not of the stack; S3 is global here, so that the proxy must be told.
    pub bucket_regions: BTreeMap<String, String>,
}

/// The answer of a function.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Invocation {
    /// HTTP status of the Lambda API.
    pub status: u16,
    /// `Unhandled` when the function failed.
    pub function_error: Option<String>,
    /// The result, or `errorType` and `errorMessage`.
    pub payload: Value,
}

/// What a role of the stack asked of AWS, and which of its statements allowed it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Decision {
    /// The role's logical id in the template.
    pub role: String,
    /// The action, for example `s3:GetObject`.
    pub action: String,
    /// The resource.
    pub resource: String,
    /// The `Sid`s of the statements that allowed it; none if it was refused.
    pub allowed_by: Vec<String>,
    /// How often it was asked.
    pub times: u64,
}

/// An event as a role of the stack published it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedEvent {
    /// Its `source`.
    pub source: String,
    /// Its `detail-type`.
    pub name: String,
    /// Its `detail`.
    pub detail: Value,
}

/// Status of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutionStatus {
    /// Still running.
    Running,
    /// Ended as defined.
    Succeeded,
    /// Ended in an error.
    Failed,
    /// Took longer than the definition allows.
    TimedOut,
    /// Stopped by someone.
    Aborted,
}

/// One execution of a state machine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Execution {
    /// ARN.
    pub arn: String,
    /// Name.
    pub name: String,
    /// Status.
    pub status: ExecutionStatus,
    /// Input.
    pub input: Value,
    /// Output of one that succeeded.
    pub output: Option<Value>,
    /// Error of one that did not.
    pub error: Option<String>,
    /// Cause of one that did not.
    pub cause: Option<String>,
    /// When it started, in milliseconds since 1970.
    pub started_ms: i64,
    /// When it ended.
    pub stopped_ms: Option<i64>,
}

/// A message that was published to a topic.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PublishedMessage {
    /// ARN of the topic.
    pub topic: String,
    /// Subject.
    pub subject: Option<String>,
    /// Text.
    pub message: String,
    /// Message attributes.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
}

/// One route of an S3 Multi-Region Access Point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessPointRoute {
    /// The bucket that it leads to.
    pub bucket: String,
    /// The bucket's region.
    pub region: String,
    /// 100: active, 0: passive.
    pub dial: i32,
}
