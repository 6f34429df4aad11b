//! What runs a scenario: services as processes, load, phases and faults on one timeline, and a verdict.
//!
//! `plan` turns a scenario into a valid plan; `run` carries it out and is the only place that sequences anything; `guard`,
//! `process` and `undo` see to it that nothing outlives a run; `fault` has a file for each kind of fault and
//! `invariant` for each kind of check; `seccomp` and `redirect` reach programs that can't be told anything,
//! `network` isolates them; `measure` looks, `judge` decides, `record` writes down; `gate` runs a block of two arms, and `criterion`
//! one of two programs of micro-benchmarks. Nothing here prints or ends the process, and nothing knows how a record is drawn.

pub mod catalogue;
pub mod clean;
pub mod criterion;
pub mod fault;
pub mod gate;
pub mod guard;
pub mod invariant;
pub mod judge;
pub mod measure;
pub mod network;
pub mod observer;
pub mod plan;
pub mod process;
pub mod record;
pub mod redirect;
pub mod run;
pub mod seccomp;
pub mod toxiproxy;
pub mod undo;
