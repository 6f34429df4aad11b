//! How the loads took each fault: the worst of all loads, and of all times that it came.

use squall_model::event::EventKind;
use squall_model::record::FaultFelt;

use super::supervisor::Supervisor;
use crate::measure::recovery::{Felt, Recovery, Window};

impl Supervisor<'_> {
    /// Per fault of the plan.
    pub(super) fn felt(&mut self) -> Vec<FaultFelt> {
        let names: Vec<&str> = self.plan.faults.iter().map(|fault| fault.name.as_str()).collect();
        let windows: Vec<_> = names.iter().map(|name| self.windows(name)).collect();
        windows.iter().map(|windows| self.felt_in(windows)).collect()
    }

    /// The times that a fault came, each with when the next thing was done to the run.
    fn windows(&self, name: &str) -> Vec<Window> {
        let end_us = self.bounds.last().map_or(0, |(_, end_us)| *end_us);
        let mut windows = Vec::new();
        let mut injected_us = None;
        for (at, event) in self.events.iter().enumerate() {
            match &event.kind {
                EventKind::FaultInjected { fault } if fault == name => injected_us = Some(event.at_us),
                EventKind::FaultHealed { fault } if fault == name => {
                    let next = self.events[at..].iter().find(|later| {
                        matches!(
                            later.kind,
                            EventKind::FaultInjected { .. } | EventKind::Interrupted { .. }
                        )
                    });
                    windows.extend(injected_us.take().map(|injected_us| Window {
                        injected_us,
                        healed_us: event.at_us,
                        until_us: next.map_or(end_us, |next| next.at_us.min(end_us)),
                    }));
                }
                _ => {}
            }
        }
        windows
    }

    fn felt_in(&mut self, windows: &[Window]) -> FaultFelt {
        let unmeasured = |why: &str| FaultFelt {
            unmeasured: why.to_owned(),
            ..FaultFelt::default()
        };
        if windows.is_empty() {
            return unmeasured("it was not injected and healed");
        }
        if !self.plan.phases.iter().any(|phase| phase.baseline) {
            return unmeasured("no phase is the baseline");
        }
        let mut felt: Option<Felt> = None;
        let mut why = "no load ran in the baseline and after the fault".to_owned();
        for window in windows {
            let loads = self.plan.loads.iter().zip(&mut self.histories);
            // What a step of a journey counts, its load counts as well.
            for (load, history) in loads.filter(|(load, _)| !load.is_step()) {
                match history.felt(*window) {
                    Ok(Some(one)) => felt = Some(felt.map_or(one, |all| worse(all, one))),
                    Ok(None) => {}
                    Err(too_few) => why = format!("{}: {too_few}", load.name),
                }
            }
        }
        let Some(felt) = felt else {
            return unmeasured(&why);
        };
        let (recover_us, unrecovered_us) = match felt.recovery {
            Recovery::After(us) => (Some(us), None),
            Recovery::NotWithin(us) => (None, Some(us)),
        };
        FaultFelt {
            detect_us: felt.detect_us,
            recover_us,
            unrecovered_us,
            debt_us: Some(felt.debt_us),
            unmeasured: String::new(),
        }
    }
}

/// What two loads, or two times, come to: the first to feel it, the last to be well, all that was waited.
fn worse(a: Felt, b: Felt) -> Felt {
    Felt {
        detect_us: [a.detect_us, b.detect_us].into_iter().flatten().min(),
        recovery: a.recovery.worse(b.recovery),
        debt_us: a.debt_us + b.debt_us,
    }
}
