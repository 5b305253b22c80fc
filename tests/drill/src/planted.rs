//! A standby that differs on purpose: one difference of each kind, and what readiness must say of it.

mod edits;

use std::collections::BTreeSet;

use recovery::kind::Kind;
use recovery::readiness::{Finding, ReadinessStatus};
use serde_json::{Map, Value, json};
use workspace_sim::Inventory;

use crate::DrillError;
use edits::{EDITS, Edit, settings};

type Object = Map<String, Value>;

/// One difference that was planted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Planted {
    /// The kind of the object, as documents name it.
    pub kind: String,
    /// The object.
    pub name: String,
    /// What must be said of it.
    pub status: ReadinessStatus,
    /// The concern's name, or the path of the field that differs.
    pub mark: String,
}

impl Planted {
    /// A finding in the same words.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        let concern = finding.concerns.first().and_then(|concern| {
            let concern = serde_json::to_value(concern).ok()?;
            Some(concern.get("concern")?.as_str()?.to_owned())
        });
        let paths: Vec<&str> = finding
            .differences
            .iter()
            .map(|d| d.path.as_str())
            .collect();
        Self {
            kind: finding.subject.kind.clone(),
            name: finding.subject.name.clone(),
            status: finding.status,
            mark: concern.unwrap_or_else(|| paths.join(" ")),
        }
    }
}

/// Two sites, and every difference between them.
pub struct Differing {
    /// The active site.
    pub primary: Inventory,
    /// The standby.
    pub standby: Inventory,
    /// What was planted.
    pub planted: Vec<Planted>,
}

/// Both sites from one estate: a few more objects at both, so that each kind of difference has one of its own, and then the
/// differences at the standby. `standby` makes a standby of an estate.
///
/// # Errors
/// If the result is no inventory, or the estate has no object for one of the differences.
pub fn plant(
    estate: &Inventory,
    standby: impl FnOnce(&Inventory) -> Result<Inventory, DrillError>,
) -> Result<Differing, DrillError> {
    let primary = Inventory::from_json(with_more(estate.to_json()))?;
    let mut theirs = standby(&primary)?.to_json();
    let offered = [
        (
            "spark_versions",
            named(&theirs, &["spark_version", "preloaded_spark_versions"]),
        ),
        (
            "node_types",
            named(&theirs, &["node_type_id", "driver_node_type_id"]),
        ),
    ];
    let mut planter = Planter {
        standby: &mut theirs,
        taken: BTreeSet::new(),
        planted: Vec::new(),
    };
    planter.everything()?;
    let planted = planter.planted;
    if let Some(document) = theirs.as_object_mut() {
        for (list, names) in offered {
            document.insert(list.to_owned(), names.into_iter().collect());
        }
    }
    Ok(Differing {
        primary,
        standby: Inventory::from_json(theirs)?,
        planted,
    })
}

