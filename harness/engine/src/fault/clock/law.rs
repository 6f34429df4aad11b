//! How a shifted clock runs: a pure function from the real time to the one that the target is shown.
//!
//! Twin of `preload/page.h`: both must give the same nanosecond for the same law and time, since a receipt is checked
//! by computing it again here. Nothing in this file reads a clock.

use super::clocks::{ClockFamily, KernelClock, Laws, Readings};

/// The largest shift and the latest time a law may give: 146 years of nanoseconds, half of what fits in an `i64`, so
/// that sums never overflow.
const LIMIT_NS: i128 = 1 << 62;

/// How a clock's rate differs from the real clock's, as a fraction of 2^63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slope(i64);

impl Slope {
    /// The real clock's own rate.
    pub const NONE: Self = Self(0);
    /// The clock stands still.
    pub const FROZEN: Self = Self(i64::MIN);

    /// A rate that differs by `ppb` nanoseconds per real second. `None` outside ±999,999,999: a clock at or below a
    /// standstill is [`Slope::FROZEN`], and one at twice the rate or above isn't a drift.
    pub fn from_ppb(ppb: i64) -> Option<Self> {
        (ppb.abs() < 1_000_000_000).then(|| Self(((i128::from(ppb) << 63) / 1_000_000_000) as i64))
    }

    /// The fraction of 2^63 that the page holds.
    pub(super) fn q63(self) -> i64 {
        self.0
    }

    /// From what the page holds.
    pub(super) fn from_q63(q63: i64) -> Self {
        Self(q63)
    }
}

/// `virtual = real + offset + floor((real - origin) * slope)`, all in nanoseconds since the clock's own zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockLaw {
    /// How far the clock is ahead of the real one at `origin_ns`, in nanoseconds.
    pub offset_ns: i64,
    /// The real time from which `slope` counts, in nanoseconds; of no importance without a slope.
    pub origin_ns: i64,
    /// How the clock's rate differs.
    pub slope: Slope,
}

/// What is done to a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockChange {
    /// Moves it by so many nanoseconds; negative is back. Its rate stays.
    Step(i64),
    /// Sets it to so many nanoseconds since 1970. Its rate stays.
    JumpTo(i64),
    /// Stops it where it is.
    Freeze,
    /// From where it is, lets it gain so many nanoseconds per real second; negative loses. Replaces an earlier drift.
    Drift {
        /// Parts per billion; a thousand times the usual ppm.
        ppb: i64,
    },
}

/// Why a clock can't be set so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LawError {
    /// Too far from the real time.
    #[error(
        "the clock would be more than 146 years from its zero or from the real time: choose a smaller change"
    )]
    OutOfRange,
    /// A monotonic clock counts from the start of the machine, and programs take it for unsigned.
    #[error(
        "the monotonic clock would be {0} ns before the start of this machine, where it has no values: step it back by less"
    )]
    BeforeBoot(i64),
    /// A jump names a date, and only the realtime clock has one.
    #[error("the monotonic clock has no date to jump to: step it, or jump the realtime clock")]
    NoDate,
    /// The rate isn't a drift.
    #[error(
        "a drift of {0} ppb is out of range: it must be between -999,999,999 and 999,999,999; to stop the clock, freeze it"
    )]
    Drift(i64),
}

impl ClockLaw {
    /// The real time, unchanged.
    pub const REST: Self = Self {
        offset_ns: 0,
        origin_ns: 0,
        slope: Slope::NONE,
    };

    /// What the clock shows at a real time. Times that don't fit wrap around, as in the preload library.
    pub fn at(self, real_ns: i64) -> i64 {
        let delta = i128::from(real_ns.wrapping_sub(self.origin_ns));
        let drift = ((delta * i128::from(self.slope.0)) >> 63) as i64;
        real_ns.wrapping_add(self.offset_ns).wrapping_add(drift)
    }

    /// How far the clock is ahead at a real time, in nanoseconds.
    pub fn ahead_at(self, real_ns: i64) -> i64 {
        self.at(real_ns).wrapping_sub(real_ns)
    }

    /// The law after a change made at the real time `now_ns`. A freeze or a drift starts from what the clock shows,
    /// without a jump.
    pub fn after(self, change: ClockChange, now_ns: i64) -> Result<Self, LawError> {
        let shown = self.at(now_ns);
        let new = match change {
            ClockChange::Step(by_ns) => self.stepped(i128::from(by_ns))?,
            ClockChange::JumpTo(to_ns) => self.stepped(i128::from(to_ns) - i128::from(shown))?,
            ClockChange::Freeze => self.at_slope(Slope::FROZEN, now_ns),
            ClockChange::Drift { ppb } => {
                self.at_slope(Slope::from_ppb(ppb).ok_or(LawError::Drift(ppb))?, now_ns)
            }
        };
        if i128::from(new.at(now_ns)).abs() >= LIMIT_NS {
            return Err(LawError::OutOfRange);
        }
        Ok(new)
    }

