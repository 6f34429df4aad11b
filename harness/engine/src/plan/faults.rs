//! Faults: kinds looked up, parameters decoded, windows placed on the run's timeline.

use std::collections::HashSet;
use std::time::Duration;

use squall_model::diagnostic::{Diagnostic, Diagnostics, suggest};
use squall_model::scenario::{Fault, Network, Scenario};
use squall_model::span::{Span, Spanned};

use super::compile::Scale;
use super::edges::{Edges, paths};
use super::windows::{Place, windows};
use super::{PlannedCrossing, PlannedFault, PlannedPhase};
use crate::fault::{Carries, FAULTS, FaultSpec, PacketSpec};

/// The faults, by the time of their injection.
pub(super) fn compile(
    scenario: &Scenario,
    phases: &[PlannedPhase],
    scale: Scale,
    edges: &mut Edges,
    diagnostics: &mut Diagnostics,
) -> Vec<PlannedFault> {
    let starts: Vec<Duration> = phases
        .iter()
        .scan(Duration::ZERO, |at, phase| {
            let start = *at;
            *at += phase.length;
            Some(start)
        })
        .collect();
    let mut planned = Vec::new();
    let mut taken = given_names(scenario);
    for (phase, fault) in scenario.faults() {
        let Some(kind) = FAULTS.iter().find(|kind| kind.name == fault.kind.value) else {
            let error = Diagnostic::error(
                fault.kind.span,
                format!("there is no fault called `{}`", fault.kind.value),
            );
            let help = suggest(&fault.kind.value, FAULTS.iter().map(|kind| kind.name));
            diagnostics.push(error.help_if(help));
            continue;
        };
        let Some(spec) = (kind.decode)(fault, diagnostics) else {
            continue;
        };
        let targets = spec.targets();
        for (at, target) in targets.iter().enumerate() {
            check_target(
                scenario,
                &Spanned::new(*target, target_span(fault, at)),
                diagnostics,
            );
        }
        let Some((crossings, packets)) = hits(spec.as_ref(), scenario, edges, diagnostics) else {
            continue;
        };
        let ends_with = match &fault.schedule.through {
            Some(through) => scenario.phase(through.as_str()).map_or(phase, |(index, _)| index),
            None => phase,
        };
        let place = Place {
            start: starts[phase],
            end: starts[ends_with] + phases[ends_with].length,
            written: scenario.phases[phase].duration.value,
            scale,
            holds: spec.holds(),
            targets: targets.len(),
        };
        let Some(windows) = windows(fault, &place, diagnostics) else {
            continue;
        };
        let name = fault.name();
        planned.push((
            PlannedFault {
                kind: kind.name,
                name: unique_name(fault, &mut taken),
                phase,
                windows,
                crossings,
                packets,
                spec,
            },
            name.span,
        ));
    }
    check_overlaps(&planned, diagnostics);
    let mut planned: Vec<PlannedFault> = planned.into_iter().map(|(fault, _)| fault).collect();
    planned.sort_by_key(PlannedFault::begin);
    planned
}

/// The edges that it hits, by their proxies or by their packets; nothing where something is wrong.
fn hits(
    spec: &dyn FaultSpec,
    scenario: &Scenario,
    edges: &mut Edges,
    diagnostics: &mut Diagnostics,
) -> Option<(Vec<PlannedCrossing>, Option<PacketSpec>)> {
    let network = scenario.network();
    if let Some(error) = spec.refused_in(network) {
        diagnostics.push(error);
        return None;
    }
    let deed = spec.on_packets().filter(|_| network == Network::Isolated);
    let (Some(deed), Some(ends)) = (deed, spec.ends()) else {
        return Some((edges.of(spec, scenario, diagnostics)?, None));
    };
    let paths = paths(ends, scenario, diagnostics)?;
    Some((Vec::new(), Some(PacketSpec { deed, paths })))
}

/// Every name that the scenario gives.
fn given_names(scenario: &Scenario) -> HashSet<String> {
    let phases = scenario.phases.iter().map(|phase| phase.name.as_str());
    let faults = scenario.faults();
    let faults = faults.filter_map(|(_, fault)| fault.schedule.name.as_ref().map(|name| name.as_str()));
    phases
        .chain(faults)
        .chain(scenario.services.names())
        .chain(scenario.load.names())
        .chain(scenario.invariants.names())
        .map(str::to_owned)
        .collect()
}

