//! How long the benchmarks of a block are measured, so that the blocks that a verdict takes fit the time there is.
//!
//! Pure: made from how many benchmarks there are, the time there is, and how long a run at the shortest pace took.

use std::time::Duration;

/// What each benchmark is measured for at the least and at the most.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_millis(250);

/// What each warms up for at the least.
const WARM_UP_MIN: Duration = Duration::from_millis(20);

/// Measuring takes so many times as long as warming up, where that is not too short.
const MEASURE_PER_WARM_UP: u32 = 5;

/// Criterion doubles the iterations of its warm-up until it was long enough, so it takes between once and twice as long as asked.
const WARM_UP_TAKES: f64 = 1.5;

/// Slices of each arm in a block. Where so many leave too few blocks, one has to do.
const SLICES: u32 = 2;

/// As many blocks should fit as it takes to see 5 % where they differ by some per cent; longer slices wait until they do.
const BLOCKS_WANTED: u32 = 56;

/// So few are too few for two slices.
const BLOCKS_FEW: usize = 28;

/// How a bench program is run in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Slices of each arm.
    pub slices: u32,
    /// What each benchmark warms up for in a slice.
    pub warm_up: Duration,
    /// What each is measured for in a slice.
    pub measure: Duration,
}

impl Pace {
    /// The shortest: what it takes beyond that is the program's own.
    pub const TRIAL: Pace = Pace {
        slices: 1,
        warm_up: WARM_UP_MIN,
        measure: SHORTEST,
    };

    fn measuring(slices: u32, measure: Duration) -> Pace {
        Pace {
            slices,
            warm_up: (measure / MEASURE_PER_WARM_UP).max(WARM_UP_MIN),
            measure,
        }
    }

    /// What a slice of so many benchmarks takes, but for what is the program's own.
    fn asked(self, benchmarks: usize) -> Duration {
        (self.warm_up.mul_f64(WARM_UP_TAKES) + self.measure) * benchmarks as u32
    }
}

/// A pace, and what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// How.
    pub pace: Pace,
    /// What a run of a program takes, about.
    pub slice: Duration,
    /// What a block takes, about.
    pub block: Duration,
    /// How many fit.
    pub blocks: usize,
}

/// The pace at which enough blocks of so many benchmarks fit the budget, or the shortest. `trial` is what a run at [`Pace::TRIAL`] took.
pub fn plan(benchmarks: usize, trial: Duration, budget: Duration) -> Planned {
    let own = trial.saturating_sub(Pace::TRIAL.asked(benchmarks));
    let two = at(longest(benchmarks, own, budget, SLICES), benchmarks, own, budget);
    if two.blocks >= BLOCKS_FEW {
        return two;
    }
    at(longest(benchmarks, own, budget, 1), benchmarks, own, budget)
}

/// The longest pace with which as many blocks fit as are wanted.
fn longest(benchmarks: usize, own: Duration, budget: Duration, slices: u32) -> Pace {
    let slice = budget / (BLOCKS_WANTED * 2 * slices);
    let each = slice.saturating_sub(own) / (benchmarks as u32).max(1);
    // By both rules of how long it warms up: the one that leaves less is the one that holds.
    let measure = each
        .div_f64(1.0 + WARM_UP_TAKES / f64::from(MEASURE_PER_WARM_UP))
        .min(each.saturating_sub(WARM_UP_MIN.mul_f64(WARM_UP_TAKES)));
    // Whole milliseconds, as they are told.
    let measure = Duration::from_millis(measure.as_millis() as u64);
    Pace::measuring(slices, measure.clamp(SHORTEST, LONGEST))
}

fn at(pace: Pace, benchmarks: usize, own: Duration, budget: Duration) -> Planned {
    let slice = own + pace.asked(benchmarks);
    let block = slice * 2 * pace.slices;
    Planned {
        pace,
        slice,
        block,
        blocks: (budget.as_secs_f64() / block.as_secs_f64().max(1e-3)) as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    /// A program that takes no time of its own.
    fn lean(benchmarks: usize, budget: Duration) -> Planned {
        plan(benchmarks, Pace::TRIAL.asked(benchmarks), budget)
    }

    #[test]
    fn what_is_wanted_fits_as_long_as_it_can() {
        for benchmarks in [1, 4, 12, 20] {
            let planned = lean(benchmarks, 5 * MINUTE);
            assert!(planned.blocks >= BLOCKS_FEW, "{benchmarks}: {planned:?}");
            assert_eq!(planned.pace.slices, SLICES, "{benchmarks}");
            assert!(planned.block * planned.blocks as u32 <= 5 * MINUTE, "{planned:?}");
        }
        // By hand: 300 s are 56 blocks of four slices of 1.339 s, 111.6 ms for each of 12 benchmarks, less 1.5 times 20 ms.
        let planned = lean(12, 5 * MINUTE);
        assert_eq!(planned.pace.measure, Duration::from_millis(81));
        assert!(planned.blocks >= 56, "{planned:?}");
    }

    #[test]
    fn more_time_makes_slices_longer_up_to_a_bound() {
        let lengths: Vec<Duration> = [1, 3, 10, 60]
            .map(|minutes| lean(8, minutes * MINUTE).pace.measure)
            .into();
        assert!(lengths.is_sorted(), "{lengths:?}");
        assert_eq!((lengths[0], lengths[3]), (SHORTEST, LONGEST));
        let one = lean(1, 60 * MINUTE);
        assert_eq!(one.pace.warm_up, LONGEST / MEASURE_PER_WARM_UP);
    }

    #[test]
    fn where_time_is_short_one_slice_has_to_do_and_what_fits_is_told() {
        let many = lean(100, 5 * MINUTE);
        assert_eq!((many.pace.slices, many.pace.measure), (1, SHORTEST));
        // By hand: 100 times 80 ms are 8 s, twice that a block, and 18 of them 288 s.
        assert_eq!((many.block, many.blocks), (Duration::from_secs(16), 18));
    }

    #[test]
    fn what_is_the_program_s_own_counts() {
        // A second of its own, in each of two slices of two arms.
        let slow = plan(1, Duration::from_millis(1_080), 5 * MINUTE);
        assert_eq!(slow.slice.as_millis() as u64 / 1_000, 1);
        assert!(
            slow.blocks >= BLOCKS_FEW && slow.block >= Duration::from_secs(4),
            "{slow:?}"
        );
        let slower = plan(1, MINUTE, 5 * MINUTE);
        assert_eq!((slower.pace.slices, slower.blocks), (1, 2));
        assert_eq!(plan(0, Duration::ZERO, Duration::ZERO).blocks, 0);
    }
}
