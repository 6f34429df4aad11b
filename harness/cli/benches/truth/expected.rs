//! What a generator that costs nothing and is never late would measure: computed from the server's rules, not run.
//!
//! All times in nanoseconds, sorted.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use squall_delay_law::{Behaviour, Slots};

/// Response times of even arrivals at `rate` a second.
pub(crate) fn open(behaviour: &Behaviour, rate: u32, length: Duration) -> Vec<u64> {
    let count = (length.as_secs_f64() * f64::from(rate)).round() as u64;
    let mut slots = Slots::new(behaviour.slots);
    let mut times: Vec<u64> = (0..count)
        .map(|number| {
            let at_ns = number * 1_000_000_000 / u64::from(rate);
            behaviour.plan(&mut slots, number, at_ns, None).due_ns - at_ns
        })
        .collect();
    times.sort_unstable();
    times
}

/// Response times of `users` who each ask again as soon as they are answered.
pub(crate) fn closed(behaviour: &Behaviour, users: usize, length: Duration) -> Vec<u64> {
    let end_ns = length.as_nanos() as u64;
    let mut slots = Slots::new(behaviour.slots);
    let mut next: BinaryHeap<Reverse<u64>> = std::iter::repeat_n(Reverse(0), users).collect();
    let mut times = Vec::new();
    while let Some(Reverse(at_ns)) = next.pop() {
        if at_ns < end_ns {
            let plan = behaviour.plan(&mut slots, times.len() as u64, at_ns, None);
            times.push(plan.due_ns - at_ns);
            next.push(Reverse(plan.due_ns));
        }
    }
    times.sort_unstable();
    times
}

/// The smallest of the sorted `times` that a share of `q` does not exceed: what an `HdrHistogram` gives too.
pub(crate) fn quantile(times: &[u64], q: f64) -> Option<u64> {
    let rank = (q * times.len() as f64).ceil() as usize;
    times.get(rank.max(1) - 1).copied()
}

/// The response time that a share of `q` does not exceed where a constant `delay` meets `stalls` stalls of `stall` in
/// `length`, under even arrivals.
///
/// In the stall, the wait goes down from `stall` to 0 and the delay follows; in the delay before it, the time to the stall's
/// end goes up from `stall` to `stall + delay`. So for `delay < x <= stall + delay` the share above x is
/// `stalls / length * ((stall + delay - x) + min(delay, stall + delay - x))`.
pub(crate) fn stalled_quantile(
    q: f64,
    delay: Duration,
    stall: Duration,
    stalls: u32,
    length: Duration,
) -> Duration {
    let (delay_s, stall_s) = (delay.as_secs_f64(), stall.as_secs_f64());
    let above_s = (1.0 - q) * length.as_secs_f64() / f64::from(stalls.max(1));
    let below_top_s = if above_s <= 2.0 * delay_s {
        above_s / 2.0
    } else {
        above_s - delay_s
    };
    Duration::from_secs_f64((stall_s + delay_s - below_top_s).max(delay_s))
}
