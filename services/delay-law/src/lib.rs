//! A server whose delays are known: what measures it can be held to what it did.
//!
//! | module | holds |
//! | --- | --- |
//! | [`law`] | how delays are spread: quantiles and shares |
//! | [`draws`] | the number that each request draws, from the seed |
//! | [`timetable`] | stalls, pauses, the outage and the recovery from it |
//! | [`slots`] | the queue in front of a number of slots |
//! | [`behaviour`] | all of these together: when a request is to be answered, and how |
//! | [`request`] | reading HTTP/1.1 requests |
//! | [`book`] | what was intended and what came of it |
//! | [`server`] | the one thread that keeps to it |
//! | [`report`], [`service`] | metrics and events, settings |
//!
//! Everything down to [`behaviour`] is pure, so that what a run must have looked like can be computed without running it.
//! The server must never wait in anything but its own loop, or its own delays would not be those of its law.

pub mod behaviour;
pub mod book;
pub mod draws;
pub mod law;
pub mod report;
pub mod request;
pub mod server;
pub mod service;
pub mod slots;
pub mod timetable;

pub use behaviour::{Answer, Behaviour, Plan};
pub use book::Book;
pub use draws::Draws;
pub use law::Law;
pub use server::Server;
pub use service::SERVICE;
pub use slots::Slots;
pub use timetable::Timetable;
