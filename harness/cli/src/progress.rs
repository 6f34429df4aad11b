//! What a run shows while it goes on: a live table on a terminal, plain lines elsewhere.

mod screen;
mod view;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use squall_engine::observer::{Live, Observer};
use squall_model::event::{Event, EventKind};

use crate::output;
use screen::Screen;
pub use view::Size;

/// How often a plain line says how things stand.
const PLAIN_EVERY_US: u64 = 5_000_000;

/// Violations of one invariant that are told, the last of them without its evidence.
const VIOLATIONS_TOLD: u32 = 5;

/// How much is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Show {
    /// Every step, and how things stand.
    All,
    /// How things stand, under this title: the steps are told by whoever runs the parts of something larger.
    Standing(String),
    /// Nothing at all.
    Nothing,
}

/// Shows a run on standard error.
pub struct Progress {
    show: Show,
    /// What stands at the foot of the terminal; nothing where there is none.
    screen: Option<Screen>,
    /// The phase and the stretch of it that a plain line was written for last.
    told: (usize, u64),
    /// Violations so far, by invariant.
    violations: BTreeMap<String, u32>,
    /// How often each fault was injected so far.
    injections: BTreeMap<String, u32>,
    at_us: u64,
}

impl Progress {
    /// Shows a run on standard error, live if that is a terminal.
    pub fn new(show: Show) -> Progress {
        let live = show != Show::Nothing && output::is_live();
        Progress {
            show,
            screen: live.then(Screen::default),
            told: (0, 0),
            violations: BTreeMap::new(),
            injections: BTreeMap::new(),
            at_us: 0,
        }
    }

    /// Takes the live lines away.
    pub fn finish(&mut self) {
        if let Some(mut screen) = self.screen.take() {
            output::error_out(&screen.clear(output::error_size().columns));
        }
    }

    /// Whether an event is of a fault that has come before and only says that it comes again, as it should.
    fn was_told(&mut self, kind: &EventKind) -> bool {
        let (EventKind::FaultInjected { fault }
        | EventKind::FaultProved { fault, .. }
        | EventKind::FaultHealed { fault }
        | EventKind::FaultUndone { fault, .. }) = kind
        else {
            return false;
        };
        let injections = self.injections.entry(fault.clone()).or_default();
        if !matches!(kind, EventKind::FaultInjected { .. }) {
            return *injections > 1;
        }
        *injections += 1;
        if *injections == 2 {
            self.say(&format!(
                "  {fault} again; from here on only what goes wrong with it"
            ));
        }
        self.injections[fault] > 1
    }

    fn say(&mut self, text: &str) {
        let line = format!("{:>8.3} s  {text}", self.at_us as f64 / 1e6);
        match &mut self.screen {
            Some(screen) => output::error_out(&screen.above(&line, output::error_size().columns)),
            None => output::note(&line),
        }
    }
}

/// Whatever ends a run, an error or a panic included, no live line stays.
impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Observer for Progress {
    fn event(&mut self, event: &Event) {
        if self.show != Show::All {
            return;
        }
        self.at_us = event.at_us;
        if let EventKind::InvariantViolated { invariant, .. } = &event.kind {
            let told = self.violations.entry(invariant.clone()).or_default();
            *told += 1;
            match (*told).cmp(&VIOLATIONS_TOLD) {
                Ordering::Less => {}
                Ordering::Equal => {
                    return self.say(&format!("  {invariant} VIOLATED again; further ones are counted"));
                }
                Ordering::Greater => return,
            }
        }
        if self.was_told(&event.kind) {
            return;
        }
        if let Some(text) = tell(&event.kind) {
            self.say(&text);
        }
    }

    fn live(&mut self, live: &Live) {
        let title = match &self.show {
            Show::All => None,
            Show::Standing(title) => Some(title.as_str()),
            Show::Nothing => return,
        };
        if let Some(screen) = &mut self.screen {
            let size = output::error_size();
            let lines = view::table(live, title, size);
            return output::error_out(&screen.draw(lines, size.columns));
        }
        let mark = (live.index, live.elapsed_us / PLAIN_EVERY_US);
        if mark.1 > 0 && mark != self.told {
            self.told = mark;
            output::note(&format!("            {}", view::line(live, title)));
        }
    }
}

/// What an event says; nothing for those that stand in the summary.
fn tell(kind: &EventKind) -> Option<String> {
    Some(match kind {
        EventKind::RunStarted(header) => format!("{} begins, seed {}", header.scenario, header.seed),
        EventKind::ServiceReady {
            service,
            address: Some(address),
        } => format!("{service} is ready at {address}"),
        EventKind::ServiceReady {
            service,
            address: None,
        } => format!("{service} runs"),
        EventKind::ServiceDied { service, status, .. } => format!("{service} died unasked: {status}"),
        EventKind::PhaseStarted { phase } => format!("phase {phase}"),
        EventKind::PhaseEnded {
            phase,
            complete: false,
        } => format!("phase {phase} was cut short"),
        EventKind::FaultInjected { fault } => format!("  {fault} injected"),
        EventKind::FaultProved { fault, evidence } => format!("  {fault} proven: {evidence}"),
        EventKind::FaultNotProved { fault, reason } => format!("  {fault} NOT proven: {reason}"),
        EventKind::FaultHealed { fault } => format!("  {fault} healed"),
        EventKind::FaultUndone { fault, evidence, .. } => format!("  {fault} over: {evidence}"),
        EventKind::FaultNotUndone { fault, reason } => format!("  {fault} NOT shown to be over: {reason}"),
        EventKind::InvariantViolated { invariant, text } => format!("  {invariant} VIOLATED: {text}"),
        EventKind::Warning { text } => format!("warning: {text}"),
        EventKind::Interrupted { signal } => format!("{signal}: stopping"),
        _ => return None,
    })
}
