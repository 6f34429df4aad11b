//! What a run tells the world while it goes on.
//!
//! The engine never prints. Whoever starts a run may watch it through this.

use std::collections::BTreeMap;

use squall_model::event::Event;
use squall_model::histogram::Histogram;

/// Watches a run. Called from the supervisor's own thread, so it must return at once.
pub trait Observer {
    /// Something happened.
    fn event(&mut self, event: &Event);

    /// How things stand, a few times a second.
    fn live(&mut self, live: &Live);

    /// Whether [`Observer::measured`] is wanted; summing up costs the supervisor a little.
    fn wants_measured(&self) -> bool {
        false
    }

    /// Everything measured so far, once a second and at the end.
    fn measured(&mut self, _: Measured) {}
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
    /// Requests per second asked for; absent in closed loop and where it rests.
    pub target_rate: Option<f64>,
    /// Median of the response time, microseconds; absent with too few samples.
    pub p50_us: Option<u64>,
    /// P99 of the response time, microseconds; absent with too few samples.
    pub p99_us: Option<u64>,
    /// Share of requests that failed.
    pub errors: f64,
}

/// Everything measured since the run began, unmeasured phases included.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Since the run's start.
    pub at_us: u64,
    /// The phase that runs, and which of how many it is; nothing between phases.
    pub phase: Option<(String, usize)>,
    /// How many phases there are.
    pub phases: usize,
    /// The loads.
    pub loads: Vec<MeasuredLoad>,
    /// The services.
    pub services: Vec<MeasuredService>,
    /// The faults.
    pub faults: Vec<MeasuredFault>,
}

/// What a load has done so far.
#[derive(Clone, Debug, Default)]
pub struct MeasuredLoad {
    /// Its name.
    pub name: String,
    /// Counts, as in the run record.
    pub intended: u64,
    /// Requests sent.
    pub sent: u64,
    /// Requests that ended.
    pub completed: u64,
    /// Requests that ended in an error.
    pub failed: u64,
    /// Requests never sent for want of a connection.
    pub dropped: u64,
    /// Requests never sent because the generator was too slow.
    pub unsent_by_generator: u64,
    /// Requests sent that have not ended.
    pub in_flight: u64,
    /// Failures by kind.
    pub errors: BTreeMap<String, u64>,
    /// Requests per second asked for now; absent in closed loop or where it is off.
    pub target_rate: Option<f64>,
    /// Users of a closed loop now.
    pub users: Option<u64>,
    /// From the intended send time.
    pub response: MeasuredLatency,
    /// From the actual send.
    pub service: MeasuredLatency,
}

/// The upper bounds of buckets that latencies are counted in, microseconds; beyond the last there is one more bucket.
pub const BUCKETS_US: [u64; 20] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_000_000, 5_000_000, 10_000_000, 20_000_000, 30_000_000, 60_000_000,
];

/// The quantiles of [`MeasuredLatency::recent`].
pub const RECENT: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// Latencies so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeasuredLatency {
    /// How many.
    pub count: u64,
    /// Their sum, microseconds.
    pub sum_us: f64,
    /// How many lie in each bucket of [`BUCKETS_US`], and beyond the last. To three digits, as the histogram keeps them.
    pub buckets: [u64; BUCKETS_US.len() + 1],
    /// The quantiles of [`RECENT`] over the last second or two, microseconds; absent with too few samples.
    pub recent: [Option<u64>; RECENT.len()],
}

impl MeasuredLatency {
    /// Adds what `samples` hold.
    pub(crate) fn add(&mut self, samples: &Histogram) {
        for at in samples.iter_recorded() {
            let bucket = BUCKETS_US.partition_point(|bound| *bound < at.value_iterated_to());
            self.buckets[bucket] += at.count_at_value();
        }
        self.count += samples.len();
        self.sum_us += samples.mean() * samples.len() as f64;
    }
}

/// What a service has used so far.
#[derive(Clone, Debug, Default)]
pub struct MeasuredService {
    /// Its name.
    pub name: String,
    /// CPU time of its processes, microseconds; absent where they can't be seen.
    pub cpu_us: Option<u64>,
    /// Resident set, bytes.
    pub rss: Option<u64>,
}

/// How a fault stands.
#[derive(Clone, Debug, Default)]
pub struct MeasuredFault {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Whether it holds now.
    pub holds: bool,
    /// Whether it has been proven.
    pub proved: bool,
}

/// An observer for whom nothing is worth knowing.
impl Observer for () {
    fn event(&mut self, _: &Event) {}

    fn live(&mut self, _: &Live) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_lies_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let mut samples = squall_model::histogram::empty();
        for value in [1, 50, 51, 60_000_000, 3_000_000_000] {
            samples.saturating_record(value);
        }
        let mut latency = MeasuredLatency::default();
        latency.add(&samples);
        latency.add(&samples);
        let filled: Vec<(usize, u64)> = latency
            .buckets
            .into_iter()
            .enumerate()
            .filter(|(_, n)| *n > 0)
            .collect();
        // The bucket of 60 s ends a little above it.
        assert_eq!(filled, [(0, 4), (1, 2), (20, 4)]);
        assert_eq!(latency.count, 10);
        assert!(
            (latency.sum_us / 2.0 / 3_060_000_102.0 - 1.0).abs() < 1e-3,
            "{}",
            latency.sum_us
        );
    }
}
