//! The function with the in-memory twins of its ports.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod planned;
