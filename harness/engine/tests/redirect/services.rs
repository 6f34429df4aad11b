//! A service whose connects are redirected, over its starts and to its end.

use std::path::Path;
use std::sync::Arc;

use squall_engine::process::{Addresses, Invocation, Launch, PortReserver, Ready, ServiceProcess};
use squall_engine::redirect::Transport;
use squall_engine::seccomp::Rule;

use crate::fixture::{PATIENCE, eventually};
use crate::rig::{Rig, client, serve};

/// Threads of this process that answer calls of `service`.
fn answering(service: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("there");
    // The kernel keeps fifteen bytes of a name.
    let name = format!("calls-{service}\n");
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|comm| *comm == name)
        .count()
}

/// The program asks `port` once, says what came of it, and stays.
fn launch(rig: &Rig, name: &str, client: &Path, port: u16) -> Launch {
    let script = format!("'{}' ask 127.0.0.1 {port} && exec sleep 600", client.display());
    let rule: Arc<dyn Rule> = Arc::clone(&rig.table) as _;
    Launch {
        name: name.to_owned(),
        log: rig.stage.path("it.log"),
        directory: None,
        within: PATIENCE,
        ports: Vec::new(),
        rules: vec![rule],
        command: Box::new(move |_: &Addresses| Invocation {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.clone().into()],
            env: Vec::new(),
            ready: Ready::Log(regex_lite::Regex::new("peer=").expect("a pattern")),
        }),
    }
}

#[test]
fn each_start_of_a_service_is_answered_and_no_thread_outlives_its_processes() {
    let Some(client) = client() else { return };
    let rig = Rig::new();
    let [real, proxy] = ["real", "proxy"].map(|name| serve("127.0.0.1", name));
    rig.table.set(Transport::Stream, real, proxy).expect("one family");
    let launch = launch(&rig, "again", client, real.port());
    let guard = Arc::clone(&rig.stage.guard);
    let service = ServiceProcess::start(guard, launch, &mut PortReserver::new()).expect("ready");
    assert_eq!(answering("again"), 1);
    for starts in 2..4 {
        service.kill().expect("ended");
        eventually("its thread ends with it", || answering("again") == 0);
        service.restart().expect("ready again");
        assert_eq!(answering("again"), 1);
        assert_eq!(rig.table.redirected(Transport::Stream, real), starts);
    }
    let log = std::fs::read_to_string(service.log()).expect("a log");
    assert_eq!(log.lines().count(), 3, "{log}");
    assert!(log.lines().all(|line| line.starts_with("proxy ")), "{log}");
    assert_eq!(service.unanswered(), None);
    service.kill().expect("ended");
    drop(service);
    assert_eq!(answering("again"), 0);
}

#[test]
fn a_service_that_never_gets_ready_leaves_no_thread() {
    let Some(client) = client() else { return };
    let rig = Rig::new();
    let real = serve("127.0.0.1", "real");
    let mut launch = launch(&rig, "never", client, real.port());
    launch.within = std::time::Duration::from_millis(200);
    let make = launch.command;
    launch.command = Box::new(move |addresses| Invocation {
        ready: Ready::Log(regex_lite::Regex::new("^no such line$").expect("a pattern")),
        ..make(addresses)
    });
    let guard = Arc::clone(&rig.stage.guard);
    ServiceProcess::start(guard, launch, &mut PortReserver::new())
        .err()
        .expect("not ready");
    assert_eq!(answering("never"), 0);
}

#[test]
fn a_service_without_rules_has_no_thread() {
    let Some(client) = client() else { return };
    let rig = Rig::new();
    let real = serve("127.0.0.1", "real");
    let launch = Launch {
        rules: Vec::new(),
        ..launch(&rig, "free", client, real.port())
    };
    let guard = Arc::clone(&rig.stage.guard);
    let service = ServiceProcess::start(guard, launch, &mut PortReserver::new()).expect("ready");
    assert_eq!(answering("free"), 0);
    let log = std::fs::read_to_string(service.log()).expect("a log");
    assert!(log.starts_with("real "), "{log}");
    service.kill().expect("ended");
}
