//! `transitions`: what services say of themselves changes its state only as a given state machine may.
//!
//! A violation is a change that is not among those allowed, or one that leaves a state other than the one entered last: then
//! a change came about that nobody told. A process tells from its own beginning, so the first change of each is judged by what
//! is allowed alone. No change at all is no violation: a breaker that had no reason to open kept its promise. What a service
//! lost before it could be read leaves the verdict unknown. What a process did after it was last asked goes with it when it is killed.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use squall_model::event::Transition;

use super::{Findings, Moment, Outcome, Violation, shortened};

/// The most things of which the last state is kept.
const MACHINES_MAX: usize = 10_000;

/// A change of state that may be, written as `FROM -> TO`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrow {
    from: String,
    to: String,
}

/// A text that is no arrow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no change of state; write `FROM -> TO`, such as `closed -> open`")]
pub struct ArrowError(String);

impl FromStr for Arrow {
    type Err = ArrowError;

    fn from_str(text: &str) -> Result<Arrow, ArrowError> {
        let (from, to) = text.split_once("->").ok_or_else(|| ArrowError(text.to_owned()))?;
        let (from, to) = (from.trim(), to.trim());
        if from.is_empty() || to.is_empty() || to.contains("->") {
            return Err(ArrowError(text.to_owned()));
        }
        Ok(Arrow {
            from: from.to_owned(),
            to: to.to_owned(),
        })
    }
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)
    }
}

/// What one process of a service told in one answer.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// How many of the service's processes were over before.
    pub lives: u32,
    /// Its changes of state, in its own order, each with when.
    pub changes: &'a [(u64, &'a Transition)],
    /// How many events it had lost before they could be read.
    pub lost: u64,
}

/// The checker of one service; see the module.
#[derive(Debug)]
pub struct Transitions {
    allowed: Vec<Arrow>,
    /// By what changes its state: the process that told it, and the state entered last.
    entered: BTreeMap<String, (u32, String)>,
    heard: bool,
    lost: u64,
    untracked: u64,
    checked: u64,
    findings: Findings,
}

impl Transitions {
    /// A checker that has heard nothing.
    pub fn new(allowed: Vec<Arrow>) -> Self {
        Self {
            allowed,
            entered: BTreeMap::new(),
            heard: false,
            lost: 0,
            untracked: 0,
            checked: 0,
            findings: Findings::default(),
        }
    }

    /// Takes what a service told, and returns the violations in it.
    pub fn observe(&mut self, heard: &Heard<'_>) -> Vec<Violation> {
        self.heard = true;
        if heard.lost > 0 {
            // What was entered meanwhile is not known.
            (self.lost, self.entered) = (self.lost + heard.lost, BTreeMap::new());
        }
        for (at_us, change) in heard.changes {
            self.checked += 1;
            if let Some(wrong) = self.wrong(change, heard.lives) {
                self.findings.count(1);
                let text = format!("{wrong}, at {}", Moment(*at_us));
                self.findings.report(Violation { text, at_us: *at_us });
            }
            self.enter(change, heard.lives);
        }
        self.findings.take_reported()
    }

    /// What is wrong with a change.
    fn wrong(&self, change: &Transition, lives: u32) -> Option<String> {
        let Transition { of, from, to } = change;
        let known = self.entered.get(of).filter(|(told_by, _)| *told_by == lives);
        if let Some((_, entered)) = known
            && entered != from
        {
            return Some(format!(
                "{} left {} for {}, but had entered {} before",
                shortened(of),
                shortened(from),
                shortened(to),
                shortened(entered)
            ));
        }
        let is_allowed = self
            .allowed
            .iter()
            .any(|arrow| arrow.from == *from && arrow.to == *to);
        (!is_allowed).then(|| {
            format!(
                "{} went from {} to {}, which is not allowed",
                shortened(of),
                shortened(from),
                shortened(to)
            )
        })
    }

    fn enter(&mut self, change: &Transition, lives: u32) {
        if self.entered.len() >= MACHINES_MAX && !self.entered.contains_key(&change.of) {
            self.untracked += 1;
            return;
        }
        self.entered.insert(change.of.clone(), (lives, change.to.clone()));
    }

