//! How far a percentile is off because whoever measured it was late. Pure: histograms in, a number out.
//!
//! A measured latency is the true one plus lateness: the request was sent late, or its answer lay in the socket while the
//! reader had no processor. What is known is the distribution of the sums and the distribution of the lateness, and they are
//! independent, because what holds a thread up knows nothing of the request in hand. So the true distribution is found by
//! deconvolution, after Richardson (1972) and Lucy (1974): begin with what was measured, and move each share of it to
//! where it would have to lie for the lateness to make of it what was measured. It never yields a negative share, and a few
//! rounds suffice, since only one percentile is read off.
//!
//! What this module must never do is correct a number: it says how far one may be off, and the run is judged by that.

use squall_model::histogram::{Histogram, quantile};

/// Steps into which the way from zero to the percentile is divided: the estimate is good to half of one.
const STEPS: usize = 100;

/// Distributions are followed to this many times the percentile; what lies beyond is kept as one share.
const REACH: usize = 4;

/// Places of the grid; the last holds all that lies beyond.
const PLACES: usize = STEPS * REACH + 1;

/// Rounds of the deconvolution.
const ROUNDS: usize = 25;

/// The share that the deconvolution begins with at places where nothing was seen.
const ANYWHERE: f64 = 0.01;

/// What any wake-up costs on a machine at rest, at the most, microseconds. The median lateness is taken for this cost: a
/// client of the service would pay it too, so it is no error.
const ORDINARY_US: u64 = 100;

/// A percentile as measured, and as it would have been without lateness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The percentile, 0..1: the highest of P99, P90 and P50 that enough samples lie beyond.
    pub quantile: f64,
    /// As measured, microseconds.
    pub measured_us: f64,
    /// Without the lateness, microseconds.
    pub true_us: f64,
}

impl Estimate {
    /// By how much the measured value is too large, microseconds.
    pub fn off_us(&self) -> f64 {
        (self.measured_us - self.true_us).max(0.0)
    }

    /// The same as a share of the true value.
    pub fn share(&self) -> f64 {
        if self.true_us > 0.0 {
            self.off_us() / self.true_us
        } else {
            0.0
        }
    }
}

