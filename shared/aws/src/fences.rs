//! Bucket policies and role policies: what a fence holds outside of the workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_config::{Region as SdkRegion, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use recovery::failure::FailureName;
use recovery::site::{Region, RoleArn};

use crate::Failure;
use crate::failure::aws_failure;

/// The port to bucket policies. S3 has no compare-and-swap for them.
#[async_trait]
pub trait BucketPolicies: Send + Sync {
    /// The policy as S3 gives it; `None` if the bucket has none, or is gone itself.
    async fn get(&self, region: &Region, bucket: &str) -> Result<Option<String>, Failure>;
    /// Replaces the policy.
    async fn put(&self, region: &Region, bucket: &str, policy: &str) -> Result<(), Failure>;
    /// Removes the policy.
    async fn delete(&self, region: &Region, bucket: &str) -> Result<(), Failure>;
}

/// Whether a role carried the deny policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detached {
    /// It did until now.
    Now,
    /// It did not, or there is no such role.
    Before,
}

/// The port to the roles of the hard fence: one policy, attached or not.
#[async_trait]
pub trait Roles: Send + Sync {
    /// Attaches the deny policy. Attaching it again changes nothing.
    async fn attach(&self, role: &RoleArn) -> Result<(), Failure>;
    /// Detaches it.
    async fn detach(&self, role: &RoleArn) -> Result<Detached, Failure>;
}

/// What a fence uses in AWS.
#[derive(Clone)]
pub struct Fences {
    /// Bucket policies.
    pub policies: Arc<dyn BucketPolicies>,
    /// Roles.
    pub roles: Arc<dyn Roles>,
}

impl Fences {
    /// The adapters to S3 and IAM. `deny_policy`: the ARN of the template's managed policy.
    #[must_use]
    pub fn new(config: &SdkConfig, deny_policy: Option<String>) -> Self {
        Self {
            policies: Arc::new(S3Policies {
                config: config.clone(),
            }),
            roles: Arc::new(IamRoles {
                client: aws_sdk_iam::Client::new(config),
                deny_policy,
            }),
        }
    }

    /// In-memory twins.
    #[must_use]
    pub fn in_memory() -> (Self, MemoryPolicies, MemoryRoles) {
        let (policies, roles) = (MemoryPolicies::default(), MemoryRoles::default());
        let fences = Self {
            policies: Arc::new(policies.clone()),
            roles: Arc::new(roles.clone()),
        };
        (fences, policies, roles)
    }
}

struct S3Policies {
    config: SdkConfig,
}

impl S3Policies {
    fn client(&self, region: &Region) -> Client {
        let config = aws_sdk_s3::config::Builder::from(&self.config)
            .region(SdkRegion::new(region.as_str().to_owned()))
            .build();
        Client::from_conf(config)
    }
}

#[async_trait]
impl BucketPolicies for S3Policies {
    async fn get(&self, region: &Region, bucket: &str) -> Result<Option<String>, Failure> {
        let request = self.client(region).get_bucket_policy().bucket(bucket);
        match request.send().await {
            Ok(answer) => Ok(answer.policy().map(str::to_owned)),
            Err(error) if matches!(error.code(), Some("NoSuchBucketPolicy" | "NoSuchBucket")) => {
                Ok(None)
            }
            Err(error) => Err(aws_failure!(format!(
                "reading the policy of bucket {bucket}"
            ))(error)),
        }
    }

    async fn put(&self, region: &Region, bucket: &str, policy: &str) -> Result<(), Failure> {
        let request = self.client(region).put_bucket_policy();
        let answer = request.bucket(bucket).policy(policy).send().await;
        answer.map(|_| ()).map_err(aws_failure!(format!(
            "writing the policy of bucket {bucket}"
        )))
    }

    async fn delete(&self, region: &Region, bucket: &str) -> Result<(), Failure> {
        let request = self.client(region).delete_bucket_policy().bucket(bucket);
        request
            .send()
            .await
            .map(|_| ())
            .map_err(aws_failure!(format!(
                "removing the policy of bucket {bucket}"
            )))
    }
}

struct IamRoles {
    client: aws_sdk_iam::Client,
    deny_policy: Option<String>,
}

impl IamRoles {
    fn policy(&self) -> Result<&str, Failure> {
        self.deny_policy.as_deref().ok_or_else(|| {
            Failure::new(
                FailureName::InvalidPlan,
                "the plan has a hard fence and the stack has none; give the roles in its parameter HardFenceRoleArns",
            )
        })
    }
}

#[async_trait]
impl Roles for IamRoles {
    async fn attach(&self, role: &RoleArn) -> Result<(), Failure> {
        let request = self.client.attach_role_policy().role_name(role.name());
        let answer = request.policy_arn(self.policy()?).send().await;
        answer
            .map(|_| ())
            .map_err(aws_failure!(format!("attaching the deny policy to {role}")))
    }

    async fn detach(&self, role: &RoleArn) -> Result<Detached, Failure> {
        let request = self.client.detach_role_policy().role_name(role.name());
        match request.policy_arn(self.policy()?).send().await {
            Ok(_) => Ok(Detached::Now),
            Err(error) if error.code() == Some("NoSuchEntity") => Ok(Detached::Before),
            Err(error) => Err(aws_failure!(format!(
                "detaching the deny policy from {role}"
            ))(error)),
        }
    }
}

