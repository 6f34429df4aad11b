//! How much worse a metric may be, and on which scale that is said.
//!
//! Tests work on an axis where no change is 0 and more is worse: the logarithm of a ratio, or a difference as it is. This is the one
//! place that knows both the axis and the terms in which people and files speak of it.

use squall_model::gate::{MetricKind, MetricScale};

/// How much worse a metric may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    scale: MetricScale,
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
    pub const USUAL: Limits = Limits::constant(MetricScale::Ratio, 0.02, 0.05);

    /// Those of P99.9, which few requests make: 2 % and 10 %.
    pub const TAIL: Limits = Limits::constant(MetricScale::Ratio, 0.02, 0.10);

    /// Those of the longest pause, one event of a block: 10 % and 50 %.
    pub const PAUSE: Limits = Limits::constant(MetricScale::Ratio, 0.10, 0.50);

    /// Those of recovery, which is known to a tenth of a second: 5 % and 25 %.
    pub const RECOVERY: Limits = Limits::constant(MetricScale::Ratio, 0.05, 0.25);

    /// Those of errors: 0.05 and 0.2 points of a hundred, whatever the base has.
    pub const ERRORS: Limits = Limits::constant(MetricScale::Difference, 0.000_5, 0.002);

    const fn constant(scale: MetricScale, margin: f64, tolerance: f64) -> Limits {
        Limits {
            scale,
            margin,
            tolerance,
        }
    }

    /// Those of a kind of metric where nobody asks for others.
    pub const fn of(kind: MetricKind) -> Limits {
        match kind {
            MetricKind::Cpu
            | MetricKind::P50
            | MetricKind::P99
            | MetricKind::Throughput
            | MetricKind::Time => Limits::USUAL,
            MetricKind::P999 => Limits::TAIL,
            MetricKind::Errors => Limits::ERRORS,
            MetricKind::Pause => Limits::PAUSE,
            MetricKind::Recovery => Limits::RECOVERY,
        }
    }

    /// Shares of the base (0.05 is 5 %), or differences, by the scale. A margin of 0 is for arms that are the same binary.
    pub fn new(scale: MetricScale, margin: f64, tolerance: f64) -> Result<Limits, LimitsError> {
        if margin >= 0.0 && tolerance > margin && tolerance.is_finite() {
            Ok(Limits::constant(scale, margin, tolerance))
        } else {
            Err(LimitsError { margin, tolerance })
        }
    }

    /// Shares of the base.
    pub fn ratio(margin: f64, tolerance: f64) -> Result<Limits, LimitsError> {
        Limits::new(MetricScale::Ratio, margin, tolerance)
    }

    /// Candidate minus base.
    pub fn difference(margin: f64, tolerance: f64) -> Result<Limits, LimitsError> {
        Limits::new(MetricScale::Difference, margin, tolerance)
    }

    /// What they are said in.
    pub const fn scale(self) -> MetricScale {
        self.scale
    }

    /// A change below which is of no interest, as a share of the base or a difference.
    pub const fn margin(self) -> f64 {
        self.margin
    }

    /// A change above which must not stay hidden, in the same terms.
    pub const fn tolerance(self) -> f64 {
        self.tolerance
    }

    /// The limits of a change that may be worse by `by`, in the same terms: that becomes the margin, and the room between margin and
    /// tolerance stays as it is. Without effect where the margin is larger already.
    #[must_use]
    pub fn accepting(self, by: f64) -> Limits {
        if by <= self.margin {
            return self;
        }
        let room = self.on_axis(self.tolerance) - self.on_axis(self.margin);
        Limits {
            margin: by,
            tolerance: self.share(self.on_axis(by) + room),
            ..self
        }
    }

    /// The margin on the axis of the test.
    pub(super) fn axis_margin(self) -> f64 {
        self.on_axis(self.margin)
    }

    /// The tolerance on the axis of the test.
    pub(super) fn axis_tolerance(self) -> f64 {
        self.on_axis(self.tolerance)
    }

    /// From the terms of margin and tolerance to the axis.
    fn on_axis(self, share: f64) -> f64 {
        match self.scale {
            MetricScale::Ratio => share.ln_1p(),
            MetricScale::Difference => share,
        }
    }

    /// Back from the axis: 0.1 for 10 % worse, or a difference.
    pub(super) fn share(self, at: f64) -> f64 {
        match self.scale {
            MetricScale::Ratio => at.exp_m1(),
            MetricScale::Difference => at,
        }
    }

    /// Back from the axis to what is shown: candidate over base, or a difference.
    pub(super) fn shown(self, at: f64) -> f64 {
        shown(self.scale, at)
    }
}

/// From the axis of the test to what is shown: candidate over base, or a difference.
pub fn shown(scale: MetricScale, at: f64) -> f64 {
    match scale {
        MetricScale::Ratio => at.exp(),
        MetricScale::Difference => at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_leave_no_room_are_refused() {
        for (margin, tolerance) in [
            (-0.01, 0.05),
            (0.05, 0.05),
            (0.02, f64::INFINITY),
            (f64::NAN, 1.0),
            (0.0, f64::NAN),
        ] {
            for scale in [MetricScale::Ratio, MetricScale::Difference] {
                assert!(
                    Limits::new(scale, margin, tolerance).is_err(),
                    "{margin} and {tolerance}"
                );
            }
        }
        assert!(Limits::ratio(0.0, 0.05).is_ok());
    }

    #[test]
    fn the_limits_of_every_kind_are_ones_that_could_be_asked_for() {
        for kind in MetricKind::ALL {
            let limits = Limits::of(kind);
            let asked = Limits::new(limits.scale(), limits.margin(), limits.tolerance());
            assert_eq!(asked, Ok(limits), "{kind:?}");
        }
    }

    #[test]
    fn a_ratio_is_tested_by_its_logarithm_and_a_difference_as_it_is() {
        assert!((Limits::USUAL.axis_tolerance() - 1.05_f64.ln()).abs() < 1e-15);
        assert!((Limits::USUAL.shown(Limits::USUAL.axis_margin()) - 1.02).abs() < 1e-15);
        assert!((Limits::ERRORS.axis_margin() - 0.000_5).abs() < 1e-18);
        assert!((Limits::ERRORS.shown(-0.001) + 0.001).abs() < 1e-18);
    }

    #[test]
    fn to_accept_moves_the_margin_and_keeps_the_room() {
        let accepting = Limits::USUAL.accepting(0.08);
        // By hand: 1.08 x 1.05 / 1.02 = 1.111765.
        assert!(
            (accepting.tolerance() - 0.111_764_7).abs() < 1e-6,
            "{accepting:?}"
        );
        assert!((accepting.margin() - 0.08).abs() < 1e-15);
        assert_eq!(Limits::USUAL.accepting(0.01), Limits::USUAL);
        let errors = Limits::ERRORS.accepting(0.01);
        assert!((errors.tolerance() - 0.011_5).abs() < 1e-15, "{errors:?}");
    }
}
