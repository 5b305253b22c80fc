//! The client against a scripted workspace on loopback.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod federation;
#[cfg(test)]
mod hostile;
mod pages;
#[cfg(test)]
mod repeats;
#[cfg(test)]
mod server;
#[cfg(test)]
mod sign_in;
#[cfg(test)]
mod statements;
#[cfg(test)]
mod writes;
