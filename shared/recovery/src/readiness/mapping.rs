//! What is called otherwise at the other site: ids become names, and the active site's words become the standby's.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::inventory::Inventory;
use crate::plan::{Mapping, Twin};
use crate::site::SiteLabel;

/// The fields that hold numbers of jobs.
const JOB_NUMBER: &str = "job_id";
/// The field that holds a node type, and its like.
const NODE_TYPES: [&str; 3] = ["node_type_id", "driver_node_type_id", "worker_node_type_id"];

/// The objects of one site by id, so that what refers to them is compared by name.
#[derive(Clone, Debug, Default)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// Of everything that a site holds, and of what else its objects refer to.
    #[must_use]
    pub fn of(inventory: &Inventory, others: &BTreeMap<String, String>) -> Self {
        let mut names = others.clone();
        for resource in &inventory.resources {
            let name = format!("{} \"{}\"", resource.kind, resource.key);
            names.insert(resource.id.clone(), name);
        }
        Self(names)
    }

    fn name(&self, id: &str) -> Option<Value> {
        self.0.get(id).map(|name| Value::from(name.as_str()))
    }
}

/// From the words of one site to those by which both are compared.
#[derive(Clone, Copy, Debug)]
pub struct Translation<'a> {
    names: &'a Names,
    /// The plan's mapping, and the site whose words are turned into the other's.
    words: Option<(&'a Mapping, SiteLabel)>,
}

impl<'a> Translation<'a> {
    /// Of the active site: its words become those of the standby.
    #[must_use]
    pub const fn of_active(names: &'a Names, mapping: &'a Mapping, active: SiteLabel) -> Self {
        Self {
            names,
            words: Some((mapping, active)),
        }
    }

    /// Of the standby: it keeps its words.
    #[must_use]
    pub const fn of_standby(names: &'a Names) -> Self {
        Self { names, words: None }
    }

    /// The value in the words of the comparison.
    #[must_use]
    pub fn value(&self, field: &str, value: &Value) -> Value {
        match value {
            Value::Object(object) => object
                .iter()
                .map(|(name, value)| (name.clone(), self.value(name, value)))
                .collect(),
            Value::Array(list) => list.iter().map(|entry| self.value(field, entry)).collect(),
            Value::Number(number) if field == JOB_NUMBER => self
                .names
                .name(&number.to_string())
                .unwrap_or_else(|| value.clone()),
            Value::String(text) => self
                .names
                .name(text)
                .unwrap_or_else(|| Value::from(self.text(field, text))),
            other => other.clone(),
        }
    }

    /// A text of the field in the words of the comparison.
    #[must_use]
    pub fn text(&self, field: &str, text: &str) -> String {
        let Some((mapping, active)) = self.words else {
            return text.to_owned();
        };
        let whole = |twins: &[Twin]| {
            twins
                .iter()
                .find(|twin| twin.at(active) == text)
                .map(|twin| twin.at(active.other()).to_owned())
        };
        let exact = match field {
            field if NODE_TYPES.contains(&field) => whole(&mapping.node_types),
            "zone_id" => whole(&mapping.zones),
            "instance_profile_arn" => whole(&mapping.instance_profiles),
            _ => None,
        };
        exact.unwrap_or_else(|| {
            let twins = mapping.buckets.iter().chain(&mapping.words);
            let pairs: Vec<(&str, &str)> = twins
                .map(|twin| (twin.at(active), twin.at(active.other())))
                .collect();
            replace_words(text, &pairs)
        })
    }
}

/// Puts the second of each pair where the first stands as a whole word. What was put in is not looked at again, so two pairs may
/// exchange their words.
fn replace_words(text: &str, pairs: &[(&str, &str)]) -> String {
    let is_of_word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before: Option<char> = None;
    while let Some(first) = rest.chars().next() {
        let starts = !before.is_some_and(is_of_word);
        let hit = pairs
            .iter()
            .filter(|(word, _)| !word.is_empty() && starts)
            .filter_map(|(word, twin)| Some((word, twin, rest.strip_prefix(*word)?)))
            .filter(|(_, _, tail)| !tail.chars().next().is_some_and(is_of_word))
            .max_by_key(|(word, _, _)| word.len());
        match hit {
            Some((word, twin, tail)) => {
                out.push_str(twin);
                before = word.chars().last();
                rest = tail;
            }
            None => {
                out.push(first);
                before = Some(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mapping() -> Mapping {
        serde_json::from_value(json!({
            "node_types": [{"primary": "m6gd.large", "secondary": "m5d.large"}],
            "zones": [{"primary": "us-east-1a", "secondary": "us-east-2b"}],
            "buckets": [{"primary": "lake", "secondary": "lake-east-2"}],
            "words": [{"primary": "prod", "secondary": "dr"}, {"primary": "dr", "secondary": "prod"}]
        }))
        .unwrap()
    }

    #[test]
    fn words_are_replaced_as_a_whole_and_where_they_belong() {
        let (names, mapping) = (Names::default(), mapping());
        let there = Translation::of_active(&names, &mapping, SiteLabel::Primary);
        let back = Translation::of_active(&names, &mapping, SiteLabel::Secondary);
        for (field, here, over_there) in [
            ("node_type_id", "m6gd.large", "m5d.large"),
            ("zone_id", "us-east-1a", "us-east-2b"),
            ("url", "s3://lake/in", "s3://lake-east-2/in"),
            ("arn", "arn:aws:s3:::lake/*", "arn:aws:s3:::lake-east-2/*"),
            ("url", "s3://lake-house/in", "s3://lake-house/in"),
            ("catalog", "prod", "dr"),
            ("sql", "SELECT * FROM prod.dr.t", "SELECT * FROM dr.prod.t"),
            ("note", "us-east-1a", "us-east-1a"),
            ("note", "production", "production"),
        ] {
            assert_eq!(there.text(field, here), over_there, "{field} {here}");
            assert_eq!(back.text(field, over_there), here, "{field} {over_there}");
        }
    }
}
