//! What can be asked of the platform, and one request for it.

use reqwest::Url;
use serde_json::Value;

use crate::error::Error;
use crate::limits::Class;
use crate::repeat::Repeat;
use crate::url::WorkspaceUrl;

/// HTTP method of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Patch,
}

/// How the platform says that the object of an operation does not exist, beyond status 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// In no other way.
    Status,
    Job,
    Run,
    Cluster,
    /// As `Cluster`, and a state that cannot be read (a purged cluster).
    ClusterRead,
    Permissions,
}

/// What the platform can do, and how it may be asked.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    pub(crate) class: Class,
    pub(crate) repeat: Repeat,
    pub(crate) missing: Missing,
}

impl Operation {
    pub(crate) const fn read(name: &'static str, class: Class) -> Self {
        Self {
            name,
            method: Method::Get,
            class,
            repeat: Repeat::Read,
            missing: Missing::Status,
        }
    }

    pub(crate) const fn missing(mut self, missing: Missing) -> Self {
        self.missing = missing;
        self
    }
}

/// One request, ready to be sent any number of times.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) operation: &'static Operation,
    path: String,
    segments: Vec<String>,
    query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
    pub(crate) object: String,
}

impl Request {
    pub(crate) fn new(operation: &'static Operation, path: &str) -> Self {
        Self {
            operation,
            path: path.to_owned(),
            segments: Vec::new(),
            query: Vec::new(),
            body: None,
            object: String::new(),
        }
    }

    /// The full address. An id that would change the path is [`Error::InvalidInput`].
    pub(crate) fn url(&self, workspace: &WorkspaceUrl) -> Result<Url, Error> {
        if let Some(unfit) = self
            .segments
            .iter()
            .find(|segment| matches!(segment.as_str(), "" | "." | ".."))
        {
            return Err(Error::InvalidInput {
                what: "object id",
                reason: format!("{unfit:?} names no object"),
            });
        }
        let mut url = workspace.to_url();
        url.set_path(&self.path);
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(&self.segments);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }

    /// Adds a segment to the path, escaped.
    pub(crate) fn segment(mut self, segment: &str) -> Self {
        self.segments.push(segment.to_owned());
        self
    }

    pub(crate) fn query(mut self, name: &'static str, value: &str) -> Self {
        self.query.push((name, value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Names the object, for error messages.
    pub(crate) fn on(mut self, object: String) -> Self {
        self.object = object;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Operation = Operation::read("get", Class::JobsGet);

    #[test]
    fn ids_cannot_change_the_path() {
        let workspace = WorkspaceUrl::parse("https://h").unwrap();
        let url = |id: &str| {
            Request::new(&GET, "/api/x")
                .segment(id)
                .segment("stop")
                .query("a", "b&c")
                .url(&workspace)
        };
        assert_eq!(
            url("a/../b?c#d").unwrap().as_str(),
            "https://h/api/x/a%2F..%2Fb%3Fc%23d/stop?a=b%26c"
        );
        for unfit in ["", ".", ".."] {
            assert_eq!(url(unfit).unwrap_err().name(), "InvalidInput");
        }
    }
}
