//! The statistics of the gate: from the blocks of two arms to a verdict, exact and repeatable.
//!
//! A block is one round in which base and candidate ran side by side under the same load; of each metric it leaves one number, the
//! logarithm of candidate over base, or a difference (`metric/`; how much worse it may be: `limits.rs`). The gate looks at the blocks so
//! far a few times (`looks.rs`), tests each metric (`signed_rank.rs`), makes up for there being several (`holm.rs`), and judges
//! (`verdict.rs`). `quantile.rs` says which percentiles hold enough requests, and `planner.rs` whether the blocks that there is time for can
//! show anything. `decide/` takes block after block through all that, and says when to stop and what came of it.
//!
//! Nothing here measures, draws a random number or looks at a clock: the same blocks get the same verdict, always. The
//! formulas and where they are from: docs/gate-statistics.md.

pub mod decide;
pub mod holm;
pub mod limits;
pub mod looks;
pub mod metric;
pub mod planner;
pub mod quantile;
pub mod signed_rank;
pub mod verdict;