/// What goes wrong at a call of a twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing happens, and the call fails by this name.
    Fails(FailureName),
    /// It happens, and the answer is lost.
    AnswerLost,
    /// A reading gives what was there before the last write. Writes are not touched.
    Stale,
    /// The call never ends, and happens.
    HangsAfter,
}

/// The in-memory twin of [`BucketPolicies`]: what each bucket holds, and faults by the number of the call.
#[derive(Clone, Default)]
pub struct MemoryPolicies {
    inner: Arc<Mutex<Policies>>,
}

#[derive(Default)]
struct Policies {
    now: BTreeMap<String, String>,
    before: BTreeMap<String, Option<String>>,
    calls: usize,
    faults: BTreeMap<usize, Fault>,
    refused: BTreeSet<String>,
    regions: BTreeSet<Region>,
}

impl MemoryPolicies {
    fn with<R>(&self, act: impl FnOnce(&mut Policies) -> R) -> R {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a bucket holds.
    #[must_use]
    pub fn policy(&self, bucket: &str) -> Option<String> {
        self.with(|p| p.now.get(bucket).cloned())
    }

    /// What somebody else writes.
    pub fn set(&self, bucket: &str, policy: Option<&str>) {
        self.with(|p| match policy {
            Some(policy) => p.now.insert(bucket.to_owned(), policy.to_owned()),
            None => p.now.remove(bucket),
        });
    }

    /// The fault of a call that is still to come: 0 is the next.
    pub fn fault(&self, call: usize, fault: Fault) {
        self.with(|p| p.faults.insert(p.calls + call, fault));
    }

    /// From now on S3 refuses every write to this bucket's policy.
    pub fn refuse_writes(&self, bucket: &str) {
        self.with(|p| p.refused.insert(bucket.to_owned()));
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.with(|p| p.calls)
    }

    /// The regions that were called.
    #[must_use]
    pub fn regions(&self) -> BTreeSet<Region> {
        self.with(|p| p.regions.clone())
    }

    fn call(&self, region: &Region) -> Option<Fault> {
        self.with(|p| {
            p.regions.insert(region.clone());
            p.calls += 1;
            p.faults.remove(&(p.calls - 1))
        })
    }

    async fn write(
        &self,
        region: &Region,
        bucket: &str,
        policy: Option<&str>,
    ) -> Result<(), Failure> {
        let fault = self.call(region);
        if let Some(Fault::Fails(name)) = fault {
            return Err(Failure::new(name, "as the test wishes"));
        }
        if self.with(|p| p.refused.contains(bucket)) {
            return Err(Failure::new(
                FailureName::AccessDenied,
                format!("writing the policy of bucket {bucket} failed (AccessDenied)"),
            ));
        }
        let before = self.policy(bucket);
        self.set(bucket, policy);
        self.with(|p| p.before.insert(bucket.to_owned(), before));
        match fault {
            Some(Fault::AnswerLost) => Err(Failure::new(FailureName::Transient, "no answer")),
            Some(Fault::HangsAfter) => std::future::pending().await,
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl BucketPolicies for MemoryPolicies {
    async fn get(&self, region: &Region, bucket: &str) -> Result<Option<String>, Failure> {
        match self.call(region) {
            Some(Fault::Fails(name)) => Err(Failure::new(name, "as the test wishes")),
            Some(Fault::AnswerLost) => Err(Failure::new(FailureName::Transient, "no answer")),
            Some(Fault::HangsAfter) => std::future::pending().await,
            Some(Fault::Stale) => Ok(self
                .with(|p| p.before.get(bucket).cloned())
                .unwrap_or_else(|| self.policy(bucket))),
            None => Ok(self.policy(bucket)),
        }
    }

    async fn put(&self, region: &Region, bucket: &str, policy: &str) -> Result<(), Failure> {
        self.write(region, bucket, Some(policy)).await
    }

    async fn delete(&self, region: &Region, bucket: &str) -> Result<(), Failure> {
        self.write(region, bucket, None).await
    }
}

/// The in-memory twin of [`Roles`].
#[derive(Clone, Default)]
pub struct MemoryRoles {
    inner: Arc<Mutex<Attached>>,
}

#[derive(Default)]
struct Attached {
    roles: BTreeSet<RoleArn>,
    calls: usize,
    dark: bool,
}

impl MemoryRoles {
    fn with<R>(&self, act: impl FnOnce(&mut Attached) -> R) -> R {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The roles that carry the policy.
    #[must_use]
    pub fn attached(&self) -> BTreeSet<RoleArn> {
        self.with(|a| a.roles.clone())
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.with(|a| a.calls)
    }

    /// Whether IAM hangs.
    pub fn darken(&self, dark: bool) {
        self.with(|a| a.dark = dark);
    }

    async fn call(&self) {
        self.with(|a| a.calls += 1);
        if self.with(|a| a.dark) {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Roles for MemoryRoles {
    async fn attach(&self, role: &RoleArn) -> Result<(), Failure> {
        self.call().await;
        self.with(|a| a.roles.insert(role.clone()));
        Ok(())
    }

    async fn detach(&self, role: &RoleArn) -> Result<Detached, Failure> {
        self.call().await;
        Ok(if self.with(|a| a.roles.remove(role)) {
            Detached::Now
        } else {
            Detached::Before
        })
    }
}
