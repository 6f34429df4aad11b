//! `bound`: of the moments in responses, no stretch of a given length holds more than a given number, as a limit of admissions
//! promises.
//!
//! Values are moments in microseconds of one clock, which whoever admits reads as it admits: `CLOCK_MONOTONIC` is the same for all
//! processes of a machine. When responses came plays no part, so a response that was long on its way is no burst. A stretch is
//! half-open: with a limit of n for a length d, the moment n places after another is at least d later.
//!
//! Only moments that came are counted: of an answer that was lost nothing is known, so a run may miss a violation and never
//! invents one. All moments are kept until the end, and judged then, in order; past [`Settings::memory_max`] no more are kept and the
//! verdict is unknown.

use std::time::Duration;

use squall_model::observation::ObservedBatch;

use super::{Findings, Invariant, Moment, Outcome, Recipe, Settings, Violation, shortened};

/// How many at most, in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The most moments.
    pub at_most: u64,
    /// The length of a stretch.
    pub per: Duration,
}

impl Recipe for Limit {
    fn make(&self, settings: Settings) -> Box<dyn Invariant> {
        Box::new(Bound::new(&settings, *self))
    }
}

/// The checker; see the module.
#[derive(Debug)]
pub struct Bound {
    limit: Limit,
    moments_max: usize,
    moments: Vec<u64>,
    unkept: u64,
    /// The first text that is no moment, and how many there are.
    odd: Option<(String, u64)>,
    /// When the last response came: there on the timeline stands what is found at the end.
    last_us: u64,
    findings: Findings,
    is_judged: bool,
}

impl Bound {
    /// A checker that has seen nothing.
    pub fn new(settings: &Settings, limit: Limit) -> Self {
        Self {
            limit,
            moments_max: settings.memory_max / size_of::<u64>(),
            moments: Vec::new(),
            unkept: 0,
            odd: None,
            last_us: 0,
            findings: Findings::default(),
            is_judged: false,
        }
    }

    fn judge(&mut self) {
        if std::mem::replace(&mut self.is_judged, true) {
            return;
        }
        self.moments.sort_unstable();
        let per_us = self.limit.per.as_micros() as u64;
        let step = self.limit.at_most as usize;
        let mut clear_from = 0;
        for (first, pair) in self
            .moments
            .iter()
            .zip(self.moments.iter().skip(step))
            .enumerate()
        {
            let (from, beyond) = pair;
            // Stretches that overlap tell of one burst: the next one begins after this one has ended.
            if beyond - from >= per_us || first < clear_from {
                continue;
            }
            let within = self.moments[first..].partition_point(|moment| moment - from < per_us);
            clear_from = first + within;
            self.findings.count(1);
            if self.findings.has_room() {
                let text = format!(
                    "{within} within {} s, where {} are allowed, from {} of their clock on",
                    self.limit.per.as_secs_f64(),
                    self.limit.at_most,
                    Moment(*from)
                );
                let at_us = self.last_us;
                self.findings.report(Violation { text, at_us });
            }
        }
    }

    fn doubt(&self) -> Option<String> {
        let count = self.moments.len() as u64;
        if let Some((text, times)) = &self.odd {
            return Some(format!(
                "not all values are moments in microseconds: {times} are not, the first of them {text}"
            ));
        }
        if self.unkept > 0 {
            return Some(format!(
                "{} moments came after {} were kept",
                self.unkept, self.moments_max
            ));
        }
        if count == 0 {
            return Some("no value was seen".to_owned());
        }
        (count <= self.limit.at_most).then(|| {
            format!(
                "{count} moments can't be more than {} in any stretch",
                self.limit.at_most
            )
        })
    }
}

impl Invariant for Bound {
    fn observe(&mut self, batch: &ObservedBatch) -> Vec<Violation> {
        for response in batch.responses() {
            self.last_us = self.last_us.max(response.received_us);
            let room = self.moments_max.saturating_sub(self.moments.len());
            let kept = response.integers.len().min(room);
            self.moments.extend_from_slice(&response.integers[..kept]);
            self.unkept += (response.integers.len() - kept) as u64;
            for text in response.texts {
                self.odd.get_or_insert_with(|| (shortened(text), 0)).1 += 1;
            }
        }
        Vec::new()
    }

    fn finish(&mut self) -> Outcome {
        self.judge();
        self.findings.outcome(self.moments.len() as u64, self.doubt())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn judged(at_most: u64, moments: &[u64]) -> Outcome {
        let mut batch = ObservedBatch::new(0);
        for moment in moments {
            batch.push_integer(*moment);
            batch.close_response(0, 1);
        }
        let limit = Limit {
            at_most,
            per: Duration::from_micros(10),
        };
        let mut checker = Bound::new(&Settings::default(), limit);
        assert!(checker.observe(&batch).is_empty());
        checker.finish()
    }

    #[test]
    fn as_many_as_allowed_in_every_stretch_is_right() {
        // Three in each half-open stretch of ten, also across its edges, and in any order.
        let outcome = judged(3, &[20, 0, 4, 9, 10, 14, 19, 24]);
        assert_eq!((outcome.checked, outcome.verdict), (8, Verdict::Pass));
    }

    #[test]
    fn one_too_many_across_an_edge_is_found_and_a_burst_is_told_once() {
        let outcome = judged(3, &[0, 4, 8, 9, 100, 101, 102, 103, 104, 105]);
        assert_eq!((outcome.violations, outcome.verdict), (2, Verdict::Fail));
        assert_eq!(
            outcome.examples,
            [
                "4 within 0.00001 s, where 3 are allowed, from 0.000000 s of their clock on",
                "6 within 0.00001 s, where 3 are allowed, from 0.000100 s of their clock on",
            ]
        );
        assert_eq!(judged(0, &[7]).verdict, Verdict::Fail);
    }

    #[test]
    fn fewer_than_the_limit_and_what_is_no_moment_prove_nothing() {
        assert_eq!(judged(3, &[0, 50]).verdict, Verdict::Unknown);
        let mut batch = ObservedBatch::new(0);
        batch.push_token("soon");
        batch.close_response(0, 1);
        let limit = Limit {
            at_most: 1,
            per: Duration::from_secs(1),
        };
        let mut checker = Bound::new(&Settings::default(), limit);
        let _ = checker.observe(&batch);
        let outcome = checker.finish();
        assert_eq!(outcome.verdict, Verdict::Unknown);
        assert_eq!(
            outcome.reason,
            r#"not all values are moments in microseconds: 1 are not, the first of them "soon""#
        );
    }
}
