//! Typed REST client of one Databricks workspace on AWS: signing in, paging, safe repeats, rate limits.
//!
//! Objects stay raw JSON ([`Object`]), since several updates replace whole fields: what this crate does not know must
//! survive a round trip. A [`Workspace`] reads. Only a [`Writer`] writes, and it is given out only after the workspace
//! that answers has proved to be the expected one ([`Workspace::verified`]).
//!
//! Facts about the API are cited at the operations: databricks-sdk-py 0.156.0 is Databricks' own SDK, generated from
//! their API description; databricks-sdk-go 0.175.0 and databricks/cli are theirs too.

mod apps;
mod call;
mod cause;
mod clusters;
mod collections;
mod contacts;
mod error;
mod fresh;
mod ids;
mod jobs;
mod limits;
mod pace;
mod paging;
mod permissions;
mod pipelines;
mod pools;
mod queries;
mod refusal;
mod repeat;
mod request;
mod runs;
mod schedules;
mod secret;
mod settings;
mod statements;
mod token;
mod transport;
mod url;
mod warehouses;
mod workspace;

pub use cause::Cause;
pub use clusters::{SparkVersion, Start};
pub use collections::Collection;
pub use contacts::Contacts;
pub use error::{Error, Refusal, Target};
pub use ids::{
    ClusterId, IdempotencyToken, JobId, PipelineId, PipelineUpdateId, PoolId, RunId, StatementId,
    WarehouseId, WorkspaceId,
};
pub use limits::Documented;
pub use permissions::ObjectType;
pub use pools::EDITABLE_POOL_FIELDS;
pub use runs::RunsFilter;
pub use secret::{Credential, IdentitySource, Secret};
pub use settings::{Connections, RateShare, Retries, Settings, Timeouts};
pub use statements::{Statement, StatementError, StatementResult, StatementState};
pub use url::WorkspaceUrl;
pub use warehouses::Stop;
pub use wire::Times;
pub use workspace::{Identity, SignIn, Workspace, Writer};

/// A JSON object as the platform sent it, unknown fields included.
pub type Object = serde_json::Map<String, serde_json::Value>;
