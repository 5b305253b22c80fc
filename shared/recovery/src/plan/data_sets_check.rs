//! Checks of `data_sets`, `groups` and `replication`.

use std::collections::{BTreeMap, BTreeSet};

use super::check::Problems;
use super::{Buckets, DataSet, DeltaSet, Holds, Plan};
use crate::site::SiteLabel;

/// Names are part of keys in the state bucket and of metric dimensions.
const LONGEST_NAME: usize = 60;

impl Plan {
    pub(super) fn check_data_sets(&self, found: &mut Problems) {
        let mut names = BTreeSet::new();
        for (index, data_set) in self.data_sets.iter().enumerate() {
            let path = format!("data_sets[{index}]");
            check_name(&path, data_set.name().as_str(), &mut names, found);
            for (field, value) in [
                ("rpo_seconds", data_set.rpo_seconds()),
                (
                    "expected_interval_seconds",
                    data_set.expected_interval_seconds(),
                ),
            ] {
                if let Some(value) = value {
                    found.positive(&format!("{path}.{field}"), value);
                }
            }
            match data_set {
                DataSet::Delta(set) => check_delta(&path, set, found),
                DataSet::Bucket(set) => {
                    check_buckets(&path, &set.buckets, found);
                    check_prefix(&format!("{path}.prefix"), &set.prefix, found);
                    let rules = SiteLabel::ALL.map(|label| (label, set.rules.from(label)));
                    if rules.iter().all(|(_, rule)| rule.is_none()) {
                        found.add(
                            format!("{path}.rules"),
                            "names no rule; without one use the type \"marker\"",
                        );
                    }
                    for (label, rule) in rules {
                        if rule.is_some_and(|rule| rule.trim().is_empty()) {
                            found.add(format!("{path}.rules.{label}"), "is empty");
                        }
                    }
                }
                DataSet::Marker(set) => {
                    check_buckets(&path, &set.buckets, found);
                    check_prefix(&format!("{path}.prefix"), &set.prefix, found);
                }
            }
        }
        self.check_groups(&mut names, found);
        for (field, value) in [
            ("run_limit_seconds", self.replication.run_limit_seconds),
            (
                "source_timeout_seconds",
                self.replication.source_timeout_seconds,
            ),
            (
                "unknown_after_seconds",
                self.replication.unknown_after_seconds,
            ),
            ("prove_every_seconds", self.replication.prove_every_seconds),
            ("poll_seconds", self.replication.poll_seconds),
        ] {
            found.positive(&format!("replication.{field}"), value);
        }
    }

    fn check_groups(&self, names: &mut BTreeSet<String>, found: &mut Problems) {
        let sets: BTreeMap<&str, &DataSet> = self
            .data_sets
            .iter()
            .map(|set| (set.name().as_str(), set))
            .collect();
        for (index, group) in self.groups.iter().enumerate() {
            let path = format!("groups[{index}]");
            check_name(&path, group.name.as_str(), names, found);
            if let Some(objective) = group.rpo_seconds {
                found.positive(&format!("{path}.rpo_seconds"), objective);
            }
            let mut seen = BTreeSet::new();
            for (at, member) in group.members.iter().enumerate() {
                let path = format!("{path}.members[{at}]");
                if !seen.insert(member) {
                    found.add(&path, format!("{:?} stands twice", member.as_str()));
                }
                match sets.get(member.as_str()) {
                    Some(DataSet::Delta(_)) => {}
                    Some(_) => found.add(
                        &path,
                        format!(
                            "{:?} has no versions; allowed are data sets of the type \"delta\"",
                            member.as_str()
                        ),
                    ),
                    None => found.add(
                        &path,
                        format!("{:?} is the name of no data set", member.as_str()),
                    ),
                }
            }
            let many = |name: &&crate::site::DataSetName| matches!(sets.get(name.as_str()), Some(DataSet::Delta(set)) if set.holds == Holds::Tables);
            if group.members.len() < 2 && !group.members.iter().any(|name| many(&name)) {
                found.add(
                    format!("{path}.members"),
                    "a group has two members or more, or one that holds all tables below a prefix",
                );
            }
        }
    }
}

fn check_name(path: &str, name: &str, names: &mut BTreeSet<String>, found: &mut Problems) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(plain) {
        found.add(
            format!("{path}.name"),
            format!(
                "is {name:?}; allowed are 1 to {LONGEST_NAME} letters, digits, '-', '_' and '.'"
            ),
        );
    }
    if !names.insert(name.to_owned()) {
        found.add(format!("{path}.name"), format!("{name:?} stands twice"));
    }
}

fn check_delta(path: &str, set: &DeltaSet, found: &mut Problems) {
    for label in SiteLabel::ALL {
        let place = set.locations.get(label);
        let path = format!("{path}.locations.{label}");
        found.bucket(&format!("{path}.bucket"), &place.bucket);
        check_prefix(&format!("{path}.prefix"), &place.prefix, found);
    }
    if set.locations.primary == set.locations.secondary {
        found.add(
            format!("{path}.locations.secondary"),
            "is the primary's location",
        );
    }
    for (index, excluded) in set.exclude.iter().enumerate() {
        let path = format!("{path}.exclude[{index}]");
        check_prefix(&path, excluded, found);
        if excluded.is_empty() {
            found.add(&path, "is empty; name a table's path below the prefix");
        }
    }
    if set.holds == Holds::Table && !set.exclude.is_empty() {
        found.add(
            format!("{path}.exclude"),
            "says nothing here: the data set holds one table",
        );
    }
}