/// What these fields say anywhere.
fn named(value: &Value, fields: &[&str]) -> BTreeSet<String> {
    fn walk(field: &str, value: &Value, fields: &[&str], found: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => object.iter().for_each(|(k, v)| walk(k, v, fields, found)),
            Value::Array(list) => list.iter().for_each(|v| walk(field, v, fields, found)),
            Value::String(text) if fields.contains(&field) => {
                found.insert(text.clone());
            }
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk("", value, fields, &mut found);
    found
}

/// The estate with copies of its first cluster, warehouse and alert, a pool, and two cluster policies.
fn with_more(mut estate: Value) -> Value {
    let copies = [
        ("clusters", "cluster_id", "cluster_name", 4),
        ("warehouses", "id", "name", 2),
        ("alerts", "id", "display_name", 2),
    ];
    for (list, id, name, count) in copies {
        let Some(items) = estate.get_mut(list).and_then(Value::as_array_mut) else {
            continue;
        };
        let Some(first) = items.first().cloned() else {
            continue;
        };
        for number in 1..=count {
            let mut copy = first.clone();
            if let Some(copy) = copy.as_object_mut() {
                copy.insert(
                    id.to_owned(),
                    format!("0000-00000{number}-planted{number}").into(),
                );
                copy.insert(name.to_owned(), format!("Planted {list} {number}").into());
                // Nothing that runs: a copy must not be billed in the report either.
                if list != "alerts" {
                    let quiet = if list == "clusters" {
                        "TERMINATED"
                    } else {
                        "STOPPED"
                    };
                    copy.insert("state".to_owned(), quiet.into());
                }
                if list == "clusters" {
                    copy.insert("policy_id".to_owned(), "000PLANTED000001".into());
                }
            }
            items.push(copy);
        }
    }
    if let Some(document) = estate.as_object_mut() {
        let policy = |number: u8| json!({"policy_id": format!("000PLANTED00000{number}"), "name": format!("planted {number}"), "definition": "{}"});
        document.insert("cluster_policies".to_owned(), json!([policy(1), policy(2)]));
        let pools = document
            .entry("instance_pools")
            .or_insert_with(|| json!([]));
        if let Some(pools) = pools.as_array_mut() {
            pools.push(json!({
                "instance_pool_id": "0000-000001-planted1-pool-00000001", "instance_pool_name": "Planted pool",
                "node_type_id": "i3.xlarge", "min_idle_instances": 0, "max_capacity": 10, "state": "ACTIVE",
            }));
        }
    }
    estate
}

struct Planter<'a> {
    standby: &'a mut Value,
    /// List and place of what bears a difference already.
    taken: BTreeSet<(String, usize)>,
    planted: Vec<Planted>,
}

