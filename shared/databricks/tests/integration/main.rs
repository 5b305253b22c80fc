//! The client against a scripted workspace on loopback.

mod answers;
mod pages;
mod repeats;
mod server;
mod sign_in;
mod statements;
mod writes;
