//! Loads: protocol and arrivals looked up, and what each phase makes of them.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use squall_load::journey::{Journey, Part};
use squall_load::pacer::{PacerError, RATE_PER_S_MAX};
use squall_load::spec::CONNECTIONS_MAX;
use squall_load::{Arrivals, PacerKind, Think, load_seed};
use squall_model::diagnostic::{Diagnostic, Diagnostics, suggest};
use squall_model::scenario::{self, Address, Amount, Load, LoadOverride, Phase, Scenario, Scheme};
use squall_model::seed::Seed;
use squall_model::span::{Span, Spanned};
use squall_model::units::human;

use super::data::Data;
use super::pacers::{PACERS, Stretch, Written};
use super::protocol::{Asked, PROTOCOLS};
use super::services::has_address;
use super::think::think;
use super::{PlannedLoad, Settings};

/// Connections at most, unless told otherwise.
const CONNECTIONS: usize = 64;

/// How long an answer may take, unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The loads, without what is read out of their responses.
pub(super) fn compile(
    scenario: &Scenario,
    seed: Seed,
    settings: &Settings,
    diagnostics: &mut Diagnostics,
) -> Vec<PlannedLoad> {
    let mut planned = Vec::new();
    for (name, load) in &scenario.load {
        let kind = &load.protocol.kind;
        let Some(protocol) = PROTOCOLS.iter().find(|protocol| protocol.name == kind.value) else {
            let help = suggest(&kind.value, PROTOCOLS.iter().map(|protocol| protocol.name));
            let error = Diagnostic::error(kind.span, format!("there is no protocol called `{}`", kind.value));
            diagnostics.push(error.help_if(help));
            continue;
        };
        check_target(scenario, load, diagnostics);
        check_seal(scenario, load, diagnostics);
        if let Some(connections) = &load.connections {
            check_connections(connections.get(), connections.span, diagnostics);
        }
        let seed = load_seed(seed, name.as_str());
        let mut data = Data::read(&load.data, &settings.base, seed, settings.arm, diagnostics);
        let Some(asked) = (protocol.decode)(&load.protocol.params, &mut data, diagnostics) else {
            continue;
        };
        data.finish(diagnostics);
        if asked.holds {
            check_held(load, diagnostics);
        }
        if asked.protocol.part().is_of_journey() && load.users.is_none() {
            let error = Diagnostic::error(kind.span, "journeys are made by users, and this load has none");
            diagnostics
                .push(error.help("give it `users`, such as `users: 50`, in place of `rate` and `arrivals`"));
        }
        planned.push(PlannedLoad {
            name: name.as_str().to_owned(),
            to: load.to.as_str().to_owned(),
            asked,
            connections: load
                .connections
                .map_or(CONNECTIONS, |connections| connections.get() as usize),
            timeout: load.timeout.map_or(TIMEOUT, |timeout| timeout.value),
            extract: Vec::new(),
            seed,
        });
    }
    add_steps(&mut planned);
    planned
}

/// Whoever stays on a connection makes no further request, so a schedule would open more and more of them.
fn check_held(load: &Load, diagnostics: &mut Diagnostics) {
    let rate = load.rate.map(|rate| rate.span);
    let scheduled = rate.or(load.arrivals.as_ref().map(|arrivals| arrivals.kind.span));
    if let (None, Some(span)) = (load.users, scheduled) {
        let kind = &load.protocol.kind;
        let message = format!(
            "this `{}` stays open, and a schedule has nobody who stays",
            kind.value
        );
        let error = Diagnostic::error(span, message).also(kind.span, "here");
        diagnostics.push(error.help("use `users`"));
    }
}

/// Adds a load for each step of a journey, after all that are written: they share the generator's lists, not the scenario's.
fn add_steps(planned: &mut Vec<PlannedLoad>) {
    for at in 0..planned.len() {
        let whole = planned[at].clone();
        let Part::Journey(journey) = whole.asked.protocol.part() else {
            continue;
        };
        let journey = Journey {
            first: planned.len(),
            ..journey.clone()
        };
        for step in &journey.steps {
            let path = step.request.path.to_string();
            planned.push(PlannedLoad {
                name: format!("{}.{}", whole.name, step.name),
                asked: Asked {
                    shown: format!("{} {path}", step.request.method),
                    path: Some(path),
                    protocol: Arc::new(step.clone()),
                    ..whole.asked.clone()
                },
                // Those of its users are the journey's.
                connections: 1,
                ..whole.clone()
            });
        }
        planned[at].asked.protocol = Arc::new(journey);
    }
}

/// Adds what the steps of journeys do in a phase, where `arrivals` has what the written loads do: the same as their journey.
pub(super) fn share_users(planned: &[PlannedLoad], arrivals: &mut Vec<Arrivals>) {
    for at in 0..arrivals.len().min(planned.len()) {
        if let Part::Journey(journey) = planned[at].asked.protocol.part() {
            let same = arrivals[at].clone();
            arrivals.extend(journey.steps.iter().map(|_| same.clone()));
        }
    }
}

