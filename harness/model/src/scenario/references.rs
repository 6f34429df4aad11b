//! Names that are used must be names that were given.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use super::names::CANDIDATES;
use super::{Amount, Class, Gate, Load, LoadOverride, Names, Scenario, Service};
use crate::diagnostic::{Diagnostic, Diagnostics, suggest};
use crate::gate::MetricKind;
use crate::name::{MetricName, Name};
use crate::placeholder::Template;
use crate::span::{Span, Spanned};
use crate::units::{Ratio, duration_text};

/// Reports every reference that leads nowhere.
pub(super) fn check(scenario: &Scenario, names: &Names, diagnostics: &mut Diagnostics) {
    for (name, service) in &scenario.services {
        check_service(name, service, names, diagnostics);
    }
    for (_, load) in &scenario.load {
        names.refer(
            &text(&load.to),
            "a service",
            |class| class == Class::Service,
            diagnostics,
        );
        check_load(load, diagnostics);
    }
    let loads: HashMap<&str, &Load> = scenario
        .load
        .iter()
        .map(|(name, load)| (name.value.as_str(), load))
        .collect();
    for phase in &scenario.phases {
        for (name, change) in &phase.load {
            if names.refer(&text(name), "a load", |class| class == Class::Load, diagnostics)
                && let Some(load) = loads.get(name.value.as_str())
            {
                check_override(name, load, change, diagnostics);
            }
        }
    }
    if let Some(gate) = &scenario.gate {
        check_gate(gate, names, diagnostics);
    }
    let is_scope = |class| matches!(class, Class::Phase | Class::Fault | Class::FaultKind);
    for (scope, _) in &scenario.expect {
        if scope.value != "run" {
            names.refer(&text(scope), "a phase, fault or `run`", is_scope, diagnostics);
        }
    }
}

fn text(name: &Spanned<Name>) -> Spanned<&str> {
    Spanned::new(name.value.as_str(), name.span)
}

fn check_service(name: &Spanned<Name>, service: &Service, names: &Names, diagnostics: &mut Diagnostics) {
    for call in &service.calls.0 {
        names.refer(
            &text(&call.service),
            "a service",
            |class| class == Class::Service,
            diagnostics,
        );
    }
    for (role, first) in repeated(service.calls.0.iter().map(|call| &call.role)) {
        let message = format!("`{}` calls `{}` twice in one role", name.value, role.value);
        let error = Diagnostic::error(role.span, message).also(first, "first here");
        diagnostics.push(error.help("give each its role: { ROLE: SERVICE }"));
    }
    for (port, first) in repeated(service.ports.iter()) {
        let error = Diagnostic::error(port.span, format!("two ports are called `{}`", port.value));
        diagnostics.push(error.also(first, "first here"));
    }
    for placeholder in templates(service).flat_map(Template::placeholders) {
        check_placeholder(placeholder, service, names, diagnostics);
    }
    check_redirect(name, service, names, diagnostics);
    if let Some(path) = service.ready.as_ref().and_then(|ready| ready.http.as_ref())
        && !path.starts_with('/')
    {
        let error = Diagnostic::error(path.span, "a path starts with `/`");
        diagnostics.push(error.help("the service's own address goes before it"));
    }
}

/// The texts with placeholders: command line and environment.
fn templates(service: &Service) -> impl Iterator<Item = &Template> {
    let arguments = service.run.iter().flat_map(|command| &command.argv);
    arguments.chain(service.env.iter().map(|(_, value)| value))
}

