//! What a run tells the world while it goes on.
//!
//! The engine never prints. Whoever starts a run may watch it through this.

use squall_model::event::Event;

/// Watches a run. Called from the supervisor's own thread, so it must return at once.
pub trait Observer {
    /// Something happened.
    fn event(&mut self, event: &Event);

    /// How things stand, a few times a second.
    fn live(&mut self, live: &Live);
}

/// How things stand.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// The phase.
    pub phase: String,
    /// Which of how many.
    pub index: usize,
    /// How many phases there are.
    pub phases: usize,
    /// Time since the phase began, microseconds.
    pub elapsed_us: u64,
    /// The phase's length.
    pub length_us: u64,
    /// The loads.
    pub loads: Vec<LiveLoad>,
    /// Faults that hold now: name, and whether they were proven.
    pub faults: Vec<(String, bool)>,
}

/// How a load stands, over its last second.
#[derive(Clone, Debug, Default)]
pub struct LiveLoad {
    /// Its name.
    pub name: String,
    /// Requests that ended, per second.
    pub rate: f64,
    /// P99 of the response time, microseconds; absent with too few samples.
    pub p99_us: Option<u64>,
    /// Share of requests that failed.
    pub errors: f64,
}

/// An observer for whom nothing is worth knowing.
impl Observer for () {
    fn event(&mut self, _: &Event) {}

    fn live(&mut self, _: &Live) {}
}
