//! Fencing and restoring whatever goes wrong.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test each of these is a failure of the test"
)]

mod dying;
mod estate;
mod faults;
mod holding;
mod left_behind;
mod owed;
mod planned;
mod records;
mod round_trip;
mod sweep;
mod zombie;
