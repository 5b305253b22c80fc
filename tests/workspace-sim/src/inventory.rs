//! The objects of a workspace as one JSON document.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::InventoryError;
use crate::json::{self, Map};

/// The kinds of an inventory: key, and the field which identifies an item.
const KINDS: [(&str, &str); 14] = [
    ("jobs", "job_id"),
    ("pipelines", "pipeline_id"),
    ("clusters", "cluster_id"),
    ("instance_pools", "instance_pool_id"),
    ("warehouses", "id"),
    ("apps", "name"),
    ("alerts", "id"),
    ("dashboards", "dashboard_id"),
    ("serving_endpoints", "name"),
    ("vector_search_endpoints", "name"),
    ("database_instances", "name"),
    ("postgres_projects", "name"),
    ("cluster_policies", "policy_id"),
    ("runs", "run_id"),
];

/// Everything one workspace holds. The JSON is kept as it came; fields nobody knows survive.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inventory {
    document: Map,
}

impl Inventory {
    /// Reads an inventory: an object with the keys `jobs`, `pipelines`, `clusters`, ... each holding a
    /// list of objects, a list response (`{"jobs": [...]}`) or a list of such responses. A whole list
    /// response, or a list of its pages, is accepted as the document too.
    ///
    /// # Errors
    /// The place in the document which does not have the shape of an inventory.
    pub fn from_json(value: Value) -> Result<Self, InventoryError> {
        let mut document = match value {
            Value::Object(map) => map,
            Value::Array(pages) => merge_pages(pages)?,
            _ => return Err(shape("$", "an inventory is a JSON object")),
        };
        for paging in ["next_page_token", "prev_page_token", "has_more"] {
            document.remove(paging);
        }
        for (kind, id) in KINDS {
            let items = document
                .remove(kind)
                .map_or(Ok(Vec::new()), |v| flatten(kind, v))?;
            check_items(kind, id, &items)?;
            document.insert(kind.to_owned(), Value::Array(items));
        }
        check_permissions(document.entry("permissions").or_insert_with(|| json!({})))?;
        Ok(Self { document })
    }

    /// Reads an inventory file.
    ///
    /// # Errors
    /// An error naming the file, and the place inside it where there is one.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, InventoryError> {
        let file = path.as_ref().display().to_string();
        let text =
            std::fs::read_to_string(path.as_ref()).map_err(|source| InventoryError::Read {
                file: file.clone(),
                source,
            })?;
        let value = serde_json::from_str(&text).map_err(|source| InventoryError::Json {
            file: file.clone(),
            source,
        })?;
        Self::from_json(value).map_err(|error| match error {
            InventoryError::Shape { place, reason, .. } => InventoryError::Shape {
                file: Some(file),
                place,
                reason,
            },
            other => other,
        })
    }

    /// The inventory as a JSON document.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(self.document.clone())
    }

    /// The items of one kind, for example `jobs`.
    pub fn items(&self, kind: &str) -> impl Iterator<Item = &Map> {
        json::array(&self.document, kind)
            .iter()
            .filter_map(Value::as_object)
    }

    /// The same estate as a well-prepared standby workspace would hold it: the same kinds and names
    /// under other ids, references following them, nothing live and nothing running.
    ///
    /// The ids are derived from `seed`, so two calls with one seed agree.
    #[must_use]
    pub fn standby(&self, seed: &str) -> Self {
        Self {
            document: crate::standby::standby(&self.document, seed),
        }
    }

    pub(crate) fn document(&self) -> &Map {
        &self.document
    }
}

/// The identifying field of each kind of the inventory.
pub(crate) fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    KINDS.into_iter()
}

fn shape(place: impl Into<String>, reason: impl Into<String>) -> InventoryError {
    InventoryError::Shape {
        file: None,
        place: place.into(),
        reason: reason.into(),
    }
}

fn merge_pages(pages: Vec<Value>) -> Result<Map, InventoryError> {
    let mut merged = Map::new();
    for (index, page) in pages.into_iter().enumerate() {
        let Value::Object(page) = page else {
            return Err(shape(
                format!("[{index}]"),
                "a page of a list response is a JSON object",
            ));
        };
        for (key, value) in page {
            match (merged.get_mut(&key), value) {
                (Some(Value::Array(have)), Value::Array(more)) => have.extend(more),
                (_, value) => {
                    merged.insert(key, value);
                }
            }
        }
    }
    Ok(merged)
}

