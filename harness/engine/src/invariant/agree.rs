//! `agree`: the values of one response are all the same: parts of a text that were written together, or what several
//! nodes say of one thing. A torn read and a node that was left behind both show as values that differ.
//!
//! Responses are judged alone, so nothing is kept of them. Integers and texts are told apart: one never equals the other.

use squall_model::observation::{ObservedBatch, ObservedResponse};

use super::{Findings, Invariant, Moment, Outcome, Settings, Violation, load_name, shortened};

/// The checker; see the module.
#[derive(Debug)]
pub struct Agree {
    loads: Vec<String>,
    checked: u64,
    compared: u64,
    findings: Findings,
}

impl Agree {
    /// A checker that has seen nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            loads: settings.loads,
            checked: 0,
            compared: 0,
            findings: Findings::default(),
        }
    }
}

impl Invariant for Agree {
    fn observe(&mut self, batch: &ObservedBatch) -> Vec<Violation> {
        for response in batch.responses() {
            let values = response.integers.len() + response.texts.len();
            self.checked += values as u64;
            self.compared += u64::from(values > 1);
            let (at_us, load) = (response.received_us, batch.load);
            let Some((one, other)) = difference(response) else {
                continue;
            };
            self.findings.count(1);
            if self.findings.has_room() {
                let load = load_name(&self.loads, load);
                let text = format!(
                    "{one} and {other} came in one response, at {} by {load}",
                    Moment(at_us)
                );
                self.findings.report(Violation { text, at_us });
            }
        }
        self.findings.take_reported()
    }

    fn finish(&mut self) -> Outcome {
        let doubt = match (self.checked, self.compared) {
            (0, _) => Some("no value was seen".to_owned()),
            (_, 0) => Some("no response had two values to compare".to_owned()),
            _ => None,
        };
        self.findings.outcome(self.checked, doubt)
    }
}

/// Two values of a response that are not the same, as they are shown.
fn difference(mut response: ObservedResponse<'_>) -> Option<(String, String)> {
    if let Some((first, rest)) = response.integers.split_first() {
        if let Some(other) = rest.iter().find(|value| *value != first) {
            return Some((first.to_string(), other.to_string()));
        }
        return response
            .texts
            .next()
            .map(|text| (first.to_string(), shortened(text)));
    }
    let first = response.texts.next()?;
    let other = response.texts.find(|text| *text != first)?;
    Some((shortened(first), shortened(other)))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    /// What the checker says of these responses, each the values in it.
    fn judged(responses: &[&[&str]]) -> Outcome {
        let mut batch = ObservedBatch::new(0);
        for (index, values) in responses.iter().enumerate() {
            for value in *values {
                batch.push_token(value);
            }
            batch.close_response(index as u64, index as u64 + 1);
        }
        let mut checker = Agree::new(Settings::default());
        let _ = checker.observe(&batch);
        checker.finish()
    }

    #[test]
    fn values_that_were_written_together_are_the_same() {
        let outcome = judged(&[&["7", "7", "7"], &["8", "8"], &["a", "a"]]);
        assert_eq!((outcome.checked, outcome.verdict), (7, Verdict::Pass));
    }

    #[test]
    fn one_part_that_differs_is_a_violation() {
        for torn in [["7", "8"], ["a", "b"], ["7", "a"]] {
            let outcome = judged(&[&["1", "1"], &torn]);
            assert_eq!(
                (outcome.violations, outcome.verdict),
                (1, Verdict::Fail),
                "{torn:?}"
            );
        }
    }

    #[test]
    fn nothing_to_compare_is_no_pass() {
        let outcome = judged(&[&["7"], &["8"]]);
        assert_eq!(outcome.verdict, Verdict::Unknown);
        assert_eq!(outcome.reason, "no response had two values to compare");
    }
}