/// Only connects of what squall starts can be led elsewhere, and only those to services that it is known to call.
fn check_redirect(name: &Spanned<Name>, service: &Service, names: &Names, diagnostics: &mut Diagnostics) {
    let Some(redirect) = &service.redirect else {
        return;
    };
    let is_other = |head: &str| head != name.as_str() && names.has(head, |class| class == Class::Service);
    let mut told = templates(service).flat_map(Template::placeholders);
    let calls_somebody = !service.calls.0.is_empty()
        || told.any(|one| is_other(one.value.split('.').next().unwrap_or_default()));
    if let Some(at) = &service.at {
        let message = format!(
            "`{}` was not started by squall, so its connects can't be redirected",
            name.value
        );
        let error = Diagnostic::error(redirect.span, message).also(at.span, "it already runs");
        diagnostics
            .push(error.help("start it with `run: [...]`, or tell it the address of a `squall proxy`"));
    } else if !calls_somebody {
        let message = format!(
            "`{}` calls no service that is named, so there is nothing to redirect",
            name.value
        );
        diagnostics
            .push(Diagnostic::error(redirect.span, message).help("say whom it calls: `calls: [NAME]`"));
    }
}

/// The names that were there before, each with the place of the first.
fn repeated<'a>(names: impl Iterator<Item = &'a Spanned<Name>>) -> Vec<(&'a Spanned<Name>, Span)> {
    let mut seen: HashMap<&str, Span> = HashMap::new();
    let mut repeated = Vec::new();
    for name in names {
        match seen.entry(name.value.as_str()) {
            Entry::Occupied(first) => repeated.push((name, *first.get())),
            Entry::Vacant(free) => drop(free.insert(name.span)),
        }
    }
    repeated
}

/// Holds a placeholder of a service's command line or environment to what there is: `{port}`, `{port.NAME}`, `{data}`,
/// `{squall}`, `{SERVICE}`, `{SERVICE.host}`, `{SERVICE.port}`, `{SERVICE.port.NAME}`.
fn check_placeholder(
    placeholder: &Spanned<String>,
    service: &Service,
    names: &Names,
    diagnostics: &mut Diagnostics,
) {
    let shown = format!("{{{}}}", placeholder.value);
    let (head, rest) = match placeholder.value.split_once('.') {
        Some((head, rest)) => (head, Some(rest)),
        None => (placeholder.value.as_str(), None),
    };
    let ports = || service.ports.iter().map(|port| port.value.as_str());
    let (message, help) = match (head, rest) {
        ("data" | "squall" | "arm", None) => return,
        ("port", None) if service.ports.is_empty() && service.run.is_some() => return,
        ("port", Some(port)) if ports().any(|name| name == port) => return,
        ("port", None) if service.run.is_none() => (
            format!("`{shown}` is only for programs that are run"),
            Some("a bundled service binds its own port".into()),
        ),
        ("port", None) => {
            let first = ports().next().unwrap_or("NAME");
            (
                format!("`{shown}` is ambiguous: this service has several ports"),
                Some(format!("write {{port.{first}}}")),
            )
        }
        ("port", Some(port)) => {
            let help = suggest(port, ports()).or_else(|| Some("name it under `ports`".to_owned()));
            (format!("this service has no port `{port}`"), help)
        }
        (name, rest) if names.has(name, |class| class == Class::Service) => match rest {
            None | Some("host" | "port") => return,
            Some(part) if part.starts_with("port.") => return,
            Some(part) => (
                format!("`{shown}`: a service has no `{part}`"),
                suggest(part, ["host", "port"]),
            ),
        },
        _ => {
            let services = names
                .all()
                .iter()
                .filter(|one| one.class == Class::Service)
                .take(CANDIDATES);
            let known = services
                .map(|one| one.name.as_str())
                .chain(["port", "data", "squall", "arm"]);
            let help = suggest(head, known).or_else(|| Some("write `{{` for a brace".to_owned()));
            (format!("nothing is called `{head}` in `{shown}`"), help)
        }
    };
    diagnostics.push(Diagnostic::error(placeholder.span, message).help_if(help));
}

/// Slices shorter than this are mostly their own begin and end.
const SLICE_MIN: Duration = Duration::from_millis(200);

