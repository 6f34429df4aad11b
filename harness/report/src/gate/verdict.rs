//! What a look says of each metric, and of the change.
//!
//! A metric's blocks are log ratios, candidate over base, or differences, with more being worse: throughput goes in upside down. It has a
//! margin, below which a change is of no interest, and a tolerance, above which it must not stay hidden (`limits.rs`).
//!
//! `regressed` and `improved` need the bound that is adjusted for all metrics (`holm.rs`) at the look's alpha to lie beyond the margin:
//! two families, each with its own alpha, and only the first ever blocks. `pass` needs the upper bound at the look's beta to lie
//! below the tolerance. A change passes where every metric does, which takes no adjustment: where one metric is worse than it may be, all must
//! err for a false pass, that one too (Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24,
//! 1982). All else is `inconclusive`, never a guess.

use super::holm;
use super::limits::Limits;
use super::looks::Levels;
use super::signed_rank::{Alternative, Nulls, Sample, SampleError};

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
    /// One change a block, on the axis of the test: the natural logarithm of candidate over base, or candidate minus base, by the
    /// limits' scale. More is worse.
    pub fn new(changes: &[f64], limits: Limits) -> Result<Metric, SampleError> {
        let sample = Sample::new(changes)?;
        Ok(Metric { sample, limits })
    }
}

/// What a look found of one metric, in the terms of its scale: ratios are candidate over base, 1.1 being 10 % worse; differences are
/// candidate minus base.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// What it comes to.
    pub verdict: Verdict,
    /// The estimated change.
    pub estimate: f64,
    /// The change lies above this, but for the level of the metric's own step of Holm's; nothing where there are too few blocks for such a
    /// bound. Of metrics that regressed, only that their changes are above the margin holds for all together but for alpha.
    pub lower: Option<f64>,
    /// The change lies below this, but for beta; nothing where there are too few blocks.
    pub upper: Option<f64>,
    /// The p-value of a regression beyond the margin, adjusted for all metrics: to be compared with the look's alpha.
    pub p_value: f64,
}

/// What is undecided looks worse where the p-value of its regression is no larger.
const LOOKS_WORSE: f64 = 0.05;

impl Finding {
    /// Whether it is undecided and may well be a regression: more blocks may show it.
    pub fn looks_worse(&self) -> bool {
        self.verdict == Verdict::Inconclusive && self.p_value <= LOOKS_WORSE
    }
}

/// Judges all metrics that are tested, at one look. What comes of a metric depends on the others only by how many they are and how sure.
pub fn judge(metrics: &[Metric], levels: Levels, nulls: &mut Nulls) -> Vec<Finding> {
    let p_values = |sign: f64, alternative, nulls: &mut Nulls| -> Vec<f64> {
        let p_value = |Metric { sample, limits }: &Metric| {
            sample.p_value(sign * limits.axis_margin(), alternative, nulls)
        };
        metrics.iter().map(p_value).collect()
    };
    let worse = p_values(1.0, Alternative::Greater, nulls);
    let better = p_values(-1.0, Alternative::Less, nulls);
    let regressed = holm::step_down(&worse, levels.alpha, |at, level| {
        let Metric { sample, limits } = &metrics[at];
        let lower = sample.lower(level, nulls);
        lower.is_some_and(|lower| lower.at > limits.axis_margin())
    });
    let improved = holm::step_down(&better, levels.alpha, |at, level| {
        let Metric { sample, limits } = &metrics[at];
        let upper = sample.upper(level, nulls);
        upper.is_some_and(|upper| upper.at < -limits.axis_margin())
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
        } else if upper.is_some_and(|upper| upper.at < limits.axis_tolerance()) {
            Verdict::Pass
        } else {
            Verdict::Inconclusive
        };
        findings.push(Finding {
            verdict,
            estimate: limits.shown(sample.estimate()),
            lower: lower.map(|lower| limits.shown(lower.at)),
            upper: upper.map(|upper| limits.shown(upper.at)),
            p_value: adjusted[at],
        });
    }
    findings
}

/// Of the change: regressed if any metric is, inconclusive if any is or there is none, improved if any is better and passed if every one is
/// within its tolerance.
pub fn overall(findings: &[Finding]) -> Verdict {
    let is = |verdict: Verdict| move |finding: &Finding| finding.verdict == verdict;
    if findings.iter().any(is(Verdict::Regressed)) {
        Verdict::Regressed
    } else if findings.is_empty() || findings.iter().any(is(Verdict::Inconclusive)) {
        Verdict::Inconclusive
    } else if findings.iter().any(is(Verdict::Improved)) {
        Verdict::Improved
    } else {
        Verdict::Pass
    }
}

#[cfg(test)]
mod tests;
