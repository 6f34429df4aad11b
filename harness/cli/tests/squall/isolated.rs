//! `network: isolated`: services and loads in places of their own, and everything else as in the machine's network.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::geteuid;
use squall_model::exit::Exit;
use squall_model::record::{RunRecord, Verdict};
use squall_model::scenario::Network;

use crate::foreign::not_checked;
use crate::support::{SQUALL, Stage, networks_can_be_isolated};

/// `nobody`, where tests run as root.
const ORDINARY: u32 = 65534;

/// A bundled service, a program that serves, and one that calls; each kind of fault on them.
const APART: &str = r#"squall: 1
name: apart
seed: 5
network: isolated
services:
  ids: { use: id-generator, with: { node: 1 } }
  own:
    run: ["${SQUALL}", serve, id-generator, --listen, "{own.host}:{port}", --admin, "127.0.0.1:0", --data, "{data}"]
    ready: { http: /id, within: 30s }
  caller:
    run: ["${SQUALL}", load, "http://{ids}/id", --allow-host, "{ids.host}", -r, "100", -d, 60s]
    calls: [ids]
load:
  one: { to: ids, http: { get: /id }, rate: 200/s, connections: 8, timeout: 500ms }
  two: { to: own, http: { get: /id }, rate: 200/s, connections: 8, timeout: 500ms }
phases:
  - { phase: steady, for: 1s }
  - phase: broken
    for: 7s
    faults:
      - clock: { as: behind, target: ids, step: -20ms, for: 4s }
      - loss: { as: leak, between: [caller, ids], share: 20%, after: 500ms, for: 2s }
      - partition: { as: cut, between: [two, own], after: 800ms, for: 2s }
      - restart: { as: again, target: own, after: 1s, down: 300ms }
      - pause: { as: still, target: own, after: 3200ms, for: 200ms }
      - latency: { as: late, between: [caller, ids], delay: 20ms, after: 3500ms, for: 1s }
      - down: { as: shut, between: [one, ids], after: 4500ms, for: 500ms }
"#;

#[track_caller]
fn everything_is_proven(record: &RunRecord) {
    assert_eq!(record.network, Network::Isolated);
    for fault in &record.faults {
        assert!(fault.proved && fault.undone, "{fault:?}");
    }
}

#[test]
fn every_kind_of_fault_holds_in_a_network_of_ones_own() {
    if !networks_can_be_isolated() {
        return;
    }
    let stage = Stage::alone();
    let scenario = stage.write("apart.yaml", APART);
    let mut command = stage.run_command(&scenario, &[]);
    command.env("SQUALL", SQUALL);
    let ended = stage.start(command).wait();
    ended.assert_nothing_left();
    let record = ended.record();
    everything_is_proven(&record);
    assert_eq!(record.faults.len(), 7, "{:?}", record.faults);
    let broken = &record.phases[1];
    assert_eq!(broken.services["own"].restarts, 1, "{broken:?}");
    let errors = |load: &str, kind: &str| broken.load[load].errors.get(kind).copied().unwrap_or(0);
    assert!(
        errors("two", "timeout") + errors("two", "connect_timeout") > 0,
        "{broken:?}"
    );
    assert!(errors("one", "connect_refused") > 0, "{broken:?}");
    if ended.is_calm() {
        assert_eq!(record.phases[0].load["one"].failed, 0);
    }
    let late = record.edges.iter().find(|edge| edge.caller == "caller");
    assert!(
        late.is_some_and(|edge| edge.connections > 0),
        "{:?}",
        record.edges
    );
    for invariant in record.invariants.iter().filter(|one| one.service == "ids") {
        assert_eq!(invariant.verdict, Verdict::Pass, "{invariant:?}");
    }
    // Bundled services are asked in their places.
    assert!(
        broken.services["ids"].pause_kinds.contains_key("hiccup"),
        "{broken:?}"
    );
}

/// A caller that is told its callee's own address.
const REDIRECTED: &str = r#"squall: 1
name: redirected
seed: 5
network: isolated
services:
  ids: { use: id-generator }
  caller:
    run: ["{squall}", load, "http://{ids}/id", --allow-host, "{ids.host}", -r, "200", -d, 60s]
    calls: [ids]
    redirect: true
load:
  one: { to: ids, http: { get: /id }, rate: 50/s }
phases:
  - { phase: steady, for: 1s }
  - phase: broken
    for: 4s
    faults:
      - latency: { as: late, between: [caller, ids], delay: 20ms, after: 500ms, for: 1s }
      - loss: { as: leak, between: [caller, ids], share: 50%, after: 2s, for: 1s }
"#;

