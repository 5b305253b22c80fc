//! Checks of `replication_fence` and `hard_fence`.

use std::collections::{BTreeMap, BTreeSet};

use super::check::Problems;
use super::fences::RolesBySite;
use super::{DataSet, Plan};
use crate::site::{RoleArn, SiteLabel};

/// Every role costs about 150 of the 20,480 bytes of a bucket policy.
const MOST_ROLES: usize = 20;

impl Plan {
    pub(super) fn check_fences(&self, found: &mut Problems) {
        let roles = &self.replication_fence.roles;
        check_roles("replication_fence.roles", roles, found);
        self.check_exemptions(found);
        for from in SiteLabel::ALL {
            let replicated = self
                .data_sets
                .iter()
                .find(|set| !self.is_exempt(set) && replicates(set, from));
            if let Some(set) = replicated
                && roles.of(from).is_empty()
            {
                found.add(
                    format!("replication_fence.roles.{from}"),
                    format!(
                        "is empty, and data set {:?} is replicated from the {from}: name the role of its replication rules, or put the data set into replication_fence.exempt with the reason why what arrives late does no harm",
                        set.name().as_str()
                    ),
                );
            }
        }
        self.check_hard_fence(found);
    }

    fn check_exemptions(&self, found: &mut Problems) {
        let mut seen = BTreeSet::new();
        for (index, exemption) in self.replication_fence.exempt.iter().enumerate() {
            let path = format!("replication_fence.exempt[{index}]");
            let name = exemption.data_set.as_str();
            if !seen.insert(name) {
                found.add(format!("{path}.data_set"), format!("{name:?} stands twice"));
            }
            if exemption.why.trim().is_empty() {
                found.add(
                    format!("{path}.why"),
                    "is empty; say why what arrives late does no harm",
                );
            }
            let Some(set) = self
                .data_sets
                .iter()
                .find(|set| set.name().as_str() == name)
            else {
                found.add(
                    format!("{path}.data_set"),
                    format!("{name:?} is the name of no data set"),
                );
                continue;
            };
            let fenced_all_the_same = self.data_sets.iter().find(|other| {
                !self.is_exempt(other)
                    && SiteLabel::ALL
                        .iter()
                        .any(|label| other.bucket(*label) == set.bucket(*label))
            });
            if let Some(other) = fenced_all_the_same {
                found.add(
                    format!("{path}.data_set"),
                    format!(
                        "a bucket of {name:?} is fenced all the same, for data set {:?}; exempt both or none",
                        other.name().as_str()
                    ),
                );
            }
        }
    }

    fn check_hard_fence(&self, found: &mut Problems) {
        let Some(hard) = &self.hard_fence else { return };
        check_roles("hard_fence.roles", &hard.roles, found);
        let mut uses: BTreeMap<SiteLabel, BTreeSet<&str>> = BTreeMap::new();
        for label in SiteLabel::ALL {
            let replication = self.replication_fence.roles.of(label);
            uses.insert(
                label,
                hard.roles
                    .of(label)
                    .iter()
                    .chain(replication)
                    .map(RoleArn::name)
                    .collect(),
            );
            if hard.roles.of(label).is_empty() {
                found.add(
                    format!("hard_fence.roles.{label}"),
                    "is empty; name the roles of both sites, so that one that both use is found",
                );
            }
        }
        for label in SiteLabel::ALL {
            for (index, role) in hard.roles.of(label).iter().enumerate() {
                let other = label.other();
                if uses
                    .get(&other)
                    .is_some_and(|names| names.contains(role.name()))
                {
                    found.add(
                        format!("hard_fence.roles.{label}[{index}]"),
                        format!(
                            "role {:?} is used by the {other} site too; to fence it would stop the site that takes over",
                            role.name()
                        ),
                    );
                }
            }
        }
    }
}

/// Whether a data set is replicated away from a site. S3 rules say so; for the others the way home is not there until it
/// is set up.
fn replicates(set: &DataSet, from: SiteLabel) -> bool {
    match set {
        DataSet::Bucket(set) => set.rules.from(from).is_some(),
        DataSet::Delta(_) | DataSet::Marker(_) => from == SiteLabel::Primary,
    }
}

