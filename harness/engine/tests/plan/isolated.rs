//! Scenarios in a network of their own: what faults do to packets there, what goes on by proxy, and what can't be had.

use expect_test::expect;
use squall_engine::plan::{Plan, show};

use crate::rig::{around, check, plan};

const SERVICES: &str = r#"network: isolated
services:
  feed: { use: gateway, calls: { backend: ids } }
  ids: { use: store }
load:
  make: { to: feed, http: { get: / }, rate: 100/s }
  drum: { to: ids, udp: { send: hello }, rate: 100/s }
"#;

/// The scenario with these faults, a line each, in one phase.
fn with(faults: &str) -> String {
    let lines: Vec<String> = faults
        .lines()
        .map(|line| format!("      - {}\n", line.trim()))
        .collect();
    around(&format!(
        "{SERVICES}phases:\n  - phase: all\n    for: 10s\n    faults:\n{}",
        lines.concat()
    ))
}

/// Each fault, what it does, and the packets or proxies that it does it to.
fn hits(plan: &Plan) -> String {
    let line = |fault: &squall_engine::plan::PlannedFault| {
        let ways = |directions: &[squall_edge::Direction]| {
            let names: Vec<_> = directions.iter().map(|way| way.name()).collect();
            names.join("+")
        };
        let paths = fault.packets.iter().flat_map(|packets| &packets.paths);
        let packets = paths.map(|path| format!("packets of {} {}", path.name(), ways(&path.directions)));
        let proxied = fault.crossings.iter().map(|one| {
            format!(
                "proxy of {} {}",
                plan.edges[one.edge].name(),
                ways(&one.directions)
            )
        });
        let all: Vec<String> = packets.chain(proxied).collect();
        format!("{}: {}: {}\n", fault.name, fault.about(), all.join(", "))
    };
    plan.faults.iter().map(line).collect()
}

#[test]
fn partitions_losses_and_limits_are_of_packets_and_the_rest_goes_through_proxies() {
    expect![[r#"
        cut: drops every packet between feed and ids: packets of feed->ids upstream+downstream
        mute: drops every packet from feed to make: packets of make->feed downstream
        shut: closes and refuses connections between make and feed: proxy of make->feed upstream+downstream
        apart: drops every packet between the groups make | feed, drum | ids: packets of make->feed upstream+downstream, packets of feed->ids upstream+downstream, packets of drum->ids upstream+downstream
        leak: drops 10.0 % of the packets between ids and drum: packets of drum->ids upstream+downstream
        narrow: lets all that ids gets go at 97.7 KiB/s: packets of drum->ids upstream
        late: delays bytes by 5.00 ms between make and feed: proxy of make->feed upstream+downstream
    "#]]
    .assert_eq(&hits(&plan(&with(
        "partition: { as: cut, between: [feed, ids], for: 1s }
         partition: { as: mute, from: feed, to: make, for: 1s }
         partition: { as: apart, groups: [[make], [feed, drum], [ids]], after: 2s, for: 1s }
         loss: { as: leak, between: [ids, drum], share: 10%, after: 4s }
         bandwidth: { as: narrow, from: drum, to: ids, rate: 100KB, after: 4s }
         latency: { as: late, between: [make, feed], delay: 5ms, after: 4s }
         down: { as: shut, between: [make, feed], for: 1s }",
    ))));
}

#[test]
fn a_plan_says_that_the_network_is_isolated_and_what_that_needs() {
    let shown = show(&plan(&with("loss: { between: [feed, ids], share: 1% }")));
    for line in [
        "s: 10.0 s in all, seed 7, in a network of its own",
        "  feed->ids        packet by packet",
        "  network namespaces with nftables and tbf, and for an ordinary user a user namespace",
    ] {
        assert!(
            shown.lines().any(|found| found == line),
            "no `{line}` in\n{shown}"
        );
    }
    let shared = show(&plan(&around("")));
    assert!(!shared.contains("network"), "{shared}");
}

#[test]
fn nothing_that_runs_already_can_be_reached() {
    check(
        &around("network: isolated\nservices: { db: { at: \"127.0.0.1:5432\" } }\nload: {}\n"),
        &expect![[r#"
            s.yaml:5:23: error: `db` already runs outside, where nothing in an isolated network can reach it
              s.yaml:4:10: the network
              help: start it with `run: [...]`, or leave `network: isolated` out"#]],
    );
}

#[test]
fn packets_know_nothing_of_connections() {
    check(
        &with(
            "partition: { between: [make, feed], open: reset, for: 1s }
             partition: { between: [make, feed], new: refuse, after: 2s, for: 1s }
             bandwidth: { between: [make, feed], rate: 1MB, share: 50% }",
        ),
        &expect![[r#"
            s.yaml:14:51: error: an isolated network loses packets, and knows nothing of connections
              help: leave `open` and `new` out, or leave `network: isolated` out to cut off streams by a proxy
            s.yaml:15:50: error: an isolated network loses packets, and knows nothing of connections
              help: leave `open` and `new` out, or leave `network: isolated` out to cut off streams by a proxy
            s.yaml:16:63: error: an isolated network limits a cable, and knows nothing of connections
              help: leave `share` out, or leave `network: isolated` out to limit connections by a proxy"#]],
    );
}

#[test]
fn packets_are_lost_in_an_isolated_network_only() {
    check(
        &around(
            "phases: [ { phase: all, for: 10s, faults: [ loss: { between: [make, ids], share: 10% } ] } ]\n",
        ),
        &expect![[r#"
            s.yaml:5:69: error: `make` sends no datagrams, and this fault is one of datagrams, such as a load with `udp` sends
              s.yaml:5:63: the caller
              help: streams lose no bytes but with packets: write `network: isolated`, or use `partition`"#]],
    );
}

#[test]
fn a_share_of_packets_is_more_than_none_and_at_most_all() {
    check(
        &with(
            "loss: { between: [make, feed], share: 0%, for: 1s }
             loss: { between: [make, feed], share: 110%, after: 2s }
             loss: { between: [make, feed], after: 4s }",
        ),
        &expect![[r#"
            s.yaml:14:47: error: a share is more than 0% and at most 100%
            s.yaml:15:47: error: a share is more than 0% and at most 100%
            s.yaml:16:15: error: the key `share` is missing"#]],
    );
}

#[test]
fn a_packet_is_dropped_once_and_a_cable_has_one_limit() {
    check(
        &with(
            "partition: { as: one, between: [make, feed], for: 2s }
             loss: { as: other, from: make, to: feed, share: 1%, after: 1s, for: 2s }
             bandwidth: { as: slow, from: drum, to: ids, rate: 1MB, for: 2s }
             bandwidth: { as: slower, between: [feed, ids], rate: 1KB, after: 1s, for: 2s }
             bandwidth: { as: answers, from: ids, to: feed, rate: 1KB, after: 4s, for: 2s }
             bandwidth: { as: questions, from: feed, to: ids, rate: 1KB, after: 4s, for: 2s }",
        ),
        &expect![[r#"
            s.yaml:15:21: error: `other` begins while `one` still holds on the same edge
              s.yaml:14:26: this one still holds
              help: end the first one earlier with `for`, or begin this one later with `after`
            s.yaml:17:26: error: `slower` begins while `slow` still holds on the same edge
              s.yaml:16:26: this one still holds
              help: end the first one earlier with `for`, or begin this one later with `after`"#]],
    );
}

#[test]
fn there_are_two_networks() {
    check(
        &around("network: isloated\n"),
        &expect![[r#"
        s.yaml:6:10: error: `isloated` is not possible here
          help: did you mean `isolated`?"#]],
    );
}
