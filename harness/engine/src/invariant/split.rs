//! `split`: values come in given shares, as when traffic is split by weights.
//!
//! How often each value came is held to its share by a binomial interval: of n independent draws with probability p, the part x
//! is at least as far from p as it is with a probability of at most 2 exp(-n D), where D = x ln(x/p) + (1-x) ln((1-x)/(1-p)) is the
//! relative entropy (W. Hoeffding, "Probability Inequalities for Sums of Bounded Random Variables", J. Amer. Stat. Assoc. 58, 1963,
//! theorem 1). It is a bound, so the interval is a little wider than the exact one of Clopper and Pearson, and never too narrow. A
//! true split is called wrong once in a million runs at most, over all its values together.
//!
//! What is drawn once for each user is not independent between the requests of one user. With a key, each key counts once, with the
//! first value it got; keys are kept as hashes ([`super::keyed`]). A value without a share is a violation whenever it comes. Too
//! few draws to tell a share from one that is [`COARSEST`] away prove nothing.

use std::collections::BTreeMap;

use squall_model::observation::ObservedBatch;

use super::keyed::Firsts;
use super::{Findings, Invariant, Moment, Outcome, Recipe, Settings, Violation, load_name, shortened};

/// The most that a true split may be called wrong, over all values.
const FALSE_ALARM: f64 = 1e-6;

/// An interval that reaches further than this to both sides of a share shows nothing.
pub const COARSEST: f64 = 0.1;

/// Which part of all each value is to be; together 1.
pub type Shares = BTreeMap<String, f64>;

/// Whether responses give a key before their value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draws {
    /// Each response is a draw of its own.
    Responses,
    /// The first response of each key is.
    Keys,
}

/// A split as it is planned.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitRecipe {
    /// Which part of all each value is to be.
    pub shares: Shares,
    /// What is counted.
    pub draws: Draws,
}

impl Recipe for SplitRecipe {
    fn make(&self, settings: Settings) -> Box<dyn Invariant> {
        Box::new(Split::new(settings, self.clone()))
    }
}

/// The checker; see the module.
#[derive(Debug)]
pub struct Split {
    loads: Vec<String>,
    shares: Shares,
    draws: Draws,
    keys: Firsts<()>,
    counts: BTreeMap<String, u64>,
    drawn: u64,
    /// When the last response came: there on the timeline stands what is found at the end.
    last_us: u64,
    findings: Findings,
    is_judged: bool,
}

impl Split {
    /// A checker that has seen nothing.
    pub fn new(settings: Settings, recipe: SplitRecipe) -> Self {
        let SplitRecipe { shares, draws } = recipe;
        Self {
            loads: settings.loads,
            counts: shares.keys().map(|value| (value.clone(), 0)).collect(),
            shares,
            draws,
            keys: Firsts::new(settings.seed, settings.memory_max),
            drawn: 0,
            last_us: 0,
            findings: Findings::default(),
            is_judged: false,
        }
    }

    /// The most that one value's part may be called wrong.
    fn alpha(&self) -> f64 {
        FALSE_ALARM / self.shares.len() as f64
    }

    /// Whether a response is a draw. One with a value that has no share is looked at in any case.
    fn is_draw(&mut self, key: Option<&str>, value: &str) -> bool {
        let Some(key) = key else { return true };
        if !self.shares.contains_key(value) {
            return true;
        }
        self.keys.get(key).is_none() && self.keys.keep(key, ())
    }

    fn draw(&mut self, value: &str, load: u16, at_us: u64) {
        self.drawn += 1;
        if let Some(count) = self.counts.get_mut(value) {
            *count += 1;
            return;
        }
        self.findings.count(1);
        if self.findings.has_room() {
            let text = format!(
                "{} came, which has no share, at {} by {}",
                shortened(value),
                Moment(at_us),
                load_name(&self.loads, load)
            );
            self.findings.report(Violation { text, at_us });
        }
    }

    /// Each value's part held to its share, once.
    fn judge(&mut self) {
        if std::mem::replace(&mut self.is_judged, true) || self.drawn == 0 {
            return;
        }
        let alpha = self.alpha();
        for (value, share) in &self.shares {
            let count = self.counts[value];
            let part = count as f64 / self.drawn as f64;
            if tail(self.drawn, part, *share) >= alpha {
                continue;
            }
            self.findings.count(1);
            let text = format!(
                "{} came {count} times of {}, {:.2} % for a share of {:.2} %: odds of less than 1 in a million",
                shortened(value),
                self.drawn,
                part * 100.0,
                share * 100.0
            );
            let at_us = self.last_us;
            self.findings.report(Violation { text, at_us });
        }
    }

    fn doubt(&self) -> Option<String> {
        if self.drawn == 0 {
            return Some("no value was seen".to_owned());
        }
        if let Some(doubt) = self.keys.doubt() {
            return Some(doubt);
        }
        let alpha = self.alpha();
        let coarse = self.shares.iter().find(|(_, share)| {
            let seen = |part: f64| (0.0..=1.0).contains(&part) && tail(self.drawn, part, **share) < alpha;
            !seen(**share + COARSEST) && !seen(**share - COARSEST)
        });
        coarse.map(|(value, share)| {
            format!(
                "{} draws are too few to tell a share of {:.2} % for {} from one that is {:.0} points away",
                self.drawn,
                share * 100.0,
                shortened(value),
                COARSEST * 100.0
            )
        })
    }
}

