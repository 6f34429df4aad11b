//! Services that both arms use: started once a block, beside the arms, and found by them as something that already runs.
//!
//! Whatever both arms reach is a way for one to disturb the other. So it must be wanted: a service that already runs somewhere is
//! refused unless the arms are told different addresses, or the scenario lists it under `gate.shared`.

use std::collections::BTreeSet;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use squall_model::event::{Event, EventKind};
use squall_model::gate::Both;
use squall_model::placeholder::Template;
use squall_model::scenario::Address;

use crate::observer::{Live, Observer};
use crate::plan::{Plan, PlannedPhase, PlannedService, Start};

/// So much longer than the arms' timeline are shared services kept, should the arms be slow to start.
const SLACK: Duration = Duration::from_mins(10);

/// Why the arms are not apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotApart {
    /// Both reach one thing.
    #[error(
        "both arms reach `{service}` at {address}: list it under `gate.shared` if it may be one for both, or give each arm its \
         own with --base-set and --candidate-set services.{service}.at=ADDRESS"
    )]
    SameAddress {
        /// The service.
        service: String,
        /// Where it is.
        address: String,
    },
    /// A shared service uses one that each arm has.
    #[error(
        "`{service}` is shared by both arms and uses `{callee}`, of which each arm has its own: share that, too"
    )]
    UsesArm {
        /// The shared one.
        service: String,
        /// What it uses.
        callee: String,
    },
    /// A shared service has ports by name, which the arms could not be told.
    #[error("`{service}` is shared by both arms and has several ports: only services with one can be shared")]
    SeveralPorts {
        /// The service.
        service: String,
    },
}

/// Whether the arms can't meet but where they are meant to.
pub fn apart(plans: &Both<Plan>) -> Result<(), NotApart> {
    let shared = &plans.candidate.gate.shared;
    for service in &plans.candidate.services {
        let is_shared = shared.contains(&service.name);
        if let (Start::At { address }, false) = (&service.start, is_shared) {
            let base = plans.base.services.iter().find(|one| one.name == service.name);
            let same =
                |one: &PlannedService| matches!(&one.start, Start::At { address: other } if other == address);
            if base.is_some_and(same) {
                return Err(NotApart::SameAddress {
                    service: service.name.clone(),
                    address: address.to_string(),
                });
            }
        }
        if is_shared {
            check_shared(service, shared)?;
        }
    }
    Ok(())
}

fn check_shared(service: &PlannedService, shared: &[String]) -> Result<(), NotApart> {
    let mut callees: BTreeSet<&str> = service.calls.values().map(String::as_str).collect();
    if let Start::Run {
        command, env, ports, ..
    } = &service.start
    {
        if ports.len() > 1 {
            return Err(NotApart::SeveralPorts {
                service: service.name.clone(),
            });
        }
        let templates = command.iter().chain(env.values());
        let heads = templates
            .flat_map(Template::placeholders)
            .map(|one| one.value.split('.').next());
        let own = ["port", "data", "squall", service.name.as_str()];
        callees.extend(heads.flatten().filter(|head| !own.contains(head)));
    }
    match callees
        .into_iter()
        .find(|callee| !shared.iter().any(|one| one == callee))
    {
        Some(callee) => Err(NotApart::UsesArm {
            service: service.name.clone(),
            callee: callee.to_owned(),
        }),
        None => Ok(()),
    }
}

/// The plan of what both arms use, for a block of this length; nothing where nothing of it has to be started.
pub(super) fn plan(candidate: &Plan, length: Duration) -> Option<Plan> {
    let is_started = |service: &&PlannedService| {
        candidate.gate.shared.contains(&service.name) && !matches!(service.start, Start::At { .. })
    };
    let services: Vec<PlannedService> = candidate.services.iter().filter(is_started).cloned().collect();
    (!services.is_empty()).then(|| Plan {
        services,
        loads: Vec::new(),
        phases: vec![PlannedPhase {
            name: "gate.shared".to_owned(),
            length: length + SLACK,
            measure: false,
            baseline: false,
            arrivals: Vec::new(),
            draw: 0,
        }],
        faults: Vec::new(),
        edges: Vec::new(),
        invariants: Vec::new(),
        expectations: Vec::new(),
        ..candidate.clone()
    })
}

/// Has the arm find shared services where they are.
pub(super) fn find(plan: &mut Plan, ready: &[(String, Address)]) {
    for service in &mut plan.services {
        if let Some((_, address)) = ready.iter().find(|(name, _)| *name == service.name) {
            service.start = Start::At {
                address: address.clone(),
            };
        }
    }
}

/// Hands on where services are as they get ready.
pub(super) struct Readiness {
    send: Sender<(String, Address)>,
}

impl Readiness {
    /// An observer, and where it hands them on.
    pub(super) fn new() -> (Readiness, Receiver<(String, Address)>) {
        let (send, receive) = unbounded();
        (Readiness { send }, receive)
    }
}

impl Observer for Readiness {
    fn event(&mut self, event: &Event) {
        if let EventKind::ServiceReady {
            service,
            address: Some(address),
        } = &event.kind
            && let Ok(address) = Address::parse(address)
        {
            // Nobody listens any more once all are ready.
            let _ = self.send.send((service.clone(), address));
        }
    }

    fn live(&mut self, _: &Live) {}
}
