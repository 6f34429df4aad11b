//! A plan in words: what would run, when, and what it needs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use squall_load::journey::Part;
use squall_load::{Arrivals, Think, Trust};
use squall_model::scenario::Network;
use squall_model::units::human;

use super::{
    Check, Condition, Limit, Plan, PlannedFault, PlannedService, ReadyWhen, Start, Window, show_value,
};
use crate::fault::{Carries, PacketPath};

/// What `squall plan` prints.
pub fn show(plan: &Plan) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(plan, &mut text);
    text
}

fn write_all(plan: &Plan, text: &mut String) -> std::fmt::Result {
    let quick = if plan.quick { ", phases scaled down" } else { "" };
    let network = match plan.network {
        Network::Shared => "",
        Network::Isolated => ", in a network of its own",
    };
    writeln!(
        text,
        "{}: {} in all, seed {}{quick}{network}",
        plan.name,
        human::duration(plan.length()),
        plan.seed.value()
    )?;
    writeln!(text, "\nservices, in the order in which they start")?;
    for service in &plan.services {
        let calls: Vec<String> = service
            .calls
            .iter()
            .map(|(role, callee)| {
                if role == callee {
                    callee.clone()
                } else {
                    format!("{role}={callee}")
                }
            })
            .collect();
        let calls = if calls.is_empty() {
            String::new()
        } else {
            format!(", calls {}", calls.join(" "))
        };
        writeln!(
            text,
            "  {:<16} {}{}{calls}",
            service.name,
            process(service),
            tls(service)
        )?;
    }
    writeln!(text, "\nloads")?;
    for load in &plan.loads {
        let reads = if load.extract.is_empty() {
            ""
        } else {
            ", values read from responses"
        };
        let connections = match load.asked.protocol.part() {
            Part::Alone => format!("at most {} connections", load.connections),
            Part::Journey(_) => "a connection for each user".to_owned(),
            Part::Step(_) => "on the user's connection".to_owned(),
        };
        writeln!(
            text,
            "  {:<16} {} to {}, {connections}, {} timeout{reads}",
            load.name,
            load.asked.shown,
            load.to,
            human::duration(load.timeout)
        )?;
    }
    write_edges(plan, text)?;
    writeln!(text, "\ntimeline")?;
    write_timeline(plan, text)?;
    writeln!(text, "\nchecks")?;
    for invariant in &plan.invariants {
        let what = match &invariant.check {
            Check::Values { .. } | Check::Transitions { .. } => &invariant.about,
            Check::Reached { condition } => &condition.text,
        };
        let (path, kind) = (invariant.path(), invariant.check.kind());
        writeln!(text, "  {path:<24} {kind}: {what}")?;
    }
    for expectation in &plan.expectations {
        let scope = match expectation.scope {
            super::Scope::Run => "run".to_owned(),
            super::Scope::Phase(index) => plan.phases[index].name.clone(),
            super::Scope::Fault(index) => plan.faults[index].name.clone(),
        };
        let condition = &expectation.condition;
        writeln!(text, "  {scope:<24} {}{}", condition.text, against(condition))?;
    }
    writeln!(text, "\nneeds")?;
    for need in needs(plan) {
        writeln!(text, "  {need}")?;
    }
    Ok(())
}

/// What a stored value makes of a limit.
fn against(condition: &Condition) -> String {
    let Some((_, limit @ Limit::Baseline { .. })) = &condition.limit else {
        return String::new();
    };
    let show = |value| show_value(condition.metric.dimension(), value);
    match (limit.stored(), limit.number()) {
        (Some(stored), Some(number)) => format!(
            ": {}, from the stored {} of {}",
            show(number),
            show(stored.value),
            stored.saved_at
        ),
        _ => ": nothing is stored, so it will be invalid".to_owned(),
    }
}

fn tls(service: &PlannedService) -> String {
    let Some(tls) = &service.tls else {
        return String::new();
    };
    match &tls.trust {
        Trust::Platform => format!(", over TLS as {}", tls.name),
        Trust::Authorities(_) => format!(", over TLS as {}, trusting its `ca` alone", tls.name),
        Trust::Anyone => ", over TLS, ANY CERTIFICATE TAKEN".to_owned(),
    }
}

fn process(service: &PlannedService) -> String {
    match &service.start {
        Start::Bundled {
            service: bundled,
            settings,
            ..
        } => {
            let settings: Vec<String> = settings
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            let with = if settings.is_empty() {
                String::new()
            } else {
                format!(" with {}", settings.join(" "))
            };
            format!("bundled {bundled}{with}")
        }
        Start::Run {
            command,
            ready,
            within,
            ..
        } => {
            let words: Vec<String> = command.iter().map(ToString::to_string).collect();
            let ready = match ready {
                ReadyWhen::Running => "as soon as it runs".to_owned(),
                ReadyWhen::Tcp => "when its port accepts connections".to_owned(),
                ReadyWhen::Http(path) => format!("when GET {path} answers 2xx"),
                ReadyWhen::Log(regex) => format!("when a line matches {}", regex.as_str()),
            };
            format!(
                "{}, ready {ready}, within {}",
                words.join(" "),
                human::duration(*within)
            )
        }
        Start::At { address } => format!("already running at {address}"),
    }
}

