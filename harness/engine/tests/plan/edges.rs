//! Faults on edges: which edges and directions they come to, what no proxy can do, and what may be expected of an edge.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use squall_engine::fault::Carries;
use squall_engine::judge::Evidence;
use squall_engine::measure::collector::Collector;
use squall_engine::plan::Plan;
use squall_model::record::{EdgeRecord, PhaseRecord};

use crate::rig::{around, check, plan};

/// Three services and two loads: `make` asks `feed`, which calls `ids` and `other`; `look` asks `ids`; `ids` and `other` call each other.
const SERVICES: &str = r#"services:
  feed: { run: [feed, --port, "{port}", --ids, "{ids}"], calls: [other] }
  ids: { use: store }
  other: { run: [other, "{port}"], calls: [ids] }
  deep: { at: "unix:/run/deep.sock" }
  sealed: { at: "https://localhost" }
  lone: { use: store }
load:
  make: { to: feed, http: { get: / }, rate: 100/s }
  look: { to: ids, http: { get: /id }, rate: 100/s }
  dig: { to: deep, http: { get: / }, rate: 100/s }
  unseal: { to: sealed, http: { get: / }, rate: 100/s }
  drum: { to: lone, udp: { send: hello }, rate: 100/s }
"#;

/// The scenario with these faults, a line each, in one phase.
fn with(faults: &str) -> String {
    let lines: Vec<String> = faults
        .lines()
        .map(|line| format!("      - {}\n", line.trim()))
        .collect();
    let lines = lines.concat();
    around(&format!(
        "{SERVICES}phases:\n  - phase: all\n    for: 10s\n    faults:\n{lines}"
    ))
}

fn crossings(plan: &Plan) -> String {
    let line = |fault: &squall_engine::plan::PlannedFault| {
        let crossing = |one: &squall_engine::plan::PlannedCrossing| {
            let ways: Vec<_> = one.directions.iter().map(|way| way.name()).collect();
            format!("{} {}", plan.edges[one.edge].name(), ways.join("+"))
        };
        let all: Vec<String> = fault.crossings.iter().map(crossing).collect();
        format!("{}: {}\n", fault.name, all.join(", "))
    };
    plan.faults.iter().map(line).collect()
}

#[track_caller]
fn check_crossings(faults: &str, expected: &Expect) {
    expected.assert_eq(&crossings(&plan(&with(faults))));
}

