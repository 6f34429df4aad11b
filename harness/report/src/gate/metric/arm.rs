//! What an arm's services cost, all together: CPU time per request, and the longest pause.

use squall_model::gate::{Arm, Both, MetricKind, StretchRecord};

use super::{MetricId, Pair, Paired, Reading, Readings};

/// See [`super::PAUSE_FLOOR_US`].
pub(super) const PAUSE_FLOOR_US: f64 = 1_000.0;

/// CPU time is told in microseconds: less than one over a block is none.
const CPU_FLOOR_US: f64 = 1.0;

pub(super) fn read(slices: &[Pair<'_>], readings: &mut Readings) {
    if slices.is_empty() {
        return;
    }
    readings.insert(MetricId::of_arm(MetricKind::Cpu), cpu(slices));
    readings.insert(MetricId::of_arm(MetricKind::Pause), pause(slices));
}

/// CPU time of all slices over requests that ended in them, of all loads.
fn cpu(slices: &[Pair<'_>]) -> Reading {
    let total = |arm| known(slices, arm, |slice| slice.cpu_us).map(|times| times.into_iter().sum::<u64>());
    let requests = Both::from_fn(|arm| {
        let loads = slices.iter().flat_map(|pair| pair.of(arm).load.values());
        loads.map(|load| load.completed).sum::<u64>()
    });
    if requests.base == 0 || requests.candidate == 0 {
        return Reading::Absent("no request ended".to_owned());
    }
    match (total(Arm::Base), total(Arm::Candidate)) {
        (Some(base), Some(candidate)) => {
            let each = |cpu_us: u64, requests: u64| (cpu_us as f64).max(CPU_FLOOR_US) / requests as f64;
            let (base, candidate) = (each(base, requests.base), each(candidate, requests.candidate));
            Reading::Paired(Paired {
                values: Both { base, candidate },
                change: (candidate / base).ln(),
            })
        }
        _ => Reading::Absent("the CPU time of a service is not known".to_owned()),
    }
}

/// The longest pause of any service in any slice. Where both are below the floor, nothing changed.
fn pause(slices: &[Pair<'_>]) -> Reading {
    let longest = |arm| known(slices, arm, |slice| slice.pause_max_us)?.into_iter().max();
    match (longest(Arm::Base), longest(Arm::Candidate)) {
        (Some(base), Some(candidate)) => {
            Reading::Paired(Paired::ratio(base as f64, candidate as f64, PAUSE_FLOOR_US))
        }
        _ => Reading::Absent("the pauses of a service can't be seen".to_owned()),
    }
}

/// What each slice of an arm says; nothing where one doesn't.
fn known(slices: &[Pair<'_>], arm: Arm, of: fn(&StretchRecord) -> Option<u64>) -> Option<Vec<u64>> {
    slices.iter().map(|pair| of(pair.of(arm))).collect()
}
