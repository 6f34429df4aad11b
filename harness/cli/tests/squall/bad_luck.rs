//! Bad luck: services that don't start or die, files that can't be written, signals, and `kill -9`.

mod disk;
mod kill;
mod services;
mod signals;

use crate::support::{Ended, Stage};

/// An id-generator under a light load, with a fault that holds, and a program that leaves a daemon behind.
const BUSY: &str = r#"squall: 1
name: busy
seed: 3
services:
  ids: { use: id-generator, with: { node: 3 } }
  brood: { run: [sh, -c, "setsid sleep 600 & exec sleep 601"] }
load:
  single: { to: ids, http: { get: /id }, rate: 200/s, connections: 4 }
phases:
  - { phase: steady, for: 1s }
  - phase: back
    for: 60s
    faults: [clock: { target: ids, step: -50ms, for: 50s }]
"#;

/// The same with a fault of every kind, most of which come again and again. One of the pauses holds all the time, on three
/// processes, one of which has left its group and session. The gateway's connects are redirected, also while it is killed and cut off. Nobody
/// is where datagrams go: one more service would only start later.
const EVERYTHING: &str = r#"squall: 1
name: busy
seed: 3
services:
  ids: { use: id-generator, with: { node: 3 } }
  brood: { run: [sh, -c, "setsid sleep 600 & exec sleep 601"] }
  still: { run: [sh, -c, "setsid sleep 602 & sleep 603"] }
  mortal: { run: [sh, -c, "sleep 604 & sleep 605"] }
  echo: { at: "127.0.0.1:9" }
  gateway:
    run:
      - sh
      - -c
      - >-
        echo '[{"name": "ids", "listen": "127.0.0.1:{port.http}", "upstream": "{ids}"}]' > {data}/backends.json &&
        exec {squall} proxy --listen 127.0.0.1:{port.api} --config {data}/backends.json
    ports: [http, api]
    calls: [ids]
    redirect: true
load:
  single: { to: ids, http: { get: /id }, rate: 200/s, connections: 4 }
  through: { to: gateway, http: { get: /id }, rate: 200/s, connections: 4, timeout: 100ms }
  shout: { to: echo, udp: { send: hello }, rate: 200/s, connections: 4, timeout: 100ms }
phases:
  - { phase: steady, for: 1s }
  - phase: back
    for: 60s
    faults:
      - clock: { target: ids, step: -50ms, for: 50s }
      - pause: { as: held, target: still, for: 50s }
      - pause: { as: again, target: brood, after: 20ms, for: 30ms, every: 130ms }
      - kill: { target: mortal, after: 10ms, for: 50ms, every: 500ms }
      - restart: { target: ids, after: 150ms, down: 100ms, every: 900ms, signal: KILL }
      - partition: { between: [single, ids], after: 100ms, for: 60ms, every: 1s }
      - down: { between: [single, ids], after: 500ms, for: 40ms, every: 1s }
      - latency: { from: ids, to: single, delay: 2ms, after: 30ms, for: 100ms, every: 300ms }
      - bandwidth: { between: [single, ids], rate: 1MB, for: 50s }
      - slicer: { between: [single, ids], size: 20B, after: 50ms, for: 200ms, every: 800ms }
      - limit_data: { between: [single, ids], bytes: 4KiB, after: 400ms, for: 300ms, every: 1s }
      - slow_close: { between: [single, ids], delay: 10ms, for: 50s }
      - timeout: { between: [single, ids], timeout: 50ms, after: 650ms, for: 50ms, every: 1s }
      - reset_peer: { between: [single, ids], after: 250ms, for: 30ms, every: 600ms }
      - http: { between: [single, ids], abort: { status: 503 }, share: 10%, for: 50s }
      - reset_peer: { as: led, between: [gateway, ids], for: 50s }
      - kill: { as: door, target: gateway, after: 300ms, for: 50ms, every: 700ms }
      - loss: { from: shout, to: echo, share: 20%, for: 50s }
      - duplicate: { between: [shout, echo], share: 20%, after: 50ms, for: 100ms, every: 200ms }
      - reorder: { between: [shout, echo], share: 20%, for: 50s }
      - corrupt: { from: echo, to: shout, share: 20%, after: 90ms, for: 200ms, every: 500ms }
"#;

/// The scenario as far as this machine allows it; says so where it doesn't allow all.
fn everything() -> String {
    match squall_engine::redirect::probe() {
        Ok(()) => EVERYTHING.to_owned(),
        Err(why) => {
            crate::foreign::not_checked("redirected services that are cut off", &why.to_string());
            EVERYTHING.replace("    redirect: true\n", "")
        }
    }
}

/// The same in a network of its own: faults on packets, proxies in places, and services that come back in theirs.
const PACKETS: &str = r#"squall: 1
name: busy
seed: 3
network: isolated
services:
  ids: { use: id-generator, with: { node: 3 } }
  still: { run: [sh, -c, "setsid sleep 602 & sleep 603"] }
load:
  single: { to: ids, http: { get: /id }, rate: 200/s, connections: 4, timeout: 300ms }
phases:
  - { phase: steady, for: 1s }
  - phase: back
    for: 60s
    faults:
      - pause: { as: held, target: still, for: 50s }
      - clock: { target: ids, step: -50ms, for: 50s }
      - restart: { target: ids, after: 150ms, down: 100ms, every: 900ms, signal: KILL }
      - partition: { from: ids, to: single, after: 100ms, for: 60ms, every: 1s }
      - loss: { between: [single, ids], share: 20%, after: 300ms, for: 300ms, every: 1s }
      - bandwidth: { between: [single, ids], rate: 1MB, for: 50s }
      - latency: { from: ids, to: single, delay: 2ms, after: 30ms, for: 100ms, every: 300ms }
      - down: { between: [single, ids], after: 700ms, for: 40ms, every: 1s }
"#;

#[test]
fn the_scenarios_that_are_cut_off_use_every_fault_there_is() {
    for kind in squall_engine::fault::FAULTS {
        let written = format!("- {}: {{", kind.name);
        assert!(
            EVERYTHING.contains(&written) || PACKETS.contains(&written),
            "no {} in them",
            kind.name
        );
    }
}

/// Makes the report again, and returns what a reader sees.
#[track_caller]
fn report(stage: &Stage, of: &std::path::Path) -> (Ended, String) {
    let _ = std::fs::remove_file(of.join("report.html"));
    let ended = stage.squall(&["report".as_ref(), of.as_os_str()]);
    ended.assert_code(0);
    let page = std::fs::read_to_string(of.join("report.html")).expect("a report");
    assert!(page.trim_end().ends_with("</html>"), "the page is whole");
    (ended, page)
}

/// Finishes what is left; says what that was.
#[track_caller]
fn clean(stage: &Stage) -> String {
    let ended = stage.squall(&["clean".as_ref(), "--out".as_ref(), stage.reports().as_os_str()]);
    ended.assert_code(0).stdout.clone()
}
