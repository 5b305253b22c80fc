//! What the deployed template gives a function.

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use recovery::failure::FailureName;
use recovery::site::{PlanName, Region};
use std::time::Duration;

use crate::Failure;
use crate::metrics::Detail;

/// No AWS call of a function waits longer than this for one attempt; a region that is down must not stop a run.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
/// Nor longer than this with its retries.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(12);
/// Connecting takes milliseconds or is hopeless.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The environment variables of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// `PLAN_NAME`.
    pub plan_name: PlanName,
    /// `STATE_BUCKET`.
    pub state_bucket: String,
    /// `AWS_REGION`: where the function runs, the control region or an observer's.
    pub region: Region,
    /// `CONTROL_REGION`: where plan, state and parameters lie; only an observer has it, for all others it is where they run.
    pub control_region: Region,
    /// `NOTICES_TOPIC_ARN`: incident managers.
    pub notices_topic: String,
    /// `ESCALATION_TOPIC_ARN`: whom to wake when they do not answer.
    pub escalation_topic: String,
    /// `USERS_TOPIC_ARN`: the users of the workspace.
    pub users_topic: String,
    /// `STATE_MACHINE_ARN`: only the probe of the control region has it.
    pub state_machine: Option<String>,
    /// `APPROVAL_PAGE_URL`: only those who ask have it, and only if there is a page.
    pub page_url: Option<String>,
    /// `HARD_FENCE_POLICY_ARN`: only shutdown-site has it, and only if the stack has a hard fence.
    pub hard_fence_policy: Option<String>,
    /// `METRICS_DETAIL`: `alarms`, or `all`, which is the default.
    pub metrics_detail: Detail,
}

impl Environment {
    /// Reads the variables through `variable`, so that a test needs no process environment.
    ///
    /// # Errors
    /// `Internal` with the name of the variable that is missing or means nothing.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let required = |name: &str| {
            variable(name)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| {
                    Failure::new(
                        FailureName::Internal,
                        format!("the environment variable {name} is not set; the template sets it"),
                    )
                })
        };
        Ok(Self {
            plan_name: PlanName::new(required("PLAN_NAME")?),
            state_bucket: required("STATE_BUCKET")?,
            control_region: Region::new(
                required("CONTROL_REGION").or_else(|_| required("AWS_REGION"))?,
            ),
            region: Region::new(required("AWS_REGION")?),
            notices_topic: required("NOTICES_TOPIC_ARN")?,
            escalation_topic: required("ESCALATION_TOPIC_ARN")?,
            users_topic: required("USERS_TOPIC_ARN")?,
            state_machine: variable("STATE_MACHINE_ARN").filter(|arn| !arn.is_empty()),
            page_url: variable("APPROVAL_PAGE_URL").filter(|url| !url.is_empty()),
            metrics_detail: match variable("METRICS_DETAIL").as_deref() {
                Some("alarms") => Detail::Alarms,
                Some("all") | None => Detail::All,
                Some(other) => {
                    return Err(Failure::new(
                        FailureName::Internal,
                        format!(
                            "the environment variable METRICS_DETAIL is {other:?}; it is all or alarms"
                        ),
                    ));
                }
            },
            hard_fence_policy: variable("HARD_FENCE_POLICY_ARN").filter(|arn| !arn.is_empty()),
        })
    }
}

/// The SDK's configuration with short, bounded waits.
pub async fn sdk_config() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(OPERATION_TIMEOUT)
                .build(),
        )
        .load()
        .await
}
