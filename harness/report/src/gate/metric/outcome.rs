//! What came of requests: the share of errors, and of closed loops the throughput.

use squall_model::gate::{Both, MetricKind, StretchLoad};

use super::{MetricId, Pair, Paired, Reading, Readings, loads};

/// What one load did over several stretches of one arm.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    closed: bool,
    completed: u64,
    failed: u64,
    dropped: u64,
    time_us: u64,
}

impl Outcome {
    fn add(mut self, load: &StretchLoad, time_us: u64) -> Outcome {
        self.closed |= load.closed;
        self.completed += load.completed;
        self.failed += load.failed;
        self.dropped += load.dropped;
        self.time_us += time_us;
        self
    }

    /// The share that went wrong. What was never sent went wrong too; nothing where nothing was asked for.
    fn errors(self) -> Option<f64> {
        let asked = self.completed + self.dropped;
        (asked > 0).then(|| (self.failed + self.dropped) as f64 / asked as f64)
    }

    /// Requests a second that went well: to fail fast is no throughput. Nothing where it had no time.
    fn throughput(self) -> Option<f64> {
        let well = self.completed.saturating_sub(self.failed);
        (self.time_us > 0).then(|| well as f64 / (self.time_us as f64 / 1e6))
    }

    /// What the throughput of one single request would be: so that an arm that served none can be compared.
    fn slowest(self) -> f64 {
        1e6 / self.time_us.max(1) as f64
    }
}

/// Of each load, over all slices of the block.
pub(super) fn read(slices: &[Pair<'_>], readings: &mut Readings) {
    for name in loads(slices) {
        let both = outcomes(slices, name);
        readings.insert(MetricId::new(MetricKind::Errors, name), errors(&both));
        if both.base.closed || both.candidate.closed {
            readings.insert(MetricId::new(MetricKind::Throughput, name), throughput(&both));
        }
    }
}

/// Errors of each load in each phase that has faults, as `PHASE:LOAD.errors`.
pub(super) fn read_faulted(stretches: &[Pair<'_>], readings: &mut Readings) {
    let mut phases: Vec<&str> = stretches.iter().map(|pair| pair.base.phase.as_str()).collect();
    phases.sort_unstable();
    phases.dedup();
    for phase in phases {
        let of_phase: Vec<Pair<'_>> = stretches
            .iter()
            .filter(|pair| pair.base.phase == phase)
            .cloned()
            .collect();
        for name in loads(&of_phase) {
            let id = MetricId::new(MetricKind::Errors, format!("{phase}:{name}"));
            readings.insert(id, errors(&outcomes(&of_phase, name)));
        }
    }
}

fn outcomes(pairs: &[Pair<'_>], name: &str) -> Both<Outcome> {
    Both::from_fn(|arm| {
        let stretches = pairs.iter().map(|pair| *pair.of(arm));
        let loads = stretches.filter_map(|stretch| Some((stretch.load.get(name)?, stretch)));
        loads.fold(Outcome::default(), |outcome, (load, stretch)| {
            outcome.add(load, stretch.end_us.saturating_sub(stretch.start_us))
        })
    })
}

fn errors(both: &Both<Outcome>) -> Reading {
    match (both.base.errors(), both.candidate.errors()) {
        (Some(base), Some(candidate)) => Reading::Paired(Paired {
            values: Both { base, candidate },
            change: candidate - base,
        }),
        _ => Reading::Absent("no requests".to_owned()),
    }
}

/// Base over candidate, so that less is worse here too.
fn throughput(both: &Both<Outcome>) -> Reading {
    match (both.base.throughput(), both.candidate.throughput()) {
        (Some(base), Some(candidate)) => Reading::Paired(Paired {
            values: Both { base, candidate },
            change: (base.max(both.base.slowest()) / candidate.max(both.candidate.slowest())).ln(),
        }),
        _ => Reading::Absent("no time under load".to_owned()),
    }
}
