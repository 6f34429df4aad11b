//! A service with its lifecycle, and faults on it as a scenario writes them.

use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::{Receiver, unbounded};
use squall_engine::fault::{FAULTS, Fault, FaultSpec, Receipt, Target, TargetProcess};
use squall_engine::process::{
    Invocation, Launch, Lifecycle, PortReserver, PortWish, Ready, ServiceProcess, Started, Table,
};
use squall_model::scenario::parse;

use crate::fixture::{PATIENCE, PROGRAM, Stage, eventually, remains};

/// One service that is up.
pub struct Rig {
    pub stage: Stage,
    pub lifecycle: Arc<Lifecycle>,
    pub started: Receiver<Started>,
}

impl Rig {
    /// A shell script, ready when it prints `up`.
    pub fn shell(script: &str) -> Rig {
        let script = script.to_owned();
        let stage = Stage::set();
        let launch = launch(&stage, Vec::new(), move |_| Invocation {
            program: "sh".into(),
            args: vec!["-c".into(), script.clone().into()],
            env: Vec::new(),
            ready: Ready::Log(regex_lite::Regex::new("^up$").expect("a pattern")),
        });
        Rig::of(stage, launch)
    }

    /// A server with a port of its own.
    pub fn server() -> Rig {
        let stage = Stage::set();
        let port = PortWish {
            name: "port".to_owned(),
            fixed: None,
        };
        let launch = launch(&stage, vec![port], |addresses| {
            let address = std::net::SocketAddr::from(([127, 0, 0, 1], addresses.ports["port"]));
            Invocation {
                program: PROGRAM.into(),
                args: vec!["tcp".into(), address.to_string().into()],
                env: Vec::new(),
                ready: Ready::Tcp(address),
            }
        });
        Rig::of(stage, launch)
    }

    fn of(stage: Stage, launch: Launch) -> Rig {
        let process = ServiceProcess::start(Arc::clone(&stage.guard), launch, &mut PortReserver::new());
        let (tell, started) = unbounded();
        Rig {
            lifecycle: Arc::new(Lifecycle::new(0, Arc::new(process.expect("ready")), tell)),
            stage,
            started,
        }
    }

    /// The service's process.
    pub fn service(&self) -> &ServiceProcess {
        self.lifecycle.process()
    }

    /// What a fault acts on.
    pub fn target(&self) -> Target {
        Target {
            process: TargetProcess {
                service: "it".to_owned(),
                pid: self.service().process().pid.cast_unsigned(),
            },
            lifecycle: Arc::clone(&self.lifecycle),
        }
    }

    /// A fault on it, as a scenario would write it: `kill: { target: it }`.
    pub fn fault(&self, written: &str) -> Box<dyn Fault> {
        let target = self.target();
        spec(written)
            .arm(Path::new("/nowhere"), Some(&target))
            .expect("armed")
    }

    /// The states of its processes, sorted: `TTT`.
    pub fn states(&self) -> String {
        let table = Table::read().expect("/proc is readable");
        let pids = self.service().pids().expect("/proc is readable");
        let entries = pids.iter().filter_map(|pid| table.get(*pid));
        let mut states: Vec<char> = entries.map(|entry| entry.state).collect();
        states.sort_unstable();
        states.into_iter().collect()
    }

    /// Waits until so many of its processes are `sleep`: before that, a shell may be waiting for a child to become one, and such a
    /// wait can't be stopped.
    pub fn wait_for_sleepers(&self, count: usize) {
        eventually("all have begun", || {
            let table = Table::read().expect("/proc is readable");
            let pids = self.service().pids().expect("/proc is readable");
            let entries = pids.iter().filter_map(|pid| table.get(*pid));
            entries.filter(|entry| entry.name == "sleep").count() == count
        });
    }

    /// Waits for what became of a start, and accepts it as the supervisor does.
    pub fn accept(&self) -> Result<(), String> {
        let started = self.started.recv_timeout(PATIENCE).expect("it was started again");
        self.lifecycle.accept(started.result.clone());
        started.result
    }
}

/// Nothing of a service may be left, whatever a fault did to it.
impl Drop for Rig {
    fn drop(&mut self) {
        self.lifecycle.retire();
        let killed = self.service().kill();
        if !std::thread::panicking() {
            killed.expect("nothing is left");
            assert_eq!(remains(&self.stage.run_id).len(), 1, "only the guard runs");
        }
    }
}

fn launch(
    stage: &Stage,
    ports: Vec<PortWish>,
    command: impl Fn(&squall_engine::process::Addresses) -> Invocation + Send + Sync + 'static,
) -> Launch {
    Launch {
        name: "it".to_owned(),
        log: stage.path("it.log"),
        directory: None,
        within: PATIENCE,
        ports,
        command: Box::new(command),
        rules: Vec::new(),
        namespace: None,
    }
}

/// What a scenario's fault is planned as.
pub fn spec(written: &str) -> Arc<dyn FaultSpec> {
    let text = format!(
        "squall: 1\nname: a\nservices: {{ it: {{ run: [sleep, \"1\"] }} }}\nphases: [ {{ phase: p, for: 9s, faults: [ {{ {written} }} ] }} ]\n"
    );
    let (scenario, mut diagnostics, sources) = parse("a.yaml", &text, &|_| None);
    let scenario = scenario.expect("a scenario");
    let (_, fault) = scenario.faults().next().expect("a fault");
    let kind = FAULTS
        .iter()
        .find(|kind| kind.name == fault.kind.value)
        .expect("a kind");
    let spec = (kind.decode)(fault, &mut diagnostics);
    spec.unwrap_or_else(|| panic!("{}", diagnostics.display(&sources)))
}

/// Prepares and injects.
pub fn inject(fault: &mut dyn Fault) {
    fault.prepare().expect("prepared");
    fault.inject().expect("injected");
}

/// Asks until there is an answer; the evidence.
pub fn proven(what: &str, mut ask: impl FnMut() -> Receipt) -> String {
    let mut told = String::new();
    eventually(what, || match ask() {
        Receipt::Pending => false,
        Receipt::Proven { evidence } => {
            told = evidence;
            true
        }
        Receipt::Failed { reason } => panic!("{what}: {reason}"),
    });
    told
}
