//! Journeys: users who ask for several things in turn, with pauses between, taking along what an answer gave them.
//!
//! The users, their order of steps and their shares by weight are goose's (<https://docs.rs/goose>). Nothing that goose measures is
//! used, since its response times are whole milliseconds and its other features would bend what is measured: its metrics, its mitigation of
//! coordinated omission, its slow start of users, its HTTP client, its logs, its controllers and its reports are all off, and its Ctrl-C
//! handler never comes to anything. Each step is an HTTP/1.1 request written, read and judged by the same code as a load's of `http1`, timed
//! inside our own transaction to the microsecond, and told in the same [`Slice`](crate::Slice)s.
//!
//! - A user belongs to one [`Route`] for good; routes have as many users as their weights say, in turn: of 3 to 1, the users are one of
//!   the first, one of the second, then two of the first, and so on.
//! - A user has one connection, kept alive between steps and between rounds.
//! - A round begins with new values from the feeds; what is taken from answers lives until it ends. A step that fails ends the round.
//! - A phase with fewer users than the one before lets the last of them rest where they are: they close their connections, and begin anew
//!   when called again. The others notice nothing of a change of phase.
//! - It is closed loop, with all that this hides: a slow answer delays the requests that would have shown it.
//!
//! A journey is a load, and so is each of its steps: what a step's requests come to is told under both. The requests of
//! all journeys of a load run on one thread with one event loop (tokio), and cost about 1.4 times the CPU time of the same requests in a load
//! over HTTP (`examples/journey_cost.rs`); pauses are kept to the millisecond. Users need the cargo feature `journey`; the types here do not.

#[cfg(feature = "journey")]
mod books;
#[cfg(feature = "journey")]
mod claims;
#[cfg(feature = "journey")]
mod flock;
#[cfg(feature = "journey")]
pub(crate) mod runner;
#[cfg(feature = "journey")]
mod walk;
#[cfg(feature = "journey")]
mod wire;

use std::sync::Arc;

use crate::check::Checks;
use crate::data::Feeds;
use crate::extract::Place;
use crate::protocol::http1::RequestTemplate;
use crate::protocol::{Dialect, Keep, Protocol};
use crate::spec::Target;
use crate::think::Think;

/// Whether this build has users who make journeys.
pub const IS_BUILT_IN: bool = cfg!(feature = "journey");
/// The cargo feature that brings them.
pub const FEATURE: &str = "journey";
/// Routes of one load.
pub const ROUTES_MAX: usize = 100;
/// Steps of one route.
pub const STEPS_MAX: usize = 100;
/// The highest weight of a route.
pub const WEIGHT_MAX: u32 = 10_000;

/// What a load has to do with journeys.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Nothing.
    Alone,
    /// Its users make them.
    Journey(&'a Journey),
    /// It is a step of one.
    Step(&'a Step),
}

impl Part<'_> {
    /// Whether its requests are made by a journey's users.
    pub fn is_of_journey(self) -> bool {
        !matches!(self, Part::Alone)
    }
}

/// What the users of a load do.
#[derive(Clone, Debug)]
pub struct Journey {
    /// The ways that users go, each by its own share of them.
    pub routes: Vec<Route>,
    /// The steps of all routes.
    pub steps: Vec<Step>,
    /// The index of the first step among the generator's loads. The others follow; each is a load whose protocol is its [`Step`].
    pub first: usize,
    /// What a round draws its values from.
    pub feeds: Feeds,
}

/// One way to go.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Its share of the users, over the sum of all weights.
    pub weight: u32,
    /// The pause after each answer; that of the phase's [`Arrivals::Closed`](crate::Arrivals::Closed) where it has none of its own.
    pub think: Option<Think>,
    /// Its steps, in order, by their places in [`Journey::steps`].
    pub steps: Vec<usize>,
}

impl Route {
    /// Whether it has steps, and all that it names.
    #[cfg(feature = "journey")]
    fn is_whole(&self, journey: &Journey) -> bool {
        !self.steps.is_empty() && self.steps.iter().all(|place| *place < journey.steps.len())
    }
}

/// One step: a request, and what to take along from its answer.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name, different from those of the journey's other steps.
    pub name: String,
    /// What is sent, and what the answer must be; values come from [`Journey::feeds`].
    pub request: RequestTemplate,
    /// Values to keep, under the numbers by which later steps' [`Slot::Kept`](crate::text::Slot::Kept) name them.
    pub takes: Vec<(u16, Place)>,
}

impl Protocol for Journey {
    fn dialect(&self, target: &Target, keep: Keep) -> Result<Arc<dyn Dialect>, String> {
        // Its users speak their steps' dialects; this stands where a load has one.
        let first = self.steps.first().ok_or("it has no steps")?;
        let named = |problem| format!("step `{}`: {problem}", first.name);
        first.dialect(target, keep).map_err(named)
    }

    fn part(&self) -> Part<'_> {
        Part::Journey(self)
    }
}

impl Protocol for Step {
    fn dialect(&self, target: &Target, keep: Keep) -> Result<Arc<dyn Dialect>, String> {
        self.request.dialect(target, keep)
    }

    fn checks(&self) -> Checks {
        self.request.checks.clone()
    }

    fn part(&self) -> Part<'_> {
        Part::Step(self)
    }
}
