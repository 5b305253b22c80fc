//! What happens between functions: faults at every request of one, and one that runs whole between any two requests of another. The
//! handlers are the real ones, the ports are the in-memory twins.

pub mod faulty;