/// TLS is one of streams; datagrams would have DTLS, which nothing here speaks.
fn check_seal(scenario: &Scenario, load: &Load, diagnostics: &mut Diagnostics) {
    let kind = &load.protocol.kind;
    let is_sealed = scenario.services.get(load.to.as_str()).is_some_and(|service| {
        let https = |at: &Address| {
            matches!(
                at,
                Address::Host {
                    scheme: Scheme::Https,
                    ..
                }
            )
        };
        service.tls.is_some() || service.at.as_ref().is_some_and(|at| https(&at.value))
    });
    if is_sealed && kind.value == "udp" {
        let error = Diagnostic::error(kind.span, "datagrams are sent without TLS");
        let error = error.also(load.to.span, "this service speaks it");
        diagnostics.push(error.help("send them to a service without `tls` and `https://`"));
    }
}

/// A program that is told no port can't be called.
fn check_target(scenario: &Scenario, load: &Load, diagnostics: &mut Diagnostics) {
    let Some(service) = scenario.services.get(load.to.as_str()) else {
        return;
    };
    let Some(command) = &service.run else { return };
    if !has_address(service) {
        let message = format!("`{}` is told no port, so no load can reach it", load.to.value);
        let error = Diagnostic::error(load.to.span, message).also(command.spans[0], "its command line");
        diagnostics.push(error.help("use \"{port}\" in its `run` or `env`"));
    }
}

/// How each load's arrivals come, in the order of the loads; nothing where that could not be read.
pub(super) fn pacing(scenario: &Scenario, base: &Path, diagnostics: &mut Diagnostics) -> Vec<Option<Pacing>> {
    let mut all = Vec::new();
    for (_, load) in &scenario.load {
        let pacing = Pacing::of(load.arrivals.as_ref(), base, diagnostics);
        if let (Some(pacing), None) = (&pacing, load.users) {
            check_own(pacing, load, diagnostics);
        }
        all.push(pacing);
    }
    all
}

/// An arrival process as written, and where.
#[derive(Clone, Debug)]
pub(super) struct Pacing {
    written: Written,
    kind: Spanned<String>,
}

impl Pacing {
    fn of(
        written: Option<&scenario::Arrivals>,
        base: &Path,
        diagnostics: &mut Diagnostics,
    ) -> Option<Pacing> {
        let Some(written) = written else {
            return Some(Pacing {
                written: Written::Steady(PacerKind::Even),
                kind: Spanned::new("even".to_owned(), Span::default()),
            });
        };
        let kind = &written.kind;
        let Some(entry) = PACERS.iter().find(|entry| entry.name == kind.value) else {
            let help = suggest(&kind.value, PACERS.iter().map(|entry| entry.name));
            let error = Diagnostic::error(
                kind.span,
                format!("there are no arrivals called `{}`", kind.value),
            );
            diagnostics.push(error.help_if(help));
            return None;
        };
        Some(Pacing {
            written: (entry.decode)(&written.params, base, diagnostics)?,
            kind: kind.clone(),
        })
    }

    fn no_rate(&self, span: Span, lacks: &str) -> Diagnostic {
        Diagnostic::error(span, format!("`{}` needs {lacks}", self.kind.value))
    }

    fn own_rates(&self, span: Span) -> Diagnostic {
        Diagnostic::error(span, format!("`{}` has rates of its own", self.kind.value))
    }
}

/// A load has one source of its rate.
fn check_own(pacing: &Pacing, load: &Load, diagnostics: &mut Diagnostics) {
    match (pacing.written.lacks(), load.rate) {
        (Some(lacks), None) if load.arrivals.is_some() => {
            diagnostics.push(pacing.no_rate(pacing.kind.span, lacks));
        }
        (None, Some(rate)) => {
            let error = pacing.own_rates(rate.span).also(pacing.kind.span, "here");
            diagnostics.push(error.help("leave `rate` out"));
        }
        _ => {}
    }
}

/// What each load does in a phase.
pub(super) fn arrivals(
    scenario: &Scenario,
    pacing: &[Option<Pacing>],
    phase: &Phase,
    context: Context<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<Arrivals> {
    let loads = scenario.load.iter().zip(pacing);
    loads
        .map(|((name, load), pacing)| {
            let change = phase.load.get(name.as_str());
            let (amount, users, spread) = match change {
                None => (None, None, None),
                Some(LoadOverride::Amount(amount)) => (Some(amount), None, None),
                Some(LoadOverride::Change(change)) => {
                    (change.rate.as_ref(), change.users, change.arrivals.as_ref())
                }
            };
            if let Some(own) = load.users {
                return closed(load, own, users, amount, diagnostics);
            }
            let own = spread.map(|spread| Pacing::of(Some(spread), context.base, diagnostics));
            match own.as_ref().unwrap_or(pacing) {
                Some(pacing) => {
                    let replaced = own.is_some();
                    open(load, pacing, replaced, amount, context.phase, diagnostics)
                }
                None => Arrivals::None,
            }
        })
        .collect()
}

/// What a phase's arrivals depend on beside the scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    /// The folder that paths are relative to.
    pub(super) base: &'a Path,
    /// The phase.
    pub(super) phase: Stretch,
}

