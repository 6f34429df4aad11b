//! A process waits for an answer that will never come: it must not wait longer than squall lives.

use std::path::Path;

use rustix::io::Errno;
use squall_engine::guard::{SpawnRequest, Spawned};
use squall_engine::seccomp::Syscall;

use crate::fixture::{PATIENCE, Stage, eventually, remains};
use crate::rig::{client, request, serve};

/// A process that has stopped at its call and isn't answered.
fn stopped(stage: &Stage, client: &Path) -> (SpawnRequest, Spawned) {
    let port = serve("127.0.0.1", "real").port().to_string();
    let request = SpawnRequest {
        stops_at: vec![Syscall::Connect],
        ..request(stage, client, &["ask", "127.0.0.1", &port])
    };
    let spawned = stage.guard.spawn(&request).expect("started");
    eventually("it has stopped", || {
        let call = std::fs::read_to_string(format!("/proc/{}/syscall", spawned.process.pid));
        call.is_ok_and(|call| call.starts_with(&format!("{} ", Syscall::Connect.number())))
    });
    (request, spawned)
}

#[test]
fn whoever_waits_is_let_go_when_nobody_listens_any_more() {
    let Some(client) = client() else { return };
    let stage = Stage::set();
    let (request, mut spawned) = stopped(&stage, client);
    assert_eq!(spawned.exit.get(), None);
    drop(spawned.listener.take());
    spawned.exit.wait(PATIENCE).expect("it ends");
    let printed = std::fs::read_to_string(&request.log).expect("a log");
    assert_eq!(
        printed,
        format!("errno {} at connect\n", Errno::NOSYS.raw_os_error())
    );
}

#[test]
fn the_guard_ends_what_waits_for_an_answer() {
    let Some(client) = client() else { return };
    let stage = Stage::set();
    let (_request, spawned) = stopped(&stage, client);
    stage.guard.shutdown().expect("in good order");
    assert!(!spawned.process.is_alive());
    assert!(remains(&stage.run_id).is_empty());
}