fn check_gate(gate: &Gate, names: &Names, diagnostics: &mut Diagnostics) {
    for service in &gate.shared {
        names.refer(
            &text(service),
            "a service",
            |class| class == Class::Service,
            diagnostics,
        );
    }
    for phase in &gate.phases {
        names.refer(
            &text(phase),
            "a phase",
            |class| class == Class::Phase,
            diagnostics,
        );
    }
    for (name, first) in repeated(gate.shared.iter().chain(&gate.phases)) {
        let error = Diagnostic::error(name.span, format!("`{}` is named twice", name.value));
        diagnostics.push(error.also(first, "first here"));
    }
    if let Some(slice) = gate.slice.filter(|slice| slice.value < SLICE_MIN) {
        let message = "a slice this short is mostly its own begin and end";
        let least = format!("at least {}", duration_text(SLICE_MIN));
        diagnostics.push(Diagnostic::error(slice.span, message).help(least));
    }
    check_limits(gate.margin, gate.tolerance, diagnostics);
    for (name, limits) in &gate.metrics {
        check_metric(name, names, diagnostics);
        check_limits(limits.margin, limits.tolerance, diagnostics);
    }
}

fn check_metric(name: &Spanned<MetricName>, names: &Names, diagnostics: &mut Diagnostics) {
    let (of, kind) = name.value.parts();
    let kinds = || MetricKind::of_scenarios().map(MetricKind::as_str);
    if !kinds().any(|known| known == kind) {
        let message = format!("a gate measures no `{kind}`");
        let help = suggest(kind, kinds())
            .unwrap_or_else(|| format!("there are {}", kinds().collect::<Vec<_>>().join(", ")));
        diagnostics.push(Diagnostic::error(name.span, message).help(help));
    }
    if let Some(of) = of {
        let fits = |class| matches!(class, Class::Load | Class::Fault | Class::FaultKind);
        names.refer(&Spanned::new(of, name.span), "a load or fault", fits, diagnostics);
    }
}

/// Between the two lies what a gate may take for either.
fn check_limits(
    margin: Option<Spanned<Ratio>>,
    tolerance: Option<Spanned<Ratio>>,
    diagnostics: &mut Diagnostics,
) {
    if let (Some(margin), Some(tolerance)) = (margin, tolerance)
        && margin.get() >= tolerance.get()
    {
        let error = Diagnostic::error(margin.span, "a margin must be below the tolerance");
        diagnostics.push(error.also(tolerance.span, "the tolerance"));
    }
}

fn check_load(load: &Load, diagnostics: &mut Diagnostics) {
    if let Some(rate) = load.rate.filter(|rate| rate.get() <= 0.0) {
        diagnostics.push(Diagnostic::error(rate.span, "a load's rate must be above zero"));
    }
    if let Some(timeout) = load.timeout.filter(|timeout| timeout.is_zero()) {
        diagnostics.push(Diagnostic::error(timeout.span, "a timeout must be above zero"));
    }
}

/// A closed loop has no rate to change and an open one no users.
fn check_override(name: &Spanned<Name>, load: &Load, change: &LoadOverride, diagnostics: &mut Diagnostics) {
    let (rate, users, arrivals) = match change {
        LoadOverride::Amount(amount) => (Some(amount), None, None),
        LoadOverride::Change(change) => (
            change.rate.as_ref(),
            change.users.as_ref(),
            change.arrivals.as_ref().map(|one| one.kind.span),
        ),
    };
    let arrivals_of_own = load.arrivals.as_ref().map(|own| own.kind.span);
    let open = load.rate.map(|rate| rate.span).or(arrivals_of_own);
    let closed = load.users.as_ref();
    let mut report = |span, message: String, own| {
        diagnostics.push(Diagnostic::error(span, message).also(own, "what the load has"));
    };
    if let (Some(amount), Some(own)) = (rate, closed)
        && matches!(amount.value, Amount::Rate(_))
    {
        report(
            amount.span,
            format!("`{}` has users: it has no rate to change", name.value),
            own.span,
        );
    }
    if let (Some(span), Some(own)) = (arrivals, closed) {
        report(
            span,
            format!("`{}` has users: it has no arrivals to change", name.value),
            own.span,
        );
    }
    if let (Some(users), Some(own)) = (users, open) {
        report(
            users.span,
            format!("`{}` has a rate: it has no users to change", name.value),
            own,
        );
    }
}
