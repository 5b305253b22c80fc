//! The function on Delta tables in memory, with the in-memory twins of the other ports.

mod lake;
mod runs;
mod schedule;
mod setting;
