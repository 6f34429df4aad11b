//! Faults on processes, against real services under a real guard: what each does, how it shows it, and whom it never touches.

#[path = "../fixture/mod.rs"]
mod fixture;

mod ending;
mod pause;
mod rig;
mod strangers;
