//! placeholder
pub mod verdict;