fn check_roles(path: &str, roles: &RolesBySite, found: &mut Problems) {
    for label in SiteLabel::ALL {
        let mut names = BTreeSet::new();
        let roles = roles.of(label);
        if roles.len() > MOST_ROLES {
            found.add(
                format!("{path}.{label}"),
                format!(
                    "names {} roles; allowed are up to {MOST_ROLES}",
                    roles.len()
                ),
            );
        }
        for (index, role) in roles.iter().enumerate() {
            let path = format!("{path}.{label}[{index}]");
            if let Err(problem) = role.check() {
                found.add(&path, problem);
            } else if !names.insert((role.account(), role.name())) {
                found.add(&path, format!("role {:?} stands twice", role.name()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn problems(change: impl FnOnce(&mut Value)) -> String {
        let mut plan: Value =
            serde_json::from_str(include_str!("../../../../infra/plan.example.json")).unwrap();
        change(&mut plan);
        match Plan::parse(plan.to_string().as_bytes()) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    fn role(name: &str) -> String {
        format!("arn:aws:iam::123456789012:role/{name}")
    }

    #[test]
    fn a_plan_that_would_leave_data_unfenced_without_a_word_is_refused() {
        type Change = fn(&mut Value);
        let table: [(&str, Change, &str); 9] = [
            (
                "no fence at all",
                |p| {
                    p.as_object_mut().unwrap().remove("replication_fence");
                },
                "replication_fence.roles.primary: is empty, and data set",
            ),
            (
                "the rule that leads home",
                |p| p["data_sets"][0]["rules"]["secondary"] = json!("back"),
                "replication_fence.roles.secondary: is empty, and data set \"lake\"",
            ),
            (
                "a name instead of an ARN",
                |p| p["replication_fence"]["roles"]["primary"] = json!(["replication"]),
                "replication_fence.roles.primary[0]: is \"replication\"",
            ),
            (
                "a pattern",
                |p| p["replication_fence"]["roles"]["primary"] = json!([role("repl*")]),
                "replication_fence.roles.primary[0]: is",
            ),
            (
                "twice, by another path",
                |p| {
                    p["replication_fence"]["roles"]["primary"] =
                        json!([role("a"), role("service-role/a")])
                },
                "replication_fence.roles.primary[1]: role \"a\" stands twice",
            ),
            (
                "no reason",
                |p| p["replication_fence"]["exempt"] = json!([{"data_set": "lake", "why": " "}]),
                "replication_fence.exempt[0].why: is empty",
            ),
            (
                "nobody's name",
                |p| p["replication_fence"]["exempt"] = json!([{"data_set": "x", "why": "y"}]),
                "replication_fence.exempt[0].data_set: \"x\" is the name of no data set",
            ),
            (
                "no effect",
                |p| p["replication_fence"]["exempt"] = json!([{"data_set": "lake", "why": "y"}]),
                "a bucket of \"lake\" is fenced all the same, for data set \"sales\"",
            ),
            (
                "a role of both sites",
                |p| p["hard_fence"] = json!({"roles": {"primary": [role("x/shared")], "secondary": [role("shared")]}}),
                "hard_fence.roles.primary[0]: role \"shared\" is used by the secondary site too",
            ),
        ];
        for (name, change, expected) in table {
            let text = problems(change);
            assert!(
                text.contains(expected),
                "{name}: {text:?} lacks {expected:?}"
            );
        }
    }

    #[test]
    fn a_role_by_which_the_other_site_replicates_is_not_fenced_hard() {
        let text = problems(|p| {
            p["replication_fence"]["roles"]["secondary"] = json!([role("home")]);
            p["hard_fence"] =
                json!({"roles": {"primary": [role("home")], "secondary": [role("b")]}});
        });
        assert!(
            text.contains("role \"home\" is used by the secondary site too"),
            "{text}"
        );
        let one_sided = problems(|p| {
            p["hard_fence"] = json!({"roles": {"primary": [role("a")]}});
        });
        assert!(
            one_sided.contains("hard_fence.roles.secondary: is empty"),
            "{one_sided}"
        );
    }

    #[test]
    fn data_sets_are_spared_only_all_of_a_bucket_and_with_a_reason() {
        let text = problems(|p| {
            let why = "copied by a job that is fenced";
            let all = ["lake", "sales", "ledger"].map(|name| json!({"data_set": name, "why": why}));
            p["replication_fence"] = json!({"exempt": all});
        });
        assert_eq!(text, "");
    }
}
