//! Where to probe next. Pure: it is told verdicts and says rates, and knows nothing of what is probed.
//!
//! 1. **Climb.** The rate doubles until a probe fails, or halves until one holds.
//! 2. **Close in.** The gap between the highest rate that held and the lowest that failed is halved, geometrically, until
//!    their ratio is within the precision.
//! 3. **Confirm.** The rate that held must hold again so many times. One that fails has failed, and the next lower one by
//!    the precision is confirmed.
//! 4. **Doubt.** A failure that nothing repeated may have been bad luck: the rate that failed is probed again, and of three
//!    probes two decide. Where it holds after all, the search goes on from there.
//!
//! A probe that can't be judged is repeated once. If that one can't be either, the search ends below it. The number of
//! probes is bounded, whatever the verdicts.

/// Most significant digits of a rate: people read it, and repeat it.
const DIGITS: i32 = 4;

/// What one probe showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every objective was met.
    Holds,
    /// One was not.
    Fails,
    /// It can't be said.
    Invalid,
}

/// What is searched.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The first rate, per second.
    pub start: f64,
    /// The lowest that is tried.
    pub lowest: f64,
    /// The highest that is tried.
    pub highest: f64,
    /// The ratio, less one, of the rates that fail and hold at the end.
    pub precision: f64,
    /// Runs that must hold at the rate that is found.
    pub confirm: u32,
    /// Probes at most.
    pub probes_most: u32,
}

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To find a rate that holds and one that fails.
    Climb,
    /// To bring the two together.
    CloseIn,
    /// To see the rate hold again.
    Confirm,
    /// To see the failure again.
    Doubt,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// Probe this rate.
    Probe(f64, Purpose),
    /// It is over.
    Done(Found),
}

/// How a search ended. Rates are per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found {
    /// `holds` held in every confirmation run; `fails` did not, or is absent where even the highest rate held.
    Capacity {
        /// Holds.
        holds: f64,
        /// Fails.
        fails: Option<f64>,
    },
    /// Even the lowest rate fails.
    NothingHolds {
        /// The lowest rate.
        lowest: f64,
    },
    /// The probe at `at` can't be judged. The capacity is at least `holds`, seen to hold `times` times.
    Invalid {
        /// The rate that can't be judged.
        at: f64,
        /// The highest below it that held.
        holds: Option<f64>,
        /// How often it held.
        times: u32,
    },
    /// Verdicts contradict each other for longer than probes are spent on.
    Unsettled {
        /// The highest rate that held and was not contradicted.
        holds: Option<f64>,
        /// The lowest that failed.
        fails: Option<f64>,
    },
}

/// A rate that failed.
#[derive(Clone, Copy, Debug)]
struct Failed {
    rate: f64,
    /// It has failed more often than it held, so that it is not doubted again.
    settled: bool,
}

/// A search under way.
#[derive(Clone, Debug)]
pub struct Search {
    settings: Settings,
    /// The highest rate that held, and how often it did.
    holds: Option<(f64, u32)>,
    /// Rates above it that failed, rising.
    failed: Vec<Failed>,
    /// How often the failed rate that is in doubt has held since.
    held_in_doubt: u32,
    /// The rate at which the last probe could not be judged.
    unclear: Option<f64>,
    /// The rate at which two probes in a row could not be judged.
    limit: Option<f64>,
    probes: u32,
}

impl Search {
    /// A search that has not begun. `lowest <= start <= highest`, all above zero, and `precision` is at least 1 %.
    pub fn new(settings: Settings) -> Search {
        Search {
            settings,
            holds: None,
            failed: Vec::new(),
            held_in_doubt: 0,
            unclear: None,
            limit: None,
            probes: 0,
        }
    }

    /// What to do next; the same until a verdict is told.
    pub fn next(&self) -> Next {
        let next = match self.limit {
            Some(at) => self.below_the_limit(at),
            None => self.within_the_limit(),
        };
        match next {
            Next::Probe(..) if self.probes >= self.settings.probes_most => Next::Done(Found::Unsettled {
                holds: self.seen().map(|(rate, _)| rate),
                fails: self.failed.first().map(|failed| failed.rate),
            }),
            next => next,
        }
    }

