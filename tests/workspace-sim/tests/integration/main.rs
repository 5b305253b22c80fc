//! Tests of the workspace as its clients see it.

#[cfg(test)]
mod compute;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod platform;
#[cfg(test)]
mod recording;
#[cfg(test)]
mod support;
