//! Recovery points of Delta tables: the newest version of a table that is complete at its replica.
//!
//! Storage replication copies the objects of a table in any order, so the newest commit at the replica may name
//! files that have not arrived. [`recovery_point`] proves from the log and one listing which version can be used,
//! what would be lost by going on from it, and whether common readers can open the table as it lies there.
//! [`group_recovery`] finds the common moment of tables that belong together, and [`repair_scripts`] writes down what a
//! person must do at the standby so that the tables can be used from there.

mod action;
mod checkpoint;
mod columns;
mod commit;
mod error;
mod find;
mod folder;
mod group;
mod join;
mod location;
mod log;
mod names;
mod parquet_object;
mod paths;
mod presence;
mod protocol;
mod readable;
mod recover;
mod repair;
mod replay;
mod report;
mod small;
mod source;
mod walk;

pub use error::Error;
pub use find::{LogLag, find_tables, log_lag, source_state};
pub use group::{GroupMember, GroupRecovery, group_recovery};
pub use location::{Location, S3Settings};
pub use recover::{Options, recovery_point};
pub use repair::{RepairScripts, StandbyTable, repair_scripts};
pub use report::{
    Blocker, BlockerKind, RecoveryPoint, SourceState, SourceView, TimeSource, VersionSpan,
};
