//! Services: bundled ones looked up and their settings checked, and all put in the order in which they start.

mod address;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use regex_lite::Regex;
use squall_model::diagnostic::{Diagnostic, Diagnostics, suggest};
use squall_model::name::Name;
use squall_model::node::{Kind, Node};
use squall_model::placeholder::Template;
use squall_model::scenario::{Address, Command, Scenario, Scheme, Service};
use squall_model::span::{Span, Spanned};

use super::{PlannedService, ReadyWhen, Settings, Start};
use crate::catalogue::{Catalogue, CatalogueService, CatalogueSetting, Files};

/// How long a service may take to be ready unless told otherwise.
const WITHIN: Duration = Duration::from_secs(10);

/// The services, callees before their callers.
pub(super) fn compile(
    scenario: &Scenario,
    catalogue: &Catalogue,
    settings: &Settings,
    diagnostics: &mut Diagnostics,
) -> Vec<PlannedService> {
    let base = settings.base.as_path();
    let mut planned = Vec::new();
    for (name, service) in &scenario.services {
        check_callees(service, scenario, diagnostics);
        let start = if let Some(bundled) = &service.bundled {
            compile_bundled(service, bundled, catalogue, base, diagnostics)
        } else if let Some(command) = &service.run {
            Some(compile_run(service, command, settings, diagnostics))
        } else {
            service.at.as_ref().and_then(|at| {
                if service.ready.is_some() {
                    let error = Diagnostic::error(at.span, "what already runs is not waited for");
                    diagnostics.push(error.help("leave `ready` out"));
                }
                let address = address::compile(at, service, settings, diagnostics)?;
                Some(Start::At { address })
            })
        };
        let tls = address::compile_tls(service, base, diagnostics);
        let calls = service.calls.0.iter();
        let calls = calls
            .map(|call| (call.role.as_str().to_owned(), call.service.as_str().to_owned()))
            .collect();
        planned.extend(start.map(|start| PlannedService {
            name: name.as_str().to_owned(),
            start,
            calls,
            tls,
        }));
    }
    in_order(planned, scenario, diagnostics)
}

/// Whether something of this service's is known for a load to connect to: a program that is told no port has nothing.
pub(super) fn has_address(service: &Service) -> bool {
    service.run.is_none() || is_told_port(service)
}

fn templates(service: &Service) -> impl Iterator<Item = &Template> {
    let arguments = service.run.iter().flat_map(|command| &command.argv);
    arguments.chain(service.env.iter().map(|(_, value)| value))
}

fn is_told_port(service: &Service) -> bool {
    templates(service)
        .flat_map(Template::placeholders)
        .any(|one| one.value == "port" || one.value.starts_with("port."))
}

/// What a service is told of another must be there to be told.
fn check_callees(service: &Service, scenario: &Scenario, diagnostics: &mut Diagnostics) {
    for placeholder in templates(service).flat_map(Template::placeholders) {
        let (name, part) = match placeholder.value.split_once('.') {
            Some((name, part)) => (name, Some(part)),
            None => (placeholder.value.as_str(), None),
        };
        let Some(callee) = scenario.services.get(name) else {
            continue;
        };
        match part.and_then(|part| part.strip_prefix("port.")) {
            Some(port) if !callee.ports.iter().any(|one| one.as_str() == port) => {
                let message = format!("`{name}` has no port called `{port}`");
                let help = suggest(port, callee.ports.iter().map(|one| one.as_str()));
                diagnostics.push(Diagnostic::error(placeholder.span, message).help_if(help));
            }
            Some(_) => {}
            None => check_has_address(name, callee, placeholder.span, diagnostics),
        }
    }
    // A bundled service is handed the address of each that it calls; for a program, `calls` only says so.
    for call in service.calls.0.iter().filter(|_| service.bundled.is_some()) {
        if let Some(callee) = scenario.services.get(call.service.as_str()) {
            let name = call.service.as_str();
            check_has_address(name, callee, call.service.span, diagnostics);
            if speaks_tls(callee) {
                let message = format!("`{name}` speaks TLS, and bundled services call without");
                diagnostics.push(Diagnostic::error(call.service.span, message));
            }
        }
    }
}

fn speaks_tls(service: &Service) -> bool {
    let at = service.at.as_ref().map(|at| &at.value);
    service.tls.is_some()
        || matches!(
            at,
            Some(Address::Host {
                scheme: Scheme::Https,
                ..
            })
        )
}

fn check_has_address(name: &str, callee: &Service, span: Span, diagnostics: &mut Diagnostics) {
    if let Some(command) = callee.run.as_ref().filter(|_| !has_address(callee)) {
        let message = format!("`{name}` is told no port, so it has no address");
        let error = Diagnostic::error(span, message).also(command.spans[0], "its command line");
        diagnostics.push(error.help("use \"{port}\" in its `run` or `env`"));
    }
    if let Some(at) = callee
        .at
        .as_ref()
        .filter(|at| matches!(at.value, Address::Unix(_)))
    {
        let message = format!("`{name}` is at a unix socket, which has no host and port");
        let error = Diagnostic::error(span, message).also(at.span, "its address");
        diagnostics.push(error.help("write the socket's path where it is needed"));
    }
}

