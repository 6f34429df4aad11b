//! The supervisor with other rules than the redirect's, and what the guard does with a process that stops at calls.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;
use squall_engine::guard::{SpawnError, SpawnRequest};
use squall_engine::redirect::{Redirects, Transport};
use squall_engine::seccomp::{Call, Health, Rule, Supervisor, Syscall, Verdict};

use crate::fixture::{PATIENCE, PROGRAM, Stage, eventually};
use crate::rig::{client, is_possible, request, serve, start};

/// Fails the first calls, then has no opinion.
struct FailFirst(AtomicU32, Errno);

impl Rule for FailFirst {
    fn calls(&self) -> &[Syscall] {
        &[Syscall::Connect]
    }

    fn decide(&self, _call: &Call<'_>) -> Option<Verdict> {
        let left = self.0.load(Ordering::Relaxed).checked_sub(1)?;
        self.0.store(left, Ordering::Relaxed);
        Some(Verdict::Fail(self.1))
    }
}

#[test]
fn rules_are_asked_in_turn_and_the_first_with_an_opinion_decides() {
    let Some(client) = client() else { return };
    let stage = Stage::set();
    let [real, proxy] = ["real", "proxy"].map(|name| serve("127.0.0.1", name));
    let table = Redirects::new();
    table.set(Transport::Stream, real, proxy).expect("one family");
    let table = Arc::new(table);
    let rules: Vec<Arc<dyn Rule>> = vec![
        Arc::new(FailFirst(AtomicU32::new(1), Errno::NETUNREACH)),
        Arc::clone(&table) as _,
    ];
    let port = real.port().to_string();
    let args = ["ask", "127.0.0.1", &port, "127.0.0.1", &port];
    let printed = start(&stage, client, &args, rules).finish();
    let errno = Errno::NETUNREACH.raw_os_error();
    assert_eq!(
        printed,
        [
            format!("errno {errno} at connect"),
            format!("proxy peer={} nonblocking=0", proxy.port())
        ]
    );
    assert_eq!(table.counts().seen, 1, "it was not asked about the first");
}

pub(crate) struct Panics;

impl Rule for Panics {
    fn calls(&self) -> &[Syscall] {
        &[Syscall::Connect]
    }

    fn decide(&self, _call: &Call<'_>) -> Option<Verdict> {
        panic!("as a rule may, in a test")
    }
}

#[test]
fn a_supervisor_that_fails_says_so_and_leaves_nobody_waiting() {
    let Some(client) = client() else { return };
    let stage = Stage::set();
    let real = serve("127.0.0.1", "real").port().to_string();
    let request = SpawnRequest {
        stops_at: vec![Syscall::Connect],
        ..request(&stage, client, &["ask", "127.0.0.1", &real, "127.0.0.1", &real])
    };
    let mut spawned = stage.guard.spawn(&request).expect("started");
    let listener = spawned.listener.take().expect("asked for");
    let supervisor = Supervisor::start("rig", listener, vec![Arc::new(Panics)]).expect("a thread");
    spawned.exit.wait(PATIENCE).expect("it ends");
    let printed = std::fs::read_to_string(&request.log).expect("a log");
    let line = format!("errno {} at connect\n", Errno::NOSYS.raw_os_error());
    assert_eq!(printed, line.repeat(2));
    eventually("it says so", || {
        supervisor.health() == Health::Failed("it panicked".to_owned())
    });
}

#[test]
fn a_supervisor_ends_with_the_last_of_its_processes() {
    let Some(client) = client() else { return };
    let stage = Stage::set();
    let real = serve("127.0.0.1", "real").port().to_string();
    // The service itself ends; what it has left behind calls, and goes on being answered.
    let script = format!(
        "(sleep 0.2; '{}' ask 127.0.0.1 {real}) & echo left",
        client.display()
    );
    let request = SpawnRequest {
        stops_at: vec![Syscall::Connect],
        ..request(&stage, Path::new("/bin/sh"), &["-c", &script])
    };
    let mut spawned = stage.guard.spawn(&request).expect("started");
    let listener = spawned.listener.take().expect("asked for");
    let table = Arc::new(Redirects::new());
    let rules: Vec<Arc<dyn Rule>> = vec![Arc::clone(&table) as _];
    let supervisor = Supervisor::start("rig", listener, rules).expect("a thread");
    spawned.exit.wait(PATIENCE).expect("it ends");
    eventually("the last is gone", || supervisor.health() == Health::Ended);
    assert_eq!((table.counts().seen, table.counts().passed), (1, 1));
}

#[test]
fn only_a_process_that_is_to_stop_has_a_filter_and_it_inherits_nothing_else() {
    if !is_possible() {
        return;
    }
    let stage = Stage::set();
    let status = |stops_at: Vec<Syscall>| {
        let request = SpawnRequest {
            stops_at,
            ..request(&stage, Path::new("cat"), &["/proc/self/status"])
        };
        let spawned = stage.guard.spawn(&request).expect("started");
        spawned.exit.wait(PATIENCE).expect("it ends");
        let text = std::fs::read_to_string(&request.log).expect("a log");
        let mode = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.expect("in the status").trim().to_owned()
        };
        let filters: u32 = mode("Seccomp_filters:").parse().expect("a number");
        (spawned.listener.is_some(), filters, mode("NoNewPrivs:"))
    };
    let (has_listener, filters_before, _) = status(Vec::new());
    assert!(!has_listener);
    assert_eq!(
        status(vec![Syscall::Connect]),
        (true, filters_before + 1, "1".to_owned())
    );

    let descriptors = SpawnRequest {
        stops_at: vec![Syscall::Connect],
        ..request(&stage, Path::new(PROGRAM), &["descriptors"])
    };
    let spawned = stage.guard.spawn(&descriptors).expect("started");
    spawned.exit.wait(PATIENCE).expect("it ends");
    let text = std::fs::read_to_string(&descriptors.log).expect("a log");
    assert_eq!(
        text.lines().filter(|line| line.starts_with("fd ")).count(),
        3,
        "{text}"
    );
}

#[test]
fn where_somebody_listens_already_the_probe_says_that() {
    if !is_possible() {
        return;
    }
    let stage = Stage::set();
    let rules: Vec<Arc<dyn Rule>> = vec![Arc::new(Redirects::new())];
    let printed = start(&stage, PROGRAM.as_ref(), &["probe"], rules).finish();
    assert!(printed[0].contains("Linux allows one listener"), "{printed:?}");
}

#[test]
fn a_program_that_is_not_there_is_not_the_filters_fault() {
    if !is_possible() {
        return;
    }
    let stage = Stage::set();
    let request = SpawnRequest {
        stops_at: vec![Syscall::Connect],
        ..request(&stage, Path::new("/no/such/program"), &[])
    };
    let error = stage.guard.spawn(&request).expect_err("refused");
    assert!(matches!(error, SpawnError::NotFound { .. }), "{error}");
}
