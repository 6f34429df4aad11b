//! `sticky`: whoever has a value once has it for good: of each key, all responses give the same value.
//!
//! A response gives a key and a value, both as texts. Keys are kept as hashes ([`super::keyed`]), values whole, each once. Past
//! [`Settings::memory_max`] no new ones are kept: what is found is true and fails the run, what isn't found proves nothing, so that the
//! verdict is unknown.

use std::collections::HashMap;
use std::sync::Arc;

use squall_model::observation::ObservedBatch;

use super::keyed::Firsts;
use super::{Findings, Invariant, Moment, Outcome, Settings, Violation, load_name, shortened};

/// Bytes that a value takes beside its text, with room for the tables to grow.
const VALUE_BYTES: usize = 96;

/// The checker; see the module.
#[derive(Debug)]
pub struct Sticky {
    loads: Vec<String>,
    /// By key: the number of its value.
    firsts: Firsts<u32>,
    values: Values,
    checked: u64,
    /// Responses whose key was seen before.
    compared: u64,
    findings: Findings,
}

/// Values by their numbers, for as many as memory allows.
#[derive(Debug)]
struct Values {
    room: usize,
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    /// Values that found no room.
    unkept: u64,
}

impl Values {
    /// The number of a value; none where there is no room for more.
    fn number(&mut self, value: &str) -> Option<u32> {
        if let Some(number) = self.numbers.get(value) {
            return Some(*number);
        }
        let bytes = VALUE_BYTES + value.len();
        if bytes > self.room {
            self.unkept += 1;
            return None;
        }
        self.room -= bytes;
        let (number, text) = (self.texts.len() as u32, Arc::<str>::from(value));
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        Some(number)
    }
}

impl Sticky {
    /// A checker that has seen nothing.
    pub fn new(settings: Settings) -> Self {
        // Half for keys, half for values.
        let half = settings.memory_max / 2;
        Self {
            loads: settings.loads,
            firsts: Firsts::new(settings.seed, half),
            values: Values {
                room: half,
                numbers: HashMap::new(),
                texts: Vec::new(),
                unkept: 0,
            },
            checked: 0,
            compared: 0,
            findings: Findings::default(),
        }
    }

    fn take(&mut self, key: &str, value: &str, load: u16, at_us: u64) {
        let Some(first) = self.firsts.get(key) else {
            if let Some(number) = self.values.number(value) {
                self.firsts.keep(key, number);
            }
            return;
        };
        self.compared += 1;
        let first = &self.values.texts[first as usize];
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

    fn doubt(&self) -> Option<String> {
        if self.checked == 0 {
            return Some("no value was seen".to_owned());
        }
        if self.values.unkept > 0 {
            return Some(format!(
                "{} responses had values beyond the {} that are kept: run shorter, or with fewer values",
                self.values.unkept,
                self.values.texts.len()
            ));
        }
        let none_again = || format!("none of the {} keys was seen twice", self.checked);
        let not_compared = (self.compared == 0).then(none_again);
        self.firsts.doubt().or(not_compared)
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
        self.findings.outcome(self.checked, self.doubt())
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
            memory_max: 2 * 128,
            ..Settings::default()
        };
        let many_values = [("u1", "a"), ("u2", "b"), ("u1", "a")];
        let outcome = judged(small.clone(), &many_values);
        assert_eq!(outcome.verdict, Verdict::Unknown);
        assert!(
            outcome.reason.starts_with("1 responses had values beyond the 1"),
            "{}",
            outcome.reason
        );
        let many_keys = [("u1", "a"), ("u2", "a"), ("u3", "a"), ("u4", "a"), ("u1", "a")];
        let outcome = judged(small.clone(), &many_keys);
        assert_eq!(outcome.verdict, Verdict::Unknown);
        assert!(
            outcome.reason.starts_with("1 responses had keys beyond the 3"),
            "{}",
            outcome.reason
        );
        // What is found among those that are kept is true all the same.
        let changed = [("u1", "a"), ("u2", "b"), ("u1", "c")];
        assert_eq!(judged(small, &changed).verdict, Verdict::Fail);
    }
}
