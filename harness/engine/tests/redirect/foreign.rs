//! Programs in languages with runtimes of their own, where they are installed.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use squall_engine::redirect::Transport;

use crate::rig::{Rig, is_possible, loopbacks, serve, source};
use crate::skipped;

/// Whether this can be tested here, with this tool; says loudly where not.
fn is_there(tool: &str, version: &str) -> bool {
    let is_there = Command::new(tool)
        .arg(version)
        .output()
        .is_ok_and(|out| out.status.success());
    if !is_there {
        skipped(&format!(
            "`{tool}` is not installed, so none of its programs was redirected"
        ));
    }
    is_there && is_possible()
}

/// A program that asks each of its targets `times` times is led to the proxies, and only where the table says so.
fn is_led(program: &Path, before: &[&str], times: usize, knows_peer: bool) {
    let rig = Rig::new();
    let mut targets = Vec::new();
    let mut expected = Vec::new();
    for ip in loopbacks() {
        let [real, proxy, other] = ["real", "proxy", "other"].map(|name| serve(ip, name));
        rig.table.set(Transport::Stream, real, proxy).expect("one family");
        targets.extend([real, other]);
        expected.extend([("proxy", proxy), ("other", other)]);
    }
    let targets: Vec<String> = targets
        .iter()
        .flat_map(|address: &SocketAddr| [address.ip().to_string(), address.port().to_string()])
        .collect();
    let args: Vec<&str> = before
        .iter()
        .copied()
        .chain(targets.iter().map(String::as_str))
        .collect();
    let printed = rig.run(program, &args);
    let expected: Vec<String> = expected
        .iter()
        .map(|(name, address)| {
            let peer = if knows_peer {
                address.port().to_string()
            } else {
                "unasked".to_owned()
            };
            format!("{name} peer={peer}")
        })
        .collect();
    assert_eq!(printed, vec![expected.clone(); times].concat());
    let counts = rig.table.counts();
    assert_eq!(
        (counts.redirected, counts.missed),
        ((times * expected.len() / 2) as u64, 0),
        "{counts:?}"
    );
}

#[test]
fn python_is_led() {
    if is_there("python3", "--version") {
        let script = source("client.py");
        is_led("python3".as_ref(), &[script.to_str().expect("text")], 2, true);
    }
}

#[test]
fn node_is_led() {
    if is_there("node", "--version") {
        let script = source("client.js");
        is_led("node".as_ref(), &[script.to_str().expect("text")], 1, true);
    }
}

#[test]
fn java_is_led() {
    if is_there("java", "-version") {
        let script = source("Client.java");
        let args = ["-XX:TieredStopAtLevel=1", script.to_str().expect("text")];
        is_led("java".as_ref(), &args, 2, false);
    }
}

#[test]
fn go_is_led() {
    if !is_there("go", "version") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("client");
    let built = Command::new("go")
        .args(["build", "-o"])
        .args([&program])
        .arg(".")
        .current_dir(source("go"))
        .env("GOCACHE", folder.path().join("cache"))
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off")
        .env("CGO_ENABLED", "0")
        .output()
        .expect("go was there a moment ago");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    is_led(&program, &[], 1, true);
}
