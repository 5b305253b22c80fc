//! Permissions API 2.0 (databricks-sdk-py 0.156.0, `service/iam.py`; the word for warehouses is that of the official clients, the documentation has another).

use crate::Object;
use crate::error::Error;
use crate::limits::Class;
use crate::request::{Missing, Operation, Request};
use crate::workspace::Workspace;

const GET: Operation =
    Operation::read("get permissions", Class::PermissionsRead).missing(Missing::Permissions);

/// A kind of object that has permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the kind of object it names")]
pub enum ObjectType {
    Job,
    Cluster,
    ClusterPolicy,
    Pool,
    Warehouse,
    Pipeline,
    ServingEndpoint,
    Dashboard,
    Alert,
    App,
}

impl ObjectType {
    /// The word in the request path.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Job => "jobs",
            Self::Cluster => "clusters",
            Self::ClusterPolicy => "cluster-policies",
            Self::Pool => "instance-pools",
            Self::Warehouse => "warehouses",
            Self::Pipeline => "pipelines",
            Self::ServingEndpoint => "serving-endpoints",
            Self::Dashboard => "dashboards",
            Self::Alert => "alertsv2",
            Self::App => "apps",
        }
    }
}

impl Workspace {
    /// The permissions on one object: `access_control_list` holds direct and inherited entries. 100 requests a second.
    ///
    /// Errors: [`Error::NotFound`], [`Error::Forbidden`], and those of any call.
    pub async fn permissions(&self, kind: ObjectType, id: &str) -> Result<Object, Error> {
        let request = Request::new(&GET, &format!("/api/2.0/permissions/{}", kind.as_str()))
            .segment(id)
            .on(format!("{} {id}", kind.as_str()));
        self.object(request).await
    }
}
