//! Services from start to stop, as real processes under a real guard.

mod fixture;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fixture::{PATIENCE, PROGRAM, Stage, eventually, remains};
use regex_lite::Regex;
use rustix::process::Signal;
use squall_engine::guard::{Event, ExitStatus, SpawnError};
use squall_engine::process::table::{Entry, Table};
use squall_engine::process::{
    Addresses, Invocation, Launch, PortError, PortReserver, PortWish, Ready, ServiceProcess, StartError,
};

/// The fixture's name as the kernel keeps it, cut to 15 bytes.
const PROGRAM_NAME: &str = "squall-engine-f";

/// How long those may try that are never to be ready.
const BRIEF: Duration = Duration::from_millis(300);

/// Makes a command line and says when it counts as ready.
type Command = fn(&Addresses) -> (Vec<String>, Ready);

fn launch(
    stage: &Stage,
    name: &str,
    command: impl Fn(&Addresses) -> (Vec<String>, Ready) + Send + Sync + 'static,
) -> Launch {
    Launch {
        name: name.to_owned(),
        log: stage.path(&format!("{name}.log")),
        directory: None,
        within: PATIENCE,
        ports: Vec::new(),
        rules: Vec::new(),
        command: Box::new(move |addresses| {
            let (words, ready) = command(addresses);
            let mut words = words.into_iter().map(Into::into);
            Invocation {
                program: words.next().expect("a program"),
                args: words.collect(),
                env: Vec::new(),
                ready,
            }
        }),
        namespace: None,
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn shell(script: &str) -> Vec<String> {
    words(&["sh", "-c", script])
}

fn start(stage: &Stage, launch: Launch) -> Result<ServiceProcess, StartError> {
    ServiceProcess::start(Arc::clone(&stage.guard), launch, &mut PortReserver::new())
}

fn one_port() -> Vec<PortWish> {
    vec![PortWish {
        name: "port".to_owned(),
        fixed: None,
    }]
}

fn at(addresses: &Addresses) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], addresses.ports["port"]))
}

fn log_line(pattern: &str) -> Ready {
    Ready::Log(Regex::new(pattern).expect("a pattern"))
}

#[test]
fn a_bundled_service_says_where_it_listens_and_is_there_again_after_a_restart() {
    let stage = Stage::set();
    let command = |addresses: &Addresses| {
        let text =
            |address: Option<SocketAddr>| address.map_or("127.0.0.1:0".to_owned(), |known| known.to_string());
        let words = vec![
            PROGRAM.to_owned(),
            "line".into(),
            text(addresses.listen),
            text(addresses.admin),
        ];
        (words, Ready::Line)
    };
    let service = start(&stage, launch(&stage, "ids", command)).expect("ready");
    let first = service.addresses().clone();
    assert!(first.listen.is_some() && first.admin.is_some());
    assert!(matches!(service.restart(), Err(StartError::StillRunning { .. })));
    for restarts in 1..=2 {
        let before = service.process();
        let stopped = service.stop(PATIENCE).expect("stopped");
        assert_eq!(
            (stopped.status, stopped.killed.len()),
            (ExitStatus::Signal(15), 0)
        );
        assert!(!before.is_alive());
        service.restart().expect("ready again");
        assert_eq!((service.addresses(), service.restarts()), (&first, restarts));
        assert_ne!(service.process(), before);
        assert_eq!(
            service.last_lines(9).expect("a log").len(),
            1,
            "of this start only"
        );
    }
    assert_eq!(
        fs::read_to_string(service.log()).expect("a log").lines().count(),
        3,
        "of all starts"
    );
}

#[test]
fn a_service_that_comes_back_elsewhere_is_refused() {
    let stage = Stage::set();
    let command = |_: &Addresses| {
        (
            words(&[PROGRAM, "line", "127.0.0.1:0", "127.0.0.1:0"]),
            Ready::Line,
        )
    };
    let service = start(&stage, launch(&stage, "ids", command)).expect("ready");
    service.kill().expect("killed");
    assert!(matches!(service.restart(), Err(StartError::Moved { .. })));
    assert_eq!(remains(&stage.run_id).len(), 1, "only the guard runs");
}

