//! The scenario as written, the events of a run, its record, units and seeds.
//!
//! Data only: text in, values or diagnostics out. Nothing here reads a file, a clock or the environment, and nothing
//! knows how a scenario is run or how a record is drawn.

pub mod baseline;
pub mod command;
pub mod counts;
pub mod decode;
pub mod diagnostic;
pub mod event;
pub mod exit;
pub mod expression;
pub mod gate;
pub mod histogram;
pub mod hlog;
pub mod merge;
pub mod name;
pub mod node;
pub mod observation;
pub mod placeholder;
pub mod record;
pub mod replay;
pub mod scenario;
pub mod seed;
pub mod series;
pub mod span;
pub mod units;
