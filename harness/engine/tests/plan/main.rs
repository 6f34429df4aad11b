//! The two pure ends of a run: planning, a scenario's text in and a plan or every error out; and judging, what was measured
//! in and a verdict out; and what must be there before a plan is run.
#![expect(clippy::needless_raw_string_hashes, reason = "as expect-test writes them")]

mod arrivals;
mod checks;
mod conclusions;
mod data;
mod edges;
mod faults;
mod gate;
mod isolated;
mod journey;
mod judged;
mod loads;
mod measured;
mod missing;
mod rig;
mod services;
mod shown;
mod stored;
