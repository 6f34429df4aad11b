//! What every reference service shares, so that a service is only its own logic.
//!
//! | module | holds |
//! | --- | --- |
//! | [`info`] | the description a service exports: settings, roles, promises, how to run it |
//! | [`setting`] | the settings a service takes, and their validation |
//! | [`host`] | the two listeners, the runtime, the ready line, the graceful stop |
//! | [`admin`] | `/healthz`, `/metrics`, `/events`, `/pauses` |
//! | [`answer`] | JSON answers, and errors as such |
//! | [`telemetry`] | the metrics and events a service reports through |
//! | [`hiccup`] | the meter of pauses in which the process did not run |
//! | [`ring`] | the bounded, numbered log behind events and pauses |
//! | [`clock`] | the monotonic clock that stamps both |
//! | [`log`] | the only place that writes to standard output and standard error |
//!
//! A service knows nothing of who loads it or breaks it: this crate must never depend on the harness, and it never
//! reads the wall clock, so that a service's reads of the wall clock are its own logic's.

pub mod admin;
pub mod answer;
pub mod clock;
pub mod hiccup;
pub mod host;
pub mod info;
pub mod log;
pub mod ring;
pub mod setting;
pub mod telemetry;

pub use host::{Host, Stopping, run, run_beside, run_with};
pub use info::{InvariantInfo, Launch, Milestone, Promise, ResponseValues, Role, ServiceError, ServiceInfo};
pub use setting::{Setting, SettingError, SettingKind, Settings, WORKERS};
pub use telemetry::Telemetry;