fn compile_bundled(
    service: &Service,
    bundled: &Spanned<Name>,
    catalogue: &Catalogue,
    base: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<Start> {
    let Some(known) = catalogue.service(bundled.as_str()) else {
        let message = format!("there is no bundled service called `{}`", bundled.value);
        let names = catalogue.services.iter().map(|service| service.name.as_str());
        let help = suggest(bundled.as_str(), names);
        diagnostics.push(
            Diagnostic::error(bundled.span, message)
                .help_if(help)
                .note("`squall list` shows them all; a program of your own is started with `run: [...]`"),
        );
        return None;
    };
    check_roles(service, bundled, known, diagnostics);
    if let Some(ready) = &service.ready
        && (ready.http.is_some() || ready.tcp.is_some() || ready.log.is_some())
    {
        let error = Diagnostic::error(bundled.span, "a bundled service says itself when it is ready");
        diagnostics.push(error.help("leave `ready` out"));
    }
    if let Some((first, _)) = service.env.iter().next() {
        let error = Diagnostic::error(first.span, "`env` is for programs of your own");
        diagnostics.push(error.help("a bundled service takes its settings under `with`"));
    }
    let settings = compile_settings(service, known, base, diagnostics);
    Some(Start::Bundled {
        service: known.name.clone(),
        settings,
        within: within(service),
    })
}

fn check_roles(
    service: &Service,
    bundled: &Spanned<Name>,
    known: &CatalogueService,
    diagnostics: &mut Diagnostics,
) {
    for call in &service.calls.0 {
        let is_known = known.roles.iter().any(|role| role.name == call.role.as_str());
        if !is_known && known.other_roles.is_none() {
            let message = format!("{} calls nothing in the role `{}`", known.name, call.role.value);
            let help = suggest(
                call.role.as_str(),
                known.roles.iter().map(|role| role.name.as_str()),
            );
            diagnostics.push(Diagnostic::error(call.role.span, message).help_if(help));
        }
    }
    for role in known.roles.iter().filter(|role| !role.optional) {
        if !service.calls.0.iter().any(|call| call.role.as_str() == role.name) {
            let message = format!("{} needs a service in the role `{}`", known.name, role.name);
            let error = Diagnostic::error(bundled.span, message);
            diagnostics.push(error.help(format!("write `calls: {{ {}: SERVICE }}`", role.name)));
        }
    }
}

fn compile_settings(
    service: &Service,
    known: &CatalogueService,
    base: &Path,
    diagnostics: &mut Diagnostics,
) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    let Some(with) = &service.with else {
        return settings;
    };
    for (key, value) in &with.mapping().entries {
        let Some(setting) = known.settings.iter().find(|setting| setting.name == key.value) else {
            let message = format!("{} has no setting `{}`", known.name, key.value);
            let help = suggest(
                &key.value,
                known.settings.iter().map(|setting| setting.name.as_str()),
            );
            diagnostics.push(Diagnostic::error(key.span, message).help_if(help));
            continue;
        };
        if let (Some(Files::Many), Kind::Sequence(items)) = (setting.files, &value.kind) {
            for item in items {
                let file = compile_file(item, setting, base, diagnostics);
                settings.extend(file.map(|path| (setting.name.clone(), path)));
            }
            continue;
        }
        if setting.files.is_some() {
            let file = compile_file(value, setting, base, diagnostics);
            settings.extend(file.map(|path| (setting.name.clone(), path)));
            continue;
        }
        let Some(scalar) = value.as_scalar() else {
            let message = format!(
                "the setting `{}` takes one value, not {}",
                key.value,
                value.describe()
            );
            diagnostics.push(Diagnostic::error(value.head, message));
            continue;
        };
        match (setting.check)(&known.name, &setting.name, &scalar.text) {
            Ok(()) => settings.push((setting.name.clone(), scalar.text.clone())),
            Err(why) => diagnostics.push(Diagnostic::error(value.head, why)),
        }
    }
    settings
}