#[test]
fn each_way_to_be_ready_is_noticed() {
    let stage = Stage::set();
    let ways: [(&str, Command); 5] = [
        ("running", |_| (words(&["sleep", "1000"]), Ready::Running)),
        ("log", |_| {
            (
                shell("echo booting; echo 'listening, 3 workers'; exec sleep 1000"),
                log_line("^listening, [0-9]+"),
            )
        }),
        ("tcp", |addresses| {
            (
                words(&[PROGRAM, "tcp", &at(addresses).to_string()]),
                Ready::Tcp(at(addresses)),
            )
        }),
        ("http", |addresses| {
            let ready = Ready::Http {
                address: at(addresses),
                path: "/healthz".into(),
            };
            (words(&[PROGRAM, "http", &at(addresses).to_string(), "3"]), ready)
        }),
        // The listener is a child's: `sh` does not replace itself here.
        ("child", |addresses| {
            (
                shell(&format!("'{PROGRAM}' tcp {}; true", at(addresses))),
                Ready::Tcp(at(addresses)),
            )
        }),
    ];
    for (name, command) in ways {
        let service = start(
            &stage,
            Launch {
                ports: one_port(),
                ..launch(&stage, name, command)
            },
        )
        .expect(name);
        assert_eq!(service.exit_status(), None, "{name}");
        service.stop(PATIENCE).expect(name);
    }
    assert_eq!(remains(&stage.run_id).len(), 1, "only the guard runs");
}

