//! Scenarios whose edges a Toxiproxy server breaks: `squall proxy`, which speaks its API, and the original where Go can build it.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use squall_model::exit::Exit;
use squall_model::record::RunRecord;

use crate::proxy::{ask, start};
use crate::support::{PATIENCE, ROOT, Stage, eventually};

/// The shipped scenario of toxics, broken by the server at `api`.
fn toxics(stage: &Stage, api: &str) -> String {
    let shipped = fs::read_to_string(Path::new(ROOT).join("scenarios/edge-toxics.yaml")).expect("it ships");
    let text = shipped.replace("seed: 7\n", &format!("seed: 7\ntoxiproxy: http://{api}\n"));
    assert_ne!(text, shipped);
    stage.write("toxics.yaml", &text)
}

/// The names of the server's proxies.
fn proxies(api: &str) -> Vec<String> {
    let fields = "host: localhost\r\nconnection: close\r\n";
    let (status, body) = ask(api, "GET", "/proxies", fields, "");
    assert_eq!(status, 200, "{body}");
    let all: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    all.as_object().expect("an object").keys().cloned().collect()
}

/// Asserts that every toxic was felt and was over, and shows in the times and errors of its phase.
fn each_toxic_showed(record: &RunRecord) {
    for fault in &record.faults {
        assert!(fault.proved && fault.undone, "{fault:?}");
        let seen = if fault.kind == "down" {
            "ended, with the proxy on Toxiproxy disabled".to_owned()
        } else {
            format!("went to Toxiproxy while it listed {}", fault.kind)
        };
        assert!(fault.evidence.contains(&seen), "{fault:?}");
        assert!(fault.undone_evidence.contains(" crossed again"), "{fault:?}");
    }
    let phase = |name: &str| {
        let phase = record.phases.iter().find(|one| one.name == name);
        &phase.expect("it is there").load["get"]
    };
    // Half of a phase's requests meet its toxic; a tenth, to be robust.
    for (name, at_least_us) in [("late", 40_000), ("narrow", 90_000), ("sliced", 35_000)] {
        assert!(
            phase(name).response.p90 >= Some(at_least_us),
            "{name}: {:?}",
            phase(name)
        );
    }
    for name in ["reset", "limited", "swallowed", "lingering", "away"] {
        assert!(phase(name).failed > 50, "{name}: {:?}", phase(name));
    }
    assert!(record.edges[0].connections > 0 && record.edges[0].requests > Some(0));
}

#[test]
fn a_toxiproxy_server_breaks_the_edges_and_its_proxies_are_gone_afterwards() {
    let stage = Stage::alone();
    let (server, api) = start(&stage, &[]);
    let own = r#"{"name":"own","listen":"127.0.0.1:0","upstream":"127.0.0.1:9"}"#;
    assert_eq!(ask(&api, "POST", "/proxies", "", own).0, 201);
    let ended = stage.run(&toxics(&stage, &api), &[]);
    ended.assert_nothing_left();
    each_toxic_showed(&ended.record());
    assert_eq!(proxies(&api), ["own"], "those of others stay");
    server.signal(Signal::INT);
    server.wait();
    if ended.is_calm() {
        ended.assert_exit(Exit::Pass);
    }
}

#[test]
fn what_a_killed_run_left_on_the_server_is_deleted_by_clean() {
    let stage = Stage::alone();
    let (server, api) = start(&stage, &[]);
    let mut running = stage.start(stage.run_command(&toxics(&stage, &api), &[]));
    running.wait_for("slow proven");
    let made = proxies(&api);
    assert!(
        made.len() == 1 && made[0].starts_with("squall-edge-toxics-") && made[0].ends_with(".get.server"),
        "{made:?}"
    );
    running.signal(Signal::KILL);
    running.wait().assert_code(137).wait_until_nothing_left(PATIENCE);
    assert_eq!(proxies(&api), made, "no other process asks the server");
    let reports = stage.reports();
    let clean = || stage.squall(&["clean".as_ref(), "--out".as_ref(), reports.as_os_str()]);
    let cleaned = clean();
    cleaned.assert_code(0);
    assert!(cleaned.stdout.contains("on Toxiproxy"), "{cleaned}");
    assert!(proxies(&api).is_empty());
    assert_eq!(clean().stdout, "nothing was left\n");
    server.signal(Signal::INT);
    server.wait();
}

#[test]
fn a_server_that_is_not_there_stops_the_run_before_anything_starts() {
    let stage = Stage::shared();
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let api = free.local_addr().expect("bound").to_string();
    drop(free);
    let ended = stage.run(&toxics(&stage, &api), &[]);
    ended.assert_code(95);
    let said = format!("toxiproxy: no Toxiproxy answers at http://{api}");
    assert!(ended.stderr.contains(&said), "{ended}");
    assert!(ended.stderr.contains("start `toxiproxy-server` there"), "{ended}");
    assert!(!stage.reports().exists(), "nothing was started");
}

/// The original, until it is dropped.
struct Original(Child);

impl Drop for Original {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Builds the original and starts it. Why it can't be had otherwise.
fn original() -> Result<(Original, SocketAddr), String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("toxiproxy-2.12.0");
    let program = folder.join("server");
    if !program.exists() {
        let built = Command::new("go")
            .args(["install", "github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0"])
            .env("GOBIN", &folder)
            .output()
            .map_err(|error| format!("`go` is not here: {error}"))?;
        if !built.status.success() {
            return Err(String::from_utf8_lossy(&built.stderr).into_owned());
        }
    }
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let api = free.local_addr().expect("bound");
    drop(free);
    let child = Command::new(program)
        .args(["-host", "127.0.0.1", "-port", &api.port().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let server = Original(child);
    eventually("Toxiproxy listens", PATIENCE, || {
        TcpStream::connect_timeout(&api, Duration::from_millis(500)).is_ok()
    });
    Ok((server, api))
}

#[test]
#[ignore = "builds Toxiproxy with Go: `just test-full`"]
fn the_original_breaks_the_edges_too() {
    let (_server, api) = match original() {
        Ok(started) => started,
        Err(missing) => {
            let _ = writeln!(
                std::io::stderr(),
                "NOT CHECKED: edges broken by Toxiproxy itself: {missing}"
            );
            return;
        }
    };
    let stage = Stage::alone();
    let api = api.to_string();
    let ended = stage.run(&toxics(&stage, &api), &[]);
    ended.assert_nothing_left();
    each_toxic_showed(&ended.record());
    assert!(proxies(&api).is_empty());
}