    fn stepped(self, by_ns: i128) -> Result<Self, LawError> {
        let offset = i128::from(self.offset_ns) + by_ns;
        if offset.abs() >= LIMIT_NS {
            return Err(LawError::OutOfRange);
        }
        Ok(Self {
            offset_ns: offset as i64,
            ..self
        })
    }

    fn at_slope(self, slope: Slope, now_ns: i64) -> Self {
        Self {
            offset_ns: self.ahead_at(now_ns),
            origin_ns: now_ns,
            slope,
        }
    }
}

impl Laws {
    /// The laws after a change to a family of clocks, whose real times are `now`. All clocks of the family move by the
    /// same amount; the other family is left alone.
    pub fn after(&self, family: ClockFamily, change: ClockChange, now: &Readings) -> Result<Self, LawError> {
        let change = match (family, change) {
            (ClockFamily::Monotonic, ClockChange::JumpTo(_)) => return Err(LawError::NoDate),
            // The date is the realtime clock's; the others of its family keep their distance from it.
            (ClockFamily::Realtime, ClockChange::JumpTo(to_ns)) => {
                let shown = self.of(KernelClock::Realtime).at(now.of(KernelClock::Realtime));
                ClockChange::Step(to_ns.checked_sub(shown).ok_or(LawError::OutOfRange)?)
            }
            (_, other) => other,
        };
        let mut new = *self;
        for clock in KernelClock::ALL
            .into_iter()
            .filter(|clock| clock.family() == family)
        {
            let law = self.of(clock).after(change, now.of(clock))?;
            let shown = law.at(now.of(clock));
            if family == ClockFamily::Monotonic && shown < 0 {
                return Err(LawError::BeforeBoot(shown.saturating_neg()));
            }
            new.set(clock, law);
        }
        Ok(new)
    }

