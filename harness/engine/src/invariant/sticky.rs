//! `sticky`: whoever has a value once has it for good: of each key, all responses give the same value.
//!
//! A response gives a key and a value, both as texts. Keys are kept as 64-bit hashes under the run's seed: two of a million keys
//! are taken for one another with odds of 3 in 10^8. Past [`Settings::memory_max`] new keys are no longer kept: what is found is
//! true and fails the run, what isn't found proves nothing, so that the verdict is unknown.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};

use squall_model::observation::ObservedBatch;

use super::{Findings, Invariant, Moment, Outcome, Settings, Violation, load_name, shortened};

/// The most values that are told apart.
const VALUES_MAX: usize = 1 << 20;

/// Bytes that a key takes, with room for the table to grow.
const KEY_BYTES: usize = 48;

/// The checker; see the module.
#[derive(Debug)]
pub struct Sticky {
    loads: Vec<String>,
    seed: u64,
    keys_max: usize,
    /// By the hash of a key: its value.
    first: HashMap<u64, u32>,
    /// By value: its number.
    numbers: HashMap<Box<str>, u32>,
    values: Vec<Box<str>>,
    checked: u64,
    /// Responses whose key was seen before.
    compared: u64,
    /// Responses of which nothing could be kept.
    unkept: u64,
    findings: Findings,
}

impl Sticky {
    /// A checker that has seen nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            loads: settings.loads,
            seed: settings.seed,
            keys_max: settings.memory_max / KEY_BYTES,
            first: HashMap::new(),
            numbers: HashMap::new(),
            values: Vec::new(),
            checked: 0,
            compared: 0,
            unkept: 0,
            findings: Findings::default(),
        }
    }

    fn hash(&self, key: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.seed);
        hasher.write(key.as_bytes());
        hasher.finish()
    }

    fn take(&mut self, key: &str, value: &str, load: u16, at_us: u64) {
        let hash = self.hash(key);
        let Some(&first) = self.first.get(&hash) else {
            return self.keep(hash, value);
        };
        self.compared += 1;
        let first = &self.values[first as usize];
        if **first == *value {
            return;
        }
        self.findings.count(1);
        if self.findings.has_room() {
            let text = format!(
                "{} got {}, but had got {} before, at {} by {}",
                shortened(key),
                shortened(value),
                shortened(first),
                Moment(at_us),
                load_name(&self.loads, load)
            );
            self.findings.report(Violation { text, at_us });
        }
    }

    fn keep(&mut self, hash: u64, value: &str) {
        let number = self.number(value);
        match number {
            Some(number) if self.first.len() < self.keys_max => {
                self.first.insert(hash, number);
            }
            _ => self.unkept += 1,
        }
    }

    /// The number of a value; none where there are too many.
    fn number(&mut self, value: &str) -> Option<u32> {
        if let Some(number) = self.numbers.get(value) {
            return Some(*number);
        }
        let number = self.values.len();
        if number >= VALUES_MAX {
            return None;
        }
        self.values.push(value.into());
        self.numbers.insert(value.into(), number as u32);
        Some(number as u32)
    }
}

impl Invariant for Sticky {
    fn observe(&mut self, batch: &ObservedBatch) -> Vec<Violation> {
        for mut response in batch.responses() {
            let (Some(key), Some(value)) = (response.texts.next(), response.texts.next()) else {
                continue;
            };
            self.checked += 1;
            self.take(key, value, batch.load, response.received_us);
        }
        self.findings.take_reported()
    }

    fn finish(&mut self) -> Outcome {
        let doubt = match (self.checked, self.compared, self.unkept) {
            (0, ..) => Some("no value was seen".to_owned()),
            (_, _, unkept @ 1..) => Some(format!(
                "{unkept} responses had keys or values beyond what is kept, {} keys and {VALUES_MAX} values: run shorter, or with fewer \
                 keys",
                self.keys_max
            )),
            (_, 0, 0) => Some(format!("none of the {} keys was seen twice", self.checked)),
            _ => None,
        };
        self.findings.outcome(self.checked, doubt)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn judged(settings: Settings, responses: &[(&str, &str)]) -> Outcome {
        let mut batch = ObservedBatch::new(0);
        for (index, (key, value)) in responses.iter().enumerate() {
            batch.push_text(key);
            batch.push_text(value);
            batch.close_response(index as u64, index as u64 + 1);
        }
        let mut checker = Sticky::new(settings);
        let _ = checker.observe(&batch);
        checker.finish()
    }

    #[test]
    fn a_key_that_keeps_its_value_is_right_and_one_that_changes_it_is_a_violation() {
        let kept = [("u1", "a"), ("u2", "b"), ("u1", "a"), ("u2", "b")];
        let outcome = judged(Settings::default(), &kept);
        assert_eq!((outcome.checked, outcome.verdict), (4, Verdict::Pass));
        let outcome = judged(
            Settings::default(),
            &[("u1", "a"), ("u2", "b"), ("u1", "b"), ("u1", "a")],
        );
        assert_eq!((outcome.violations, outcome.verdict), (1, Verdict::Fail));
        assert_eq!(
            outcome.examples,
            [r#""u1" got "b", but had got "a" before, at 0.000003 s by load 0"#]
        );
    }

    #[test]
    fn keys_seen_once_and_keys_that_do_not_fit_prove_nothing() {
        let outcome = judged(Settings::default(), &[("u1", "a"), ("u2", "b")]);
        assert_eq!(outcome.verdict, Verdict::Unknown);
        assert_eq!(outcome.reason, "none of the 2 keys was seen twice");
        let small = Settings {
            memory_max: KEY_BYTES,
            ..Settings::default()
        };
        let outcome = judged(small, &[("u1", "a"), ("u2", "b"), ("u1", "a")]);
        assert_eq!(outcome.verdict, Verdict::Unknown);
        assert!(outcome.reason.starts_with("1 responses"), "{}", outcome.reason);
    }
}
