//! The shipped scenarios that break edges.

use squall_model::event::EventKind;
use squall_model::exit::Exit;
use squall_model::record::{RunRecord, Verdict};

use super::{canary, errors, fault, invariant};
use crate::support::Stage;

/// Asserts that a fault met what crossed its edge, and that something crossed again after it.
#[track_caller]
fn proven_on_its_edge(record: &RunRecord, name: &str, edge: &str) {
    let fault = fault(record, name);
    assert!(fault.proved && fault.undone, "{fault:?}");
    assert_eq!(fault.edge.as_deref(), Some(edge));
    assert!(
        fault.evidence.contains(" had crossed on ") && fault.undone_evidence.contains(" crossed again"),
        "{fault:?}"
    );
}

#[test]
fn a_load_that_is_cut_off_fails_and_is_back_when_it_is_healed() {
    let stage = Stage::alone();
    let ended = stage.run("edge-partition", &["--quick"]);
    ended.assert_nothing_left();
    let record = ended.record();
    for name in ["hold", "break", "mute"] {
        proven_on_its_edge(&record, name, "get->ids");
        assert!(
            fault(&record, name).felt.unmeasured.is_empty(),
            "{:?}",
            record.faults
        );
    }
    assert!(
        errors(&record, "held", "get", "timeout") > 0,
        "{:?}",
        record.phases[1]
    );
    assert!(
        errors(&record, "broken", "get", "connect_refused") > 0,
        "{:?}",
        record.phases[2]
    );
    // Whether a request was on one of them at that moment is chance.
    let broken = &fault(&record, "break").evidence;
    assert!(broken.contains(" reset"), "{broken}");
    assert!(
        errors(&record, "unheard", "get", "timeout") > 0,
        "{:?}",
        record.phases[3]
    );
    let edge = &record.edges[0];
    assert_eq!((edge.caller.as_str(), edge.callee.as_str()), ("get", "ids"));
    // Half a second without a byte, and an answer at least for every request that did not fail.
    assert!(edge.longest_silence_us > Some(300_000), "{edge:?}");
    let answered: u64 = record
        .phases
        .iter()
        .map(|phase| &phase.load["get"])
        .map(|load| load.completed - load.failed)
        .sum();
    assert!(
        edge.requests >= Some(answered) && edge.bytes > answered,
        "{edge:?}"
    );
    assert_eq!(invariant(&record, "ids.unique").2, Verdict::Pass);
    if ended.is_calm() {
        ended.assert_exit(Exit::Pass);
    }
}

#[test]
fn each_toxic_shows_in_the_times_or_the_errors_of_its_phase() {
    let stage = Stage::alone();
    let ended = stage.run("edge-toxics", &[]);
    ended.assert_nothing_left();
    let record = ended.record();
    for fault in &record.faults {
        proven_on_its_edge(&record, &fault.name, "get->server");
    }
    // Half of the phase's requests are delayed, and no delay is shorter than was asked for: a tenth, to be robust.
    for (phase, at_least_us) in [("late", 40_000), ("narrow", 90_000), ("sliced", 35_000)] {
        let phase = record
            .phases
            .iter()
            .find(|one| one.name == phase)
            .expect("it is there");
        let load = &phase.load["get"];
        assert!(load.response.p90 >= Some(at_least_us), "{}: {load:?}", phase.name);
    }
    for (phase, kind) in [
        ("reset", "reset"),
        ("limited", "closed"),
        ("swallowed", "closed"),
        ("lingering", "closed"),
        ("away", "connect_refused"),
    ] {
        let count = errors(&record, phase, "get", kind);
        assert!(count > 50, "{count} {kind} in {phase}: {:?}", record.phases);
    }
    let longest = |phase: usize| record.phases[phase].load["get"].response.p90;
    // What is closed late ends late; without that, it ends at once.
    assert!(longest(7) >= Some(200_000), "{:?}", record.phases[7]);
    if ended.is_calm() {
        ended.assert_exit(Exit::Pass);
    }
}

#[test]
fn single_requests_are_aborted_delayed_and_marked_on_their_way() {
    let stage = Stage::alone();
    let ended = stage.run("edge-http", &["--quick"]);
    ended.assert_nothing_left();
    let record = ended.record();
    for (name, edge) in [
        ("refuse", "buy->server"),
        ("delay", "look->server"),
        ("mark", "read->server"),
    ] {
        proven_on_its_edge(&record, name, edge);
    }
    // Of whichever phase they were meant for.
    let refused = ["steady", "meddled", "after"].map(|phase| errors(&record, phase, "buy", "status_503"));
    assert_eq!(refused.iter().sum::<u64>(), 50, "the first fifty: {refused:?}");
    let meddled = |load: &str| &record.phases[1].load[load];
    assert!(
        meddled("look").response.p90 >= Some(70_000),
        "{:?}",
        meddled("look")
    );
    // The load misses the header in every answer but those that the fault has marked.
    let unmarked = |phase: usize| {
        let load = &record.phases[phase].load["read"];
        (
            load.errors.get("check_header").copied().unwrap_or(0),
            load.completed,
        )
    };
    assert!(unmarked(0).0 > unmarked(0).1 / 2, "{:?}", unmarked(0));
    assert!(unmarked(1).0 < unmarked(1).1 / 2, "{:?}", unmarked(1));
    for edge in &record.edges {
        let sent: u64 = record
            .phases
            .iter()
            .map(|phase| phase.load[&edge.caller].sent)
            .sum();
        let requests = edge.requests.expect("it is read");
        let answered: u64 = record
            .phases
            .iter()
            .map(|phase| &phase.load[&edge.caller].response)
            .map(|all| all.count)
            .sum();
        // All of them, but for those that a busy machine let time out.
        assert!(
            requests <= sent && requests * 10 > answered * 9,
            "{edge:?} of {sent}"
        );
        let per_call = edge.requests_per_call.expect("a load is its own caller");
        assert!(
            (per_call - requests as f64 / sent as f64).abs() < 1e-9,
            "{edge:?}"
        );
    }
    if ended.is_calm() {
        ended.assert_exit(Exit::Pass);
    }
}

