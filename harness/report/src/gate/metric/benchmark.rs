//! What an iteration of each micro-benchmark took.
//!
//! A slice holds both arms' programs, run one right after the other, so the change is taken within it: whatever comes and goes more
//! slowly than that meets both. The block's is the median over its slices.

use std::collections::BTreeSet;

use squall_model::gate::{Arm, MetricKind};

use super::{MetricId, Pair, Paired, Reading, Readings};

/// No computer does anything in less, microseconds: a thousandth of a nanosecond. What the compiler took away altogether reads as that.
const FLOOR_US: f64 = 1e-6;

pub(super) fn read(slices: &[Pair<'_>], readings: &mut Readings) {
    let of = |arm: Arm| -> BTreeSet<&str> {
        let slices = slices.iter().flat_map(|pair| pair.of(arm).times.keys());
        slices.map(String::as_str).collect()
    };
    // One that only one arm has at all is no metric: there is nothing to be told of it, not even why.
    for name in &of(Arm::Base) & &of(Arm::Candidate) {
        let told: Vec<Paired> = slices.iter().filter_map(|pair| told(pair, name)).collect();
        let reading = match Paired::median(&told) {
            // As with percentiles: of fewer than half of its slices a block says nothing.
            Some(paired) if told.len() * 2 >= slices.len() => Reading::Paired(paired),
            _ => Reading::Absent("both arms told its time in too few slices".to_owned()),
        };
        readings.insert(MetricId::new(MetricKind::Time, name), reading);
    }
}

/// What one slice tells; nothing where one of the arms does not have it there.
fn told(pair: &Pair<'_>, name: &str) -> Option<Paired> {
    let (base, candidate) = (*pair.base.times.get(name)?, *pair.candidate.times.get(name)?);
    (base.is_finite() && candidate.is_finite()).then(|| Paired::ratio(base, candidate, FLOOR_US))
}