    /// The rate that held and how often, if it was ever seen to.
    fn seen(&self) -> Option<(f64, u32)> {
        self.holds.filter(|(_, times)| *times > 0)
    }

    fn within_the_limit(&self) -> Next {
        match (self.holds, self.failed.first().copied()) {
            (None, None) => Next::Probe(self.settings.start, Purpose::Climb),
            (None, Some(fails)) if fails.rate <= self.settings.lowest => {
                let lowest = fails.rate;
                if fails.settled {
                    Next::Done(Found::NothingHolds { lowest })
                } else {
                    Next::Probe(lowest, Purpose::Doubt)
                }
            }
            (None, Some(fails)) => {
                let lower = round(fails.rate / 2.0).max(self.settings.lowest);
                Next::Probe(lower, Purpose::Climb)
            }
            (Some((holds, times)), None) if holds >= self.settings.highest => {
                self.confirmed(holds, times, None)
            }
            (Some((holds, _)), None) => {
                let higher = round(holds * 2.0).min(self.settings.highest);
                Next::Probe(higher, Purpose::Climb)
            }
            (Some((holds, times)), Some(fails)) => {
                if fails.rate / holds > 1.0 + self.settings.precision {
                    return Next::Probe(round((holds * fails.rate).sqrt()), Purpose::CloseIn);
                }
                self.confirmed(holds, times, Some(fails))
            }
        }
    }

    /// Confirms `holds`, then doubts the failure above it, then is done.
    fn confirmed(&self, holds: f64, times: u32, fails: Option<Failed>) -> Next {
        // The probe that found it is no confirmation of itself.
        if times <= self.settings.confirm {
            return Next::Probe(holds, Purpose::Confirm);
        }
        match fails {
            Some(fails) if !fails.settled => Next::Probe(fails.rate, Purpose::Doubt),
            _ => Next::Done(Found::Capacity {
                holds,
                fails: fails.map(|failed| failed.rate),
            }),
        }
    }

    /// The rate below the one that can't be judged is confirmed as far as it can be.
    fn below_the_limit(&self, at: f64) -> Next {
        match self.holds {
            Some((holds, times)) if times <= self.settings.confirm && at > holds => {
                Next::Probe(holds, Purpose::Confirm)
            }
            _ => Next::Done(Found::Invalid {
                at,
                holds: self.seen().map(|(rate, _)| rate),
                times: self.seen().map_or(0, |(_, times)| times),
            }),
        }
    }

    /// Takes in what the probe that [`Search::next`] asked for has shown.
    pub fn tell(&mut self, verdict: Verdict) {
        let Next::Probe(rate, purpose) = self.next() else {
            return;
        };
        self.probes += 1;
        if verdict == Verdict::Invalid {
            match (self.unclear.replace(rate) == Some(rate), purpose) {
                (false, _) => {}
                // It was seen to fail once, and nothing speaks against that: good enough for the end above a rate that
                // holds, not for saying that none does.
                (true, Purpose::Doubt) if self.seen().is_some() => self.weigh(rate, false),
                (true, _) => self.limit = Some(rate),
            }
            return;
        }
        self.unclear = None;
        match (verdict, purpose) {
            (_, Purpose::Doubt) => self.weigh(rate, verdict == Verdict::Holds),
            (Verdict::Holds, Purpose::Confirm) => {
                self.holds = self.holds.map(|(rate, times)| (rate, times + 1));
            }
            (Verdict::Holds, _) => self.holds = Some((rate, 1)),
            (_, Purpose::Confirm) => self.step_down(rate),
            _ => self.fail(rate, false),
        }
    }

    /// Two of three probes decide about a rate that failed once.
    fn weigh(&mut self, rate: f64, held: bool) {
        if !held {
            self.held_in_doubt = 0;
            let doubted = self.failed.iter_mut().filter(|failed| failed.rate <= rate);
            doubted.for_each(|failed| failed.settled = true);
            return;
        }
        self.held_in_doubt += 1;
        if self.held_in_doubt == 2 {
            self.failed.retain(|failed| failed.rate > rate);
            self.holds = Some((rate, std::mem::take(&mut self.held_in_doubt)));
        }
    }