#[test]
fn datagrams_are_lost_doubled_shuffled_garbled_and_late_on_their_way() {
    let stage = Stage::alone();
    let ended = stage.run("edge-datagrams", &[]);
    ended.assert_nothing_left();
    let record = ended.record();
    for name in ["lost", "twice", "behind", "flipped", "slow", "silent"] {
        let fault = fault(&record, name);
        assert!(fault.proved && fault.undone, "{fault:?}");
        assert_eq!(fault.edge.as_deref(), Some("ask->server"));
        assert!(fault.evidence.contains(" had crossed on "), "{fault:?}");
    }
    let phase = |name: &str| {
        let phase = record.phases.iter().find(|one| one.name == name);
        &phase.expect("it is there").load["ask"]
    };
    // Half of the phase's requests meet a fault that is done to half of the datagrams; a tenth, to be robust.
    let lost = errors(&record, "lossy", "ask", "timeout");
    assert!(
        lost * 10 > phase("lossy").sent && lost * 2 < phase("lossy").sent,
        "{lost}"
    );
    assert!(
        errors(&record, "cut", "ask", "timeout") * 4 > phase("cut").sent,
        "{:?}",
        phase("cut")
    );
    // No delay is shorter than was asked for.
    assert!(
        phase("shuffled").response.p90 >= Some(100_000),
        "{:?}",
        phase("shuffled")
    );
    assert!(phase("late").response.p90 >= Some(50_000), "{:?}", phase("late"));
    let edge = &record.edges[0];
    assert!(
        edge.connections > 0 && edge.requests.is_none() && edge.bytes > 0,
        "{edge:?}"
    );
    if ended.is_calm() {
        ended.assert_exit(Exit::Pass);
    }
}

#[test]
fn a_program_that_has_an_address_from_a_file_is_cut_off_from_it_by_redirection() {
    if let Err(why) = squall_engine::redirect::probe() {
        let ended = Stage::shared().squall(&["run", "edge-redirect"]);
        ended.assert_code(95).assert_nothing_left();
        return crate::foreign::not_checked("edge-redirect", &why.to_string());
    }
    let stage = Stage::alone();
    let ended = stage.run("edge-redirect", &["--quick"]);
    ended.assert_nothing_left();
    let record = ended.record();
    for name in ["held", "broken-off"] {
        proven_on_its_edge(&record, name, "gateway->ids");
    }
    let [edge] = &record.edges[..] else {
        panic!("one edge has a proxy: {:?}", record.edges)
    };
    assert!(
        edge.connections > 0 && edge.redirected >= Some(edge.connections) && edge.missed == Some(0),
        "{edge:?}"
    );
    // It was told where the generator of ids is, and not where its proxy is.
    let ready = |service: &str| {
        let events = ended.events();
        let found = events.into_iter().find_map(|event| match event.kind {
            EventKind::ServiceReady {
                service: name,
                address,
            } if name == service => address,
            _ => None,
        });
        found.expect("it has an address")
    };
    let told = ended.file("data/gateway/backends.json");
    assert!(
        told.contains(&format!("\"upstream\": \"{}\"", ready("ids"))),
        "{told}"
    );
    for phase in ["cut", "broken"] {
        let failed = |load: &str| {
            let phase = record.phases.iter().find(|one| one.name == phase);
            phase.expect("it is there").load[load].failed
        };
        assert!(
            failed("through") > failed("direct"),
            "{phase}: {:?}",
            record.phases
        );
    }
    if ended.is_calm() {
        ended.assert_exit(Exit::Pass);
    }
}

#[test]
fn an_edge_that_nobody_uses_proves_nothing_and_the_run_is_invalid() {
    let record = canary("canary-unused-edge", Exit::Invalid, "never used its edge to ids");
    let fault = &record.faults[0];
    assert!(
        !fault.proved && fault.evidence.contains("needs `redirect: true`"),
        "{fault:?}"
    );
    assert_eq!((record.edges[0].connections, record.edges[0].bytes), (0, 0));
    assert_eq!(
        record.edges[0].longest_silence_us, None,
        "nothing was seen, not nothing for long"
    );
}

#[test]
fn errors_that_a_partition_makes_fail_a_run_that_allows_none() {
    let stage = Stage::alone();
    let ended = stage.run("canary-partition-fails", &[]);
    ended.assert_nothing_left();
    let record = ended.record();
    // On a machine that is too busy the run says that nothing can be said.
    assert_ne!(record.verdict, Verdict::Pass);
    if ended.is_calm() {
        ended.assert_exit(Exit::ExpectationNotMet);
        let said = |text: &String| text.contains("expected get.errors == 0% in cut");
        assert!(record.reasons.iter().any(said), "{:#?}", record.reasons);
    }
    proven_on_its_edge(&record, "partition", "get->ids");
    assert!(errors(&record, "cut", "get", "timeout") > 0);
}
