//! Loads: protocol and arrivals looked up, and what each phase makes of them.

use std::time::Duration;

use squall_load::pacer::RATE_PER_S_MAX;
use squall_load::spec::CONNECTIONS_MAX;
use squall_load::{Arrivals, PacerKind, load_seed};
use squall_model::diagnostic::{Diagnostic, Diagnostics, suggest};
use squall_model::scenario::{self, Amount, Load, LoadOverride, Phase, Scenario};
use squall_model::seed::Seed;
use squall_model::span::{Span, Spanned};
use squall_model::units::human;

use super::PlannedLoad;
use super::protocol::PROTOCOLS;
use super::services::has_address;

/// Connections at most, unless told otherwise.
const CONNECTIONS: usize = 64;

/// How long an answer may take, unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The loads, without what is read out of their responses.
pub(super) fn compile(scenario: &Scenario, seed: Seed, diagnostics: &mut Diagnostics) -> Vec<PlannedLoad> {
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
        if let Some(connections) = &load.connections {
            check_connections(connections.get(), connections.span, diagnostics);
        }
        let Some(asked) = (protocol.decode)(&load.protocol.params, diagnostics) else {
            continue;
        };
        planned.push(PlannedLoad {
            name: name.as_str().to_owned(),
            to: load.to.as_str().to_owned(),
            asked,
            connections: load
                .connections
                .map_or(CONNECTIONS, |connections| connections.get() as usize),
            timeout: load.timeout.map_or(TIMEOUT, |timeout| timeout.value),
            extract: Vec::new(),
            seed: load_seed(seed, name.as_str()),
        });
    }
    planned
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

/// What each load does in a phase.
pub(super) fn arrivals(scenario: &Scenario, phase: &Phase, diagnostics: &mut Diagnostics) -> Vec<Arrivals> {
    let one = |(name, load): &(Spanned<squall_model::name::Name>, Load), diagnostics: &mut Diagnostics| {
        arrivals_of(load, phase.load.get(name.as_str()), diagnostics)
    };
    scenario
        .load
        .iter()
        .map(|entry| one(entry, diagnostics))
        .collect()
}

fn arrivals_of(load: &Load, change: Option<&LoadOverride>, diagnostics: &mut Diagnostics) -> Arrivals {
    let (amount, users, spread) = match change {
        None => (None, None, None),
        Some(LoadOverride::Amount(amount)) => (Some(amount), None, None),
        Some(LoadOverride::Change(change)) => (change.rate.as_ref(), change.users, change.arrivals.as_ref()),
    };
    let factor = match amount.map(|amount| amount.value) {
        Some(Amount::Scale(scale)) => scale.get(),
        _ => 1.0,
    };
    if let Some(own) = load.users {
        let span = users.or(load.users).map_or(own.span, |users| users.span);
        let span = amount.map_or(span, |amount| amount.span);
        let users = (f64::from(users.unwrap_or(own).get()) * factor).round() as u32;
        check_connections(users, span, diagnostics);
        let think = load.think.map_or(Duration::ZERO, |think| think.value);
        return if users == 0 {
            Arrivals::None
        } else {
            Arrivals::Closed {
                users: users as usize,
                think,
            }
        };
    }
    let Some(own) = load.rate else {
        return Arrivals::None;
    };
    let (rate, span) = match amount {
        Some(Spanned {
            value: Amount::Rate(rate),
            span,
        }) => (rate.get(), *span),
        Some(amount) => (own.get() * factor, amount.span),
        None => (own.get(), own.span),
    };
    let pacer = pacer(spread.or(load.arrivals.as_ref()), diagnostics);
    check_rate(rate, span, diagnostics);
    if rate == 0.0 {
        Arrivals::None
    } else {
        Arrivals::Open {
            rate_per_s: rate,
            pacer,
        }
    }
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

fn check_rate(rate: f64, span: Span, diagnostics: &mut Diagnostics) {
    if rate > RATE_PER_S_MAX {
        let message = format!("{} is more than can be scheduled", human::rate(rate));
        diagnostics
            .push(Diagnostic::error(span, message).help(format!("at most {}", human::rate(RATE_PER_S_MAX))));
    }
}

fn pacer(written: Option<&scenario::Arrivals>, diagnostics: &mut Diagnostics) -> PacerKind {
    let Some(written) = written else {
        return PacerKind::Even;
    };
    let kind = &written.kind;
    let known = PacerKind::ALL.iter().find(|(name, _, _)| *name == kind.value);
    let Some((_, _, pacer)) = known else {
        let help = suggest(&kind.value, PacerKind::ALL.iter().map(|(name, _, _)| *name));
        let error = Diagnostic::error(
            kind.span,
            format!("there are no arrivals called `{}`", kind.value),
        );
        diagnostics.push(error.help_if(help));
        return PacerKind::Even;
    };
    let params = &written.params;
    if params
        .as_mapping()
        .is_some_and(|mapping| !mapping.entries.is_empty())
    {
        diagnostics.push(Diagnostic::error(
            params.head,
            format!("`{}` takes no parameters", kind.value),
        ));
    }
    *pacer
}
