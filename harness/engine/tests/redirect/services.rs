//! A service whose connects are redirected, over its starts and to its end.

use std::path::Path;
use std::sync::Arc;

use squall_engine::process::{Addresses, Invocation, Launch, PortReserver, Ready, ServiceProcess};
use squall_engine::redirect::Transport;
use squall_engine::seccomp::Rule;

use crate::fixture::{PATIENCE, eventually};
use crate::rig::{Rig, client, serve};
use crate::rules::Panics;

/// Waits until so many threads of this process answer calls of `service`: the kernel lists one for a moment after its end.
#[track_caller]
fn answered_by(service: &str, count: usize) {
    eventually(&format!("{count} threads answer {service}"), || {
        answering(service) == count
    });
}

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
        namespace: None,
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
    answered_by("again", 1);
    for starts in 2..4 {
        service.kill().expect("ended");
        answered_by("again", 0);
        service.restart().expect("ready again");
        answered_by("again", 1);
        assert_eq!(rig.table.redirected(Transport::Stream, real), starts);
    }
    let log = std::fs::read_to_string(service.log()).expect("a log");
    assert_eq!(log.lines().count(), 3, "{log}");
    assert!(log.lines().all(|line| line.starts_with("proxy ")), "{log}");
    assert_eq!(service.unanswered(), None);
    service.kill().expect("ended");
    drop(service);
    answered_by("again", 0);
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
    answered_by("never", 0);
}

#[test]
fn that_calls_were_left_without_an_answer_is_remembered_over_restarts() {
    let Some(client) = client() else { return };
    let rig = Rig::new();
    let real = serve("127.0.0.1", "real");
    let mut launch = launch(&rig, "unheard", client, real.port());
    launch.rules = vec![Arc::new(Panics)];
    let make = launch.command;
    launch.command = Box::new(move |addresses| Invocation {
        ready: Ready::Log(regex_lite::Regex::new("^errno 38 at connect").expect("a pattern")),
        ..make(addresses)
    });
    let guard = Arc::clone(&rig.stage.guard);
    let service = ServiceProcess::start(guard, launch, &mut PortReserver::new()).expect("ready");
    for _ in 0..2 {
        eventually("it is known", || {
            service.unanswered().as_deref() == Some("it panicked")
        });
        service.kill().expect("ended");
        assert_eq!(service.unanswered().as_deref(), Some("it panicked"));
        service.restart().expect("ready again");
    }
    service.kill().expect("ended");
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
    answered_by("free", 0);
    let log = std::fs::read_to_string(service.log()).expect("a log");
    assert!(log.starts_with("real "), "{log}");
    service.kill().expect("ended");
}
