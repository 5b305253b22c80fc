//! What the users of the workspace are told when it moves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::site::SiteLabel;

/// Warehouses that a message names one by one; the parameters have all of them. The state machine carries the message.
const MOST_WAREHOUSES: usize = 40;

/// A message to the users' topic. The state machine publishes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsersNotice {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub message: String,
}

/// A move, as users see it.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The site that is left.
    pub from: SiteLabel,
    /// The site that takes over.
    pub target: SiteLabel,
    /// The workspace URLs.
    pub urls: &'a BTreeMap<SiteLabel, String>,
}

impl Move<'_> {
    fn subject(&self, what: &str) -> String {
        format!("[{}] Databricks workspace: {what}", self.plan.name)
    }

    fn url(&self, site: SiteLabel) -> &str {
        self.urls.get(&site).map_or("(unknown)", String::as_str)
    }

    /// Before the target is touched.
    #[must_use]
    pub fn started(&self) -> UsersNotice {
        let (from, target) = (
            &self.plan.sites.get(self.from),
            &self.plan.sites.get(self.target),
        );
        UsersNotice {
            subject: self.subject(&format!("moving to {}", target.region)),
            message: format!(
                "The Databricks workspace in {} is being replaced by the one in {}.\n\n\
                 now: {}\nsoon: {}\n\n\
                 Jobs, warehouses and clusters start there as they ran before. Please change nothing at either workspace until you \
                 get another message.\n\
                 What you create at the new workspace meanwhile is not copied home by itself.\n",
                from.region,
                target.region,
                self.url(self.from),
                self.url(self.target),
            ),
        }
    }

    /// When everything is switched. `follow`: the parameters that outside tools follow; `warehouses`: HTTP paths by name.
    #[must_use]
    pub fn finished(
        &self,
        follow: &[String],
        warehouses: &BTreeMap<String, String>,
    ) -> UsersNotice {
        let target = &self.plan.sites.get(self.target).region;
        let mut message = format!(
            "Please use {} from now on.\nIt has taken over from the workspace in {} ({}), where nothing runs any more.\n\nWhat changed:\n",
            self.url(self.target),
            self.plan.sites.get(self.from).region,
            self.url(self.from),
        );
        message.push_str(&format!("- workspace: {}\n", self.url(self.target)));
        for (name, path) in warehouses.iter().take(MOST_WAREHOUSES) {
            message.push_str(&format!("- SQL warehouse \"{name}\": HTTP path {path}\n"));
        }
        if let Some(more) = warehouses
            .len()
            .checked_sub(MOST_WAREHOUSES)
            .filter(|n| *n > 0)
        {
            message.push_str(&format!(
                "- {more} more SQL warehouses: see the parameters\n"
            ));
        }
        for point in &self.plan.access_points {
            message.push_str(&format!(
                "- S3 access point {}: leads to {target}\n",
                point.arn.alias()
            ));
        }
        message.push_str(
            "\nIds of jobs, clusters and warehouses are others there; names are the same. Bookmarks and tokens of the old workspace \
             do not work.\n",
        );
        message.push_str(&format!(
            "Tools that follow these SSM parameters (in {}) need no change:\n",
            self.plan.control_region
        ));
        for name in follow {
            message.push_str(&format!("  {name}\n"));
        }
        message.push_str("What you create at the new workspace is not copied home by itself.\n");
        UsersNotice {
            subject: self.subject(&format!("moved to {target}")),
            message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_told_where_to_go_and_what_changed() {
        let text = include_str!("../../../infra/plan.example.json");
        let plan: Plan = serde_json::from_str(text).unwrap();
        let urls = [
            (SiteLabel::Primary, "https://old.example".to_owned()),
            (SiteLabel::Secondary, "https://new.example".to_owned()),
        ]
        .into();
        let step = Move {
            plan: &plan,
            from: SiteLabel::Primary,
            target: SiteLabel::Secondary,
            urls: &urls,
        };
        let started = step.started();
        assert!(started.message.contains("soon: https://new.example"));
        assert!(started.subject.contains("us-east-2"), "{}", started.subject);
        let many: BTreeMap<String, String> = (0..42)
            .map(|i| (format!("w{i:02}"), format!("/sql/1.0/warehouses/{i}")))
            .collect();
        let finished = step.finished(&["/databricks-dr/lakehouse/active-site".to_owned()], &many);

        for part in [
            "Please use https://new.example from now on",
            "\"w00\": HTTP path /sql/1.0/warehouses/0\n",
            "2 more SQL warehouses",
            "/databricks-dr/lakehouse/active-site",
            "(https://old.example)",
        ] {
            assert!(
                finished.message.contains(part),
                "lacks {part}: {}",
                finished.message
            );
        }
        assert!(finished.message.len() < 200 * 1024);
    }
}