fn check_buckets(path: &str, buckets: &Buckets, found: &mut Problems) {
    for label in SiteLabel::ALL {
        found.bucket(&format!("{path}.buckets.{label}"), buckets.get(label));
    }
    if buckets.primary == buckets.secondary {
        found.add(
            format!("{path}.buckets.secondary"),
            "is the primary's bucket",
        );
    }
}

/// S3 takes any key, but a prefix with empty or relative segments is a typing mistake.
fn check_prefix(path: &str, prefix: &str, found: &mut Problems) {
    let odd = |segment: &str| {
        segment.is_empty()
            || segment == "."
            || segment == ".."
            || segment.chars().any(char::is_control)
    };
    if !prefix.is_empty() && prefix.split('/').any(odd) {
        found.add(
            path,
            format!("is {prefix:?}; allowed is a key prefix without slashes at its ends, such as tables/orders"),
        );
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

    fn delta(name: &str, holds: &str) -> Value {
        json!({"type": "delta", "name": name, "holds": holds, "locations": {
            "primary": {"bucket": "lake-one", "prefix": name}, "secondary": {"bucket": "lake-two", "prefix": name}}})
    }

    #[test]
    fn what_cannot_be_watched_is_refused_with_the_path_of_the_field() {
        type Change = fn(&mut Value);
        let table: [(&str, Change, &str); 13] = [
            (
                "type nobody knows",
                |p| p["data_sets"][0]["type"] = json!("iceberg"),
                "data_sets[0].type: unknown variant `iceberg`",
            ),
            (
                "field of another type",
                |p| {
                    p["data_sets"] = json!([delta("a", "Table")]);
                    p["data_sets"][0]["rules"] = json!({});
                },
                "unknown field `rules`",
            ),
            (
                "name that is no key",
                |p| p["data_sets"] = json!([delta("a/b", "Table")]),
                "data_sets[0].name: is \"a/b\"",
            ),
            (
                "bucket",
                |p| {
                    p["data_sets"] = json!([delta("a", "Table")]);
                    p["data_sets"][0]["locations"]["primary"]["bucket"] = json!("No Bucket");
                },
                "data_sets[0].locations.primary.bucket: \"No Bucket\" is no bucket name",
            ),
            (
                "prefix",
                |p| {
                    p["data_sets"] = json!([delta("a", "Table")]);
                    p["data_sets"][0]["locations"]["secondary"]["prefix"] = json!("/tables/a/");
                },
                "data_sets[0].locations.secondary.prefix: is \"/tables/a/\"",
            ),
            (
                "same place",
                |p| {
                    p["data_sets"] = json!([delta("a", "Table")]);
                    p["data_sets"][0]["locations"]["secondary"] =
                        p["data_sets"][0]["locations"]["primary"].clone();
                },
                "data_sets[0].locations.secondary: is the primary's location",
            ),
            (
                "nothing to exclude from",
                |p| {
                    p["data_sets"] = json!([delta("a", "Table")]);
                    p["data_sets"][0]["exclude"] = json!(["x"]);
                },
                "data_sets[0].exclude: says nothing here",
            ),
            (
                "no rule",
                |p| p["data_sets"][0]["rules"] = json!({}),
                "data_sets[0].rules: names no rule",
            ),
            (
                "interval of 0",
                |p| p["data_sets"][0]["expected_interval_seconds"] = json!(0),
                "data_sets[0].expected_interval_seconds: is 0",
            ),
            (
                "group of one",
                |p| {
                    p["data_sets"] = json!([delta("a", "Table")]);
                    p["groups"] = json!([{"name": "g", "members": ["a"]}]);
                },
                "groups[0].members: a group has two members or more",
            ),
            (
                "unknown member",
                |p| {
                    p["data_sets"] = json!([delta("a", "Table")]);
                    p["groups"] = json!([{"name": "g", "members": ["a", "b"]}]);
                },
                "groups[0].members[1]: \"b\" is the name of no data set",
            ),
            (
                "member without versions",
                |p| {
                    p["data_sets"] = json!([delta("a", "Table"), {"type": "marker", "name": "m",
                        "buckets": {"primary": "lake-one", "secondary": "lake-two"}}]);
                    p["groups"] = json!([{"name": "g", "members": ["a", "m"]}]);
                },
                "groups[0].members[1]: \"m\" has no versions",
            ),
            (
                "name of a data set",
                |p| {
                    p["data_sets"] = json!([delta("a", "Table"), delta("b", "Table")]);
                    p["groups"] = json!([{"name": "a", "members": ["a", "b"]}]);
                },
                "groups[0].name: \"a\" stands twice",
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
    fn one_data_set_is_a_group_if_it_holds_many_tables() {
        let text = problems(|p| {
            p["data_sets"] = json!([delta("a", "Tables")]);
            p["groups"] = json!([{"name": "g", "members": ["a"]}]);
        });
        assert_eq!(text, "");
    }
}