/// The items of a kind, out of a plain list, one list response, or the pages of one.
fn flatten(kind: &str, value: Value) -> Result<Vec<Value>, InventoryError> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Object(mut response) => match response.remove(kind) {
            Some(Value::Array(items)) => Ok(items),
            None if response.is_empty() => Ok(Vec::new()),
            _ => Err(shape(
                kind,
                format!("a list response holds its items in a list named {kind}"),
            )),
        },
        Value::Array(items) => {
            let is_page = |v: &Value| v.get(kind).is_some_and(Value::is_array);
            if !items.iter().any(is_page) {
                return Ok(items);
            }
            let mut all = Vec::new();
            for (index, page) in items.into_iter().enumerate() {
                if !is_page(&page) && page.as_object().is_none_or(|p| !p.is_empty()) {
                    return Err(shape(
                        format!("{kind}[{index}]"),
                        "pages and items are mixed",
                    ));
                }
                all.extend(flatten(kind, page)?);
            }
            Ok(all)
        }
        _ => Err(shape(kind, "expected a list of objects or a list response")),
    }
}

fn check_items(kind: &str, id: &str, items: &[Value]) -> Result<(), InventoryError> {
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let place = |field: &str| format!("{kind}[{index}]{field}");
        let Value::Object(item) = item else {
            return Err(shape(place(""), "expected an object"));
        };
        let numeric = matches!(kind, "jobs" | "runs");
        let found = if numeric {
            item.get(id)
                .and_then(Value::as_i64)
                .filter(|n| *n > 0)
                .map(|n| n.to_string())
        } else {
            json::text(item, id)
                .filter(|t| !t.is_empty())
                .map(str::to_owned)
        };
        let wanted = if numeric {
            "a positive integer"
        } else {
            "a non-empty string"
        };
        let found =
            found.ok_or_else(|| shape(place(&format!(".{id}")), format!("expected {wanted}")))?;
        if !seen.insert(found.clone()) {
            return Err(shape(
                place(&format!(".{id}")),
                format!("{found} occurs twice"),
            ));
        }
        if kind == "jobs" && json::object(item, "settings").is_none() {
            return Err(shape(place(".settings"), "expected an object"));
        }
    }
    Ok(())
}

fn check_permissions(value: &Value) -> Result<(), InventoryError> {
    let Value::Object(types) = value else {
        return Err(shape("permissions", "expected an object of object types"));
    };
    for (name, objects) in types {
        let Value::Object(objects) = objects else {
            return Err(shape(
                format!("permissions.{name}"),
                "expected an object of ids",
            ));
        };
        for (id, list) in objects {
            if !list.is_object() {
                return Err(shape(
                    format!("permissions.{name}.{id}"),
                    "expected an object",
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_responses_and_pages_are_accepted() {
        let job = |id: i64| json!({"job_id": id, "settings": {"name": "j", "unknown": 1}});
        for document in [
            json!({"jobs": [job(1), job(2)]}),
            json!({"jobs": {"jobs": [job(1), job(2)], "next_page_token": "x"}}),
            json!({"jobs": [{"jobs": [job(1)]}, {"jobs": [job(2)]}, {}]}),
            json!([{"jobs": [job(1)], "next_page_token": "x"}, {"jobs": [job(2)]}]),
        ] {
            let inventory = Inventory::from_json(document).unwrap();
            assert_eq!(inventory.items("jobs").count(), 2);
            let settings = inventory.items("jobs").next().unwrap()["settings"].clone();
            assert_eq!(settings["unknown"], 1);
        }
    }

    #[test]
    fn a_malformed_inventory_names_the_place() {
        let cases = [
            (json!(3), "$"),
            (json!({"jobs": 3}), "jobs"),
            (
                json!({"jobs": [{"job_id": 1, "settings": {}}, {"job_id": "x"}]}),
                "jobs[1].job_id",
            ),
            (json!({"jobs": [{"job_id": 1}]}), "jobs[0].settings"),
            (
                json!({"clusters": [{"cluster_id": "a"}, {"cluster_id": "a"}]}),
                "clusters[1].cluster_id",
            ),
            (json!({"permissions": {"jobs": []}}), "permissions.jobs"),
        ];
        for (document, place) in cases {
            let error = Inventory::from_json(document).unwrap_err().to_string();
            assert!(error.contains(&format!("at {place}:")), "{error}");
        }
    }

    #[test]
    fn a_malformed_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("estate.json");
        for content in ["{", r#"{"jobs": [1]}"#] {
            std::fs::write(&file, content).unwrap();
            assert!(
                Inventory::load(&file)
                    .unwrap_err()
                    .to_string()
                    .contains("estate.json")
            );
        }
    }
}