/// Only those that have a proxy, or whose packets a fault hits: of others nothing is seen.
fn write_edges(plan: &Plan, text: &mut String) -> std::fmt::Result {
    let packets = plan.faults.iter().filter_map(|fault| fault.packets.as_ref());
    let cut: BTreeSet<String> = packets
        .flat_map(|packets| &packets.paths)
        .map(PacketPath::name)
        .collect();
    if plan.edges.is_empty() && cut.is_empty() {
        return Ok(());
    }
    writeln!(text, "\nedges")?;
    for name in cut {
        writeln!(text, "  {name:<16} packet by packet")?;
    }
    for edge in &plan.edges {
        let led = if edge.redirect {
            " that its connects are redirected to"
        } else {
            ""
        };
        let read = if edge.http { ", which reads HTTP/1.1" } else { "" };
        let of = match edge.carries {
            Carries::Streams if plan.toxiproxy.is_some() => " and Toxiproxy",
            Carries::Streams => "",
            Carries::Datagrams => " for datagrams",
        };
        writeln!(text, "  {:<16} through a proxy{of}{led}{read}", edge.name())?;
    }
    Ok(())
}

fn write_timeline(plan: &Plan, text: &mut String) -> std::fmt::Result {
    let mut at = Duration::ZERO;
    for (index, phase) in plan.phases.iter().enumerate() {
        let marks = match (phase.measure, phase.baseline) {
            (false, _) => " (not measured)",
            (true, true) => " (baseline)",
            (true, false) => "",
        };
        writeln!(
            text,
            "  {:>9}  {} for {}{marks}",
            seconds(at),
            phase.name,
            human::duration(phase.length)
        )?;
        let loads = plan.loads.iter().zip(&phase.arrivals);
        for (load, arrivals) in loads.filter(|(load, _)| !load.is_step()) {
            writeln!(text, "  {:>9}    {} {}", "", load.name, rate(arrivals))?;
        }
        for fault in plan.faults.iter().filter(|fault| fault.phase == index) {
            writeln!(
                text,
                "  {:>9}    {}: {}, {}",
                seconds(fault.begin()),
                fault.name,
                fault.about(),
                holds(fault)
            )?;
        }
        at += phase.length;
    }
    Ok(())
}

/// "for 2 s", "for 12.4 ms every 1 s, 20 times"
fn holds(fault: &PlannedFault) -> String {
    let length = |window: &Window| human::duration(window.to.saturating_sub(window.from));
    match fault.windows.as_slice() {
        [first, second, ..] => {
            let every = human::duration(second.from.saturating_sub(first.from));
            format!(
                "for {} every {every}, {} times",
                length(first),
                fault.windows.len()
            )
        }
        [only] => format!("for {}", length(only)),
        [] => String::new(),
    }
}

fn seconds(at: Duration) -> String {
    format!("{:.3} s", at.as_secs_f64())
}

fn rate(arrivals: &Arrivals) -> String {
    match arrivals {
        Arrivals::Open { rate_per_s, pacer } => {
            let mean = if pacer.has_own_rates() { " on average" } else { "" };
            format!("{}{mean}, {pacer}", human::rate(*rate_per_s))
        }
        Arrivals::Closed { users, think } => format!("{users} users, closed loop{}", pause(*think)),
        Arrivals::None => "rests".to_owned(),
    }
}

fn pause(think: Think) -> String {
    match think {
        Think::NONE => String::new(),
        Think::Fixed(length) => format!(", {} think time", human::duration(length)),
        Think::Uniform { from, to } => {
            format!(
                ", {} to {} think time",
                human::duration(from),
                human::duration(to)
            )
        }
        Think::Exponential { mean } => {
            format!(", exponential think time, mean {}", human::duration(mean))
        }
    }
}

/// What the machine must have.
fn needs(plan: &Plan) -> Vec<String> {
    let mut needs = vec!["Linux with pidfds (5.4 or newer), a writable reports folder".to_owned()];
    if plan.network == Network::Isolated {
        needs.push(
            "network namespaces with nftables and tbf, and for an ordinary user a user namespace".to_owned(),
        );
    }
    for service in &plan.services {
        if let Start::Run { command, .. } = &service.start {
            needs.extend(
                command
                    .first()
                    .map(|program| format!("the program {program}, for {}", service.name)),
            );
        }
    }
    let redirected = plan.edges.iter().filter(|edge| edge.redirect);
    let callers: BTreeSet<&str> = redirected.map(|edge| edge.caller.as_str()).collect();
    needs.extend(callers.iter().map(|caller| {
        format!("seccomp notifications (Linux 5.6 or newer), to redirect the connects of {caller}")
    }));
    if let Some(server) = plan.toxiproxy.as_ref().filter(|_| !plan.edges.is_empty()) {
        needs.push(format!("a Toxiproxy server at {server}"));
    }
    for fault in &plan.faults {
        for target in fault.spec.targets() {
            needs.push(format!(
                "{}: the {} fault must reach {}",
                fault.name, fault.kind, target
            ));
        }
    }
    needs
}
