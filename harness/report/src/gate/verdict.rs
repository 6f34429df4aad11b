//! What a look says of each metric, and of the change.
//!
//! A metric's blocks are log ratios, candidate over base, with more being worse: throughput goes in upside down. It has a margin,
//! below which a change is of no interest, and a tolerance, above which it must not stay hidden.
//!
//! `regressed` and `improved` need the bound that is adjusted for all metrics (`holm.rs`) at the look's alpha to lie beyond the margin:
//! two families, each with its own alpha, and only the first ever blocks. `pass` needs the upper bound at the look's beta to lie
//! below the tolerance. A change passes where every metric does, which takes no adjustment: where one metric is worse than it may be, all must
//! err for a false pass, that one too (Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24,
//! 1982). All else is `inconclusive`, never a guess.

use super::holm;
use super::looks::Levels;
use super::signed_rank::{Alternative, Nulls, Sample, SampleError};

/// How much worse a metric may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    margin: f64,
    tolerance: f64,
}

/// Limits that leave no room for a verdict.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a margin of {margin} and a tolerance of {tolerance}: want 0 <= margin < tolerance")]
pub struct LimitsError {
    /// The margin that was asked for.
    pub margin: f64,
    /// The tolerance that was asked for.
    pub tolerance: f64,
}

impl Limits {
    /// A margin of 2 % and a tolerance of 5 %.
    pub const USUAL: Limits = Limits {
        margin: 0.02,
        tolerance: 0.05,
    };

    /// Those of P99.9, which few requests make: 2 % and 10 %.
    pub const TAIL: Limits = Limits {
        margin: 0.02,
        tolerance: 0.10,
    };

    /// Shares of the base: 0.05 is 5 %. A margin of 0 is for arms that are the same binary.
    pub fn new(margin: f64, tolerance: f64) -> Result<Limits, LimitsError> {
        if margin >= 0.0 && tolerance > margin && tolerance.is_finite() {
            Ok(Limits { margin, tolerance })
        } else {
            Err(LimitsError { margin, tolerance })
        }
    }

    /// A change below which is of no interest, as a share of the base.
    pub fn margin(self) -> f64 {
        self.margin
    }

    /// A change above which must not stay hidden, as a share of the base.
    pub fn tolerance(self) -> f64 {
        self.tolerance
    }

    /// The margin as a log ratio.
    pub(super) fn log_margin(self) -> f64 {
        self.margin.ln_1p()
    }

    /// The tolerance as a log ratio.
    pub(super) fn log_tolerance(self) -> f64 {
        self.tolerance.ln_1p()
    }
}

/// What is said of a metric, or of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Worse by more than the margin.
    Regressed,
    /// Better by more than the margin.
    Improved,
    /// Not worse by as much as the tolerance.
    Pass,
    /// None of these can be said yet.
    Inconclusive,
}

/// One metric at a look.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    sample: Sample,
    limits: Limits,
}

impl Metric {
    /// The natural logarithm of candidate over base, one a block; more is worse.
    pub fn new(log_ratios: &[f64], limits: Limits) -> Result<Metric, SampleError> {
        let sample = Sample::new(log_ratios)?;
        Ok(Metric { sample, limits })
    }
}

/// What a look found of one metric. Ratios are candidate over base: 1.1 is 10 % worse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// What it comes to.
    pub verdict: Verdict,
    /// The estimated ratio.
    pub ratio: f64,
    /// The ratio lies above this, but for the level of the metric's own step of Holm's; nothing where there are too few blocks for such a
    /// bound. Of metrics that regressed, only that their ratios are above the margin holds for all together but for alpha.
    pub lower: Option<f64>,
    /// The ratio lies below this, but for beta; nothing where there are too few blocks.
    pub upper: Option<f64>,
    /// The p-value of a regression beyond the margin, adjusted for all metrics: to be compared with the look's alpha.
    pub p_value: f64,
}

impl Finding {
    /// How much worse the metric may be and have passed unseen, as a share of the base: 0 where even the upper bound is no
    /// change for the worse; nothing where there is no bound, so it may be anything.
    pub fn blind_spot(&self) -> Option<f64> {
        self.upper.map(|upper| (upper - 1.0).max(0.0))
    }
}

/// Judges all metrics that decide, at one look. What comes of a metric depends on the others only by how many they are and how sure.
pub fn judge(metrics: &[Metric], levels: Levels, nulls: &mut Nulls) -> Vec<Finding> {
    let p_values = |sign: f64, alternative, nulls: &mut Nulls| -> Vec<f64> {
        let p_value = |Metric { sample, limits }: &Metric| {
            sample.p_value(sign * limits.log_margin(), alternative, nulls)
        };
        metrics.iter().map(p_value).collect()
    };
    let worse = p_values(1.0, Alternative::Greater, nulls);
    let better = p_values(-1.0, Alternative::Less, nulls);
    let regressed = holm::step_down(&worse, levels.alpha, |at, level| {
        let Metric { sample, limits } = &metrics[at];
        let lower = sample.lower(level, nulls);
        lower.is_some_and(|lower| lower.at > limits.log_margin())
    });
    let improved = holm::step_down(&better, levels.alpha, |at, level| {
        let Metric { sample, limits } = &metrics[at];
        let upper = sample.upper(level, nulls);
        upper.is_some_and(|upper| upper.at < -limits.log_margin())
    });
    let adjusted = holm::adjusted(&worse);
    let mut findings = Vec::with_capacity(metrics.len());
    for (at, Metric { sample, limits }) in metrics.iter().enumerate() {
        let lower = sample.lower(regressed[at].level, nulls);
        let upper = sample.upper(levels.beta, nulls);
        let verdict = if regressed[at].is_rejected {
            Verdict::Regressed
        } else if improved[at].is_rejected {
            Verdict::Improved
        } else if upper.is_some_and(|upper| upper.at < limits.log_tolerance()) {
            Verdict::Pass
        } else {
            Verdict::Inconclusive
        };
        findings.push(Finding {
            verdict,
            ratio: sample.estimate().exp(),
            lower: lower.map(|lower| lower.at.exp()),
            upper: upper.map(|upper| upper.at.exp()),
            p_value: adjusted[at],
        });
    }
    findings
}

/// Of the change: regressed if any metric is, passed if every metric is within its tolerance or better. Without metrics, inconclusive.
pub fn overall(findings: &[Finding]) -> Verdict {
    let is = |verdict: Verdict| move |finding: &Finding| finding.verdict == verdict;
    if findings.iter().any(is(Verdict::Regressed)) {
        Verdict::Regressed
    } else if findings.is_empty() || findings.iter().any(is(Verdict::Inconclusive)) {
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    }
}

#[cfg(test)]
mod tests;
