//! `latency`: every chunk goes on a while after it came, in the order in which it came.
//!
//! Chunks wait beside each other, not one after the other: the rate stays, the way gets longer. The end of a direction follows its
//! last chunk without a delay of its own, as in Toxiproxy.

use std::time::Duration;

use rand_distr::{Distribution as _, Exp1, Pareto, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use squall_model::seed::unit;

use super::{Chunk, Rule, ToxicKind, ToxicType, Verdict, milliseconds};

pub(super) const TYPE: ToxicType = ToxicType {
    name: "latency",
    about: "delays bytes by a time, with jitter",
};

/// No chunk is delayed by more, whatever a distribution with a long tail says.
const DELAY_MAX_NS: f64 = 3_600e9;

/// A delay. Toxiproxy's attributes are whole milliseconds; here they may be finer.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Latency {
    /// The delay.
    #[serde(with = "milliseconds")]
    pub latency: Duration,
    /// How much it varies; what that means is the distribution's.
    #[serde(with = "milliseconds")]
    pub jitter: Duration,
    /// How it varies; Toxiproxy knows the first alone.
    #[serde(skip_serializing_if = "is_uniform")]
    pub distribution: Distribution,
}

/// How the delay of a chunk is drawn. None is below zero or above an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Anywhere between `latency - jitter` and `latency + jitter`.
    #[default]
    Uniform,
    /// Normal around `latency` with the standard deviation `jitter`.
    Normal,
    /// `latency`, and beyond it a Pareto tail of shape 3 whose mean is `jitter`.
    Pareto,
    /// `latency`, and beyond it an exponential tail whose mean is `jitter`.
    Exponential,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_uniform(distribution: &Distribution) -> bool {
    *distribution == Distribution::Uniform
}

impl From<Latency> for ToxicKind {
    fn from(it: Latency) -> ToxicKind {
        ToxicKind::Latency(it)
    }
}

impl Latency {
    /// A delay without jitter.
    pub fn of(latency: Duration) -> Latency {
        Latency {
            latency,
            ..Latency::default()
        }
    }

    /// Draws the delay of one chunk, in nanoseconds.
    pub fn draw_ns(&self, rng: &mut Xoshiro256PlusPlus) -> u64 {
        let (latency_ns, jitter_ns) = (self.latency.as_nanos() as f64, self.jitter.as_nanos() as f64);
        if jitter_ns == 0.0 {
            return latency_ns.min(DELAY_MAX_NS) as u64;
        }
        let beyond = match self.distribution {
            Distribution::Uniform => 2.0 * unit(rng) - 1.0,
            Distribution::Normal => StandardNormal.sample(rng),
            // A Pareto of scale 2 and shape 3 has the mean 3 and begins at 2.
            Distribution::Pareto => Pareto::new(2.0, 3.0).expect("both are positive").sample(rng) - 2.0,
            Distribution::Exponential => Exp1.sample(rng),
        };
        (latency_ns + jitter_ns * beyond).clamp(0.0, DELAY_MAX_NS) as u64
    }
}

/// The rule.
pub(super) struct Delays {
    latency: Latency,
    rng: Xoshiro256PlusPlus,
}

impl Delays {
    pub(super) fn new(latency: Latency, rng: Xoshiro256PlusPlus) -> Delays {
        Delays { latency, rng }
    }
}

impl Rule for Delays {
    fn chunk(&mut self, chunk: Chunk, _now_ns: u64) -> Verdict {
        Verdict::Until(chunk.came_ns + self.latency.draw_ns(&mut self.rng))
    }
}

#[cfg(test)]
mod tests {
    use squall_model::seed::Seed;

    use super::*;

    const MS: u64 = 1_000_000;

    fn draws(distribution: Distribution) -> Vec<f64> {
        let latency = Latency {
            latency: Duration::from_millis(100),
            jitter: Duration::from_millis(10),
            distribution,
        };
        let mut rng = Seed::new(7).rng();
        (0..20_000)
            .map(|_| latency.draw_ns(&mut rng) as f64 / MS as f64)
            .collect()
    }

    fn mean(draws: &[f64]) -> f64 {
        draws.iter().sum::<f64>() / draws.len() as f64
    }

    #[test]
    fn a_chunk_goes_on_after_the_delay_from_when_it_came() {
        let mut rule = Delays::new(Latency::of(Duration::from_millis(5)), Seed::new(1).rng());
        let chunk = Chunk {
            bytes: 9,
            came_ns: 3 * MS,
        };
        assert_eq!(rule.chunk(chunk, 4 * MS), Verdict::Until(8 * MS));
    }

    #[test]
    fn distributions_are_what_they_say() {
        for (distribution, expected, least) in [
            (Distribution::Uniform, 100.0, 90.0),
            (Distribution::Normal, 100.0, 0.0),
            (Distribution::Pareto, 110.0, 100.0),
            (Distribution::Exponential, 110.0, 100.0),
        ] {
            let draws = draws(distribution);
            let mean = mean(&draws);
            assert!((mean - expected).abs() < 1.0, "{distribution:?}: {mean}");
            assert!(draws.iter().all(|one| *one >= least), "{distribution:?}");
        }
        assert!(draws(Distribution::Uniform).iter().all(|one| *one < 110.0));
        let normal = draws(Distribution::Normal);
        let centre = mean(&normal);
        let variance = mean(
            &normal
                .iter()
                .map(|one| (one - centre).powi(2))
                .collect::<Vec<_>>(),
        );
        assert!((variance.sqrt() - 10.0).abs() < 0.5, "{variance}");
    }

    #[test]
    fn delays_are_never_below_zero() {
        let latency = Latency {
            latency: Duration::from_millis(1),
            jitter: Duration::from_millis(50),
            distribution: Distribution::Normal,
        };
        let mut rng = Seed::new(3).rng();
        let draws: Vec<u64> = (0..1_000).map(|_| latency.draw_ns(&mut rng)).collect();
        assert!(draws.contains(&0));
    }
}