impl Planter<'_> {
    fn everything(&mut self) -> Result<(), DrillError> {
        for (list, status, concern, edit) in EDITS {
            self.edit(list, status, concern, edit)?;
        }
        self.permission()?;
        let (extra, name) = self.copy_of_a_job("Planted extra job", 4_321)?;
        self.push("jobs", extra);
        self.note("job", &name, ReadinessStatus::Extra, "");
        let (twice, name) = self.copy_of_a_job("", 4_322)?;
        self.push("jobs", twice);
        self.note("job", &name, ReadinessStatus::Ambiguous, "not_unique");
        let index = self.free("jobs", |_| true)?;
        let gone = self.list("jobs")?.remove(index);
        let name = label("jobs", gone.as_object().unwrap_or(&Object::new()));
        self.note("job", &name, ReadinessStatus::Missing, "");
        self.push(
            "serving_endpoints",
            json!({"name": "planted-endpoint", "id": "0000planted", "creator": "someone@example.com"}),
        );
        let kind = "serving_endpoint";
        self.note(
            kind,
            "planted-endpoint",
            ReadinessStatus::Unsupported,
            "not_compared",
        );
        Ok(())
    }

    fn list(&mut self, list: &str) -> Result<&mut Vec<Value>, DrillError> {
        self.standby
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .ok_or_else(|| DrillError::Aws(format!("the estate has no {list}")))
    }

    fn push(&mut self, list: &str, item: Value) {
        if let Some(document) = self.standby.as_object_mut() {
            let items = document.entry(list).or_insert_with(|| json!([]));
            if let Some(items) = items.as_array_mut() {
                items.push(item);
            }
        }
    }

    fn note(&mut self, kind: &str, name: &str, status: ReadinessStatus, mark: &str) {
        self.planted.push(Planted {
            kind: kind.to_owned(),
            name: name.to_owned(),
            status,
            mark: mark.to_owned(),
        });
    }

    /// The first object of a list that bears no difference yet and is not left alone on purpose.
    fn free(
        &mut self,
        list: &str,
        mut fits: impl FnMut(&mut Object) -> bool,
    ) -> Result<usize, DrillError> {
        let taken = self.taken.clone();
        let items = self.list(list)?;
        let found = items.iter_mut().enumerate().find_map(|(index, item)| {
            let special = item.to_string().contains("\"dr-");
            let item = item.as_object_mut()?;
            let free = !special && !taken.contains(&(list.to_owned(), index));
            (free && fits(item)).then_some(index)
        });
        let index = found.ok_or_else(|| {
            DrillError::Aws(format!(
                "no free one of the estate's {list} can bear the next difference"
            ))
        })?;
        self.taken.insert((list.to_owned(), index));
        Ok(index)
    }

    fn edit(
        &mut self,
        list: &str,
        status: ReadinessStatus,
        concern: Option<&str>,
        edit: Edit,
    ) -> Result<(), DrillError> {
        let mut path = String::new();
        let mut name = String::new();
        self.free(list, |item| {
            // An edit that comes to nothing must leave the object as it was.
            let mut edited = item.clone();
            let Some(found) = edit(&mut edited).filter(|_| edited != *item) else {
                return false;
            };
            path = found;
            name = label(list, &edited);
            *item = edited;
            true
        })?;
        let kind = kind_of(list).as_str();
        self.note(kind, &name, status, concern.unwrap_or(&path));
        Ok(())
    }

    /// A group may manage a warehouse at the standby only.
    fn permission(&mut self) -> Result<(), DrillError> {
        let mut found = (String::new(), String::new(), String::new());
        self.free("warehouses", |warehouse| {
            let text = |name: &str| {
                warehouse
                    .get(name)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            found = (
                text("id").to_owned(),
                label("warehouses", warehouse),
                text("creator_name").to_owned(),
            );
            true
        })?;
        let (id, name, owner) = found;
        let granted = |who: Value, level: &str| {
            let mut entry = who.as_object().cloned().unwrap_or_default();
            entry.insert(
                "all_permissions".to_owned(),
                json!([{"permission_level": level, "inherited": false}]),
            );
            Value::Object(entry)
        };
        let types = self
            .standby
            .get_mut("permissions")
            .and_then(Value::as_object_mut)
            .and_then(|types| {
                let warehouses = types.entry("sql/warehouses").or_insert_with(|| json!({}));
                warehouses.as_object_mut()
            });
        // What the simulator says of an object whose permissions nobody has set.
        let unset = json!({
            "object_id": format!("/sql/warehouses/{id}"), "object_type": "warehouses",
            "access_control_list": [granted(json!({"user_name": owner}), "IS_OWNER")],
        });
        if let Some(list) = types
            .map(|warehouses| warehouses.entry(id).or_insert(unset))
            .and_then(|answer| answer.get_mut("access_control_list"))
            .and_then(Value::as_array_mut)
        {
            list.push(granted(json!({"group_name": "interns"}), "CAN_MANAGE"));
        }
        self.note(
            "warehouse",
            &name,
            ReadinessStatus::Drifted,
            "permissions[interns]",
        );
        Ok(())
    }

    /// A quiet copy of a job under another id, and under another name if one is given.
    fn copy_of_a_job(&mut self, name: &str, id: i64) -> Result<(Value, String), DrillError> {
        let index = self.free("jobs", |_| true)?;
        // The original of an extra job bears no difference, so another may have it.
        if !name.is_empty() {
            self.taken.remove(&("jobs".to_owned(), index));
        }
        let mut copy = self.list("jobs")?.get(index).cloned().unwrap_or_default();
        if let Some(job) = copy.as_object_mut() {
            job.insert("job_id".to_owned(), id.into());
            if let Some(settings) = settings(job).filter(|_| !name.is_empty()) {
                settings.insert("name".to_owned(), name.into());
            }
        }
        let name = label("jobs", copy.as_object().unwrap_or(&Object::new()));
        Ok((copy, name))
    }
}

fn kind_of(list: &str) -> Kind {
    match list {
        "clusters" => Kind::Cluster,
        "instance_pools" => Kind::InstancePool,
        "warehouses" => Kind::Warehouse,
        "pipelines" => Kind::Pipeline,
        "alerts" => Kind::Alert,
        "dashboards" => Kind::DashboardSchedule,
        _ => Kind::Job,
    }
}

/// What readiness calls an object; of a dashboard, its first schedule.
fn label(list: &str, item: &Object) -> String {
    if list != "dashboards" {
        return kind_of(list).name_of(item).unwrap_or_default();
    }
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let schedule = item.get("schedules").and_then(|s| s.get(0));
    let own = text(schedule.and_then(|s| s.get("display_name")));
    format!("{}/{own}", text(item.get("display_name")))
}
