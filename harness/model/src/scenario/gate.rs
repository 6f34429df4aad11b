//! How two arms are held against each other: what `squall gate` reads of a scenario.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::decode::{Map, NonEmpty};
use crate::name::{MetricName, Name};
use crate::record;
use crate::span::Spanned;
use crate::units::Ratio;

record! {
    /// How a gate holds a candidate against its base.
    pub struct Gate {
        /// Services that both arms use, one of each; of all others each arm has its own.
        pub shared: Vec<Spanned<Name>> = Vec::new(),
        /// The command that builds an arm, in the root of its repository.
        pub build: Option<NonEmpty<Spanned<String>>>,
        /// The program that serves bundled services, relative to the root of the arm's repository; squall itself if left out.
        pub server: Option<Spanned<String>>,
        /// The phases that are compared: those without faults in slices, those with faults whole.
        pub phases: Vec<Spanned<Name>> = Vec::new(),
        /// How long one arm has load until it is the other's turn.
        pub slice: Option<Spanned<Duration>>,
        /// Slices of each phase that each arm has in a block.
        pub slices: Option<Spanned<NonZeroU32>>,
        /// How long both arms rest after each slice.
        pub gap: Option<Duration>,
        /// How long each arm has load before anything counts.
        pub warm_up: Option<Duration>,
        /// A change below which is of no interest, for all metrics but errors.
        pub margin: Option<Spanned<Ratio>>,
        /// A change above which must not stay hidden, for all metrics but errors.
        pub tolerance: Option<Spanned<Ratio>>,
        /// Limits of single metrics, by name: `p99`, or `refresh.p99` for that of one load.
        pub metrics: Map<MetricName, GateLimits> = Map::new(),
    }
}

record! {
    /// The limits of a metric: ratios, or differences of shares for errors.
    pub struct GateLimits {
        /// A change below which is of no interest.
        pub margin: Option<Spanned<Ratio>>,
        /// A change above which must not stay hidden.
        pub tolerance: Option<Spanned<Ratio>>,
    }
    at_least_one ["margin", "tolerance"];
}
