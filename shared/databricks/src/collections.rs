//! Listings: every object of a collection, whatever its kind.

use crate::Object;
use crate::error::Error;
use crate::limits::Class;
use crate::request::{Operation, Request};
use crate::workspace::Workspace;

/// One listing of the platform: `GET path` gives pages of `items`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collection<'a> {
    /// The path, for example `/api/2.2/jobs/list`.
    pub path: &'a str,
    /// The field that holds the objects of a page.
    pub items: &'static str,
    /// The parameter for the size of a page, with its value.
    pub page: Option<(&'static str, &'static str)>,
    /// More parameters, for example to have tasks expanded.
    pub query: &'static [(&'static str, &'static str)],
}

/// What a path is called in errors and which rate it shares; the first that it begins with counts.
static LISTS: [(&str, Operation); 14] = [
    (
        "/api/2.2/jobs/list",
        Operation::read("list jobs", Class::JobsList),
    ),
    (
        "/api/2.0/instance-pools",
        Operation::read("list pools", Class::PoolsRead),
    ),
    (
        "/api/2.1/clusters/list-node-types",
        Operation::read("list node types", Class::ClustersRead),
    ),
    (
        "/api/2.0/policies/clusters",
        Operation::read("list cluster policies", Class::OtherRead),
    ),
    (
        "/api/2.1/clusters",
        Operation::read("list clusters", Class::ClustersRead),
    ),
    (
        "/api/2.0/sql/warehouses",
        Operation::read("list warehouses", Class::WarehousesRead),
    ),
    (
        "/api/2.0/pipelines",
        Operation::read("list pipelines", Class::PipelinesRead),
    ),
    (
        "/api/2.0/apps",
        Operation::read("list apps", Class::AppsRead),
    ),
    (
        "/api/2.0/lakeview/dashboards",
        Operation::read("list dashboards", Class::DashboardsRead),
    ),
    (
        "/api/2.0/alerts",
        Operation::read("list alerts", Class::AlertsRead),
    ),
    (
        "/api/2.0/serving-endpoints",
        Operation::read("list serving endpoints", Class::ServingRead),
    ),
    (
        "/api/2.0/vector-search",
        Operation::read("list vector search endpoints", Class::VectorSearchRead),
    ),
    (
        "/api/2.0/database",
        Operation::read("list database instances", Class::DatabasesRead),
    ),
    (
        "/api/2.0/postgres",
        Operation::read("list postgres projects", Class::DatabasesRead),
    ),
];
/// What is not in the table keeps to the pace of the rest.
static OTHER: Operation = Operation::read("list", Class::OtherRead);

impl Workspace {
    /// All objects of a collection, as its list shows them. A path that no documented rate is known for is read at the pace of
    /// what has none.
    ///
    /// Errors: [`Error::EndlessPaging`], and those of any call.
    pub async fn collection(&self, collection: &Collection<'_>) -> Result<Vec<Object>, Error> {
        let operation = LISTS
            .iter()
            .find(|(path, _)| collection.path.starts_with(path))
            .map_or(&OTHER, |(_, operation)| operation);
        let mut request = Request::new(operation, collection.path);
        for (name, value) in collection.page.iter().chain(collection.query) {
            request = request.query(name, value);
        }
        self.list(request, collection.items).await
    }
}
