//! `redirect: true`: services that have the addresses of others from elsewhere come by the proxies all the same.

use std::time::Duration;

use squall_model::exit::Exit;
use squall_model::record::{EdgeRecord, FaultRecord, RunRecord};

use crate::foreign::{ended, not_checked};
use crate::support::{Answering, Ended, ROOT, Stage};

/// Whether this machine allows it; says so where not.
fn is_possible() -> bool {
    let found = squall_engine::redirect::probe();
    if let Err(why) = &found {
        not_checked("redirected services", &why.to_string());
    }
    found.is_ok()
}

/// `squall proxy` as a service that listens at its port of each of `listens` and passes on to `upstream`, which it has from a file.
fn relay(name: &str, listens: &[&str], upstream: &str, more: &str) -> String {
    let one = |ip: &&str| {
        format!(r#"{{"name": "{ip}", "listen": "{ip}:{{port.http}}", "upstream": "{upstream}"}}"#)
    };
    let all: Vec<String> = listens.iter().map(one).collect();
    let script = format!(
        "echo '[{}]' > {{data}}/proxies.json && exec {{squall}} proxy --listen 127.0.0.1:{{port.api}} --config {{data}}/proxies.json",
        all.join(", ")
    );
    format!("  {name}: {{ run: [sh, -c, {script:?}], ports: [http, api], {more} }}\n")
}

/// Runs the services under a load on `gateway`; a second into the second phase the fault comes, and is over a second later.
fn cut(stage: &Stage, services: &str, ends: &str) -> Ended {
    let scenario = stage.write(
        "led.yaml",
        &format!(
            "squall: 1\nname: led\nseed: 7\nservices:\n{services}load:\n  through: {{ to: gateway, http: {{ get: /id }}, \
             rate: 200/s, connections: 32, timeout: 250ms }}\nphases:\n  - {{ phase: steady, for: 1s }}\n  - phase: cut\n    \
             for: 3s\n    faults:\n      - partition: {{ between: [{ends}], after: 1s, for: 1s }}\n  - {{ phase: after, for: 1s }}\n\
             expect:\n  partition: [\"through.errors > 10%\"]\n"
        ),
    );
    let ended = stage.run(&scenario, &[]);
    ended.assert_nothing_left();
    ended
}

#[track_caller]
fn fault<'a>(record: &'a RunRecord, name: &str) -> &'a FaultRecord {
    let found = record.faults.iter().find(|fault| fault.name == name);
    found.unwrap_or_else(|| panic!("{name} is not among {:?}", record.faults))
}

/// The fault was felt and is over, by bytes of connects that were all redirected.
#[track_caller]
fn proven_by_redirect(ended: &Ended, name: &str, edge: &str) {
    let record = ended.record();
    let fault = fault(&record, name);
    assert!(fault.proved && fault.undone, "{fault:?}\n{ended}");
    assert_eq!(fault.edge.as_deref(), Some(edge));
    assert!(fault.undone_evidence.contains(" crossed again"), "{fault:?}");
    let [
        EdgeRecord {
            connections,
            redirected,
            missed,
            ..
        },
    ] = record.edges[..]
    else {
        panic!("one edge has a proxy: {:?}", record.edges)
    };
    assert_eq!(missed, Some(0), "{:?}", record.edges);
    assert!(
        connections > 0 && redirected >= Some(connections),
        "{:?}",
        record.edges
    );
}

#[test]
fn a_callee_at_an_ipv6_address_is_cut_off_from_a_redirected_caller() {
    let answering = Answering::at("[::1]:0", Duration::ZERO, || (200, "{}"));
    let far = match answering {
        Ok(far) if is_possible() => far,
        Ok(_) => return,
        Err(e) => return not_checked("redirected services over IPv6", &e.to_string()),
    };
    let stage = Stage::alone();
    let services = format!("  far: {{ at: {:?} }}\n", far.address)
        + &relay("gateway", &["127.0.0.1"], "{far}", "calls: [far], redirect: true");
    let ended = cut(&stage, &services, "gateway, far");
    proven_by_redirect(&ended, "partition", "gateway->far");
    ended.assert_exit(Exit::Pass);
    assert!(!far.asked().is_empty());
}

#[test]
fn a_callee_that_listens_at_both_loopback_addresses_is_known_by_both() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return not_checked("services at both loopback addresses", "there is no ::1");
    }
    if !is_possible() {
        return;
    }
    let stage = Stage::alone();
    let services = "  ids: { use: id-generator }\n".to_owned()
        + &relay("front", &["127.0.0.1", "[::1]"], "{ids}", "calls: [ids]")
        + &relay(
            "gateway",
            &["127.0.0.1"],
            "[::1]:{front.port}",
            "calls: [front], redirect: true",
        );
    let ended = cut(&stage, &services, "gateway, front");
    proven_by_redirect(&ended, "partition", "gateway->front");
    ended.assert_exit(Exit::Pass);
}

