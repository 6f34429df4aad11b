//! The commands, one file each.

pub mod baseline;
pub mod capacity;
pub mod check;
pub mod clean;
pub mod compare;
pub mod completions;
pub mod faults;
pub mod gate;
pub mod index;
pub mod list;
pub mod load;
pub mod merge;
pub mod plan;
pub mod proxy;
pub mod report;
pub mod run;
pub mod schema;
pub mod serve;
