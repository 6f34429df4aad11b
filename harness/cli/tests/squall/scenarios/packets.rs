//! Packets that are dropped in networks of the run's own.

use squall_model::exit::Exit;
use squall_model::record::Verdict;
use squall_model::scenario::Network;

use super::{canary, errors, fault, invariant};
use crate::support::{Stage, networks_can_be_isolated};

#[test]
fn packets_are_dropped_one_way_and_both_in_a_share_and_by_a_narrow_cable() {
    if !networks_can_be_isolated() {
        return;
    }
    let stage = Stage::alone();
    let ended = stage.run("network-partition", &[]);
    ended.assert_nothing_left();
    let record = ended.record();
    assert_eq!(record.network, Network::Isolated);
    for (name, edge) in [
        ("cut", "get"),
        ("mute", "get"),
        ("leak", "get"),
        ("narrow", "many"),
    ] {
        let fault = fault(&record, name);
        assert!(fault.proved && fault.undone, "{fault:?}");
        assert_eq!(fault.edge, Some(format!("{edge}->ids")));
        assert!(
            fault.evidence.contains(" packets had crossed, then ")
                && fault.undone_evidence.contains(" crossed again"),
            "{fault:?}"
        );
    }
    // Packets of one load only: nothing was lost of the other.
    for phase in ["cut-off", "unheard"] {
        let timeouts = ["timeout", "connect_timeout"].map(|kind| errors(&record, phase, "get", kind));
        assert!(timeouts.iter().sum::<u64>() > 0, "{phase}: {:?}", record.phases);
    }
    // Of thousands of packets a tenth was lost.
    let (lost, of) = lost(&fault(&record, "leak").undone_evidence);
    let share = lost / of;
    assert!(of > 500.0 && (share - 0.1).abs() < 0.06, "{lost} of {of}");
    for path in ["ids.unique", "ids.monotonic"] {
        assert_eq!(invariant(&record, path).2, Verdict::Pass, "{path}");
    }
    // A machine that starves the service lets requests time out that met no fault.
    let spared = [(0, "get"), (0, "many"), (1, "many"), (2, "many")];
    let starved = spared.map(|(phase, load)| record.phases[phase].load[load].failed);
    if ended.is_calm() && starved == [0; 4] {
        ended.assert_exit(Exit::Pass);
    }
}

/// "12 of 345 packets were dropped in all; ..."
fn lost(evidence: &str) -> (f64, f64) {
    let words: Vec<&str> = evidence.split(' ').collect();
    let number = |at: usize| words[at].parse().unwrap_or_else(|_| panic!("{evidence}"));
    (number(0), number(2))
}

#[test]
fn an_end_that_sends_no_packet_proves_nothing_and_the_run_is_invalid() {
    if !networks_can_be_isolated() {
        return;
    }
    let record = canary("canary-unused-end", Exit::Invalid, "never used its edge to ids");
    let fault = &record.faults[0];
    assert!(
        !fault.proved && fault.edge.as_deref() == Some("idle->ids"),
        "{fault:?}"
    );
}