#[test]
fn a_caller_that_was_started_again_is_redirected_as_before() {
    if !is_possible() {
        return;
    }
    let stage = Stage::alone();
    let relay = relay("gateway", &["127.0.0.1"], "{ids}", "calls: [ids], redirect: true");
    let scenario = stage.write(
        "again.yaml",
        &format!(
            "squall: 1\nname: again\nseed: 7\nservices:\n  ids: {{ use: id-generator }}\n{relay}load:\n  through: {{ to: gateway, \
             http: {{ get: /id }}, rate: 200/s, connections: 32, timeout: 250ms }}\nphases:\n  - phase: restarted\n    for: 4s\n    \
             faults:\n      - restart: {{ target: gateway, after: 500ms, down: 300ms }}\n      - kill: {{ target: gateway, after: 2500ms, for: 300ms }}\n  \
             - phase: cut\n    for: 3s\n    faults:\n      - partition: {{ between: [gateway, ids], after: 1s, for: 1s }}\n"
        ),
    );
    let ended = stage.run(&scenario, &[]);
    ended.assert_nothing_left();
    proven_by_redirect(&ended, "partition", "gateway->ids");
    let record = ended.record();
    for name in ["restart", "kill"] {
        let fault = fault(&record, name);
        assert!(fault.proved && fault.undone, "{fault:?}");
    }
    ended.assert_exit(Exit::Pass);
}

#[test]
fn python_that_knows_an_address_by_heart_is_cut_off_from_it() {
    if let Err(why) = ended(std::process::Command::new("python3").args(["-c", "import urllib.request"])) {
        return not_checked("a redirected Python", &why);
    }
    if !is_possible() {
        return;
    }
    let stage = Stage::alone();
    let backend = Answering::start(Duration::ZERO, || (200, "{}"));
    let port = backend.address.rsplit(':').next().expect("a port");
    stage.write(
        "caller.py",
        &format!(
            "import time, urllib.request\nwhile True:\n    try:\n        urllib.request.urlopen('http://localhost:{port}/', timeout=0.2).read()\n    \
             except OSError:\n        pass\n    time.sleep(0.01)\n"
        ),
    );
    let scenario = stage.write(
        "python.yaml",
        &format!(
            "squall: 1\nname: python\nservices:\n  backend: {{ at: \"localhost:{port}\" }}\n  caller: {{ run: [python3, caller.py], \
             calls: [backend], redirect: true }}\nphases:\n  - phase: cut\n    for: 5s\n    faults:\n      \
             - partition: {{ between: [caller, backend], after: 2s, for: 1s }}\nexpect:\n  run: [\"edge.caller->backend.connections > 20\"]\n"
        ),
    );
    let ended = stage.run(&scenario, &[]);
    ended.assert_nothing_left();
    proven_by_redirect(&ended, "partition", "caller->backend");
    ended.assert_exit(Exit::Pass);
}

#[test]
fn where_a_redirected_caller_goes_elsewhere_the_run_says_what_was_seen_of_it() {
    if !is_possible() {
        return;
    }
    let stage = Stage::alone();
    let services = "  ids: { use: id-generator }\n  other: { use: id-generator }\n  \
                    idle: { run: [sleep, \"60\"], calls: [ids], redirect: true }\n"
        .to_owned()
        + &relay(
            "gateway",
            &["127.0.0.1"],
            "{other}",
            "calls: [ids, other], redirect: true",
        );
    let scenario = stage.write(
        "astray.yaml",
        &format!(
            "squall: 1\nname: astray\nseed: 7\nservices:\n{services}load:\n  through: {{ to: gateway, http: {{ get: /id }}, rate: 100/s, \
             timeout: 1s }}\nphases:\n  - phase: cut\n    for: 3s\n    faults:\n      - partition: {{ as: one, between: [gateway, ids], \
             after: 1s, for: 1s }}\n      - partition: {{ as: two, between: [idle, ids], after: 1s, for: 1s }}\n"
        ),
    );
    let ended = stage.run(&scenario, &[]);
    ended.assert_exit(Exit::Invalid).assert_nothing_left();
    let record = ended.record();
    for (name, words) in [
        ("one", "it has `redirect: true`, but none of its "),
        ("two", "it has `redirect: true`, and connected to nothing"),
    ] {
        let fault = fault(&record, name);
        assert!(!fault.proved && fault.evidence.contains(words), "{fault:?}");
    }
    // The edge that no fault hits has no proxy, and its traffic is what it would be.
    assert_eq!(record.edges.len(), 2, "{:?}", record.edges);
    assert_eq!(record.phases[0].load["through"].failed, 0);
}

/// Linux allows one listener for a process, so what is itself redirected can redirect nobody.
#[test]
fn where_connects_can_not_be_redirected_nothing_starts_and_the_reason_is_told() {
    if !is_possible() {
        return;
    }
    let stage = Stage::alone();
    let script = format!(
        "{{squall}} run {ROOT}/scenarios/edge-redirect.yaml --out {{data}}; echo code $?; {{squall}} faults; echo done; exec sleep 600"
    );
    let scenario = stage.write(
        "inside.yaml",
        &format!(
            "squall: 1\nname: inside\nservices:\n  ids: {{ use: id-generator }}\n  inner: {{ run: [sh, -c, {script:?}], calls: [ids], \
             redirect: true, ready: {{ log: ^done$, within: 30s }} }}\nphases:\n  - phase: cut\n    for: 1s\n    faults:\n      \
             - partition: {{ between: [inner, ids], for: 500ms }}\n"
        ),
    );
    let ended = stage.run(&scenario, &[]);
    ended.assert_exit(Exit::Invalid).assert_nothing_left();
    let log = ended.file("logs/inner.log");
    let before = log.split("code 95\n").next().unwrap_or_default();
    assert!(
        log.contains("code 95\n")
            && before.contains("service gateway: redirect needs seccomp notifications")
            && before.contains("Linux allows one listener"),
        "{log}"
    );
    let inner = ended.folder().join("data/inner/edge-redirect");
    assert!(!inner.exists(), "no run has begun");
    let missing = "  missing    redirect: ";
    assert!(
        log.contains(missing) && log.contains("to unlock: what started squall"),
        "{log}"
    );
}