#[test]
fn ends_come_to_the_edges_and_directions_between_them() {
    check_crossings(
        "latency: { as: a-load-calls-like-any-other, between: [make, feed], delay: 1ms }
         latency: { as: in-any-order, between: [feed, make], delay: 1ms }
         latency: { as: called-by-its-address-alone, between: [feed, ids], delay: 1ms }
         latency: { as: requests, from: feed, to: ids, delay: 1ms }
         latency: { as: responses, from: ids, to: feed, delay: 1ms }
         partition: { as: apart, groups: [[feed, make], [ids, other], [look]] }",
        &expect![[r#"
            a-load-calls-like-any-other: make->feed upstream+downstream
            in-any-order: make->feed upstream+downstream
            called-by-its-address-alone: feed->ids upstream+downstream
            requests: feed->ids upstream
            responses: feed->ids downstream
            apart: feed->ids upstream+downstream, feed->other upstream+downstream, look->ids upstream+downstream
        "#]],
    );
}

#[test]
fn an_edge_is_read_as_http_where_what_crosses_it_is_known_or_a_fault_asks_for_it() {
    let plan = plan(&with(
        "latency: { as: one, between: [make, feed], delay: 1ms }
         latency: { as: two, between: [feed, ids], delay: 1ms }
         latency: { as: three, between: [other, feed], delay: 1ms }
         http: { as: four, between: [other, feed], abort: { status: 503 } }",
    ));
    let read: Vec<_> = plan.edges.iter().map(|edge| (edge.name(), edge.http)).collect();
    let edge = |name: &str, http| (name.to_owned(), http);
    assert_eq!(
        read,
        [
            edge("make->feed", true),
            edge("feed->ids", false),
            edge("feed->other", true)
        ]
    );
}

#[test]
fn ends_that_are_no_edge_are_told_where_they_are_written() {
    check(
        &with(
            "latency: { as: a, between: [mak, feed], delay: 1ms }
             latency: { as: b, between: [make, ids], delay: 1ms }
             latency: { as: c, from: feed, to: lone, delay: 1ms }
             latency: { as: d, between: [feed], delay: 1ms }
             latency: { as: e, between: [feed, ids, other], delay: 1ms }
             latency: { as: f, from: feed, delay: 1ms }
             latency: { as: g, between: [feed, ids], from: feed, to: ids, delay: 1ms }
             latency: { as: h, delay: 1ms }
             latency: { as: i, target: ids, delay: 1ms }
             partition: { as: j, groups: [[feed, ids]] }
             partition: { as: k, groups: [[feed, ids], [make, feed]] }
             partition: { as: l, groups: [[make], [ids]] }
             latency: { as: m, groups: [[feed], [ids]], delay: 1ms }",
        ),
        &expect![[r#"
            s.yaml:20:37: error: there is no service or load called `mak`
              help: did you mean `make`?
            s.yaml:21:37: error: neither of `make` and `ids` calls the other
              s.yaml:21:43: the other end
              help: a service says whom it calls with `calls: [NAME]`, a load with `to: NAME`
            s.yaml:22:33: error: neither of `feed` and `lone` calls the other
              s.yaml:22:43: the other end
              help: a service says whom it calls with `calls: [NAME]`, a load with `to: NAME`
            s.yaml:23:9: error: an edge has two ends
              help: write `between: [CALLER, CALLEE]`
            s.yaml:24:9: error: an edge has two ends
              help: write `between: [CALLER, CALLEE]`
            s.yaml:25:27: error: `from` needs `to`
            s.yaml:26:49: error: `between` and `from` exclude each other
              s.yaml:26:27: the other one
            s.yaml:27:18: error: one of `between` or `from` is needed
            s.yaml:28:18: error: one of `between` or `from` is needed
            s.yaml:28:27: error: unknown key `target`
              help: one of `between`, `from`, `to`, `delay`, `jitter`, `distribution`, `share`, `as`, `after`, `for`, `through`, `every`, `times`
            s.yaml:29:9: error: one group is cut off from nobody
              help: write two or more: `groups: [[a, b], [c]]`
            s.yaml:30:58: error: `feed` is in two groups
              s.yaml:30:39: the other one
            s.yaml:31:39: error: no one of these groups calls one of another
              s.yaml:31:47: another group
              help: name callers and callees in different groups
            s.yaml:32:18: error: one of `between` or `from` is needed
            s.yaml:32:27: error: unknown key `groups`
              help: one of `between`, `from`, `to`, `delay`, `jitter`, `distribution`, `share`, `as`, `after`, `for`, `through`, `every`, `times`"#]],
    );
}

#[test]
fn where_no_proxy_can_stand_or_read_a_fault_is_refused() {
    check(
        &with(
            "latency: { as: a, between: [dig, deep], delay: 1ms }
             slicer: { as: b, between: [drum, lone], size: 9B }
             http: { as: c, between: [unseal, sealed], delay: 1ms }",
        ),
        &expect![[r#"
            s.yaml:20:42: error: `deep` is at a unix socket, where no proxy can stand
              s.yaml:20:37: the caller
            s.yaml:21:42: error: `drum` sends datagrams, and this fault is one of streams
              s.yaml:21:36: the caller
              help: of datagrams there are `loss`, `duplicate`, `reorder`, `corrupt`, `latency` and `partition`
            s.yaml:22:42: error: `sealed` speaks TLS, so its requests can't be read on the way
              s.yaml:22:34: the caller"#]],
    );
    // What is sealed passes through a proxy that needn't read it.
    plan(&with("latency: { between: [unseal, sealed], delay: 1ms }"));
}

#[test]
fn faults_of_datagrams_are_for_loads_that_send_them_and_say_what_there_is_for_streams() {
    check(
        &with(
            "loss: { as: a, between: [make, feed], share: 10% }
             duplicate: { as: b, between: [feed, ids], share: 10% }
             reorder: { as: c, between: [make, feed], share: 10% }
             corrupt: { as: d, from: feed, to: make, share: 10% }
             loss: { as: e, between: [drum, lone], share: 0% }
             loss: { as: f, between: [drum, lone] }
             latency: { as: g, between: [drum, lone], delay: 1ms, share: 50% }
             partition: { as: h, between: [drum, lone], new: refuse }
             down: { as: i, between: [drum, lone] }",
        ),
        &expect![[r#"
            s.yaml:20:40: error: `make` sends no datagrams, and this fault is one of datagrams, such as a load with `udp` sends
              s.yaml:20:34: the caller
              help: streams lose no bytes but with packets: write `network: isolated`, or use `partition`
            s.yaml:21:45: error: `feed` sends no datagrams, and this fault is one of datagrams, such as a load with `udp` sends
              s.yaml:21:39: the caller
              help: the kernel sorts out what comes twice in a stream; for repeated requests let the load send them
            s.yaml:22:43: error: `make` sends no datagrams, and this fault is one of datagrams, such as a load with `udp` sends
              s.yaml:22:37: the caller
              help: the kernel puts a stream back in order; `latency` with `jitter` is what is left of it there
            s.yaml:23:33: error: `make` sends no datagrams, and this fault is one of datagrams, such as a load with `udp` sends
              s.yaml:23:43: the caller
              help: of HTTP/1.1, `http` with `body` changes what is answered
            s.yaml:24:54: error: a share is more than 0% and at most 100%
            s.yaml:25:15: error: the key `share` is missing
            s.yaml:26:43: error: `drum` sends datagrams, and a share of connections is one of streams
              s.yaml:26:37: the caller
              help: leave `share` out: every datagram is delayed
            s.yaml:27:45: error: `drum` sends datagrams, and there is no connection that could be reset or refused
              s.yaml:27:39: the caller
              help: leave `open` and `new` out: datagrams that are cut off are lost
            s.yaml:28:40: error: `drum` sends datagrams, and this fault is one of streams
              s.yaml:28:34: the caller
              help: of datagrams there are `loss`, `duplicate`, `reorder`, `corrupt`, `latency` and `partition`"#]],
    );
    let all = "loss: { between: [drum, lone], share: 10% }
         duplicate: { from: drum, to: lone, share: 10% }
         reorder: { from: lone, to: drum, share: 10% }
         corrupt: { between: [lone, drum], share: 100% }
         latency: { between: [drum, lone], delay: 1ms, jitter: 1ms }
         partition: { from: lone, to: drum }
         latency: { as: elsewhere, between: [make, feed], delay: 1ms }";
    let plan = plan(&with(all));
    let carries: Vec<_> = plan
        .edges
        .iter()
        .map(|edge| (edge.name(), edge.carries))
        .collect();
    assert_eq!(
        carries,
        [
            ("drum->lone".to_owned(), Carries::Datagrams),
            ("make->feed".to_owned(), Carries::Streams)
        ]
    );
    // One number for each kind: the second would end the first.
    check(
        &with(
            "loss: { as: some, between: [drum, lone], share: 10%, for: 2s }
             loss: { as: more, from: drum, to: lone, share: 20%, after: 1s }",
        ),
        &expect![[r#"
            s.yaml:21:21: error: `more` begins while `some` still holds on the same edge
              s.yaml:20:21: this one still holds
              help: end the first one earlier with `for`, or begin this one later with `after`"#]],
    );
}

#[test]
fn what_a_toxiproxy_server_can_not_do_is_told_with_what_can() {
    let by = |toxiproxy: &str, faults: &str| format!("toxiproxy: {toxiproxy}\n{}", with(faults));
    let all = "latency: { between: [make, feed], delay: 1ms, jitter: 1ms }
         bandwidth: { between: [make, feed], rate: 1MB }
         slicer: { between: [make, feed], size: 9B, delay: 5us }
         limit_data: { between: [make, feed], bytes: 9B }
         slow_close: { between: [make, feed], delay: 1ms }
         timeout: { between: [make, feed], timeout: 1ms }
         reset_peer: { between: [make, feed] }
         down: { between: [make, feed] }";
    assert!(plan(&by("http://localhost:8474", all)).toxiproxy.is_some());
    check(
        &by(
            "127.0.0.1:8474",
            "partition: { between: [make, feed] }
             http: { between: [make, feed], abort: { status: 503 } }
             latency: { as: a, between: [make, feed], delay: 500us }
             latency: { as: b, between: [make, feed], delay: 1ms, distribution: normal }
             latency: { as: c, between: [make, feed], delay: 1ms, share: 50% }
             loss: { between: [drum, lone], share: 50% }",
        ),
        &expect![[r#"
            s.yaml:21:38: error: Toxiproxy can't do this: it has no such fault
              s.yaml:1:12: it is asked for here
              help: leave `toxiproxy` out: squall's own proxies have this fault
            s.yaml:22:33: error: Toxiproxy can't do this: it has no such fault
              s.yaml:1:12: it is asked for here
              help: leave `toxiproxy` out: squall's own proxies have this fault
            s.yaml:23:43: error: Toxiproxy can't do this: it knows whole milliseconds only (of `slicer`, microseconds)
              s.yaml:1:12: it is asked for here
              help: round the time, or leave `toxiproxy` out
            s.yaml:24:43: error: Toxiproxy can't do this: its jitter is uniform
              s.yaml:1:12: it is asked for here
              help: leave `distribution` out, or `toxiproxy`
            s.yaml:25:43: error: Toxiproxy can't do this: it does not tell for which connections a `share` was drawn, so nothing could be proven
              s.yaml:1:12: it is asked for here
              help: leave `share` out, or `toxiproxy`
            s.yaml:26:33: error: Toxiproxy can't do this: it carries no datagrams
              s.yaml:1:12: it is asked for here
              help: leave `toxiproxy` out: squall's own proxies carry them"#]],
    );
    check(
        &by("https://localhost:8474", "down: { between: [make, feed] }"),
        &expect![[r#"
            s.yaml:1:12: error: Toxiproxy's API is plain HTTP over TCP
              help: write `toxiproxy: http://127.0.0.1:8474`"#]],
    );
    check(
        &by("http://192.0.2.7:8474", "down: { between: [make, feed] }"),
        &expect![[r#"
            s.yaml:1:12: error: `192.0.2.7:8474` is not on this machine
              help: name a server on this machine, such as http://127.0.0.1:8474: what squall starts is out of reach of others"#]],
    );
    check(
        &by("8474", "down: { between: [make, feed] }"),
        &expect![[r#"
        s.yaml:1:12: error: expected a text, found the number `8474`
          help: quote it: "8474""#]],
    );
}

#[test]
fn parameters_of_faults_on_edges_are_checked() {
    check(
        &with(
            "partition: { as: a, from: feed, to: ids, open: reset }
             partition: { as: b, between: [feed, ids], new: drop }
             latency: { as: c, between: [feed, ids], delay: 1MiB }
             latency: { as: d, between: [feed, ids], jitter: 1ms }
             latency: { as: e, between: [feed, ids], delay: 1ms, distribution: cauchy }
             latency: { as: f, between: [feed, ids], delay: 1ms, jiter: 1ms }
             bandwidth: { as: g, between: [feed, ids], rate: 10ms }
             slicer: { as: h, between: [feed, ids], delay: 1ms }
             limit_data: { as: i, between: [feed, ids], bytes: 1KiB, share: 200% }
             down: { as: j, from: feed, to: ids }
             limit_data: { as: q, between: [feed, ids], bytes: 1KiB, share: 0% }
             http: { as: k, between: [feed, ids], abort: { status: 99 } }
             http: { as: l, between: [feed, ids], delay: 1ms, body: hello }
             http: { as: m, between: [feed, ids] }
             http: { as: n, between: [feed, ids], delay: 1ms, path: /a, path_regex: b }
             http: { as: o, between: [feed, ids], delay: 1ms, path_regex: \"(\" }
             http: { as: p, between: [feed, ids], delay: 1ms, first: 0 }
             slicer: { as: r, between: [feed, ids], size: 0B }
             slicer: { as: s, between: [feed, ids], size: 9B, variation: 9B }
             bandwidth: { as: t, between: [feed, ids], rate: 0B }
             limit_data: { as: u, between: [feed, ids], bytes: 0B }",
        ),
        &expect![[r#"
            s.yaml:20:35: error: a connection can't be reset in one direction
              help: use `between`, or leave `open: reset` out
            s.yaml:21:56: error: `drop` is not possible here
              help: one of `blackhole`, `reset`, `refuse`
            s.yaml:22:56: error: `MiB` is no unit of a duration: write 300ms, 5s or 1h30m
            s.yaml:23:18: error: the key `delay` is missing
            s.yaml:24:75: error: `cauchy` is not possible here
              help: one of `uniform`, `normal`, `pareto`, `exponential`
            s.yaml:25:61: error: unknown key `jiter`
              help: did you mean `jitter`?
            s.yaml:26:57: error: `ms` is no unit of a size: write 10MB
            s.yaml:27:17: error: the key `size` is missing
            s.yaml:28:72: error: a share is more than 0% and at most 100%
            s.yaml:29:9: error: an edge has two ends
              help: write `between: [CALLER, CALLEE]`
            s.yaml:29:15: error: the key `between` is missing
            s.yaml:29:24: error: unknown key `from`
              help: one of `between`, `as`, `after`, `for`, `through`, `every`, `times`
            s.yaml:29:36: error: unknown key `to`
              help: one of `between`, `as`, `after`, `for`, `through`, `every`, `times`
            s.yaml:30:72: error: a share is more than 0% and at most 100%
            s.yaml:31:63: error: a status is a number from 200 to 599
            s.yaml:32:58: error: `delay` and `body` exclude each other
              s.yaml:32:46: the other one
            s.yaml:33:15: error: one of `abort`, `delay`, `header` or `body` is needed
            s.yaml:34:68: error: `path` and `path_regex` exclude each other
              s.yaml:34:58: the other one
            s.yaml:35:9: error: no regular expression: found open group without closing ')'
            s.yaml:36:65: error: at least 1 is needed
            s.yaml:37:54: error: a piece has at least one byte
              help: write how many, such as `size: 64B`
            s.yaml:38:69: error: a piece would have no byte left
              help: vary it by less than its `size`
            s.yaml:39:57: error: at this rate no byte would ever go
              help: to let nothing through use `partition`, which holds bytes, or `timeout`, which throws them away
            s.yaml:40:59: error: connections would end before a byte has met this
              help: to end them at once use `reset_peer` or `down`"#]],
    );
}

#[test]
fn of_two_faults_that_cut_one_edge_only_one_holds_at_a_time_and_toxics_stand_beside_each_other() {
    check(
        &with(
            "partition: { as: cut, between: [feed, ids], after: 1s, for: 2s }
             down: { as: away, between: [feed, ids], after: 2s, for: 2s }
             partition: { as: wide, groups: [[feed], [ids, other]], after: 3s, for: 2s }",
        ),
        &expect![[r#"
            s.yaml:21:21: error: `away` begins while `cut` still holds on the same edge
              s.yaml:20:26: this one still holds
              help: end the first one earlier with `for`, or begin this one later with `after`
            s.yaml:22:26: error: `wide` begins while `away` still holds on the same edge
              s.yaml:21:21: this one still holds
              help: end the first one earlier with `for`, or begin this one later with `after`"#]],
    );
    plan(&with(
        "partition: { as: cut, between: [feed, ids] }
         down: { as: elsewhere, between: [make, feed] }
         latency: { as: slow, between: [feed, ids], delay: 1ms }
         latency: { as: slower, between: [feed, ids], delay: 2ms }
         http: { as: broken, between: [make, feed], abort: { status: 503 } }",
    ));
}

#[test]
fn what_an_edge_saw_can_be_expected_only_where_a_fault_has_put_a_proxy_there() {
    let text = with("latency: { between: [feed, ids], delay: 1ms }")
        + "expect: { run: [\"edge.feed->ids.connections < 9\", \"edge.make->feed.connections < 9\"] }\n";
    check(
        &text,
        &expect![[r#"
        s.yaml:21:57: error: `edge` has no `make->feed`
          help: the only one is `feed->ids`"#]],
    );
}

#[test]
fn what_an_edge_saw_is_judged_and_one_that_nobody_used_says_nothing() {
    let expected = [
        "edge.feed->ids.requests_per_call < 2",
        "edge.feed->ids.connections < 100",
        "edge.feed->ids.connections_per_s_max <= 9.5/s",
        "edge.feed->ids.longest_silence < 1s",
        "edge.feed->ids.bytes > 1KiB",
    ];
    let plan = plan(&format!(
        "{}expect: {{ run: {expected:?} }}\n",
        with("latency: { between: [feed, ids], delay: 1ms }")
    ));
    let collector = Collector::new(Vec::new(), plan.phases.len());
    let phases = [PhaseRecord {
        complete: true,
        ..PhaseRecord::default()
    }];
    let judged = |edge: EdgeRecord| -> String {
        let evidence = Evidence {
            plan: &plan,
            collector: &collector,
            phases: &phases,
            unproven: &[],
            felt: &[],
            edges: &[edge],
            told: &BTreeMap::new(),
            invariants: &[],
        };
        let all = plan.expectations.iter().map(|one| evidence.expectation(one));
        let lines: Vec<String> = all
            .map(|one| format!("{}: {} {}", one.text, one.verdict.as_str(), one.reason))
            .map(|line| format!("{}\n", line.trim_end()))
            .collect();
        lines.concat()
    };
    let used = EdgeRecord {
        caller: "feed".to_owned(),
        callee: "ids".to_owned(),
        bytes: 1_024,
        connections: 99,
        connections_per_s_max: 9.5,
        requests: Some(300),
        requests_per_call: Some(3.0),
        longest_silence_us: Some(2_000_000),
        redirected: None,
        missed: None,
    };
    expect![[r#"
        edge.feed->ids.requests_per_call < 2: fail was 3, limit 2
        edge.feed->ids.connections < 100: pass
        edge.feed->ids.connections_per_s_max <= 9.5/s: pass
        edge.feed->ids.longest_silence < 1s: fail was 2.00 s, limit 1.00 s
        edge.feed->ids.bytes > 1KiB: fail was 1.00 KiB, limit 1.00 KiB
    "#]]
    .assert_eq(&judged(used.clone()));
    expect![[r#"
        edge.feed->ids.requests_per_call < 2: invalid no data: its requests, or those of its caller, can't be counted: they are no HTTP/1.1 that a proxy reads
        edge.feed->ids.connections < 100: pass
        edge.feed->ids.connections_per_s_max <= 9.5/s: pass
        edge.feed->ids.longest_silence < 1s: fail was 2.00 s, limit 1.00 s
        edge.feed->ids.bytes > 1KiB: fail was 1.00 KiB, limit 1.00 KiB
    "#]].assert_eq(&judged(EdgeRecord {
        requests_per_call: None,
        ..used.clone()
    }));
    expect![[r#"
        edge.feed->ids.requests_per_call < 2: invalid no data: feed never used its edge to ids
        edge.feed->ids.connections < 100: invalid no data: feed never used its edge to ids
        edge.feed->ids.connections_per_s_max <= 9.5/s: invalid no data: feed never used its edge to ids
        edge.feed->ids.longest_silence < 1s: invalid no data: feed never used its edge to ids
        edge.feed->ids.bytes > 1KiB: invalid no data: feed never used its edge to ids
    "#]]
    .assert_eq(&judged(EdgeRecord {
        connections: 0,
        ..used
    }));
}

/// `feed` has the address of `ids` from elsewhere; `told` calls it as well, and has not.
const REDIRECTED: &str = r#"services:
  ids: { use: store }
  feed: { run: [feed], calls: [ids], redirect: true }
  told: { run: [told, "{ids}"] }
  deaf: { run: [deaf] }
load:
  look: { to: ids, http: { get: /id }, rate: 100/s }
"#;

fn redirected(faults: &str) -> String {
    around(&format!(
        "{REDIRECTED}phases:\n  - phase: all\n    for: 10s\n    faults:\n{faults}"
    ))
}

#[test]
fn only_the_edges_of_a_service_that_asks_for_it_are_redirected_and_the_plan_says_so() {
    let plan = plan(&redirected(
        "      - latency: { as: one, between: [feed, ids], delay: 1ms }
      - latency: { as: two, between: [told, ids], delay: 1ms }
      - latency: { as: three, between: [look, ids], delay: 1ms }
",
    ));
    let text = squall_engine::plan::show(&plan);
    let shown = text.lines().skip_while(|line| *line != "edges");
    let shown: Vec<_> = shown.take_while(|line| !line.is_empty()).collect();
    assert_eq!(
        shown,
        [
            "edges",
            "  feed->ids        through a proxy that its connects are redirected to",
            "  told->ids        through a proxy",
            "  look->ids        through a proxy, which reads HTTP/1.1",
        ]
    );
    assert!(
        text.contains("seccomp notifications (Linux 5.6 or newer), to redirect the connects of feed\n"),
        "{text}"
    );
}

#[test]
fn no_proxy_stands_before_a_service_whose_address_nobody_knows() {
    let text = redirected("      - latency: { between: [feed, deaf], delay: 1ms }\n")
        .replace("calls: [ids]", "calls: [ids, deaf]");
    check(
        &text,
        &expect![[r#"
        s.yaml:14:36: error: `deaf` is told no port, so it has no address before which a proxy could stand
          s.yaml:14:30: the caller
          help: use "{port}" in its `run` or `env`"#]],
    );
}
