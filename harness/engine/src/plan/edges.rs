//! Edges: who calls whom, as far as a scenario says so, and which of those get a proxy because a fault may use it.

use std::collections::BTreeSet;

use squall_edge::Direction;
use squall_model::diagnostic::{Diagnostic, Diagnostics, suggest};
use squall_model::placeholder::Template;
use squall_model::scenario::{Address, Scenario, Scheme};
use squall_model::span::Spanned;

use super::services::has_address;
use crate::fault::{Carries, Ends, FaultSpec, Misfit, PacketPath};

/// An edge with a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedEdge {
    /// A load or a service.
    pub caller: String,
    /// A service.
    pub callee: String,
    /// Whether the proxy reads HTTP/1.1: faults ask for it, or what is called speaks it.
    pub http: bool,
    /// What crosses it.
    pub carries: Carries,
    /// Whether the caller's connects are led to the proxy, in place of its being told the address.
    pub redirect: bool,
}

impl PlannedEdge {
    /// `feed->ranking`
    pub fn name(&self) -> String {
        format!("{}->{}", self.caller, self.callee)
    }
}

/// How a fault meets an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedCrossing {
    /// The edge, by index in the plan.
    pub edge: usize,
    /// What crosses it.
    pub carries: Carries,
    /// The bytes that the fault is for.
    pub directions: Vec<Direction>,
}

/// The edges of a scenario that have a proxy, gathered from its faults.
#[derive(Debug, Default)]
pub(super) struct Edges {
    /// In the order in which faults name them.
    pub(super) planned: Vec<PlannedEdge>,
}

impl Edges {
    /// The edges that a fault hits by their proxies; nothing where something is wrong.
    pub(super) fn of(
        &mut self,
        spec: &dyn FaultSpec,
        scenario: &Scenario,
        diagnostics: &mut Diagnostics,
    ) -> Option<Vec<PlannedCrossing>> {
        let Some(ends) = spec.ends() else {
            return Some(Vec::new());
        };
        let mut crossings = Vec::new();
        for (caller, callee, directions) in met(ends, scenario, diagnostics)? {
            check_callee(&caller, &callee, spec, scenario, diagnostics)?;
            let http = spec.reads_http() || speaks_http(&caller.value, &callee.value, scenario);
            let carries = carries(&caller.value, scenario);
            let caller_service = scenario.services.get(&caller.value);
            let edge = self.edge(PlannedEdge {
                redirect: caller_service.is_some_and(|caller| caller.redirect.is_some()),
                caller: caller.value,
                callee: callee.value,
                http,
                carries,
            });
            crossings.push(PlannedCrossing {
                edge,
                carries,
                directions,
            });
        }
        Some(crossings)
    }

    /// Where an edge stands among those that are planned, where it is put if none is between the two yet.
    fn edge(&mut self, wanted: PlannedEdge) -> usize {
        let is_it = |edge: &PlannedEdge| edge.caller == wanted.caller && edge.callee == wanted.callee;
        if let Some(known) = self.planned.iter().position(is_it) {
            self.planned[known].http |= wanted.http;
            return known;
        }
        self.planned.push(wanted);
        self.planned.len() - 1
    }
}

/// Caller, callee, and the bytes between them.
type Met = (Spanned<String>, Spanned<String>, Vec<Direction>);

