//! A deployed stack as it was read back through the AWS API.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the cloud has after a deployment: nothing of it is copied from the template.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Deployment {
    /// Name of the stack.
    pub stack: String,
    /// Region of the stack.
    pub region: String,
    /// The Lambda functions.
    pub functions: Vec<Function>,
    /// Schedules of EventBridge Scheduler, and scheduled rules.
    pub schedules: Vec<Schedule>,
    /// Event rules.
    pub rules: Vec<EventRule>,
    /// State machines, with the definition as deployed.
    pub state_machines: Vec<StateMachine>,
    /// SNS topics: logical id to ARN.
    pub topics: BTreeMap<String, String>,
    /// S3 buckets.
    pub buckets: Vec<Bucket>,
    /// SQS queues.
    pub queues: Vec<Queue>,
    /// SSM parameters of the stack's region.
    pub ssm_parameters: Vec<SsmParameter>,
    /// CloudWatch alarms as the API describes them.
    pub alarms: Vec<Value>,
    /// Outputs of the stack.
    pub outputs: BTreeMap<String, String>,
    /// Every resource that was created.
    pub resources: Vec<Resource>,
    /// Resources of the template that the local cloud does not have.
    pub unsupported: Vec<Unsupported>,
}

impl Deployment {
    /// A function by its logical id.
    #[must_use]
    pub fn function(&self, logical_id: &str) -> Option<&Function> {
        self.functions
            .iter()
            .find(|function| function.logical_id == logical_id)
    }
}

/// A deployed Lambda function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Logical id in the template.
    pub logical_id: String,
    /// Physical name.
    pub name: String,
    /// ARN.
    pub arn: String,
    /// The package whose binary it runs: the last folder of its code's path.
    pub package: String,
    /// Handler.
    pub handler: String,
    /// Runtime.
    pub runtime: String,
    /// Architectures.
    pub architectures: Vec<String>,
    /// Timeout in seconds.
    pub timeout_seconds: u64,
    /// Memory in MB.
    pub memory_mb: u64,
    /// ARN of its role.
    pub role: String,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// ARN of its dead-letter target.
    pub dead_letter: Option<String>,
    /// Reserved concurrency.
    pub reserved_concurrency: Option<u64>,
    /// `NONE` or `AWS_IAM` when it has a function URL.
    pub url_auth: Option<String>,
    /// Where its function URL answers here.
    #[serde(default)]
    pub url: Option<String>,
}

/// A deployed schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Name.
    pub name: String,
    /// ARN.
    pub arn: String,
    /// `rate(..)` or `cron(..)`.
    pub expression: String,
    /// Time zone of a cron expression.
    pub timezone: String,
    /// Whether it fires.
    pub enabled: bool,
    /// ARN of what it starts.
    pub target_arn: String,
    /// Input as text.
    pub input: Option<String>,
    /// Role it uses.
    pub role: Option<String>,
    /// Retries of its retry policy.
    pub retry_attempts: Option<u64>,
    /// Its dead-letter queue.
    pub dead_letter: Option<String>,
}

/// A deployed event rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRule {
    /// Name.
    pub name: String,
    /// ARN.
    pub arn: String,
    /// Whether it fires.
    pub enabled: bool,
    /// Schedule expression, if it is a scheduled rule.
    pub expression: Option<String>,
    /// Event pattern.
    pub pattern: Option<Value>,
    /// Targets as the API describes them.
    pub targets: Vec<Value>,
}

/// A deployed state machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateMachine {
    /// Logical id in the template.
    pub logical_id: String,
    /// Name.
    pub name: String,
    /// ARN.
    pub arn: String,
    /// ARN of its role.
    pub role: String,
    /// The definition, substitutions made.
    pub definition: Value,
}

/// A deployed bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Logical id in the template.
    pub logical_id: String,
    /// Name.
    pub name: String,
    /// Region.
    pub region: String,
    /// Whether it keeps versions.
    pub versioned: bool,
    /// Its policy.
    pub policy: Option<Value>,
}

/// A deployed queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Logical id in the template.
    pub logical_id: String,
    /// Address.
    pub url: String,
    /// ARN.
    pub arn: String,
}

/// An SSM parameter, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SsmParameter {
    /// Name.
    pub name: String,
    /// `String`, `StringList` or `SecureString`.
    pub kind: String,
}

/// A resource of the stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Logical id.
    pub logical_id: String,
    /// CloudFormation type.
    pub kind: String,
    /// Physical id.
    pub physical_id: String,
}

/// A resource that the template has and the local cloud has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsupported {
    /// Logical id.
    pub logical_id: String,
    /// CloudFormation type.
    pub kind: String,
    /// Why.
    pub reason: String,
}
