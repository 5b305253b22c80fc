//! Instance Pools API 2.0 (databricks-sdk-py 0.156.0, `service/compute.py`).

use serde_json::Value;

use crate::Object;
use crate::clusters::text;
use crate::error::Error;
use crate::ids::PoolId;
use crate::limits::Class;
use crate::repeat::Repeat;
use crate::request::{Method, Missing, Operation, Request};
use crate::workspace::{Workspace, Writer};

const GET: Operation = Operation::read("get pool", Class::PoolsRead);
const EDIT: Operation = Operation {
    name: "edit pool",
    method: Method::Post,
    class: Class::PoolsWrite,
    repeat: Repeat::Idempotent,
    missing: Missing::Status,
};

/// The fields that `POST /api/2.0/instance-pools/edit` takes. What an edit leaves out is cleared, what it names
/// beyond these is refused or ignored (databricks-sdk-py 0.156.0, `instance_pools.edit`; databricks/cli testserver).
pub const EDITABLE_POOL_FIELDS: [&str; 9] = [
    "custom_tags",
    "idle_instance_autotermination_minutes",
    "instance_pool_id",
    "instance_pool_name",
    "max_capacity",
    "min_idle_instances",
    "node_type_id",
    "remote_disk_throughput",
    "total_initial_remote_disk_size",
];

impl Workspace {
    /// One instance pool.
    ///
    /// Errors: [`Error::NotFound`], and those of any call.
    pub async fn get_pool(&self, pool: &PoolId) -> Result<Object, Error> {
        let request = Request::new(&GET, "/api/2.0/instance-pools/get")
            .query("instance_pool_id", pool.as_str())
            .on(format!("pool {pool}"));
        self.object(request).await
    }
}

impl Writer {
    /// Changes a pool. Give the complete pool as read with the fields to change changed: an edit clears what it
    /// leaves out. Fields that cannot be edited are left out here ([`EDITABLE_POOL_FIELDS`]).
    ///
    /// Errors: [`Error::InvalidInput`] if `instance_pool_id`, `instance_pool_name` or `node_type_id` is missing;
    /// [`Error::NotFound`], and those of any call.
    pub async fn edit_pool(&self, pool: Object) -> Result<(), Error> {
        for field in ["instance_pool_id", "instance_pool_name", "node_type_id"] {
            if text(&pool, field).is_empty() {
                return Err(Error::InvalidInput {
                    what: "pool",
                    reason: format!("{field} is missing; give the complete pool as read"),
                });
            }
        }
        let on = format!("pool {}", text(&pool, "instance_pool_id"));
        let request = Request::new(&EDIT, "/api/2.0/instance-pools/edit")
            .body(Value::Object(editable(pool)))
            .on(on);
        self.workspace().done(request).await
    }
}

/// The part of a pool that an edit takes. Nulls are left out: the SDKs never send any.
fn editable(pool: Object) -> Object {
    pool.into_iter()
        .filter(|(name, value)| EDITABLE_POOL_FIELDS.contains(&name.as_str()) && !value.is_null())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn read_only_fields_are_dropped() {
        let Value::Object(pool) = json!({
            "instance_pool_id": "p", "instance_pool_name": "n", "node_type_id": "t", "custom_tags": {"a": "b"},
            "remote_disk_throughput": 5, "max_capacity": null, "state": "ACTIVE", "stats": {"idle_count": 1},
            "aws_attributes": {"zone_id": "x"}, "default_tags": {}
        }) else {
            panic!()
        };
        let sent: Vec<String> = editable(pool).into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            sent,
            [
                "custom_tags",
                "instance_pool_id",
                "instance_pool_name",
                "node_type_id",
                "remote_disk_throughput"
            ]
        );
    }
}
