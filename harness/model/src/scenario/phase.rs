//! A phase: a stretch of time with its own load and its own faults.

use std::time::Duration;

use super::{Fault, LoadOverride};
use crate::decode::Map;
use crate::name::Name;
use crate::record;
use crate::span::Spanned;

record! {
    /// A stretch of time.
    pub struct Phase {
        /// What it is called.
        pub name as "phase": Spanned<Name>,
        /// How long it lasts.
        pub duration as "for": Spanned<Duration>,
        /// False for a phase that only warms up.
        pub measure: bool = true,
        /// True for the phase that recovery is measured against.
        pub baseline: bool = false,
        /// How it changes the loads, by name.
        pub load: Map<Name, LoadOverride> = Map::new(),
        /// What breaks in it.
        pub faults: Vec<Fault> = Vec::new(),
    }
    later ["until", "within"];
}
