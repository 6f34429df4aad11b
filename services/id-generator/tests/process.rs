//! The service as a process: its ready line, its signals, and what is left when it is killed.
//!
//! The test binary runs itself again as the service, since a service has no binary of its own.

mod support;

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use squall_id_generator::SERVICE;
use squall_service_kit::{Launch, Settings};
use support::{Client, DEADLINE, ids};

const DATA: &str = "SQUALL_TEST_DATA";

#[test]
#[ignore = "the tests below run it as a process of its own"]
fn child() {
    let Some(data) = std::env::var_os(DATA) else {
        return;
    };
    let any = "127.0.0.1:0".parse().unwrap();
    let settings = Settings::parse(SERVICE.settings, [""; 0]).unwrap();
    let launch = Launch {
        listen: any,
        admin: any,
        data: data.into(),
        peers: BTreeMap::new(),
        settings,
    };
    if let Err(error) = (SERVICE.run)(launch) {
        panic!("{error}");
    }
}

fn command(data: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["child", "--exact", "--ignored", "--nocapture", "--quiet"])
        .env(DATA, data);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A running service; killed when dropped.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    listen: SocketAddr,
    admin: SocketAddr,
}

impl Running {
    fn start(data: &Path) -> Self {
        let mut child = command(data).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("ready ") {
            line.clear();
            assert!(
                stdout.read_line(&mut line).unwrap() > 0,
                "the service ended before it was ready"
            );
        }
        let addresses = line
            .strip_prefix("ready listen=")
            .and_then(|rest| rest.strip_suffix('\n'));
        let (listen, admin) = addresses.and_then(|rest| rest.split_once(" admin=")).unwrap();
        let (listen, admin) = (listen.parse().unwrap(), admin.parse().unwrap());
        Self {
            child,
            stdout,
            listen,
            admin,
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the service did not end");
            thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_says_once_that_it_is_ready_and_stops_when_told_to() {
    for signal in [Signal::TERM, Signal::INT] {
        let data = tempfile::tempdir().unwrap();
        let mut service = Running::start(data.path());
        assert_eq!(Client::connect(service.listen).get("/id").0, 200);
        assert_eq!(
            Client::connect(service.admin).get("/healthz"),
            (200, "ok".to_owned())
        );
        service.signal(signal);
        assert!(service.ended().success());
        let mut rest = String::new();
        service.stdout.read_to_string(&mut rest).unwrap();
        assert!(!rest.contains("ready"), "{rest}");
    }
}

/// Ids that several connections received until the process was killed in their midst.
fn ids_until_killed(data: &Path, enough: usize) -> Vec<u64> {
    let mut service = Running::start(data);
    let address = service.listen;
    let (received, receive) = mpsc::channel();
    let mut all = Vec::new();
    thread::scope(|scope| {
        for target in ["/id", "/id", "/ids?count=50", "/ids?count=3"] {
            let received = received.clone();
            scope.spawn(move || {
                let mut client = Client::connect(address);
                while let Some((_, body)) = client.request("GET", target) {
                    received.send(ids(&body)).unwrap();
                }
            });
        }
        drop(received);
        let mut killed = false;
        for ids in receive {
            all.extend(ids);
            if all.len() >= enough && !killed {
                service.child.kill().unwrap();
                killed = true;
            }
        }
    });
    assert!(!service.ended().success());
    all
}

#[test]
fn nothing_repeats_when_it_is_killed_and_started_again_at_once() {
    let data = tempfile::tempdir().unwrap();
    let mut all: Vec<u64> = Vec::new();
    for _ in 0..6 {
        let ids = ids_until_killed(data.path(), 1_000);
        let last_before = all.iter().max().copied().unwrap_or(0);
        assert!(*ids.iter().min().unwrap() > last_before);
        all.extend(ids);
    }
    let distinct: HashSet<u64> = all.iter().copied().collect();
    assert_eq!(distinct.len(), all.len());
}

#[test]
fn a_second_process_on_the_same_state_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let service = Running::start(data.path());
    let second = command(data.path()).output().unwrap();
    let log = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success());
    assert!(
        log.contains("node-0.state is held by another process; stop it, or give this one"),
        "{log}"
    );
    assert_eq!(Client::connect(service.listen).get("/id").0, 200);
}

#[test]
fn a_stopped_process_finds_out_for_how_long() {
    let data = tempfile::tempdir().unwrap();
    let service = Running::start(data.path());
    let mut admin = Client::connect(service.admin);
    let held = Duration::from_millis(60);
    service.signal(Signal::STOP);
    let (_, status) = waitpid(Some(Pid::from_child(&service.child)), WaitOptions::UNTRACED)
        .unwrap()
        .unwrap();
    assert!(status.stopped());
    // How long it is stopped is the test's input; at least so long it is.
    let (_never, wait) = mpsc::channel::<()>();
    let _ = wait.recv_timeout(held);
    service.signal(Signal::CONT);
    let deadline = Instant::now() + DEADLINE;
    loop {
        let (_, lines) = admin.get("/pauses");
        let lengths = lines.lines().map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["length_us"]
                .as_u64()
                .unwrap()
        });
        // The 1 ms that the meter asked to sleep may have passed within the stop.
        if lengths.max().is_some_and(|longest_us| longest_us >= 59_000) {
            break;
        }
        assert!(Instant::now() < deadline, "no pause was found: {lines}");
    }
}
