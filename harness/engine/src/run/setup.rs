//! What is made before the first phase: the header, the loads and the checkers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use squall_load::{Arrivals, LoadSpec, Target};
use squall_model::event::{PlannedFault, PlannedPhase, RunHeader};
use squall_model::scenario::Address;

use super::checking::Checked;
use super::fleet::Fleet;
use super::isolation::Isolation;
use crate::fault::PacketPath;
use crate::invariant;
use crate::measure::{collector, machine};
use crate::plan::{Check, Plan, PlannedInvariant, Start};

/// The header of a run's events.
pub fn header(plan: &Plan, command: &str, started_at: String, revision: String) -> RunHeader {
    let rates = |arrivals: &[Arrivals]| -> BTreeMap<String, Option<f64>> {
        let rate = |arrivals: &Arrivals| match arrivals {
            Arrivals::Open { rate_per_s, .. } => Some(*rate_per_s),
            Arrivals::Closed { .. } | Arrivals::None => None,
        };
        plan.loads
            .iter()
            .zip(arrivals)
            .map(|(load, arrivals)| (load.name.clone(), rate(arrivals)))
            .collect()
    };
    RunHeader {
        squall: env!("CARGO_PKG_VERSION").to_owned(),
        scenario: plan.name.clone(),
        about: plan.about.clone(),
        source: plan.source.clone(),
        command: command.to_owned(),
        seed: plan.seed.value(),
        started_at,
        revision,
        quick: plan.quick,
        network: plan.network,
        machine: machine::describe(),
        loads: plan.loads.iter().map(|load| load.name.clone()).collect(),
        services: plan.services.iter().map(|service| service.name.clone()).collect(),
        phases: plan
            .phases
            .iter()
            .map(|phase| PlannedPhase {
                name: phase.name.clone(),
                length_us: phase.length.as_micros() as u64,
                measure: phase.measure,
                baseline: phase.baseline,
                target_rate: rates(&phase.arrivals),
            })
            .collect(),
        faults: plan
            .faults
            .iter()
            .map(|fault| PlannedFault {
                kind: fault.kind.to_owned(),
                name: fault.name.clone(),
                about: fault.about(),
                target: {
                    let targets = fault.spec.targets();
                    (!targets.is_empty()).then(|| targets.join(", "))
                },
                edge: {
                    let proxied = fault.crossings.iter().map(|one| plan.edges[one.edge].name());
                    let paths = fault.packets.iter().flat_map(|packets| &packets.paths);
                    let names: Vec<String> = proxied.chain(paths.map(PacketPath::name)).collect();
                    (!names.is_empty()).then(|| names.join(", "))
                },
                phase: plan.phases[fault.phase].name.clone(),
                times: fault.windows.len() as u64,
                asked_us: fault
                    .windows
                    .first()
                    .map(|window| window.to.saturating_sub(window.from).as_micros() as u64),
            })
            .collect(),
        merged: None,
    }
}

/// The length of a row of the series, so that a run of this length has no more of them than is promised.
pub fn row_us(plan: &Plan) -> u64 {
    let phases: Duration = plan.phases.iter().map(|phase| phase.length).sum();
    let longest = plan
        .loads
        .iter()
        .map(|load| load.timeout)
        .max()
        .unwrap_or_default();
    // Requests are awaited for two timeouts after the last phase.
    collector::row_us((phases + 2 * longest).as_micros() as u64)
}

/// The loads, now that it is known where the services are. The error says which service has no address.
pub fn loads(plan: &Plan, fleet: &Fleet, isolation: &Isolation) -> Result<Vec<LoadSpec>, String> {
    let spec = |load: &crate::plan::PlannedLoad| {
        let target = target(plan, fleet, &load.name, &load.to);
        let target =
            target.ok_or_else(|| format!("load {}: service {} has no address", load.name, load.to))?;
        Ok(LoadSpec {
            name: load.name.clone(),
            target,
            protocol: Arc::clone(&load.asked.protocol),
            connections: load.connections,
            timeout: load.timeout,
            source: isolation.address(&load.name),
            extract: load.extract.clone(),
            seed: load.seed,
        })
    };
    plan.loads.iter().map(spec).collect()
}

/// Where a load on `service` goes. A proxy takes the place of the address, and not of the name that the service is asked by.
fn target(plan: &Plan, fleet: &Fleet, load: &str, service: &str) -> Option<Target> {
    let planned = plan.services.iter().find(|planned| planned.name == service)?;
    let own = fleet.get(service).and_then(|member| member.address);
    let found = fleet.address_for(load, service);
    let (addr, host) = match &planned.start {
        Start::At {
            address: address @ Address::Unix(path),
        } => (squall_load::Address::Unix(path.into()), address.authority()),
        Start::At { address } => (found?.into(), address.authority()),
        _ => (found?.into(), own?.to_string()),
    };
    let tls = planned.tls.clone();
    Some(Target { addr, host, tls })
}

/// The checkers that look at what services tell of their states.
pub fn watchers(plan: &Plan) -> Vec<Watcher> {
    let checks = plan.invariants.iter().enumerate();
    let watchers = checks.filter_map(|(invariant, planned)| match &planned.check {
        Check::Transitions { service, allowed } => Some(Watcher {
            invariant,
            service: *service,
            checker: invariant::Transitions::new(allowed.clone()),
        }),
        Check::Values { .. } | Check::Reached { .. } => None,
    });
    watchers.collect()
}

/// A checker of the states of a service.
#[derive(Debug)]
pub struct Watcher {
    /// Its invariant in the plan.
    pub invariant: usize,
    /// The service, by index.
    pub service: usize,
    /// The checker.
    pub checker: invariant::Transitions,
}

/// The checkers that look at responses, each with the index of its invariant in the plan.
pub fn checkers(plan: &Plan) -> (Vec<usize>, Vec<Checked>) {
    let longest = plan
        .loads
        .iter()
        .map(|load| load.timeout)
        .max()
        .unwrap_or(Duration::ZERO);
    let is_of_values = |planned: &&PlannedInvariant| matches!(planned.check, Check::Values { .. });
    let count = plan.invariants.iter().filter(is_of_values).count();
    let settings = invariant::Settings {
        memory_max: invariant::MEMORY_MAX / count.max(1),
        loads: plan.loads.iter().map(|load| load.name.clone()).collect(),
        seed: plan.seed.child("invariant.texts").value(),
        // From the intended time, which may lie a timeout before the send.
        request_max_us: 2 * longest.as_micros() as u64,
        ..invariant::Settings::default()
    };
    let mut indices = Vec::new();
    let mut checkers = Vec::new();
    for (index, planned) in plan.invariants.iter().enumerate() {
        let Check::Values { recipe, feeds, .. } = &planned.check else {
            continue;
        };
        indices.push(index);
        checkers.push(Checked {
            feeds: feeds.clone(),
            checker: recipe.make(settings.clone()),
        });
    }
    (indices, checkers)
}
