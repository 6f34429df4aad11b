//! One block of a gate: both arms started, run side by side under the same load, and ended.
//!
//! Each arm is a run of its own, with its guard, its faults, its record and its folder; nothing in it knows of the other. What makes
//! a block of two runs is that their first phases begin at one moment, and that their timelines are drawn together
//! ([`timeline`]): where one arm has load, the other rests. `narrow` makes an arm's plan of it, `measured` reads the arm's part
//! of the block's record off the run's. Whether the blocks so far suffice is not for this crate to say.

mod block;
mod measured;
mod narrow;
mod shared;
pub mod timeline;

pub use block::{ArmFailure, Block, BlockError, Outcome, run};
pub use narrow::narrow;
pub use shared::{NotApart, apart};
pub use timeline::{Slot, Timeline};
