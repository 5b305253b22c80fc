//! The sites of a plan as workspaces: where they are, how to sign in, what they hold.

mod act;
mod connect;
mod details;
mod export;
mod failure;
mod lists;
mod offered;
mod permissions;
mod pointers;
mod rates;
mod read;
mod redact;

pub use act::{carry_out, is_our_own, is_refusal, is_silence, rerun_token};
pub use connect::{
    ACTIVATION_CALL, Purpose, Role, connect, connect_to, frozen_url, secret_expires_on,
    workspace_url,
};
pub use details::{Details, StoredDetails};
pub use export::{Export, export};
pub use failure::failure_at;
pub use offered::{read_names, read_offered};
pub use permissions::{read_permissions, read_permissions_of, resume_permissions};
pub use pointers::{Pointers, assert_pointers};
pub use rates::documented_rates;
pub use read::{
    Depth, PartialReading, Unread, read_inventory, read_parts, read_record, read_unfenceable,
    resume_record,
};
pub use redact::{REDACTED, redact};