    /// The laws with one family back on real time.
    #[must_use]
    pub fn healed(&self, family: ClockFamily) -> Self {
        let mut new = *self;
        for clock in KernelClock::ALL
            .into_iter()
            .filter(|clock| clock.family() == family)
        {
            new.set(clock, ClockLaw::REST);
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const MS: i64 = 1_000_000;
    const NOW: i64 = 1_760_000_000 * SECOND;

    fn after(law: ClockLaw, change: ClockChange) -> ClockLaw {
        law.after(change, NOW).unwrap()
    }

    #[test]
    fn at_rest_the_clock_shows_the_real_time() {
        assert_eq!(ClockLaw::REST.at(NOW), NOW);
    }

    #[test]
    fn steps_add_up() {
        let law = after(
            after(ClockLaw::REST, ClockChange::Step(-50 * MS)),
            ClockChange::Step(20 * MS),
        );
        assert_eq!(law.ahead_at(NOW + 7 * SECOND), -30 * MS);
    }

    #[test]
    fn a_frozen_clock_stands_and_a_step_moves_it_without_thawing_it() {
        let frozen = after(ClockLaw::REST, ClockChange::Freeze);
        assert_eq!(frozen.at(NOW), NOW);
        assert_eq!(frozen.at(NOW + 3600 * SECOND), NOW);
        let moved = frozen.after(ClockChange::Step(-MS), NOW + SECOND).unwrap();
        assert_eq!(moved.at(NOW + 2 * SECOND), NOW - MS);
    }

    #[test]
    fn a_drift_gains_its_parts_per_billion() {
        let fast = after(ClockLaw::REST, ClockChange::Drift { ppb: 500_000 });
        assert_eq!(fast.ahead_at(NOW), 0);
        let gained = fast.ahead_at(NOW + 100 * SECOND);
        assert!((50 * MS - 1..=50 * MS).contains(&gained), "{gained}");
        let slow = after(ClockLaw::REST, ClockChange::Drift { ppb: -500_000 });
        assert_eq!(slow.ahead_at(NOW + 100 * SECOND), -50 * MS);
    }

    #[test]
    fn a_drift_thaws_a_frozen_clock_where_it_stands() {
        let frozen = after(ClockLaw::REST, ClockChange::Freeze);
        let thawed = frozen
            .after(ClockChange::Drift { ppb: 0 }, NOW + 5 * SECOND)
            .unwrap();
        assert_eq!(thawed.ahead_at(NOW + 9 * SECOND), -5 * SECOND);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let change = |change| ClockLaw::REST.after(change, NOW).unwrap_err();
        assert_eq!(change(ClockChange::Step(i64::MAX)), LawError::OutOfRange);
        assert_eq!(change(ClockChange::JumpTo(i64::MIN)), LawError::OutOfRange);
        assert_eq!(
            change(ClockChange::Drift { ppb: -SECOND }),
            LawError::Drift(-SECOND)
        );
        assert_eq!(
            change(ClockChange::Drift { ppb: SECOND }),
            LawError::Drift(SECOND)
        );
        let step = ClockLaw {
            offset_ns: (1 << 62) - 1,
            ..ClockLaw::REST
        }
        .after(ClockChange::Step(1), 0);
        assert_eq!(step.unwrap_err(), LawError::OutOfRange);
    }

    fn readings() -> Readings {
        Readings::new([NOW, NOW + 37 * SECOND, 10 * SECOND, 12 * SECOND, 9 * SECOND])
    }

    #[test]
    fn a_jump_moves_the_family_and_keeps_its_distances() {
        let now = readings();
        let laws = Laws::REST
            .after(ClockFamily::Realtime, ClockChange::JumpTo(5 * SECOND), &now)
            .unwrap();
        let shown = |clock| laws.of(clock).at(now.of(clock));
        assert_eq!(shown(KernelClock::Realtime), 5 * SECOND);
        assert_eq!(shown(KernelClock::Tai), 42 * SECOND);
        assert_eq!(shown(KernelClock::Monotonic), 10 * SECOND);
    }

    #[test]
    fn the_monotonic_clock_has_no_date_and_nothing_before_boot() {
        let change = |change| Laws::REST.after(ClockFamily::Monotonic, change, &readings());
        assert_eq!(change(ClockChange::JumpTo(0)), Err(LawError::NoDate));
        assert_eq!(
            change(ClockChange::Step(-11 * SECOND)),
            Err(LawError::BeforeBoot(SECOND))
        );
        assert!(change(ClockChange::Step(-9 * SECOND)).is_ok());
    }

    #[test]
    fn healing_one_family_leaves_the_other() {
        let both = [ClockFamily::Realtime, ClockFamily::Monotonic]
            .into_iter()
            .fold(Laws::REST, |laws, family| {
                laws.after(family, ClockChange::Freeze, &readings()).unwrap()
            });
        let healed = both.healed(ClockFamily::Realtime);
        assert_eq!(healed.of(KernelClock::Tai), ClockLaw::REST);
        assert_eq!(healed.of(KernelClock::Boottime), both.of(KernelClock::Boottime));
        assert_eq!(healed.healed(ClockFamily::Monotonic), Laws::REST);
    }

    fn any_change() -> impl Strategy<Value = ClockChange> {
        prop_oneof![
            (-(1_i64 << 55)..1 << 55).prop_map(ClockChange::Step),
            (0..2_i64 << 60).prop_map(ClockChange::JumpTo),
            Just(ClockChange::Freeze),
            (-999_999_999..=999_999_999_i64).prop_map(|ppb| ClockChange::Drift { ppb }),
        ]
    }

    proptest! {
        /// Whatever was done before: the change is felt by exactly what it says, at the moment it is made.
        #[test]
        fn a_change_after_any_others_does_what_it_says(
            changes in prop::collection::vec((any_change(), 0..1_i64 << 45), 1..20)
        ) {
            let (mut law, mut now) = (ClockLaw::REST, NOW);
            for (change, wait) in changes {
                now += wait;
                let Ok(new) = law.after(change, now) else { break };
                let moved = new.at(now) - law.at(now);
                match change {
                    ClockChange::Step(by) => prop_assert_eq!(moved, by),
                    ClockChange::JumpTo(to) => prop_assert_eq!(new.at(now), to),
                    ClockChange::Freeze | ClockChange::Drift { .. } => prop_assert_eq!(moved, 0),
                }
                if change == ClockChange::Freeze {
                    prop_assert_eq!(new.at(now + wait), new.at(now));
                }
                law = new;
            }
        }

        /// No law but a new one makes time run backwards.
        #[test]
        fn within_one_law_time_never_runs_backwards(
            ppb in -999_999_999..=999_999_999_i64, at in 0..1_i64 << 60, step in 0..1_i64 << 40
        ) {
            let law = after(ClockLaw::REST, ClockChange::Drift { ppb });
            prop_assert!(law.at(at + step) >= law.at(at));
        }

        /// The fixed-point slope is exact to a nanosecond over years.
        #[test]
        fn a_drift_is_exact_over_years(ppb in -999_999_999..=999_999_999_i64, wait in 0..1_i64 << 58) {
            let law = after(ClockLaw::REST, ClockChange::Drift { ppb });
            let exact = (i128::from(wait) * i128::from(ppb)).div_euclid(i128::from(SECOND)) as i64;
            prop_assert!((law.ahead_at(NOW + wait) - exact).abs() <= 1);
        }
    }
}
