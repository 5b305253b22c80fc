//! Clusters API 2.1 (databricks-sdk-py 0.156.0, `service/compute.py`).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Object;
use crate::error::Error;
use crate::ids::ClusterId;
use crate::limits::Class;
use crate::repeat::Repeat;
use crate::request::{Method, Missing, Operation, Request};
use crate::workspace::{Workspace, Writer};

const SPARK_VERSIONS: Operation = Operation::read("list spark versions", Class::ClustersRead);
const GET: Operation =
    Operation::read("get cluster", Class::ClustersRead).missing(Missing::ClusterRead);
const EVENTS: Operation = Operation {
    name: "list cluster events",
    method: Method::Post,
    class: Class::ClustersRead,
    repeat: Repeat::Read,
    missing: Missing::ClusterRead,
};
const START: Operation = Operation {
    name: "start cluster",
    method: Method::Post,
    class: Class::ClustersWrite,
    repeat: Repeat::Idempotent,
    missing: Missing::Cluster,
};
const TERMINATE: Operation = Operation {
    name: "terminate cluster",
    method: Method::Post,
    class: Class::ClustersWrite,
    repeat: Repeat::Idempotent,
    missing: Missing::Cluster,
};

/// A runtime that clusters can be made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SparkVersion {
    /// What a cluster names in `spark_version`, as in `17.3.x-scala2.13`.
    pub key: String,
    /// The name for people.
    #[serde(default)]
    pub name: String,
}

/// What came of asking for a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The platform took the request; it starts later.
    Requested,
    /// It was running or on its way already.
    AlreadyStarted,
}

impl Workspace {
    /// The runtimes on offer: a cheap read that exercises the cluster service.
    pub async fn spark_versions(&self) -> Result<Vec<SparkVersion>, Error> {
        let request = Request::new(&SPARK_VERSIONS, "/api/2.1/clusters/spark-versions");
        self.field(request, "versions", |value| {
            serde_json::from_value(value).ok()
        })
        .await
    }

    /// One cluster, also one that was terminated up to 60 days ago.
    ///
    /// Errors: [`Error::NotFound`] (purged ones too), and those of any call.
    pub async fn get_cluster(&self, cluster: &ClusterId) -> Result<Object, Error> {
        let request = Request::new(&GET, "/api/2.1/clusters/get")
            .query("cluster_id", cluster.as_str())
            .on(format!("cluster {cluster}"));
        self.object(request).await
    }

    /// Whether the cluster lost nodes at or after a moment: an event `NODES_LOST` (`clusters/events`, which is a read).
    ///
    /// Errors: [`Error::NotFound`], and those of any call.
    pub async fn lost_nodes_since(
        &self,
        cluster: &ClusterId,
        from: Timestamp,
    ) -> Result<bool, Error> {
        let request = Request::new(&EVENTS, "/api/2.1/clusters/events")
            .body(json!({
                "cluster_id": cluster,
                "event_types": ["NODES_LOST"],
                "start_time": from.as_millisecond(),
                "order": "DESC",
                "page_size": 1,
            }))
            .on(format!("cluster {cluster}"));
        self.map(
            request,
            "its events are not a list",
            |answer| match answer.get("events") {
                None | Some(Value::Null) => Some(false),
                Some(Value::Array(events)) => Some(!events.is_empty()),
                Some(_) => None,
            },
        )
        .await
    }
}

impl Writer {
    /// Starts a terminated cluster. Asynchronous: read the state back.
    ///
    /// The platform refuses this for a cluster that is up (databricks/cli#1372), which is success here.
    ///
    /// Errors: [`Error::InvalidState`], transient while the cluster is terminating; [`Error::NotFound`], and those of any call.
    pub async fn start_cluster(&self, cluster: &ClusterId) -> Result<Start, Error> {
        let request = Request::new(&START, "/api/2.1/clusters/start")
            .body(json!({ "cluster_id": cluster }))
            .on(format!("cluster {cluster}"));
        match self.workspace().done(request).await {
            Ok(()) => Ok(Start::Requested),
            Err(Error::InvalidState { refusal, .. }) if is_up(&refusal.message) => {
                Ok(Start::AlreadyStarted)
            }
            Err(error) => Err(error),
        }
    }

    /// Terminates a cluster (`clusters/delete`; it can be started again). Asynchronous: read the state back. Harmless
    /// for a cluster that is terminating or terminated.
    ///
    /// Errors: [`Error::NotFound`], and those of any call.
    pub async fn terminate_cluster(&self, cluster: &ClusterId) -> Result<(), Error> {
        let request = Request::new(&TERMINATE, "/api/2.1/clusters/delete")
            .body(json!({ "cluster_id": cluster }))
            .on(format!("cluster {cluster}"));
        self.workspace().done(request).await
    }
}

/// Whether a refusal of `clusters/start` means that the cluster is up or coming up:
/// "Cluster 0101-x is in unexpected state Running." (databricks/cli#1372, PR #6288).
fn is_up(message: &str) -> bool {
    let state = message
        .split_once("unexpected state ")
        .map(|(_, rest)| rest)
        .unwrap_or_default();
    ["Running", "Pending", "Restarting", "Resizing"]
        .iter()
        .any(|up| {
            state
                .get(..up.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(up))
        })
}

/// A text field of an object, empty if it is not there.
pub(crate) fn text<'a>(object: &'a Object, field: &str) -> &'a str {
    object
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_which_states_are_up() {
        for (message, up) in [
            ("Cluster 1 is in unexpected state Running.", true),
            ("Cluster 1 is in unexpected state Pending.", true),
            ("Cluster 1 is in unexpected state Restarting.", true),
            ("Cluster 1 is in unexpected state RESIZING.", true),
            ("Cluster 1 is in unexpected state Terminating.", false),
            ("Cluster Running is in unexpected state Terminating.", false),
            ("", false),
        ] {
            assert_eq!(is_up(message), up, "{message}");
        }
    }
}