/// The name it was given, or that of its kind. Several unnamed faults of a kind are told apart by number; nothing in
/// the scenario can name them.
fn unique_name(fault: &Fault, taken: &mut HashSet<String>) -> String {
    let name = fault.name().value;
    if fault.schedule.name.is_some() || taken.insert(name.to_owned()) {
        return name.to_owned();
    }
    let mut numbered = (2..).map(|number: u32| format!("{name}-{number}"));
    numbered
        .find(|name| taken.insert(name.clone()))
        .expect("there are more numbers than faults")
}

fn check_target(scenario: &Scenario, target: &Spanned<&str>, diagnostics: &mut Diagnostics) {
    let Some(service) = scenario.services.get(target.value) else {
        let error = Diagnostic::error(
            target.span,
            format!("there is no service called `{}`", target.value),
        );
        diagnostics.push(error.help_if(suggest(target.value, scenario.services.names())));
        return;
    };
    if let Some(at) = &service.at {
        let message = format!(
            "`{}` was not started by squall, so nothing in it can be changed",
            target.value
        );
        let error = Diagnostic::error(target.span, message).also(at.span, "it already runs");
        diagnostics.push(error.help("start it with `run: [...]` to put it within reach"));
    }
}

/// Where the `at`-th target is written.
fn target_span(fault: &Fault, at: usize) -> Span {
    let written = |key: &str| fault.params.get(key);
    let listed = written("targets").and_then(|node| node.as_sequence()?.get(at));
    let node = written("target").or(listed);
    node.map_or(fault.kind.span, |node| node.span)
}

/// Two faults of one kind on one target must not hold at the same time, since healing one would heal both; nor two that
/// stop or end its processes.
fn check_overlaps(planned: &[(PlannedFault, Span)], diagnostics: &mut Diagnostics) {
    for (at, (fault, span)) in planned.iter().enumerate() {
        let same = |(other, _): &&(PlannedFault, Span)| excludes(other, fault) && overlap(other, fault);
        if let Some((other, first)) = planned[..at].iter().find(same) {
            let message = format!(
                "`{}` begins while `{}` still holds on the same {}",
                fault.name,
                other.name,
                if fault.spec.ends().is_none() {
                    "service"
                } else {
                    "edge"
                }
            );
            let error = Diagnostic::error(*span, message).also(*first, "this one still holds");
            diagnostics.push(
                error.help("end the first one earlier with `for`, or begin this one later with `after`"),
            );
        }
    }
}

fn excludes(one: &PlannedFault, other: &PlannedFault) -> bool {
    let acts_on = |fault: &PlannedFault| fault.spec.acts_on();
    let same_part = acts_on(one).is_some() && acts_on(one) == acts_on(other);
    match (&one.packets, &other.packets) {
        (Some(packets), Some(others)) => return packets.excludes(others),
        (None, None) => {}
        // What is done to packets and what is done to streams or processes stand beside each other.
        _ => return false,
    }
    if one.crossings.is_empty() || other.crossings.is_empty() {
        return one.kind == other.kind || same_part;
    }
    // Toxics stand beside each other on an edge; what is done to datagrams is one number for each kind.
    let excludes = |mine: &PlannedCrossing| {
        let same_number = mine.carries == Carries::Datagrams && one.kind == other.kind;
        let theirs = other.crossings.iter().any(|theirs| theirs.edge == mine.edge);
        theirs && (same_part || same_number)
    };
    one.crossings.iter().any(excludes)
}

/// Whether some window of one shares time and target with one of the other. Both lists are in order.
fn overlap(one: &PlannedFault, other: &PlannedFault) -> bool {
    let (mut at, mut of) = (0, 0);
    while let (Some(a), Some(b)) = (one.windows.get(at), other.windows.get(of)) {
        let share_time = a.from < b.to && b.from < a.to;
        if share_time && one.target_of(at) == other.target_of(of) {
            return true;
        }
        if a.to <= b.to {
            at += 1;
        } else {
            of += 1;
        }
    }
    false
}
