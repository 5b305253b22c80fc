//! What people are told of the fence in AWS, each thing once.

use aws::notices::{Audience, Notice};
use aws::{Failure, Ports};
use recovery::aws_fence::BucketFence;
use recovery::site::SiteLabel;

use super::{AwsPass, Held};

impl AwsPass<'_> {
    /// Tells of statements that somebody had altered, and of buckets that a person must repair.
    pub(super) async fn tell(&self, held: &Held) -> Result<(), Failure> {
        let impossible = |fence: &BucketFence| match fence {
            BucketFence::Impossible(why) => Some(why.clone()),
            BucketFence::Verified(_) | BucketFence::Pending(_) => None,
        };
        let news: Vec<String> = self
            .remember(|fence| {
                let mut news = Vec::new();
                for (bucket, found) in &held.buckets {
                    let problem = impossible(found);
                    if fence.news(bucket, problem.as_deref()) {
                        news.push(format!("  {bucket}: {}", problem.unwrap_or_default()));
                    }
                }
                news
            })
            .await?;
        let repaired: Vec<String> = held.repaired.iter().map(|b| format!("  {b}")).collect();
        if news.is_empty() && repaired.is_empty() {
            return Ok(());
        }
        let (plan, site) = (&self.plan.name, self.site);
        let subject = if news.is_empty() {
            format!("[{plan}] the replication fence of {site} was altered and is repaired")
        } else {
            format!("[{plan}] NOT FENCED against replication from {site}")
        };
        let message = format!(
            "The buckets of the {} site must deny the replication roles of the fenced {site} site.\n\n\
             Buckets that do not, and need a person: {}\n{}\n\n\
             Buckets whose deny statement somebody had altered or removed, written again: {}\n{}\n",
            site.other(),
            news.len(),
            news.join("\n"),
            repaired.len(),
            repaired.join("\n"),
        );
        let notices = &self.ports.notices;
        notices
            .publish(Notice {
                audience: Audience::Managers,
                subject,
                message,
            })
            .await
    }
}

/// Tells when all is lifted, and of what cannot be lifted without a person.
pub(super) async fn tell_lifted(
    ports: &Ports,
    site: SiteLabel,
    gone: &[String],
    left: &[String],
    problems: &[String],
) -> Result<(), Failure> {
    let done = left.is_empty() && !gone.is_empty();
    if !done && problems.is_empty() {
        return Ok(());
    }
    let (plan, other) = (&ports.plan_name, site.other());
    let subject = if done {
        format!("[{plan}] buckets and roles are as before the fence on {site}")
    } else {
        format!("[{plan}] part of the lifted fence on {site} cannot be taken back")
    };
    let message = format!(
        "The fence on the {site} site was lifted.\n\nNo longer denied in buckets of the {other} site and on roles of the {site} site:\n  {}\n\n\
         Still there, tried again every minute:\n  {}\n",
        gone.join("\n  "),
        problems.join("\n  "),
    );
    ports
        .notices
        .publish(Notice {
            audience: Audience::Managers,
            subject,
            message,
        })
        .await
}