    /// The outcome; asking again gives the same.
    pub fn finish(&mut self) -> Outcome {
        let doubt = match (self.heard, self.lost, self.untracked) {
            (false, ..) => Some("the service never answered on its admin endpoint".to_owned()),
            (true, lost @ 1.., _) => Some(format!(
                "{lost} events were lost before they could be read: changes of state may be among them"
            )),
            (true, 0, untracked @ 1..) => Some(format!(
                "{untracked} changes were of more than {MACHINES_MAX} different things, whose states are not all kept"
            )),
            (true, 0, 0) => None,
        };
        self.findings.outcome(self.checked, doubt)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn breaker() -> Transitions {
        let allowed = [
            "closed -> open",
            "open->half-open",
            "half-open -> closed",
            "half-open -> open",
        ];
        Transitions::new(allowed.iter().map(|arrow| arrow.parse().unwrap()).collect())
    }

    fn change(of: &str, from: &str, to: &str) -> Transition {
        let [of, from, to] = [of, from, to].map(str::to_owned);
        Transition { of, from, to }
    }

    fn tell(checker: &mut Transitions, lives: u32, changes: &[Transition]) -> Vec<String> {
        let changes: Vec<(u64, &Transition)> = (1..).zip(changes).collect();
        let heard = Heard {
            lives,
            changes: &changes,
            lost: 0,
        };
        let found = checker.observe(&heard);
        found.into_iter().map(|violation| violation.text).collect()
    }

    #[test]
    fn a_walk_along_the_arrows_is_right_for_each_machine_on_its_own() {
        let mut checker = breaker();
        let walk = [
            change("a", "closed", "open"),
            change("b", "closed", "open"),
            change("a", "open", "half-open"),
            change("b", "open", "half-open"),
            change("a", "half-open", "closed"),
            change("b", "half-open", "open"),
        ];
        assert!(tell(&mut checker, 0, &walk).is_empty());
        let outcome = checker.finish();
        assert_eq!((outcome.checked, outcome.verdict), (6, Verdict::Pass));
    }

    #[test]
    fn a_change_beside_the_arrows_and_one_from_elsewhere_are_violations() {
        let mut checker = breaker();
        let found = tell(
            &mut checker,
            0,
            &[change("a", "closed", "open"), change("a", "open", "closed")],
        );
        assert_eq!(
            found,
            [r#""a" went from "open" to "closed", which is not allowed, at 0.000002 s"#]
        );
        let found = tell(&mut checker, 0, &[change("a", "half-open", "open")]);
        assert_eq!(
            found,
            [r#""a" left "half-open" for "open", but had entered "closed" before, at 0.000001 s"#]
        );
        assert_eq!(checker.finish().verdict, Verdict::Fail);
    }

    #[test]
    fn another_process_begins_anew() {
        let mut checker = breaker();
        assert!(tell(&mut checker, 0, &[change("a", "closed", "open")]).is_empty());
        assert!(tell(&mut checker, 1, &[change("a", "closed", "open")]).is_empty());
        assert_eq!(checker.finish().verdict, Verdict::Pass);
    }

    #[test]
    fn nothing_changed_is_a_pass_but_nothing_heard_and_something_lost_are_none() {
        let mut silent = breaker();
        assert_eq!(silent.finish().verdict, Verdict::Unknown);
        let mut calm = breaker();
        assert!(tell(&mut calm, 0, &[]).is_empty());
        assert_eq!(calm.finish().verdict, Verdict::Pass);
        let lossy = Heard {
            lives: 0,
            changes: &[],
            lost: 3,
        };
        assert!(calm.observe(&lossy).is_empty());
        let outcome = calm.finish();
        assert_eq!(outcome.verdict, Verdict::Unknown);
        assert!(
            outcome.reason.starts_with("3 events were lost"),
            "{}",
            outcome.reason
        );
    }

    #[test]
    fn arrows_are_read_and_shown_as_they_are_written() {
        let arrow: Arrow = "half-open->closed".parse().unwrap();
        assert_eq!(arrow.to_string(), "half-open -> closed");
        for wrong in ["closed", "-> open", "closed ->", "a -> b -> c", ""] {
            assert!(wrong.parse::<Arrow>().is_err(), "{wrong}");
        }
    }
}