/// The path of a file that a service is to read: it must be there before anything starts.
fn compile_file(
    value: &Node,
    setting: &CatalogueSetting,
    base: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<String> {
    let Some(scalar) = value.as_scalar() else {
        let message = format!(
            "`{}` takes paths of files, not {}",
            setting.name,
            value.describe()
        );
        diagnostics.push(Diagnostic::error(value.head, message));
        return None;
    };
    // Whole, since the service runs in a folder of its own.
    let whole = base.join(&scalar.text).canonicalize().ok();
    let Some(whole) = whole.filter(|whole| whole.is_file()) else {
        let message = format!("there is no file {}", scalar.text);
        let error = Diagnostic::error(value.head, message);
        diagnostics.push(error.help("paths are relative to the scenario's folder"));
        return None;
    };
    Some(whole.to_string_lossy().into_owned())
}

fn compile_run(
    service: &Service,
    command: &Command,
    settings: &Settings,
    diagnostics: &mut Diagnostics,
) -> Start {
    let mut ports: Vec<String> = service
        .ports
        .iter()
        .map(|port| port.as_str().to_owned())
        .collect();
    // Without names there is one port, and only if the program is told it.
    if ports.is_empty() && is_told_port(service) {
        ports.push("port".to_owned());
    }
    let ready = compile_ready(service, command, &ports, diagnostics);
    let of_arm = |template: &Template| template.with("arm", settings.arm.as_str());
    Start::Run {
        command: command.argv.iter().map(of_arm).collect(),
        directory: settings.base.clone(),
        env: service
            .env
            .iter()
            .map(|(key, value)| (key.as_str().to_owned(), of_arm(value)))
            .collect(),
        ready,
        within: within(service),
        ports,
    }
}

fn within(service: &Service) -> Duration {
    service
        .ready
        .as_ref()
        .and_then(|ready| ready.within)
        .map_or(WITHIN, |within| within.value)
}

fn compile_ready(
    service: &Service,
    command: &Command,
    ports: &[String],
    diagnostics: &mut Diagnostics,
) -> ReadyWhen {
    // A program that is told a port is expected to listen there.
    let default = if ports.is_empty() {
        ReadyWhen::Running
    } else {
        ReadyWhen::Tcp
    };
    let Some(ready) = &service.ready else {
        return default;
    };
    if let Some(log) = &ready.log {
        return match Regex::new(&log.value) {
            Ok(regex) => ReadyWhen::Log(regex),
            Err(e) => {
                diagnostics.push(Diagnostic::error(log.span, format!("no regular expression: {e}")));
                default
            }
        };
    }
    if ports.is_empty() && (ready.http.is_some() || ready.tcp.is_some()) {
        let span = ready.http.as_ref().map_or(command.spans[0], |http| http.span);
        let error = Diagnostic::error(
            span,
            "this program is told no port, so nothing is known to connect to",
        );
        diagnostics.push(error.help(
            "use `{port}` in `run` or `env`, or wait for a line of its output with `ready: { log: REGEX }`",
        ));
        return default;
    }
    match &ready.http {
        Some(path) if speaks_tls(service) => {
            let error = Diagnostic::error(path.span, "readiness is not asked for over TLS");
            diagnostics
                .push(error.help("wait for `tcp: true`, or for a line of its output with `log: REGEX`"));
            default
        }
        Some(path) => ReadyWhen::Http(path.value.clone()),
        None => ReadyWhen::Tcp,
    }
}

/// Sorts callees before callers: by `calls`, and by the placeholders of command lines and environments.
fn in_order(
    planned: Vec<PlannedService>,
    scenario: &Scenario,
    diagnostics: &mut Diagnostics,
) -> Vec<PlannedService> {
    let needs: BTreeMap<String, Vec<String>> =
        planned.iter().map(|one| (one.name.clone(), needs(one))).collect();
    let mut waiting = planned;
    let mut ordered: Vec<PlannedService> = Vec::new();
    while !waiting.is_empty() {
        let is_ready = |one: &PlannedService| {
            needs[&one.name]
                .iter()
                .all(|need| ordered.iter().any(|up| up.name == *need) || !needs.contains_key(need))
        };
        let Some(next) = waiting.iter().position(is_ready) else {
            let circle = circle(&waiting, &needs);
            let first = scenario
                .services
                .iter()
                .find(|(name, _)| name.as_str() == circle[0]);
            let span = first.map_or(scenario.name.span, |(name, _)| name.span);
            let message = match circle.as_slice() {
                [alone] => format!("`{alone}` waits for itself"),
                circle => format!("these services wait for each other: {}", circle.join(", ")),
            };
            let error = Diagnostic::error(span, message);
            diagnostics
                .push(error.help("a service starts after those that it calls or names; break the circle"));
            return ordered;
        };
        ordered.push(waiting.remove(next));
    }
    ordered
}

/// The services of one circle among those that wait, each before the one that it waits for; not those that only wait
/// for the circle.
fn circle<'a>(waiting: &'a [PlannedService], needs: &'a BTreeMap<String, Vec<String>>) -> Vec<&'a str> {
    let is_waiting = |name: &str| waiting.iter().any(|one| one.name == name);
    let mut path: Vec<&str> = vec![&waiting[0].name];
    loop {
        let last = path[path.len() - 1];
        let next = needs[last].iter().find(|need| is_waiting(need));
        let next = next.expect("a service waits because something it needs does");
        match path.iter().position(|name| name == next) {
            Some(at) => return path.split_off(at),
            None => path.push(next),
        }
    }
}

fn needs(service: &PlannedService) -> Vec<String> {
    let mut needs: Vec<String> = service.calls.values().cloned().collect();
    if let Start::Run { command, env, .. } = &service.start {
        for placeholder in command
            .iter()
            .chain(env.values())
            .flat_map(Template::placeholders)
        {
            let head = placeholder.value.split('.').next().unwrap_or_default();
            if head != service.name {
                needs.push(head.to_owned());
            }
        }
    }
    needs
}
