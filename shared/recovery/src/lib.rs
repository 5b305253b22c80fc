//! The domain of disaster recovery for Databricks workspaces. Pure: no I/O, no clock, no randomness of its own.

pub mod act;
pub mod activation;
pub mod approval;
pub mod aws_fence;
pub mod baseline;
pub mod evidence;
pub mod failure;
pub mod fence;
pub mod findings;
pub mod incident;
pub mod inventory;
pub mod kind;
pub mod ledger;
pub mod permissions;
pub mod plan;
pub mod quartz;
pub mod readiness;
pub mod replication;
pub mod report;
pub mod reset;
pub mod run;
pub mod signals;
pub mod site;
pub mod state;
pub mod validation;
pub mod verdict;