/// The edges whose packets a fault hits; nothing where something is wrong.
pub(super) fn paths(
    ends: &Ends,
    scenario: &Scenario,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<PacketPath>> {
    let met = met(ends, scenario, diagnostics)?.into_iter();
    let path = |(caller, callee, directions): Met| PacketPath {
        caller: caller.value,
        callee: callee.value,
        directions,
    };
    Some(met.map(path).collect())
}

/// The edges between ends.
fn met(ends: &Ends, scenario: &Scenario, diagnostics: &mut Diagnostics) -> Option<Vec<Met>> {
    match ends {
        Ends::Between([one, other]) => {
            check_ends(&[one, other], scenario, diagnostics)?;
            found(one, other, &Direction::BOTH, scenario, diagnostics)
        }
        Ends::Way([from, to]) => {
            check_ends(&[from, to], scenario, diagnostics)?;
            one_way(from, to, scenario, diagnostics)
        }
        Ends::Groups(groups) => {
            let all: Vec<_> = groups.iter().flatten().collect();
            check_ends(&all, scenario, diagnostics)?;
            across(groups, scenario, diagnostics)
        }
    }
}

/// The names that a load or a service calls.
fn calls(caller: &str, scenario: &Scenario) -> BTreeSet<String> {
    if let Some(load) = scenario.load.get(caller) {
        return [load.to.value.to_string()].into();
    }
    let Some(service) = scenario.services.get(caller) else {
        return BTreeSet::new();
    };
    let told = service.calls.0.iter().map(|call| call.service.value.to_string());
    let arguments = service.run.iter().flat_map(|command| &command.argv);
    let templates = arguments.chain(service.env.iter().map(|(_, value)| value));
    let named = templates
        .flat_map(Template::placeholders)
        .filter_map(|placeholder| {
            let head = placeholder.value.split('.').next().unwrap_or_default();
            (head != caller && scenario.services.get(head).is_some()).then(|| head.to_owned())
        });
    told.chain(named).collect()
}

fn check_ends(ends: &[&Spanned<String>], scenario: &Scenario, diagnostics: &mut Diagnostics) -> Option<()> {
    let mut good = true;
    for end in ends {
        if scenario.services.get(&end.value).is_some() || scenario.load.get(&end.value).is_some() {
            continue;
        }
        let names = scenario.services.names().chain(scenario.load.names());
        let message = format!("there is no service or load called `{}`", end.value);
        diagnostics.push(Diagnostic::error(end.span, message).help_if(suggest(&end.value, names)));
        good = false;
    }
    good.then_some(())
}

/// The edge between two, whichever of them calls the other; both edges where each does.
fn found(
    one: &Spanned<String>,
    other: &Spanned<String>,
    directions: &[Direction],
    scenario: &Scenario,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Met>> {
    let met: Vec<Met> = [(one, other), (other, one)]
        .into_iter()
        .filter(|(caller, callee)| calls(&caller.value, scenario).contains(&callee.value))
        .map(|(caller, callee)| (caller.clone(), callee.clone(), directions.to_vec()))
        .collect();
    if met.is_empty() {
        strangers(one, other, diagnostics);
        return None;
    }
    Some(met)
}

fn one_way(
    from: &Spanned<String>,
    to: &Spanned<String>,
    scenario: &Scenario,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Met>> {
    let met = found(from, to, &Direction::BOTH, scenario, diagnostics)?;
    let way = |caller: &Spanned<String>| {
        if caller.value == from.value {
            Direction::Upstream
        } else {
            Direction::Downstream
        }
    };
    let met = met.into_iter().map(|(caller, callee, _)| {
        let way = way(&caller);
        (caller, callee, vec![way])
    });
    Some(met.collect())
}

/// Every edge between two groups; there must be one.
fn across(
    groups: &[Vec<Spanned<String>>],
    scenario: &Scenario,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Met>> {
    let mut met: Vec<Met> = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        for (caller, callee) in group
            .iter()
            .flat_map(|one| {
                groups
                    .iter()
                    .enumerate()
                    .map(move |(of, others)| (one, of, others))
            })
            .filter(|(_, of, _)| *of != at)
            .flat_map(|(one, _, others)| others.iter().map(move |other| (one, other)))
        {
            if caller.value == callee.value {
                let message = format!("`{}` is in two groups", caller.value);
                diagnostics.push(Diagnostic::error(callee.span, message).also(caller.span, "the other one"));
                return None;
            }
            if calls(&caller.value, scenario).contains(&callee.value) {
                met.push((caller.clone(), callee.clone(), Direction::BOTH.to_vec()));
            }
        }
    }
    if met.is_empty() {
        let (one, other) = (&groups[0][0], &groups[1][0]);
        let error = Diagnostic::error(one.span, "no one of these groups calls one of another");
        diagnostics.push(
            error
                .also(other.span, "another group")
                .help("name callers and callees in different groups"),
        );
        return None;
    }
    Some(met)
}

fn strangers(one: &Spanned<String>, other: &Spanned<String>, diagnostics: &mut Diagnostics) {
    let message = format!("neither of `{}` and `{}` calls the other", one.value, other.value);
    let error = Diagnostic::error(one.span, message).also(other.span, "the other end");
    diagnostics.push(error.help("a service says whom it calls with `calls: [NAME]`, a load with `to: NAME`"));
}

/// Whether a proxy can stand before what is called.
fn check_callee(
    caller: &Spanned<String>,
    callee: &Spanned<String>,
    spec: &dyn FaultSpec,
    scenario: &Scenario,
    diagnostics: &mut Diagnostics,
) -> Option<()> {
    let service = scenario.services.get(&callee.value)?;
    let at = service.at.as_ref().map(|at| &at.value);
    let is_sealed = service.tls.is_some()
        || matches!(
            at,
            Some(Address::Host {
                scheme: Scheme::Https,
                ..
            })
        );
    let carries = carries(&caller.value, scenario);
    let mut help = None;
    let problem = if matches!(at, Some(Address::Unix(_))) {
        format!("`{}` is at a unix socket, where no proxy can stand", callee.value)
    } else if !has_address(service) {
        help = Some("use \"{port}\" in its `run` or `env`".to_owned());
        format!(
            "`{}` is told no port, so it has no address before which a proxy could stand",
            callee.value
        )
    } else if let Err(misfit) = spec.fits(carries) {
        help = Some(misfit.help);
        let sends = match carries {
            Carries::Datagrams => "datagrams",
            Carries::Streams => "no datagrams",
        };
        format!("`{}` sends {sends}, and {}", caller.value, misfit.problem)
    } else if spec.reads_http() && is_sealed {
        format!(
            "`{}` speaks TLS, so its requests can't be read on the way",
            callee.value
        )
    } else if scenario.toxiproxy.is_some() && at.is_some_and(|at| !at.is_loopback()) {
        help = Some("leave `toxiproxy` out: squall's own proxies may lead there".to_owned());
        format!(
            "`{}` is on another machine, where a Toxiproxy server must not lead on squall's word",
            callee.value
        )
    } else if let Some(toxiproxy) = &scenario.toxiproxy
        && let Err(misfit) = by_toxiproxy(spec, carries)
    {
        let message = format!("Toxiproxy can't do this: {}", misfit.problem);
        let error = Diagnostic::error(callee.span, message).also(toxiproxy.span, "it is asked for here");
        diagnostics.push(error.help(misfit.help));
        return None;
    } else {
        return Some(());
    };
    let error = Diagnostic::error(callee.span, problem).also(caller.span, "the caller");
    diagnostics.push(error.help_if(help));
    None
}

/// Whether a Toxiproxy server can do it to what an edge carries.
fn by_toxiproxy(spec: &dyn FaultSpec, carries: Carries) -> Result<(), Misfit> {
    match carries {
        Carries::Streams => spec.by_toxiproxy(),
        Carries::Datagrams => Err(Misfit {
            problem: "it carries no datagrams".to_owned(),
            help: "leave `toxiproxy` out: squall's own proxies carry them".to_owned(),
        }),
    }
}

/// What an edge carries: datagrams where a load sends them. Of services that is not said, and taken to be streams.
fn carries(caller: &str, scenario: &Scenario) -> Carries {
    match scenario.load.get(caller) {
        Some(load) if load.protocol.kind.value == "udp" => Carries::Datagrams,
        _ => Carries::Streams,
    }
}

/// Whether what crosses an edge is known to be HTTP/1.1, so that its requests can be counted.
fn speaks_http(caller: &str, callee: &str, scenario: &Scenario) -> bool {
    let is_bundled = |name: &str| {
        scenario
            .services
            .get(name)
            .is_some_and(|service| service.bundled.is_some())
    };
    match scenario.load.get(caller) {
        Some(load) => load.protocol.kind.value == "http",
        None => is_bundled(caller) && is_bundled(callee),
    }
}
