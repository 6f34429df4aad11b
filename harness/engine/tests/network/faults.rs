//! Faults on packets, and their receipts.

use std::sync::Arc;

use squall_edge::Direction;
use squall_engine::fault::{Fault as _, PacketDeed, PacketFault, PacketPath, PacketSpec, Receipt};
use squall_engine::network::Network;
use squall_model::units::Ratio;

use crate::fixture::eventually;
use crate::world::{acquaint, network, pairs, send, socket};

fn fault(network: &Arc<Network>, deed: PacketDeed, caller: &str, directions: &[Direction]) -> PacketFault {
    let spec = PacketSpec {
        deed,
        paths: vec![PacketPath {
            caller: caller.to_owned(),
            callee: "feed".to_owned(),
            directions: directions.to_vec(),
        }],
    };
    PacketFault::new(&spec, network).expect("its ends are there")
}

/// What a receipt says once it is there.
fn proven(what: &str, mut ask: impl FnMut() -> Receipt) -> String {
    let mut evidence = String::new();
    eventually(what, || match ask() {
        Receipt::Proven { evidence: found } => {
            evidence = found;
            true
        }
        Receipt::Pending => false,
        Receipt::Failed { reason } => panic!("{what}: {reason}"),
    });
    evidence
}

pub(crate) fn a_fault_is_proven_by_the_packets_that_met_it() {
    let network = Arc::new(network());
    let all = PacketDeed::Drop(Ratio::new(1.0));
    for (from, to) in pairs(&network, "refresh", "feed") {
        for (deed, directions, count, expected) in [
            (
                all,
                &Direction::BOTH[..],
                20,
                "2 packets had crossed, then 20 of 20 were dropped",
            ),
            (
                all,
                &[Direction::Downstream],
                20,
                "one packet had crossed, then 20 of 20 were dropped",
            ),
            (
                PacketDeed::Drop(Ratio::new(0.5)),
                &[Direction::Upstream],
                100,
                " of 100 were dropped",
            ),
            (
                PacketDeed::Limit(1_000),
                &[Direction::Upstream],
                400,
                ", then 400 met a queue in which they waited ",
            ),
        ] {
            // New ones each time: what was not read lies in the old ones.
            let [load, feed] = [socket(&network, "generator", from), socket(&network, "feed", to)];
            let [at_load, at_feed] = [&load, &feed].map(|socket| socket.local_addr().expect("bound"));
            let mut fault = fault(&network, deed, "refresh", directions);
            acquaint(&load, &feed);
            fault.inject().expect("injected");
            assert_eq!(fault.prove(), Receipt::Pending, "{deed:?}");
            let why = fault.lacking();
            assert!(
                why.contains("no packet of refresh and feed came while it held"),
                "{why}"
            );
            match directions {
                [Direction::Downstream] => send(&feed, at_load, count),
                _ => send(&load, at_feed, count),
            }
            eventually("all have met it", || {
                proven("it is felt", || fault.prove()).contains(expected)
            });
            assert_eq!(fault.still_holds(), Ok(()));
            fault.heal().expect("healed");
            assert_eq!(fault.prove_healed(), Receipt::Pending, "{deed:?}");
            send(&load, at_feed, 1);
            send(&feed, at_load, 1);
            let over = proven("it is over", || fault.prove_healed());
            assert!(over.contains("crossed again"), "{over}");
        }
    }
}

pub(crate) fn a_fault_that_nobody_meets_is_not_proven() {
    let network = Arc::new(network());
    let mut fault = fault(
        &network,
        PacketDeed::Drop(Ratio::new(1.0)),
        "ids",
        &Direction::BOTH,
    );
    fault.inject().expect("injected");
    // Others' packets are none of its own.
    let pairs = pairs(&network, "refresh", "feed");
    let (from, to) = pairs[0];
    acquaint(
        &socket(&network, "generator", from),
        &socket(&network, "feed", to),
    );
    assert_eq!(fault.prove(), Receipt::Pending);
    let why = fault.lacking();
    assert!(why.contains("never used its edge to feed"), "{why}");
    fault.heal().expect("healed");
    let over = proven("nothing is left", || fault.prove_healed());
    assert!(over.contains("ids->feed was not used"), "{over}");
}
