//! The local cloud with a small template, a small state machine and one small function binary.

#[cfg(test)]
mod functions;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod regions;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod state_machine;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod template;
