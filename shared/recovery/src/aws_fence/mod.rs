//! What a fence holds in AWS itself, outside of the workspace.
//!
//! The *replication fence*: the buckets of the site that takes over deny the roles by which the fenced site replicates into
//! them, so that objects that were pending when the region died do not arrive over what has been written since. The *hard
//! fence*: roles of the fenced site carry a policy that denies starting and writing.

mod denial;
mod holding;
mod policy;
mod policy_tests;

pub use self::denial::Denial;
pub use self::holding::{
    AWS_FENCE_FORMAT, AwsFence, BucketFence, HeldBucket, HeldRole, LINGER, answer_with,
};
pub use self::policy::{
    LARGEST_POLICY, Lifted, Merged, PolicyProblem, PolicyReading, lifted, merged,
};