#[test]
fn a_caller_is_redirected_to_a_proxy_in_its_own_place() {
    if !networks_can_be_isolated() {
        return;
    }
    if let Err(why) = squall_engine::redirect::probe() {
        return not_checked("redirected services in places", &why.to_string());
    }
    let stage = Stage::alone();
    let ended = stage.run(&stage.write("redirected.yaml", REDIRECTED), &[]);
    ended.assert_nothing_left();
    let record = ended.record();
    everything_is_proven(&record);
    let [edge] = &record.edges[..] else {
        panic!("one edge has a proxy: {:?}", record.edges)
    };
    assert!(
        edge.connections > 0 && edge.redirected >= Some(edge.connections) && edge.missed == Some(0),
        "{edge:?}"
    );
}

#[test]
fn an_ordinary_user_runs_it_and_owns_what_it_leaves() {
    let stage = Stage::alone();
    let program = stage.write("squall", "");
    std::fs::copy(SQUALL, &program).expect("copied");
    let scenario = stage.write("s.yaml", &APART.replace("${SQUALL}", &program));
    let reports = stage.reports();
    std::fs::create_dir(&reports).expect("made");
    let folder = reports.parent().expect("the test's folder").to_owned();
    let mut command = Command::new(&program);
    command
        .args(["run", &scenario, "--out"])
        .arg(&reports)
        .current_dir(&folder);
    let user = if geteuid().is_root() {
        for path in [&folder, &reports] {
            chown(path, Some(ORDINARY), Some(ORDINARY)).expect("root may");
        }
        command.uid(ORDINARY).gid(ORDINARY);
        ORDINARY
    } else {
        geteuid().as_raw()
    };
    let ended = stage.start(command).wait();
    if ended.code() == i32::from(Exit::MissingCapability.code()) {
        crate::support::not_tested(&ended.stderr);
        assert!(ended.stderr.contains("network: isolated needs"), "{ended}");
        return;
    }
    ended.assert_nothing_left();
    everything_is_proven(&ended.record());
    for name in ["run.json", "report.html", "logs/own.log", "data/ids"] {
        let left = std::fs::metadata(ended.folder().join(name)).expect("it is there");
        assert_eq!(left.uid(), user, "{name}");
    }
}

#[test]
fn metrics_are_served_in_the_machines_network() {
    if !networks_can_be_isolated() {
        return;
    }
    let stage = Stage::alone();
    let scenario = stage.write("apart.yaml", APART);
    let mut command = stage.run_command(&scenario, &["--metrics", "127.0.0.1:0"]);
    command.env("SQUALL", SQUALL);
    let mut running = stage.start(command);
    let line = running.wait_for("metrics: http://");
    let address = line
        .trim_start_matches("metrics: http://")
        .trim_end_matches("/metrics");
    running.wait_for("behind proven");
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: squall\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.contains("scenario=\"apart\""), "{answer}");
    running.signal(rustix::process::Signal::TERM);
    running.wait().assert_code(143).assert_nothing_left();
}

/// Scenarios of the shared network, in one of their own.
#[test]
fn what_runs_in_the_shared_network_runs_in_one_of_its_own() {
    if !networks_can_be_isolated() {
        return;
    }
    let stage = Stage::alone();
    let ended = stage.run("edge-http", &["--quick", "--set", "network=isolated"]);
    ended.assert_nothing_left();
    everything_is_proven(&ended.record());
}

#[test]
#[cfg_attr(not(feature = "journey"), ignore = "needs the feature `journey`")]
fn journeys_are_made_in_a_network_of_ones_own() {
    if !networks_can_be_isolated() {
        return;
    }
    let stage = Stage::alone();
    let ended = stage.run("id-generator-journey", &["--quick", "--set", "network=isolated"]);
    ended.assert_nothing_left();
    let record = ended.record();
    assert_eq!(record.network, Network::Isolated);
    for phase in &record.phases {
        assert!(phase.load["clerks"].completed > 5, "{phase:?}");
        assert_eq!(phase.load["clerks"].failed, 0);
    }
}

/// Answers every datagram with itself.
const ECHO: &str = r#"squall: 1
name: echo
seed: 5
network: isolated
services:
  echo:
    run:
      - python3
      - -c
      - |
        import socket, sys
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own.bind((sys.argv[1], int(sys.argv[2])))
        print("up", flush=True)
        while True:
            own.sendto(*own.recvfrom(2048))
      - "{echo.host}"
      - "{port}"
    ready: { log: "^up" }
load:
  drum: { to: echo, udp: { send: boom }, rate: 200/s, timeout: 300ms }
  hum: { to: echo, udp: { send: boom }, rate: 200/s, timeout: 300ms }
