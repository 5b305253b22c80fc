//! The hard fence: roles of the old site carry the template's deny policy. Applied, never verified, never waited for: IAM's
//! control plane is in one region, which may be the one that failed.

use std::time::Duration;

use aws::Failure;
use futures::future::join_all;
use jiff::SignedDuration;
use recovery::aws_fence::HeldRole;
use recovery::ledger::EntryStatus;
use recovery::site::RoleArn;

use super::{AwsPass, entry};

/// The stage in the ledger.
pub(super) const STAGE: &str = "HardFence";
/// No pass waits longer than this for IAM, and beside its other work.
const LIMIT: Duration = Duration::from_secs(4);
/// A role is tried again after this long.
const AGAIN: SignedDuration = SignedDuration::from_secs(30);

impl AwsPass<'_> {
    /// Attaches the deny policy to every role of the plan that does not carry it yet. A failure is in the ledger and the
    /// logs, and nowhere in the way.
    pub(crate) async fn hold_roles(&self) {
        let roles = self.plan.roles_to_fence(self.site).iter();
        for result in join_all(roles.map(|role| self.hold_role(role))).await {
            if let Err(error) = result {
                tracing::warn!(%error, "the hard fence was not raised; the next pass tries again");
            }
        }
    }

    async fn hold_role(&self, role: &RoleArn) -> Result<(), Failure> {
        let (run, now) = (self.run, self.now());
        self.require_right().await?;
        let due = self
            .remember(|fence| {
                fence.raise(run, now);
                let due = fence.roles.get(role).is_none_or(|held| {
                    held.applied_at.is_none() && now.duration_since(held.tried_at) >= AGAIN
                });
                if due {
                    let held = HeldRole {
                        tried_at: now,
                        applied_at: None,
                    };
                    fence.roles.insert(role.clone(), held);
                }
                due
            })
            .await?;
        if !due {
            return Ok(());
        }
        self.log_role(role, EntryStatus::Attempted).await?;
        self.require_right().await?;
        let attached = tokio::time::timeout(LIMIT, self.fences.roles.attach(role)).await;
        let problem = match attached {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure.message),
            Err(_) => Some(format!("IAM gave no answer within {} s", LIMIT.as_secs())),
        };
        let at = self.now();
        let applied = problem.is_none();
        self.remember(|fence| {
            if let Some(held) = fence.roles.get_mut(role) {
                held.applied_at = applied.then_some(at);
            }
        })
        .await?;
        let status = problem.map_or(EntryStatus::Applied, |error| EntryStatus::Failed { error });
        self.log_role(role, status).await
    }

    async fn log_role(&self, role: &RoleArn, status: EntryStatus) -> Result<(), Failure> {
        let line = entry("role", role.as_str(), "deny", self.now(), status);
        self.write(STAGE, vec![line]).await
    }
}
