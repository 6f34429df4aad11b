//! Snowflake ids: unique for ever, and increasing, whatever the clock does.
//!
//! | module | holds |
//! | --- | --- |
//! | [`layout`] | how an id is made of a time, a node and a sequence |
//! | [`generator`] | the lock-free path that takes ids |
//! | [`watch`] | what to do while the clock is behind the last id: the three defences |
//! | [`backup`] | the sequencer that goes on without the wall clock |
//! | [`high_water`] | the mark on disk that keeps ids unique across restarts |
//! | [`clock`] | the clocks: the system's, that one shifted, and one moved by hand |
//! | [`incident`] | what the generator tells whoever watches it |
//! | [`plant`] | bugs on request, so that a checker can be seen to find them |
//! | [`http`], [`report`], [`service`] | the service around it: requests, metrics and events, settings |
//!
//! What must hold: no two ids of a node are equal, and an id asked for after another was received is larger; across
//! threads, restarts, power loss and any movement of the clock. The one clock read per id decides nothing alone: a
//! time only ever counts against the last position.

pub mod backup;
pub mod clock;
pub mod error;
pub mod generator;
pub mod high_water;
pub mod http;
pub mod incident;
pub mod layout;
pub mod plant;
pub mod report;
pub mod service;
pub mod watch;

pub use clock::{Clock, ManualClock, ShiftedClock, SystemClock};
pub use error::{GenerateError, StateError};
pub use generator::{Attempt, Config, Generator, Ids, Wait};
pub use high_water::HighWaterMark;
pub use incident::{Defence, Incident, Observe, Unobserved};
pub use plant::Plant;
pub use service::SERVICE;
pub use watch::Policy;