    /// The rate that held does not hold again: it has failed for good, and the next lower one is to be seen.
    fn step_down(&mut self, rate: f64) {
        self.fail(rate, true);
        self.holds = None;
        let lower = round(rate / (1.0 + self.settings.precision));
        if lower >= self.settings.lowest {
            // Not seen to hold yet: all of its runs are confirmations, and one more stands in for the first.
            self.holds = Some((lower, 0));
        }
    }

    fn fail(&mut self, rate: f64, settled: bool) {
        self.failed.push(Failed { rate, settled });
        self.failed.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    }
}

/// A rate as it is probed and printed.
fn round(rate: f64) -> f64 {
    let scale = 10_f64.powi(DIGITS - 1 - rate.log10().floor() as i32);
    (rate * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTINGS: Settings = Settings {
        start: 1_000.0,
        lowest: 10.0,
        highest: 1e6,
        precision: 0.05,
        confirm: 3,
        probes_most: 60,
    };

    /// Searches with `service` as the answer; how it ended, and what was probed with which verdict.
    fn search(settings: Settings, mut service: impl FnMut(f64) -> Verdict) -> (Found, Vec<(f64, Verdict)>) {
        let (mut search, mut probes) = (Search::new(settings), Vec::new());
        loop {
            match search.next() {
                Next::Done(found) => return (found, probes),
                Next::Probe(rate, _) => {
                    let verdict = service(rate);
                    search.tell(verdict);
                    probes.push((rate, verdict));
                }
            }
            assert!(probes.len() <= settings.probes_most as usize, "{probes:?}");
        }
    }

    /// A service that holds up to `capacity`.
    fn up_to(capacity: f64) -> impl FnMut(f64) -> Verdict {
        move |rate| {
            if rate <= capacity {
                Verdict::Holds
            } else {
                Verdict::Fails
            }
        }
    }

    fn told(probes: &[(f64, Verdict)]) -> String {
        let one = |(rate, verdict): &(f64, Verdict)| format!("{rate} {verdict:?}\n");
        probes.iter().map(one).collect()
    }

    #[test]
    fn it_climbs_closes_in_confirms_and_doubts() {
        let (found, probes) = search(SETTINGS, up_to(3_000.0));
        assert_eq!(
            found,
            Found::Capacity {
                holds: 2_953.0,
                fails: Some(3_084.0)
            }
        );
        expect_test::expect![[r"
            1000 Holds
            2000 Holds
            4000 Fails
            2828 Holds
            3363 Fails
            3084 Fails
            2953 Holds
            2953 Holds
            2953 Holds
            2953 Holds
            3084 Fails
        "]]
        .assert_eq(&told(&probes));
    }

    #[test]
    fn where_even_the_highest_holds_there_is_no_rate_that_fails() {
        let settings = Settings {
            highest: 5_000.0,
            ..SETTINGS
        };
        let (found, probes) = search(settings, up_to(1e9));
        assert_eq!(
            found,
            Found::Capacity {
                holds: 5_000.0,
                fails: None
            }
        );
        assert_eq!(
            probes.len(),
            1 + 3 + 3,
            "1k, 2k, 4k, 5k and three more of that: {probes:?}"
        );
    }

    #[test]
    fn where_even_the_lowest_fails_it_is_asked_twice() {
        let settings = Settings {
            lowest: 1_000.0,
            ..SETTINGS
        };
        let (found, probes) = search(settings, up_to(1.0));
        assert_eq!(found, Found::NothingHolds { lowest: 1_000.0 });
        assert_eq!(probes.len(), 2);
    }

    #[test]
    fn one_unlucky_probe_changes_nothing() {
        let mut seen = 0;
        let (found, _) = search(SETTINGS, |rate| {
            seen += 1;
            // The second probe, of 2,000, fails although the service could.
            if seen == 2 {
                Verdict::Fails
            } else {
                up_to(3_000.0)(rate)
            }
        });
        let Found::Capacity {
            holds,
            fails: Some(fails),
        } = found
        else {
            panic!("{found:?}")
        };
        assert!(
            holds <= 3_000.0 && fails > 3_000.0 && fails / holds < 1.06,
            "{found:?}"
        );
    }

    #[test]
    fn a_rate_that_does_not_hold_again_is_stepped_below() {
        let mut holds_left = 1;
        let (found, _) = search(SETTINGS, |rate| match rate {
            rate if rate > 1_500.0 => Verdict::Fails,
            // Between 1,400 and 1,500 it holds once by luck.
            rate if rate > 1_400.0 && holds_left > 0 => {
                holds_left -= 1;
                Verdict::Holds
            }
            rate if rate > 1_400.0 => Verdict::Fails,
            _ => Verdict::Holds,
        });
        let Found::Capacity {
            holds,
            fails: Some(fails),
        } = found
        else {
            panic!("{found:?}")
        };
        assert!(
            holds <= 1_400.0 && fails > 1_400.0 && fails / holds < 1.06,
            "{found:?}"
        );
    }

    #[test]
    fn where_the_generator_is_the_limit_what_held_below_is_confirmed() {
        let (found, probes) = search(SETTINGS, |rate| {
            if rate > 5_000.0 {
                Verdict::Invalid
            } else {
                Verdict::Holds
            }
        });
        assert_eq!(
            found,
            Found::Invalid {
                at: 8_000.0,
                holds: Some(4_000.0),
                times: 4
            }
        );
        let unclear = probes.iter().filter(|(_, verdict)| *verdict == Verdict::Invalid);
        assert_eq!(unclear.count(), 2, "repeated once: {probes:?}");
        let (found, probes) = search(SETTINGS, |_| Verdict::Invalid);
        assert_eq!(
            found,
            Found::Invalid {
                at: 1_000.0,
                holds: None,
                times: 0
            }
        );
        assert_eq!(probes.len(), 2);
    }

    #[test]
    fn one_probe_that_cannot_be_judged_is_only_repeated() {
        let mut seen = 0;
        let (found, _) = search(SETTINGS, |rate| {
            seen += 1;
            if seen % 2 == 1 {
                Verdict::Invalid
            } else {
                up_to(3_000.0)(rate)
            }
        });
        assert!(matches!(found, Found::Capacity { .. }), "{found:?}");
    }

    proptest! {
        #[test]
        fn a_steady_service_is_bracketed_within_the_precision(
            capacity in 10.0..1e6_f64,
            start in 10.0..1e6_f64,
            precision in 0.01..0.5_f64,
        ) {
            let settings = Settings { start, precision, ..SETTINGS };
            let (found, probes) = search(settings, up_to(capacity));
            match found {
                Found::Capacity { holds, fails: Some(fails) } => {
                    prop_assert!(holds <= capacity && capacity < fails, "{found:?}");
                    // Four digits of each rate are kept.
                    prop_assert!(fails / holds <= (1.0 + precision) * 1.001, "{found:?}");
                }
                Found::Capacity { holds, fails: None } => prop_assert!(holds >= settings.highest * 0.999),
                other => prop_assert!(false, "{other:?}"),
            }
            prop_assert!(probes.len() < 50, "{probes:?}");
        }

        #[test]
        fn whatever_the_verdicts_it_ends_and_claims_only_what_it_saw(
            verdicts in proptest::collection::vec(0..8_u8, 60),
            capacity in 10.0..1e5_f64,
        ) {
            let mut at = 0;
            let (found, probes) = search(SETTINGS, |rate| {
                let verdict = verdicts[at];
                at += 1;
                // Of eight probes one can't be judged and one shows the contrary.
                match (verdict, rate <= capacity) {
                    (0, _) => Verdict::Invalid,
                    (1, false) | (2.., true) => Verdict::Holds,
                    _ => Verdict::Fails,
                }
            });
            let times = |rate: f64, wanted: Verdict| {
                probes.iter().filter(|(probed, verdict)| probed.total_cmp(&rate).is_eq() && *verdict == wanted).count()
            };
            if let Found::Capacity { holds, fails } = found {
                prop_assert!(times(holds, Verdict::Holds) > SETTINGS.confirm as usize, "{probes:?}");
                prop_assert!(times(holds, Verdict::Fails) <= 1, "{probes:?}");
                prop_assert!(fails.is_none_or(|fails| fails > holds && times(fails, Verdict::Fails) > 0), "{probes:?}");
            }
        }
    }
}
