//! Micro-benchmarks in a gate: programs that were written with Criterion, run in turns, and what they leave read from their files.
//!
//! A bench program is asked in Criterion's own words (`--bench --list`, `--sample-size`, a filter) and tells by the files that it writes
//! below `CRITERION_HOME`. `listing` and `sample` read what it says and writes, and `pace` says how long to measure: all three are pure.
//! `program` runs it under a guard of its own, for a bounded time; `bench` is a program with its benchmarks, of both arms; `block` is one
//! block of a gate. Whether blocks suffice is not for this crate to say, and nothing here builds anything.

mod bench;
mod block;
mod listing;
pub mod pace;
mod program;
mod sample;

pub use bench::{Bench, BenchError, NAMES_SHOWN};
pub use block::{Round, run};
pub use pace::{Pace, Planned};
pub use program::{Keeper, Program, ProgramError};
pub use sample::SampleError;
