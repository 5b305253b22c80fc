//! The local cloud with a small template, a small state machine and one small function binary.

mod functions;
mod processes;
mod regions;
mod schedules;
mod state_machine;
mod support;
mod template;
