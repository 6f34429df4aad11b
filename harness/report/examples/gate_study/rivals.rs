//! What is done elsewhere, to be held against the gate on the same machines: here only, since Squall decides nothing by them.

use squall_model::seed::Seed;

use super::noise::{Machine, Profile};

/// Seconds of a run.
const RUN: usize = 30;

/// Pairs of runs for the t-test, and seconds of each.
const PAIRS: usize = 5;
const PAIRED_RUN: usize = 15;

/// Of so many comparisons, how many call the candidate worse.
#[derive(Debug, Default)]
pub struct Alarms {
    /// P99 of one run is more than 5 % above that of another: 30 s each.
    pub one_run: u64,
    /// Mann and Whitney's test on the seconds of the two runs, two-sided at 5 %.
    pub seconds: u64,
    /// Student's t-test on five pairs of runs of 15 s, two-sided at 5 %.
    pub pairs: u64,
}

/// Runs each of them `comparisons` times, where the candidate is slower by `slower` in truth, as a logarithm.
pub fn alarms(profile: Profile, comparisons: u64, slower: f64, seed: Seed) -> Alarms {
    let mut alarms = Alarms::default();
    for number in 0..comparisons {
        let mut machine = Machine::new(profile, seed.child("runs").nth(number));
        let base = machine.run(RUN, 0.0);
        let candidate = machine.run(RUN, slower);
        alarms.one_run += u64::from(mean(&candidate) - mean(&base) > 1.05_f64.ln());
        alarms.seconds += u64::from(mann_whitney(&base, &candidate) > 1.96);
        let mut machine = Machine::new(profile, seed.child("pairs").nth(number));
        let differences: Vec<f64> = (0..PAIRS)
            .map(|_| {
                let base = mean(&machine.run(PAIRED_RUN, 0.0));
                mean(&machine.run(PAIRED_RUN, slower)) - base
            })
            .collect();
        // The two-sided critical value at 5 % with four degrees of freedom.
        alarms.pairs += u64::from(student(&differences) > 2.776);
    }
    alarms
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Mann and Whitney's statistic by its normal approximation: above 0 where the second lie higher. Values here have no ties.
fn mann_whitney(base: &[f64], candidate: &[f64]) -> f64 {
    let pairs = base.iter().flat_map(|a| candidate.iter().map(move |b| b > a));
    let above = pairs.filter(|is_above| *is_above).count() as f64;
    let (n, m) = (base.len() as f64, candidate.len() as f64);
    (above - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}

/// Student's t of paired differences.
fn student(differences: &[f64]) -> f64 {
    let n = differences.len() as f64;
    let middle = mean(differences);
    let squares: f64 = differences.iter().map(|x| (x - middle).powi(2)).sum();
    middle / (squares / (n - 1.0) / n).sqrt()
}
