//! What is measured beside latency: resources, pauses, what services tell of themselves, and whether the numbers hold.

pub mod admin;
pub mod collector;
pub mod host;
pub mod lateness;
pub mod machine;
pub mod pause;
pub mod recovery;
pub mod resources;
pub mod sampler;
pub mod services;
pub mod target;
pub mod validity;
