//! Every scenario, as a test of its own.

mod scenarios;
