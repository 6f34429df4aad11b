//! What several tests need: someone who watches, and rules in few words.

use std::sync::{Arc, Mutex};

use squall_circuit_breaker::rule::{DegradeRule, Strategy};
use squall_circuit_breaker::{Event, Observe, RuleSet, State, Switchboard, Transition};

pub const MS: u64 = 1_000_000;
pub const SEC: u64 = 1_000 * MS;

/// Keeps every event.
#[derive(Default)]
pub struct Notebook(Mutex<Vec<Event>>);

impl Observe for Notebook {
    fn note(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

/// The diagram, apart from what the crate makes of it.
const ARROWS: [(State, State); 7] = [
    (State::Closed, State::Open),
    (State::Open, State::HalfOpen),
    (State::HalfOpen, State::Open),
    (State::HalfOpen, State::Recovering),
    (State::HalfOpen, State::Closed),
    (State::Recovering, State::Open),
    (State::Recovering, State::Closed),
];

impl Notebook {
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    pub fn transitions(&self) -> Vec<Transition> {
        let events = self.0.lock().unwrap();
        let transition = |event: &Event| match event {
            Event::Transition(transition) => Some(transition.clone()),
            _ => None,
        };
        events.iter().filter_map(transition).collect()
    }

    /// Fails unless the transitions are one path along the diagram, from closed.
    pub fn assert_one_path(&self) {
        let mut at = State::Closed;
        for transition in self.transitions() {
            assert_eq!(transition.from, at, "{transition:?}");
            assert!(
                ARROWS.contains(&(transition.from, transition.to)),
                "{transition:?}"
            );
            at = transition.to;
        }
    }
}

/// A switchboard with these rules, and who watches it.
pub fn board(rules: &RuleSet) -> (Switchboard, Arc<Notebook>) {
    let notebook = Arc::new(Notebook::default());
    let board = Switchboard::new(Arc::clone(&notebook) as _);
    board.apply(rules).unwrap();
    (board, notebook)
}

/// Opens once more than `count` of the calls in a second failed, of at least one; probes after a second.
pub fn breaks_on_errors(resource: &str, count: f64) -> DegradeRule {
    DegradeRule {
        resource: resource.to_owned(),
        grade: Strategy::ErrorCount,
        count,
        time_window: 1,
        min_request_amount: 1,
        ..DegradeRule::default()
    }
}