fn closed(
    load: &Load,
    own: Spanned<NonZeroU32>,
    users: Option<Spanned<NonZeroU32>>,
    amount: Option<&Spanned<Amount>>,
    diagnostics: &mut Diagnostics,
) -> Arrivals {
    let factor = factor(amount);
    let written = users.unwrap_or(own);
    let span = amount.map_or(written.span, |amount| amount.span);
    let users = (f64::from(written.get()) * factor).round() as u32;
    check_connections(users, span, diagnostics);
    let think = load
        .think
        .as_ref()
        .map_or(Think::NONE, |pause| think(pause, diagnostics));
    if users == 0 {
        Arrivals::None
    } else {
        Arrivals::Closed {
            users: users as usize,
            think,
        }
    }
}

fn factor(amount: Option<&Spanned<Amount>>) -> f64 {
    match amount.map(|amount| amount.value) {
        Some(Amount::Scale(scale)) => scale.get(),
        _ => 1.0,
    }
}

/// An open loop; `replaced` if the phase has arrivals of its own, which a load's rate need not fit.
fn open(
    load: &Load,
    pacing: &Pacing,
    replaced: bool,
    amount: Option<&Spanned<Amount>>,
    phase: Stretch,
    diagnostics: &mut Diagnostics,
) -> Arrivals {
    let factor = factor(amount);
    let another = amount.and_then(|amount| match amount.value {
        Amount::Rate(rate) => Some(Spanned::new(rate.get(), amount.span)),
        Amount::Scale(_) => None,
    });
    let own = load.rate.map(|rate| {
        let span = amount.map_or(rate.span, |amount| amount.span);
        Spanned::new(rate.get() * factor, span)
    });
    let rate = match (pacing.written.lacks(), another.or(own)) {
        (Some(_), Some(rate)) => rate,
        (Some(lacks), None) => {
            // Of the load's own arrivals it was said before.
            if replaced {
                let error = pacing.no_rate(pacing.kind.span, lacks);
                diagnostics.push(error.help("give it a rate: { rate: 100/s, arrivals: ... }"));
            }
            return Arrivals::None;
        }
        (None, _) if another.is_some() => {
            let span = another.map_or(pacing.kind.span, |rate| rate.span);
            let error = pacing.own_rates(span).also(pacing.kind.span, "here");
            let help = "scale it with a factor, or replace it: { rate: 100/s, arrivals: even }";
            diagnostics.push(error.help(help));
            return Arrivals::None;
        }
        (None, _) => Spanned::new(factor, amount.map_or(pacing.kind.span, |amount| amount.span)),
    };
    if rate.value == 0.0 {
        return Arrivals::None;
    }
    planned(pacing, rate.value, factor, phase).unwrap_or_else(|problem| {
        diagnostics.push(problem.at(rate.span, pacing));
        Arrivals::None
    })
}

/// Why a process cannot be planned.
enum Problem {
    Pacer(PacerError),
    Words(String),
}

impl Problem {
    /// A rate that is too high was asked for at `span`; anything else is wrong with the process itself.
    fn at(self, span: Span, pacing: &Pacing) -> Diagnostic {
        match self {
            Problem::Pacer(PacerError::Rate(rate)) => {
                let message = format!("{} is more than can be scheduled", human::rate(rate));
                let most = human::rate(RATE_PER_S_MAX);
                Diagnostic::error(span, message).help(format!("at most {most}"))
            }
            Problem::Pacer(e) => Diagnostic::error(pacing.kind.span, e.to_string()),
            Problem::Words(words) => Diagnostic::error(pacing.kind.span, words),
        }
    }
}

fn planned(pacing: &Pacing, rate: f64, factor: f64, phase: Stretch) -> Result<Arrivals, Problem> {
    let pacer = pacing
        .written
        .in_phase(rate, factor, phase)
        .map_err(Problem::Words)?;
    if !pacer.has_own_rates() {
        pacer.check(rate).map_err(Problem::Pacer)?;
        return Ok(Arrivals::Open {
            rate_per_s: rate,
            pacer,
        });
    }
    pacer.check_own().map_err(Problem::Pacer)?;
    let length = phase.length();
    let rate_per_s = pacer.count_within(rate, length) / length.as_secs_f64();
    // Such as stairs that begin with none, in a phase that ends before the second.
    Ok(if rate_per_s > 0.0 {
        Arrivals::Open { rate_per_s, pacer }
    } else {
        Arrivals::None
    })
}

/// Each connection is a descriptor, and each user has one.
fn check_connections(number: u32, span: Span, diagnostics: &mut Diagnostics) {
    if number as usize > CONNECTIONS_MAX {
        let message = format!(
            "{} connections are more than can be kept",
            human::count(u64::from(number))
        );
        let most = human::count(CONNECTIONS_MAX as u64);
        diagnostics.push(Diagnostic::error(span, message).help(format!("at most {most}")));
    }
}
