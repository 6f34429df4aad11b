//! The client against a server that does what a test says, also what no sound one would.

mod crowded;
mod disk;
mod order;
mod refused;
mod script;
