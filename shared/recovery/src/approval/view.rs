//! Who looked at a request on the page.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{APPROVAL_FORMAT, ApprovalId};
use crate::site::RunId;

/// The newest views that are kept.
const KEPT: usize = 200;

/// One look at the page by a valid link. Mail scanners look too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct View {
    /// When.
    pub at: Timestamp,
    /// From which address.
    pub ip: String,
    /// The browser, as it calls itself.
    pub user_agent: String,
}

/// `runs/<run>/views/<id>.json`: the newest views of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Views {
    /// Always [`APPROVAL_FORMAT`].
    pub format_version: u32,
    /// The run.
    pub run: RunId,
    /// The request.
    pub id: ApprovalId,
    /// All views, also those that are not kept.
    pub count: u64,
    /// The newest, oldest first.
    pub views: Vec<View>,
}

impl Views {
    /// None yet.
    #[must_use]
    pub const fn none(run: RunId, id: ApprovalId) -> Self {
        Self {
            format_version: APPROVAL_FORMAT,
            run,
            id,
            count: 0,
            views: Vec::new(),
        }
    }

    /// Adds a view and drops the oldest beyond the bound.
    pub fn add(&mut self, view: View) {
        self.count = self.count.saturating_add(1);
        self.views.push(view);
        let surplus = self.views.len().saturating_sub(KEPT);
        self.views.drain(..surplus);
    }
}