/// One way in which a measurement came late. Samples are the lateness, in microseconds, of moments that were chosen
/// without regard to what held the thread up.
#[derive(Clone, Copy, Debug)]
pub enum Lateness<'a> {
    /// Something that was due at any moment: a send, or a service's own turn.
    Turn(&'a Histogram),
    /// An answer that was read late, this many microseconds after the thread had sent its request.
    ///
    /// It was sent by a thread that ran. So it is late only by what began to hold the thread up after that: a moment
    /// would be late by more than `w`, but not because of what would also have made a moment `service` earlier late by
    /// more than `w` and `service` together: `P(W > w) = P(L > w) - P(L > w + service)`.
    Read(&'a Histogram, f64),
}

/// What `measured` would have been without `late`; nothing where there are too few samples for any percentile.
pub fn estimate(measured: &Histogram, late: &[Lateness<'_>]) -> Option<Estimate> {
    let (q, measured_us) = [0.99, 0.90, 0.50]
        .into_iter()
        .find_map(|q| Some((q, quantile(measured, q)?)))?;
    let step_us = (measured_us as f64 / STEPS as f64).max(1.0);
    let kernel = late
        .iter()
        .map(|one| kernel(*one, step_us))
        .reduce(|all, one| convolved(&all, &one))
        .unwrap_or_default();
    let seen = placed(measured, step_us);
    let same = Estimate {
        quantile: q,
        measured_us: measured_us as f64,
        true_us: measured_us as f64,
    };
    if present(&kernel).all(|(by, _)| by == 0) {
        return Some(same);
    }
    let freed = deconvolved(&seen, &kernel);
    // Both are read off the same grid, so that its coarseness cancels out.
    let ratio = at_quantile(&freed, q) / at_quantile(&seen, q);
    Some(Estimate {
        true_us: measured_us as f64 * ratio.clamp(0.0, 1.0),
        ..same
    })
}

/// The lateness that is the cost of waking, microseconds.
fn ordinary(late: &Histogram) -> u64 {
    if late.is_empty() {
        0
    } else {
        late.value_at_quantile(0.5).min(ORDINARY_US)
    }
}

/// Adds a share at `at` steps, divided between the two nearest places so that sums stay where they belong.
fn put(shares: &mut Vec<f64>, at: f64, share: f64) {
    // A float too large for an index becomes the largest one.
    let below = (at as usize).min(PLACES - 1);
    let above = (below + 1).min(PLACES - 1);
    if shares.len() <= above {
        shares.resize(above + 1, 0.0);
    }
    let to_above = (at - below as f64).clamp(0.0, 1.0);
    shares[below] += share * (1.0 - to_above);
    shares[above] += share * to_above;
}

/// A distribution on the grid: the share of the samples at each place.
fn placed(samples: &Histogram, step_us: f64) -> Vec<f64> {
    let mut shares = vec![0.0; PLACES];
    for step in samples.iter_recorded() {
        let share = step.count_at_value() as f64 / samples.len() as f64;
        put(&mut shares, step.value_iterated_to() as f64 / step_us, share);
    }
    shares
}

/// The lateness beyond the ordinary on the grid, no longer than it has to be.
fn kernel(late: Lateness<'_>, step_us: f64) -> Vec<f64> {
    let (samples, service_us) = match late {
        Lateness::Turn(samples) => (samples, None),
        Lateness::Read(samples, service_us) => (samples, Some(service_us)),
    };
    let mut shares = vec![0.0];
    let ordinary_us = ordinary(samples);
    for step in samples.iter_recorded() {
        let beyond_us = step.value_iterated_to().saturating_sub(ordinary_us) as f64;
        let share = step.count_at_value() as f64 / samples.len() as f64;
        put(&mut shares, beyond_us / step_us, share);
        if let Some(service_us) = service_us {
            put(&mut shares, (beyond_us - service_us).max(0.0) / step_us, -share);
        }
    }
    // Few samples are uneven, and then a difference of two shares may fall below nothing. What is left is on time.
    shares[1..].iter_mut().for_each(|share| *share = share.max(0.0));
    shares[0] = (1.0 - shares[1..].iter().sum::<f64>()).max(0.0);
    shares
}

/// The distribution of the sum of two.
fn convolved(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; (a.len() + b.len() - 1).min(PLACES)];
    for (i, x) in present(a) {
        for (j, y) in present(b) {
            sum[(i + j).min(PLACES - 1)] += x * y;
        }
    }
    sum
}

fn present(shares: &[f64]) -> impl Iterator<Item = (usize, f64)> {
    let shares = shares.iter().copied().enumerate();
    shares.filter(|(_, share)| *share > 0.0)
}

/// What, with lateness as in `kernel`, gives `seen`.
fn deconvolved(seen: &[f64], kernel: &[f64]) -> Vec<f64> {
    let kernel: Vec<(usize, f64)> = present(kernel).collect();
    let to = |from: usize, by: usize| (from + by).min(PLACES - 1);
    // Where nothing was seen something may be all the same, if everything was late.
    let prior = ANYWHERE / PLACES as f64;
    let mut freed: Vec<f64> = seen
        .iter()
        .map(|share| (1.0 - ANYWHERE) * share + prior)
        .collect();
    for _ in 0..ROUNDS {
        let mut made = vec![0.0; PLACES];
        for (at, share) in present(&freed) {
            for (by, weight) in &kernel {
                made[to(at, *by)] += share * weight;
            }
        }
        let wanted: Vec<f64> = seen
            .iter()
            .zip(&made)
            .map(|(seen, made)| if *made > 0.0 { seen / made } else { 0.0 })
            .collect();
        for (at, share) in freed.iter_mut().enumerate().filter(|(_, share)| **share > 0.0) {
            *share *= kernel
                .iter()
                .map(|(by, weight)| weight * wanted[to(at, *by)])
                .sum::<f64>();
        }
    }
    freed
}

/// The place of a quantile, in steps and fractions of one.
fn at_quantile(shares: &[f64], q: f64) -> f64 {
    let wanted = q * shares.iter().sum::<f64>();
    let mut below = 0.0;
    for (at, share) in present(shares) {
        if below + share >= wanted {
            return at as f64 - 0.5 + (wanted - below) / share;
        }
        below += share;
    }
    PLACES as f64
}

#[cfg(test)]
#[path = "lateness_tests.rs"]
mod tests;
