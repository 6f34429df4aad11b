//! One fault over a run: each time that it came, and what the receipts of all of them amount to.

use crate::event::{EventKind, PlannedFault};
use crate::record::{FaultRecord, Held, Repeated};

/// What has become of one fault so far.
pub(super) struct FaultFold {
    record: FaultRecord,
    /// How often it is to come.
    planned: u64,
    asked_us: Option<u64>,
    times: Vec<Time>,
}

/// One time that it came.
#[derive(Default)]
struct Time {
    injected: bool,
    healed: bool,
    /// Whether it was said if it was proven.
    judged: bool,
    proved: bool,
    /// The receipt, or why there is none.
    evidence: String,
    undone: bool,
    undone_evidence: String,
    held_us: Option<f64>,
}

impl FaultFold {
    /// A fault that nothing has happened to yet.
    pub(super) fn new(planned: PlannedFault) -> FaultFold {
        FaultFold {
            planned: planned.times,
            asked_us: planned.asked_us,
            record: FaultRecord {
                kind: planned.kind,
                name: planned.name,
                about: planned.about,
                target: planned.target,
                edge: planned.edge,
                phase: planned.phase,
                ..FaultRecord::default()
            },
            times: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.record.name
    }

    /// Takes in what happened to it at a moment.
    pub(super) fn take(&mut self, at_us: u64, kind: &EventKind) {
        match kind {
            EventKind::FaultInjected { .. } => {
                self.record.injected_us.get_or_insert(at_us);
                self.times.push(Time {
                    injected: true,
                    ..Time::default()
                });
            }
            EventKind::FaultProved { evidence, .. } => {
                let time = self.judged();
                (time.proved, time.evidence) = (true, evidence.clone());
            }
            EventKind::FaultNotProved { reason, .. } => {
                let time = self.judged();
                (time.proved, time.evidence) = (false, reason.clone());
            }
            EventKind::FaultFelt { felt, .. } => self.record.felt.clone_from(felt),
            EventKind::FaultHealed { .. } => {
                self.record.healed_us = Some(at_us);
                self.last().healed = true;
            }
            EventKind::FaultUndone {
                evidence, held_us, ..
            } => {
                let time = self.last();
                (time.undone, time.undone_evidence, time.held_us) = (true, evidence.clone(), *held_us);
            }
            EventKind::FaultNotUndone { reason, .. } => {
                let time = self.last();
                (time.healed, time.undone_evidence) = (true, reason.clone());
            }
            _ => {}
        }
    }

    /// The time that a receipt is of: what could not be injected has no event that begins it.
    fn judged(&mut self) -> &mut Time {
        if self.times.last().is_none_or(|time| time.healed && time.judged) {
            self.times.push(Time::default());
        }
        let time = self.last();
        time.judged = true;
        time
    }

    fn last(&mut self) -> &mut Time {
        if self.times.is_empty() {
            self.times.push(Time::default());
        }
        self.times.last_mut().expect("one was just put there")
    }

    /// The fault as it stands in the record.
    pub(super) fn finish(self) -> FaultRecord {
        let held = self.held();
        let mut record = FaultRecord { held, ..self.record };
        let injected = self.times.iter().filter(|time| time.injected).count() as u64;
        if self.planned <= 1 {
            if let Some(time) = self.times.into_iter().next_back() {
                (record.proved, record.evidence) = (time.proved, time.evidence);
                (record.undone, record.undone_evidence) = (time.undone, time.undone_evidence);
            }
        } else {
            let proved = Side::of(&self.times, |time| (time.proved, &time.evidence));
            let undone = Side::of(&self.times, |time| (time.undone, &time.undone_evidence));
            record.repeated = Some(Repeated {
                planned: self.planned,
                injected,
                proved: proved.good,
                undone: undone.good,
            });
            record.proved = proved.good == self.planned;
            record.evidence = proved.told(self.planned, "proven", record.held.as_ref());
            record.undone = undone.good == self.planned;
            record.undone_evidence = undone.told(self.planned, "over again", None);
        }
        if record.injected_us.is_none() && record.evidence.is_empty() {
            "it was not injected: the run ended before its time".clone_into(&mut record.evidence);
        }
        record
    }

    /// How long it held, over all times of which that was measured.
    fn held(&self) -> Option<Held> {
        let mut lengths: Vec<f64> = self.times.iter().filter_map(|time| time.held_us).collect();
        lengths.sort_by(f64::total_cmp);
        let longest_us = *lengths.last()?;
        let middle = lengths.len() / 2;
        let median_us = if lengths.len() % 2 == 1 {
            lengths[middle]
        } else {
            f64::midpoint(lengths[middle - 1], lengths[middle])
        };
        Some(Held {
            count: lengths.len() as u64,
            asked_us: self.asked_us,
            shortest_us: lengths[0],
            median_us,
            longest_us,
        })
    }
}

/// One of the two receipts, over all times.
struct Side<'a> {
    good: u64,
    /// The first time without it, counted from 1, and why.
    first_bad: Option<(usize, &'a str)>,
    last: &'a str,
}

impl<'a> Side<'a> {
    fn of(times: &'a [Time], side: impl Fn(&'a Time) -> (bool, &'a str)) -> Side<'a> {
        let sides = || times.iter().map(&side);
        Side {
            good: sides().filter(|(good, _)| *good).count() as u64,
            first_bad: sides()
                .enumerate()
                .find(|(_, (good, _))| !good)
                .map(|(at, (_, why))| (at + 1, why)),
            last: sides().next_back().map_or("", |(_, text)| text),
        }
    }

    fn told(&self, planned: u64, what: &str, held: Option<&Held>) -> String {
        if self.last.is_empty() && self.first_bad.is_none() {
            return String::new();
        }
        let held = held.map(|held| format!("; {held}")).unwrap_or_default();
        let rest = match self.first_bad {
            Some((at, "")) => format!("not the {}", nth(at)),
            Some((at, why)) => format!("not the {}: {why}", nth(at)),
            None => format!("the last: {}", self.last),
        };
        format!("{} of {planned} times {what}{held}; {rest}", self.good)
    }
}

/// "3rd"
fn nth(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn fold(times: u64, kinds: &[EventKind]) -> FaultRecord {
        let mut fold = FaultFold::new(PlannedFault {
            name: "hold".into(),
            times,
            asked_us: Some(12_400),
            ..PlannedFault::default()
        });
        for (at, kind) in kinds.iter().enumerate() {
            fold.take(at as u64, kind);
        }
        fold.finish()
    }

    fn once(proved: Result<&str, &str>, held_us: Option<f64>) -> Vec<EventKind> {
        let fault = || "hold".to_owned();
        vec![
            EventKind::FaultInjected { fault: fault() },
            match proved {
                Ok(evidence) => EventKind::FaultProved {
                    fault: fault(),
                    evidence: evidence.into(),
                },
                Err(reason) => EventKind::FaultNotProved {
                    fault: fault(),
                    reason: reason.into(),
                },
            },
            EventKind::FaultHealed { fault: fault() },
            EventKind::FaultUndone {
                fault: fault(),
                evidence: "it runs".into(),
                held_us,
            },
        ]
    }

    #[test]
    fn every_time_counts_and_the_holds_are_summed_up() {
        let kinds = [12_500.0, 12_410.0, 12_430.0, 12_900.0].map(|held| once(Ok("it stood"), Some(held)));
        let record = fold(4, &kinds.concat());
        assert!(record.proved && record.undone);
        assert_eq!((record.injected_us, record.healed_us), (Some(0), Some(14)));
        expect![["
            4 of 4 times proven; held for 12.410 to 12.900 ms, 12.465 ms at the median, 12.4 ms asked for; the last: it stood
            4 of 4 times over again; the last: it runs"]]
        .assert_eq(&format!("{}\n{}", record.evidence, record.undone_evidence));
        let repeated = record.repeated.unwrap();
        assert_eq!((repeated.planned, repeated.injected, repeated.proved), (4, 4, 4));
    }

    #[test]
    fn one_time_without_a_receipt_is_enough_and_is_named() {
        let kinds = [
            once(Ok("it stood"), None),
            once(Err("it went on"), None),
            once(Ok("it stood"), None),
        ];
        let record = fold(3, &kinds.concat());
        assert!(!record.proved && record.undone);
        assert_eq!(record.evidence, "2 of 3 times proven; not the 2nd: it went on");
        // What could not be injected has no event of its own, and counts all the same.
        let mut kinds = once(Ok("it stood"), None);
        kinds.extend(once(Err("could not be injected"), None).split_off(1));
        let record = fold(2, &kinds);
        assert_eq!(
            record.evidence,
            "1 of 2 times proven; not the 2nd: could not be injected"
        );
        assert_eq!(record.repeated.unwrap().injected, 1);
    }

    #[test]
    fn a_run_that_ended_before_the_last_time_has_not_proven_the_fault() {
        let record = fold(3, &once(Ok("it stood"), None));
        assert!(!record.proved && !record.undone);
        assert_eq!(record.evidence, "1 of 3 times proven; the last: it stood");
        let record = fold(3, &[]);
        assert!(record.evidence.contains("not injected"), "{}", record.evidence);
    }

    #[test]
    fn after_a_restart_the_newest_receipt_of_a_time_is_the_one_that_counts() {
        let mut kinds = once(Ok("pid 7"), None);
        kinds.insert(
            2,
            EventKind::FaultNotProved {
                fault: "hold".into(),
                reason: "pid 8 did not look".into(),
            },
        );
        let record = fold(1, &kinds);
        assert!(!record.proved);
        assert_eq!(record.evidence, "pid 8 did not look");
        assert_eq!(record.repeated, None);
    }

    #[test]
    fn numbers_have_their_endings() {
        let all: Vec<String> = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(nth).into();
        assert_eq!(
            all,
            [
                "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"
            ]
        );
    }
}
