//! The one statement that the replication fence puts into a bucket policy.

use serde_json::{Value, json};

use crate::site::{PlanName, RoleArn};

/// Our statement in the policy of one bucket.
///
/// It names the roles by the condition key `aws:PrincipalArn` and not as principals: S3 refuses a policy whose principal
/// does not exist, and turns the ARN of a role into an internal id, so that a read-back would differ. For a session of a
/// role the key holds the role's ARN. Source: IAM User Guide, "AWS global condition context keys".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    sid: String,
    bucket: String,
    roles: Vec<RoleArn>,
}

/// What all our statements are called; the plan's name follows.
const SID: &str = "DatabricksDrReplicationFence";
/// Follows the plan's name if the policy held a single statement that was no list. Plan names have no capitals.
const ALONE: char = 'S';

impl Denial {
    /// The statement of this plan for a bucket.
    #[must_use]
    pub fn new(plan: &PlanName, bucket: &str, roles: &[RoleArn]) -> Self {
        let mut roles = roles.to_vec();
        roles.sort();
        roles.dedup();
        Self {
            sid: sid(plan),
            bucket: bucket.to_owned(),
            roles,
        }
    }

    pub(super) fn statement(&self, alone: bool) -> Value {
        let partition = self.roles.first().map_or("aws", RoleArn::partition);
        json!({
            "Sid": if alone { format!("{}{ALONE}", self.sid) } else { self.sid.clone() },
            "Effect": "Deny",
            "Principal": "*",
            // What replication writes with, and what a copy by the same role would: reading stays, for the way home.
            "Action": ["s3:Replicate*", "s3:ObjectOwnerOverrideToBucketOwner", "s3:PutObject*", "s3:DeleteObject*"],
            "Resource": format!("arn:{partition}:s3:::{}/*", self.bucket),
            "Condition": {"ArnLike": {"aws:PrincipalArn": self.patterns()}},
        })
    }

    /// Each role by name in any path: names are unique in an account, and a plan that gives the path wrong must not leave
    /// the bucket unfenced.
    fn patterns(&self) -> Vec<String> {
        let of = |role: &RoleArn| {
            let (partition, account, name) = (role.partition(), role.account(), role.name());
            [
                format!("arn:{partition}:iam::{account}:role/{name}"),
                format!("arn:{partition}:iam::{account}:role/*/{name}"),
            ]
        };
        self.roles.iter().flat_map(of).collect()
    }

    /// Whether a statement of a policy is ours, in whatever state. With the form of the policy that it was put into.
    pub(super) fn owns(&self, statement: &Value) -> bool {
        owned_as(&self.sid, statement).is_some()
    }

    /// Whether a statement of a policy denies what ours does. S3 may give a list of one as its member, and lists in
    /// another order.
    pub(super) fn is_in_force(&self, statement: &Value) -> bool {
        owned_as(&self.sid, statement)
            .is_some_and(|alone| canonical(statement) == canonical(&self.statement(alone)))
    }
}

/// What our statements of a plan are called.
pub(super) fn sid(plan: &PlanName) -> String {
    // A Sid takes letters and digits only.
    format!("{SID}{}", plan.as_str().replace('-', "D"))
}

/// Whether a statement has our name; if so, whether it joined a statement that was alone.
pub(super) fn owned_as(sid: &str, statement: &Value) -> Option<bool> {
    let rest = statement.get("Sid")?.as_str()?.strip_prefix(sid)?;
    match rest {
        "" => Some(false),
        "S" => Some(true),
        _ => None,
    }
}

/// The same statement in one form: lists sorted, a list of one as its member, `{"AWS": "*"}` as `"*"`.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(canonical).collect();
            items.sort_by_key(Value::to_string);
            items.dedup();
            match items.pop() {
                Some(only) if items.is_empty() => only,
                Some(last) => {
                    items.push(last);
                    Value::Array(items)
                }
                None => Value::Array(items),
            }
        }
        Value::Object(fields) => {
            let fields: serde_json::Map<String, Value> = fields
                .iter()
                .map(|(k, v)| (k.clone(), canonical(v)))
                .collect();
            match fields.get("AWS") {
                Some(all) if fields.len() == 1 && all == "*" => all.clone(),
                _ => Value::Object(fields),
            }
        }
        other => other.clone(),
    }
}