/// How probable it is at most that a part of `n` draws is as far from `share` as `part` is.
fn tail(n: u64, part: f64, share: f64) -> f64 {
    let term = |x: f64, p: f64| if x == 0.0 { 0.0 } else { x * (x / p).ln() };
    let entropy = term(part, share) + term(1.0 - part, 1.0 - share);
    2.0 * (-(n as f64) * entropy).exp()
}

impl Invariant for Split {
    fn observe(&mut self, batch: &ObservedBatch) -> Vec<Violation> {
        for mut response in batch.responses() {
            self.last_us = self.last_us.max(response.received_us);
            let key = match self.draws {
                Draws::Responses => None,
                Draws::Keys => response.texts.next(),
            };
            if let Some(value) = response.texts.next()
                && self.is_draw(key, value)
            {
                self.draw(value, batch.load, response.received_us);
            }
        }
        self.findings.take_reported()
    }

    fn finish(&mut self) -> Outcome {
        self.judge();
        self.findings.outcome(self.drawn, self.doubt())
    }
}

#[cfg(test)]
mod tests {
    use squall_model::seed::{Seed, unit};

    use super::super::Verdict;
    use super::*;

    fn shares(of: &[(&str, f64)]) -> Shares {
        of.iter()
            .map(|(value, share)| ((*value).to_owned(), *share))
            .collect()
    }

    fn checker(shares: Shares, draws: Draws) -> Split {
        Split::new(Settings::default(), SplitRecipe { shares, draws })
    }

    /// What the checker says of `n` draws of `v2` with a probability, and of `v1` otherwise.
    fn judged(n: u64, probability: f64, told: f64) -> Outcome {
        let mut rng = Seed::new(7).rng();
        let mut batch = ObservedBatch::new(0);
        for at in 0..n {
            batch.push_text(if unit(&mut rng) < probability { "v2" } else { "v1" });
            batch.close_response(at, at + 1);
        }
        let shares = shares(&[("v1", 1.0 - told), ("v2", told)]);
        let mut checker = checker(shares, Draws::Responses);
        assert!(checker.observe(&batch).is_empty());
        checker.finish()
    }

    #[test]
    fn a_true_split_passes_and_one_that_is_off_fails() {
        for share in [0.0, 0.001, 0.05, 0.35, 0.5, 1.0] {
            let outcome = judged(20_000, share, share);
            assert_eq!(outcome.verdict, Verdict::Pass, "{share}: {:?}", outcome.examples);
        }
        for (probability, told) in [(0.5, 0.35), (0.30, 0.35), (0.0, 0.05), (0.001, 0.0), (0.99, 1.0)] {
            let outcome = judged(20_000, probability, told);
            assert_eq!(outcome.verdict, Verdict::Fail, "{probability} for {told}");
        }
    }

    #[test]
    fn the_bound_is_never_below_the_exact_probability() {
        // 2 * P(X >= k) for n = 100, p = 0.3, of the exact law: k = 45 and k = 50.
        let exact = |k: u64| {
            let ln_choose = |n: u64, k: u64| {
                let ln_factorial = |n: u64| (1..=n).map(|i| (i as f64).ln()).sum::<f64>();
                ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
            };
            let of = |j: u64| {
                (ln_choose(100, j) + j as f64 * 0.3_f64.ln() + (100 - j) as f64 * 0.7_f64.ln()).exp()
            };
            2.0 * (k..=100).map(of).sum::<f64>()
        };
        for k in [35, 45, 50, 60] {
            let (bound, exact) = (tail(100, k as f64 / 100.0, 0.3), exact(k));
            assert!(bound >= exact, "{k}: {bound} < {exact}");
        }
        assert!(tail(100, 0.6, 0.3) < 1e-7);
    }

    #[test]
    fn too_few_draws_prove_nothing() {
        let outcome = judged(300, 0.35, 0.35);
        assert_eq!(outcome.verdict, Verdict::Unknown);
        assert!(
            outcome.reason.starts_with("300 draws are too few"),
            "{}",
            outcome.reason
        );
    }

    #[test]
    fn a_value_without_a_share_is_a_violation_at_once() {
        let mut batch = ObservedBatch::new(0);
        batch.push_text("v3");
        batch.close_response(1, 2);
        let shares = shares(&[("v1", 1.0)]);
        let mut checker = checker(shares, Draws::Responses);
        let found = checker.observe(&batch);
        assert_eq!(
            found[0].text,
            r#""v3" came, which has no share, at 0.000002 s by load 0"#
        );
    }

    #[test]
    fn with_a_key_each_key_counts_once() {
        let mut batch = ObservedBatch::new(0);
        // Half of the users each; those of v2 ask nine times as often.
        for user in 0..4_000_u64 {
            let (value, times) = if user % 2 == 0 { ("v2", 9) } else { ("v1", 1) };
            for _ in 0..times {
                batch.push_text(&user.to_string());
                batch.push_text(value);
                batch.close_response(user, user + 1);
            }
        }
        let shares = shares(&[("v1", 0.5), ("v2", 0.5)]);
        let mut checker = checker(shares, Draws::Keys);
        let _ = checker.observe(&batch);
        let outcome = checker.finish();
        assert_eq!((outcome.checked, outcome.verdict), (4_000, Verdict::Pass));
    }

    #[test]
    fn a_value_without_a_share_is_found_also_behind_a_key_that_was_seen() {
        let mut batch = ObservedBatch::new(0);
        for value in ["v1", "v1", "v3"] {
            batch.push_text("u1");
            batch.push_text(value);
            batch.close_response(1, 2);
        }
        let mut checker = checker(shares(&[("v1", 1.0)]), Draws::Keys);
        assert_eq!(checker.observe(&batch).len(), 1);
        assert_eq!(checker.finish().verdict, Verdict::Fail);
    }
}