phases:
  - { phase: steady, for: 1s }
  - phase: lossy
    for: 3s
    faults:
      - loss: { as: leak, from: drum, to: echo, share: 30%, after: 200ms, for: 2s }
"#;

#[test]
fn datagrams_are_lost_of_the_load_that_is_hit_and_of_no_other() {
    let has_python = Command::new("python3").arg("--version").output().is_ok();
    if !has_python {
        return crate::support::not_tested("python3 is not installed");
    }
    if !networks_can_be_isolated() {
        return;
    }
    let stage = Stage::alone();
    let ended = stage.run(&stage.write("echo.yaml", ECHO), &[]);
    ended.assert_nothing_left();
    let record = ended.record();
    everything_is_proven(&record);
    let words: Vec<&str> = record.faults[0].undone_evidence.split(' ').collect();
    let [lost, of] = [0, 2].map(|at| words[at].parse::<u64>().unwrap_or_else(|_| panic!("{words:?}")));
    // Six standard deviations of 300 draws.
    let share = lost as f64 / of as f64;
    assert!(of > 300 && (share - 0.3).abs() < 0.16, "{lost} of {of}");
    let lossy = &record.phases[1];
    assert!(lossy.load["drum"].failed >= lost, "{lossy:?}");
    if ended.is_calm() {
        assert_eq!(lossy.load["hum"].failed, 0, "{lossy:?}");
        assert_eq!(lossy.load["drum"].failed, lost, "{lossy:?}");
    }
}

#[test]
fn a_program_that_listens_to_itself_alone_is_told_where_to_listen() {
    if !networks_can_be_isolated() {
        return;
    }
    let stage = Stage::alone();
    let scenario = stage.write(
        "deaf.yaml",
        r#"squall: 1
name: deaf
network: isolated
services:
  own:
    run: ["${SQUALL}", serve, id-generator, --listen, "127.0.0.1:{port}", --admin, "127.0.0.1:0", --data, "{data}"]
    ready: { tcp: true, within: 3s }
phases: [ { phase: all, for: 1s } ]
"#,
    );
    let mut command = stage.run_command(&scenario, &[]);
    command.env("SQUALL", SQUALL);
    let ended = stage.start(command).wait();
    ended.assert_exit(Exit::ExpectationNotMet).assert_nothing_left();
    let reasons = ended.record().reasons.concat();
    assert!(reasons.contains("{NAME.host}"), "{reasons}");
}

#[test]
fn faults_are_listed_with_what_they_do_to_packets() {
    let stage = Stage::shared();
    let ended = stage.squall(&["faults", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&ended.assert_code(0).stdout).expect("JSON");
    let plain = stage.squall(&["faults"]).stdout;
    for (kind, way) in [
        ("partition", "packets"),
        ("loss", "packets"),
        ("bandwidth", "queue"),
    ] {
        let named = |one: &&serde_json::Value, name: &str| one["name"] == name;
        let kind = all
            .as_array()
            .and_then(|all| all.iter().find(|one| named(one, kind)));
        let ways = kind.and_then(|kind| kind["ways"].as_array()).expect("its ways");
        let way = ways.iter().find(|one| named(one, way)).expect("the way");
        let is_available = squall_engine::network::probe().is_ok();
        assert_eq!(way["available"], is_available, "{way}");
        assert_eq!(way["unlock"].is_null(), is_available, "{way}");
        let about = way["about"].as_str().expect("a line");
        assert!(plain.contains(about), "{plain}");
    }
}

#[test]
fn a_machine_that_forbids_it_is_told_which_setting_does_before_anything_starts() {
    let stage = Stage::shared();
    let scenario = stage.write("apart.yaml", APART);
    // In a user namespace of its own, whose limits are its own too.
    let forbidding = format!(
        "echo 0 > /proc/sys/user/max_net_namespaces && exec '{SQUALL}' run '{scenario}' --out '{}'",
        stage.reports().display()
    );
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "sh", "-c", &forbidding])
        .env("SQUALL", SQUALL);
    if Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "sh",
            "-c",
            "echo 0 > /proc/sys/user/max_net_namespaces",
        ])
        .output()
        .map_or(true, |tried| !tried.status.success())
    {
        return crate::support::not_tested(
            "unshare(1) can't make a user namespace in which something is forbidden",
        );
    }
    let ended = stage.start(command).wait();
    ended.assert_code(i32::from(Exit::MissingCapability.code()));
    assert!(ended.stderr.contains("user.max_net_namespaces is 0"), "{ended}");
    assert!(!stage.reports().exists(), "nothing was begun");
}
