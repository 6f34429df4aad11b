//! What is stored of a scenario's earlier runs, as expectations against a baseline see it.
//!
//! Whoever reads files hands it in with the settings of the plan; nothing here reads one. An expectation is resolved once, here:
//! to the stored value, or to why there is none.

use std::cell::Cell;

use squall_model::baseline::{Entry, HeldTo, Key, Spread, comparable, meaning};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::expression::{Adjustment, Dimension, Expression};
use squall_model::units::human;

use super::{Metric, PlannedPhase, Scope};

/// What a limit is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Limit {
    /// What is written, in the record's unit.
    Fixed(f64),
    /// A stored value, and what is made of it.
    Baseline {
        /// What is made of it.
        adjustment: Adjustment,
        /// It, or why there is none.
        stored: Result<Box<HeldTo>, String>,
    },
}

impl Limit {
    /// The limit as a number, in the record's unit; nothing where it is made of a value that is not stored.
    pub fn number(&self) -> Option<f64> {
        match self {
            Limit::Fixed(limit) => Some(*limit),
            Limit::Baseline { adjustment, stored } => {
                stored.as_ref().ok().map(|one| adjustment.of(one.value))
            }
        }
    }

    /// The stored value that it is made of.
    pub fn stored(&self) -> Option<&HeldTo> {
        match self {
            Limit::Baseline { stored, .. } => stored.as_deref().ok(),
            Limit::Fixed(_) => None,
        }
    }

    /// Why it is made of nothing.
    pub fn missing(&self) -> Option<&str> {
        match self {
            Limit::Baseline { stored, .. } => stored.as_ref().err().map(String::as_str),
            Limit::Fixed(_) => None,
        }
    }
}

/// What is stored of the scenario that is planned.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The fingerprint of this machine.
    pub machine: String,
    /// The entries of this machine, the oldest first, none where nothing is stored; or why they can't be read.
    pub entries: Result<Vec<Entry>, String>,
    /// The fingerprints of other machines that there are baselines of the scenario of.
    pub others: Vec<String>,
    /// The file that was looked for, as people name it.
    pub file: String,
    /// What was given with `--set`, as it stands in a command line.
    pub overrides: String,
    /// The command that stores the newest run of the scenario.
    pub save: String,
    /// How many of the newest of some values have one level: from the last change point on.
    pub since_change: fn(&[f64]) -> usize,
}

/// The most other machines that are named.
const NAMED: usize = 3;

impl Stored {
    /// Why nothing is stored.
    fn nothing(&self, scenario: &str) -> String {
        let others = match &self.others[..] {
            [] => "there is none of any machine".to_owned(),
            some => {
                let named = human::some_of(some, NAMED);
                format!("there are of {named}, which are other machines")
            }
        };
        format!(
            "no baseline of {scenario} on this machine ({}) is stored; {others}; `{}` stores one",
            self.machine, self.save
        )
    }

    /// The stored value at `key` in the newest entry, or why there is none.
    fn value(&self, scenario: &str, source: &str, key: &Key, dimension: Dimension) -> Result<HeldTo, String> {
        let entries = self.entries.as_ref().map_err(Clone::clone)?;
        let newest = entries.last().ok_or_else(|| self.nothing(scenario))?;
        let value = newest.values.get(key).ok_or_else(|| {
            format!(
                "the newest baseline on this machine, of {}, has no {}.{} in {}: there was too little of it, or the scenario had none; \
                 `{}` stores a newer one",
                newest.saved_at, key.of, key.metric, key.scope, self.save
            )
        })?;
        let alike: Vec<f64> = comparable(entries)
            .iter()
            .filter_map(|entry| entry.values.get(key))
            .collect();
        let level = &alike[alike.len() - (self.since_change)(&alike).min(alike.len())..];
        let spread = (level.len() > 1).then(|| Spread {
            entries: level.len() as u64,
            min: level.iter().copied().fold(f64::INFINITY, f64::min),
            max: level.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        });
        Ok(HeldTo {
            value,
            dimension,
            runs: newest.runs.len() as u64,
            entries: entries.len() as u64,
            saved_at: newest.saved_at.clone(),
            measured_at: newest.measured_at.clone(),
            revision: newest.revision.clone(),
            machine: self.machine.clone(),
            spread,
            scenario_changed: newest.meaning != meaning(source, &self.overrides),
        })
    }
}

/// The scope in which a number is stored: what a run of one measured phase says of loads and services is what the phase says, and is stored
/// once.
pub fn stored_scope(metric: &Metric, scope: &Scope, phases: &[PlannedPhase]) -> Scope {
    let is_of_phases = matches!(metric, Metric::Load { .. } | Metric::Service { .. });
    let mut measured = phases.iter().enumerate().filter(|(_, phase)| phase.measure);
    match (scope, measured.next(), measured.next()) {
        (Scope::Run, Some((only, _)), None) if is_of_phases => Scope::Phase(only),
        _ => scope.clone(),
    }
}

/// The scenario that expectations are planned for, and what is stored of it.
pub(super) struct Lookup<'a> {
    /// Whether it was said already that nothing is stored: once is enough.
    pub(super) is_told: Cell<bool>,
    pub(super) stored: Option<&'a Stored>,
    pub(super) scenario: &'a str,
    pub(super) source: &'a str,
    pub(super) quick: bool,
}

impl Lookup<'_> {
    /// The limit that is made of the value stored at `key`. Where there is none, that is a warning: the run can be made, and will be invalid.
    pub(super) fn limit(
        &self,
        expression: &Expression,
        adjustment: Adjustment,
        key: &Key,
        dimension: Dimension,
        diagnostics: &mut Diagnostics,
    ) -> Limit {
        let span = expression
            .comparison
            .as_ref()
            .map_or(expression.span, |one| one.limit.span);
        let stored = match self.stored {
            // Nobody judges: a gate holds its arms against each other, and a search has objectives of its own.
            None => Err("stored baselines were not looked for".to_owned()),
            Some(_) if self.quick => {
                let why = "this run is scaled down by --quick, and stored baselines are of whole runs";
                let warning = Diagnostic::warning(span, why);
                self.tell(true, warning.help("leave --quick out"), diagnostics);
                Err(why.to_owned())
            }
            Some(stored) => {
                let found = stored.value(self.scenario, self.source, key, dimension);
                match (&found, &stored.entries) {
                    (Ok(_), _) => {}
                    (Err(why), Err(_)) => {
                        let error = Diagnostic::error(span, why.clone());
                        let help = format!("repair {}, or remove it and store a new one", stored.file);
                        self.tell(true, error.help(help), diagnostics);
                    }
                    (Err(why), Ok(entries)) => {
                        let warning = Diagnostic::warning(span, why.clone());
                        self.tell(entries.is_empty(), warning, diagnostics);
                    }
                }
                found.map(Box::new)
            }
        };
        Limit::Baseline { adjustment, stored }
    }

    /// Reports what is wrong; what is so `of_all` expectations is said of the first.
    fn tell(&self, of_all: bool, diagnostic: Diagnostic, diagnostics: &mut Diagnostics) {
        if of_all && self.is_told.replace(true) {
            return;
        }
        diagnostics.push(
            diagnostic.note(
                "an expectation without a stored value is invalid: a check without data is never a pass",
            ),
        );
    }
}
