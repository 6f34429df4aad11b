//! What a run shows while it goes on: a live line per phase on a terminal, plain lines elsewhere.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use squall_engine::observer::{Live, Observer};
use squall_model::event::{Event, EventKind};
use squall_model::units::human;

use crate::output;

/// How often a plain line says how things stand.
const PLAIN_EVERY_US: u64 = 5_000_000;

/// Violations of one invariant that are told, the last of them without its evidence.
const VIOLATIONS_TOLD: u32 = 5;

/// Shows a run on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    /// The phase and the stretch of it that a plain line was written for last.
    told: (usize, u64),
    /// Violations so far, by invariant.
    violations: BTreeMap<String, u32>,
    at_us: u64,
}

impl Progress {
    /// Shows a run on standard error, live if that is a terminal.
    pub fn new() -> Progress {
        let live =
            std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let bar = live.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
            bar.set_style(ProgressStyle::with_template("{wide_msg}").expect("the template is a constant"));
            bar
        });
        Progress {
            bar,
            told: (0, 0),
            violations: BTreeMap::new(),
            at_us: 0,
        }
    }

    /// Takes the live line away.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn say(&self, text: &str) {
        let line = format!("{:>8.3} s  {text}", self.at_us as f64 / 1e6);
        match &self.bar {
            Some(bar) => bar.println(line),
            None => output::note(&line),
        }
    }
}

impl Observer for Progress {
    fn event(&mut self, event: &Event) {
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
        if let Some(text) = tell(&event.kind) {
            self.say(&text);
        }
    }

    fn live(&mut self, live: &Live) {
        let line = line(live);
        if let Some(bar) = &self.bar {
            return bar.set_message(line);
        }
        let mark = (live.index, live.elapsed_us / PLAIN_EVERY_US);
        if mark.1 > 0 && mark != self.told {
            self.told = mark;
            output::note(&format!("            {line}"));
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
        EventKind::FaultUndone { fault, evidence } => format!("  {fault} over: {evidence}"),
        EventKind::FaultNotUndone { fault, reason } => format!("  {fault} NOT shown to be over: {reason}"),
        EventKind::InvariantViolated { invariant, text } => format!("  {invariant} VIOLATED: {text}"),
        EventKind::Warning { text } => format!("warning: {text}"),
        EventKind::Interrupted { signal } => format!("{signal}: stopping"),
        _ => return None,
    })
}

/// `steady 2/7  3.2 s left  single 2.0k/s P99 1.2 ms errors 0%  [clock: proven]`
fn line(live: &Live) -> String {
    let left = Duration::from_micros(live.length_us.saturating_sub(live.elapsed_us)).as_secs_f64();
    let mut parts = vec![format!(
        "{} {}/{}  {left:.1} s left",
        live.phase,
        live.index + 1,
        live.phases
    )];
    parts.extend(live.loads.iter().map(|load| {
        let p99 = load
            .p99_us
            .map_or_else(|| "–".to_owned(), |p99| human::microseconds(p99 as f64));
        format!(
            "{} {} P99 {p99} errors {}",
            load.name,
            human::rate(load.rate),
            human::ratio(load.errors)
        )
    }));
    parts.extend(
        live.faults.iter().map(|(fault, proven)| {
            format!("[{fault}: {}]", if *proven { "proven" } else { "not proven yet" })
        }),
    );
    parts.join("  ")
}