#[test]
fn a_program_that_exits_at_once_is_reported_with_its_last_lines() {
    let stage = Stage::set();
    let command = |_: &Addresses| {
        (
            words(&[PROGRAM, "exit", "7", "no such table", "giving up"]),
            Ready::Line,
        )
    };
    let error = start(&stage, launch(&stage, "db", command))
        .err()
        .expect("not ready");
    let StartError::ExitedBeforeReady {
        status, last_lines, ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(
        (*status, last_lines.as_slice()),
        (
            ExitStatus::Code(7),
            words(&["no such table", "giving up"]).as_slice()
        )
    );
    let text = error.to_string();
    assert!(
        text.contains("`db` ended with exit code 7") && text.contains("giving up"),
        "{text}"
    );
}

#[test]
fn a_program_that_is_not_there_is_reported_as_that() {
    let stage = Stage::set();
    let command = |_: &Addresses| (words(&["/no/such/checkout"]), Ready::Running);
    let error = start(&stage, launch(&stage, "checkout", command))
        .err()
        .expect("not started");
    assert!(
        matches!(
            &error,
            StartError::Spawn {
                source: SpawnError::NotFound { .. },
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_service_that_never_gets_ready_is_ended_and_says_what_was_seen() {
    let stage = Stage::set();
    let ways: [(&str, Command, &str); 6] = [
        (
            "silent",
            |_| (words(&["sleep", "1000"]), Ready::Line),
            "was not printed",
        ),
        (
            "garbled",
            |_| (shell("echo ready listen=x admin=y; exec sleep 1000"), Ready::Line),
            "listen= is no address",
        ),
        (
            "log",
            |_| (shell("echo booting; exec sleep 1000"), log_line("^up$")),
            "no line matches `^up$`",
        ),
        (
            "tcp",
            |addresses| (words(&["sleep", "1000"]), Ready::Tcp(at(addresses))),
            "connection refused",
        ),
        (
            "http",
            |addresses| {
                let ready = Ready::Http {
                    address: at(addresses),
                    path: "/healthz".into(),
                };
                (
                    words(&[PROGRAM, "http", &at(addresses).to_string(), "1000000"]),
                    ready,
                )
            },
            "HTTP 503",
        ),
        (
            "hung",
            |addresses| {
                let ready = Ready::Http {
                    address: at(addresses),
                    path: "/healthz".into(),
                };
                (words(&[PROGRAM, "hung", &at(addresses).to_string()]), ready)
            },
            "GET /healthz",
        ),
    ];
    for (name, command, expected) in ways {
        let launch = Launch {
            within: BRIEF,
            ports: one_port(),
            ..launch(&stage, name, command)
        };
        let error = start(&stage, launch).err().expect(name);
        assert!(
            matches!(&error, StartError::NotReady { last_seen, .. } if last_seen.contains(expected)),
            "{error}"
        );
    }
    assert_eq!(remains(&stage.run_id).len(), 1, "only the guard runs");
}

#[test]
fn somebody_elses_listener_does_not_make_a_service_ready() {
    let stage = Stage::set();
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = stranger.local_addr().expect("an address");
    for ready in [
        Ready::Tcp(address),
        Ready::Http {
            address,
            path: "/".into(),
        },
    ] {
        let command = move |_: &Addresses| (words(&["sleep", "1000"]), ready.clone());
        let error = start(
            &stage,
            Launch {
                within: BRIEF,
                ..launch(&stage, "api", command)
            },
        )
        .err()
        .expect("not ready");
        let holder = format!("is held by process {}", std::process::id());
        assert!(
            matches!(&error, StartError::NotReady { last_seen, .. } if last_seen.contains(&holder)),
            "{error}"
        );
    }
}

#[test]
fn a_fixed_port_that_is_taken_is_named_with_its_holder() {
    let stage = Stage::set();
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = stranger.local_addr().expect("an address").port();
    let command = |_: &Addresses| (words(&["sleep", "1000"]), Ready::Running);
    let ports = vec![PortWish {
        name: "port".into(),
        fixed: Some(port),
    }];
    let error = start(
        &stage,
        Launch {
            ports,
            ..launch(&stage, "api", command)
        },
    )
    .err()
    .expect("not started");
    let text = error.to_string();
    assert!(
        text.contains(&format!("port {port} is taken by process {}", std::process::id())),
        "{text}"
    );
}

/// A service whose port the test snatches before the first `losses` starts.
fn raced(stage: &Stage, losses: usize, ready: fn(&Addresses) -> Ready) -> (Launch, Arc<AtomicUsize>) {
    let starts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&starts);
    let snatched = Mutex::new(Vec::new());
    let command = move |addresses: &Addresses| {
        if counted.fetch_add(1, Ordering::Relaxed) < losses {
            let listener = TcpListener::bind(at(addresses)).expect("it is free");
            snatched.lock().expect("not poisoned").push(listener);
        }
        (
            words(&[PROGRAM, "tcp", &at(addresses).to_string()]),
            ready(addresses),
        )
    };
    (
        Launch {
            ports: one_port(),
            ..launch(stage, "api", command)
        },
        starts,
    )
}

#[test]
fn a_lost_race_for_a_port_is_run_again_with_another() {
    let stage = Stage::set();
    // Noticed by the program's own death, or by the stranger that answers.
    for ready in [
        |_: &Addresses| log_line("^listening$"),
        |addresses: &Addresses| Ready::Tcp(at(addresses)),
    ] {
        let (launch, starts) = raced(&stage, 2, ready);
        let service = start(&stage, launch).expect("ready with its third port");
        assert_eq!(starts.load(Ordering::Relaxed), 3);
        service.stop(PATIENCE).expect("stopped");
    }
}

#[test]
fn a_race_that_is_lost_every_time_is_given_up() {
    let stage = Stage::set();
    let (launch, starts) = raced(&stage, usize::MAX, |addresses| Ready::Tcp(at(addresses)));
    let error = start(&stage, launch).err().expect("never had its port");
    assert_eq!(starts.load(Ordering::Relaxed), 4);
    let port_or_exit = matches!(
        &error,
        StartError::Port {
            source: PortError::Taken { .. },
            ..
        } | StartError::ExitedBeforeReady { .. }
    );
    assert!(port_or_exit, "{error}");
}

#[test]
fn a_failure_of_its_own_is_not_taken_for_a_lost_race() {
    let stage = Stage::set();
    let starts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&starts);
    let command = move |_: &Addresses| {
        counted.fetch_add(1, Ordering::Relaxed);
        (shell("exit 1"), Ready::Running)
    };
    let launch = Launch {
        ports: one_port(),
        ..launch(&stage, "api", move |addresses| {
            let (words, _) = command(addresses);
            (words, Ready::Tcp(at(addresses)))
        })
    };
    assert!(matches!(
        start(&stage, launch).err(),
        Some(StartError::ExitedBeforeReady { .. })
    ));
    assert_eq!(starts.load(Ordering::Relaxed), 1);
}

/// Starts a script that prints `up` when it is set up.
fn up(stage: &Stage, name: &str, script: &str) -> ServiceProcess {
    let script = script.to_owned();
    start(
        stage,
        launch(stage, name, move |_| (shell(&script), log_line("^up$"))),
    )
    .expect("ready")
}

#[test]
fn a_service_that_ends_when_asked_is_not_killed() {
    let stage = Stage::set();
    let service = up(
        &stage,
        "polite",
        "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.01; done",
    );
    let stopped = service.stop(PATIENCE).expect("stopped");
    assert_eq!(stopped.status, ExitStatus::Code(5));
    assert_eq!(service.last_lines(1).expect("a log"), ["bye"]);
}

#[test]
fn a_service_that_does_not_listen_is_killed_after_its_grace() {
    let stage = Stage::set();
    let service = up(
        &stage,
        "stubborn",
        "trap '' TERM; echo up; while :; do sleep 1000; done",
    );
    let stopped = service.stop(BRIEF).expect("stopped");
    assert_eq!(stopped.status, ExitStatus::Signal(9));
    assert!(stopped.killed.contains(&service.process()));
    assert_eq!(remains(&stage.run_id).len(), 1, "only the guard runs");
}

#[test]
fn a_stopped_service_is_continued_so_that_it_can_end_in_good_order() {
    let stage = Stage::set();
    let service = up(
        &stage,
        "paused",
        "trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done",
    );
    assert!(service.signal(Signal::STOP).expect("sent"));
    assert_eq!(
        service.stop(PATIENCE).expect("stopped").status,
        ExitStatus::Code(5)
    );
}

#[test]
fn stopping_takes_along_what_detached_itself_and_spares_other_services() {
    let stage = Stage::set();
    let other = up(&stage, "other", "echo up; exec sleep 1000");
    let script = format!(
        "(setsid sh -c \"('{PROGRAM}' linger {} &)\" &); echo up; exec sleep 1000",
        stage.run_id
    );
    let service = up(&stage, "daemon", &script);
    let guard = stage.guard.process().pid;
    eventually("the daemon is up, and adopted", || {
        let table = Table::read().expect("/proc is readable");
        let adopted = |entry: &Entry| entry.parent == guard && entry.name == PROGRAM_NAME;
        table.iter().any(adopted) && remains(&stage.run_id).len() == 4
    });
    let stopped = service.stop(PATIENCE).expect("stopped");
    assert_eq!(
        (stopped.status, stopped.killed.len()),
        (ExitStatus::Signal(15), 1)
    );
    assert_eq!(other.exit_status(), None);
    assert_eq!(remains(&stage.run_id).len(), 2, "the guard and the other service");
}

#[test]
fn a_service_that_dies_unasked_is_an_event_with_its_last_lines() {
    let stage = Stage::set();
    let service = up(
        &stage,
        "frail",
        "trap 'echo out of memory; kill -KILL $$' USR1; echo up; while :; do sleep 0.01; done",
    );
    assert!(service.signal(Signal::USR1).expect("sent"));
    let event = stage.guard.events().recv_timeout(PATIENCE).expect("an event");
    assert_eq!(
        event,
        Event::Exited {
            process: service.process(),
            status: ExitStatus::Signal(9)
        }
    );
    assert_eq!(service.exit_status(), Some(ExitStatus::Signal(9)));
    assert_eq!(service.last_lines(1).expect("a log"), ["out of memory"]);
    assert_eq!(
        service.stop(PATIENCE).expect("gone").status,
        ExitStatus::Signal(9),
        "stopping the dead is no error"
    );
}
