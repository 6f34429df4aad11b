//! Loads: protocols, arrivals, and what each phase makes of them.

use expect_test::expect;
use squall_load::Arrivals;
use squall_load::protocol::Keep;

use crate::rig::{around, asked_of, check, plan, target};

fn with(load: &str) -> String {
    around(&format!("load: {{ make: {{ to: ids, {load} }} }}\n"))
}

#[test]
fn protocols_and_arrivals_that_are_unknown_are_named_with_the_nearest() {
    check(
        &with("htp: { get: / }, rate: 1k/s, arrivals: poison"),
        &expect![[r#"
            s.yaml:5:26: error: there is no protocol called `htp`
              help: did you mean `http`?
            s.yaml:5:65: error: there are no arrivals called `poison`
              help: did you mean `poisson`?"#]],
    );
    check(
        &with("http: { get: / }, rate: 1k/s, arrivals: { poisson: { spread: 2 } }"),
        &expect!["s.yaml:5:77: error: `poisson` takes no parameters"],
    );
}

#[test]
fn datagrams_go_to_no_service_that_speaks_tls() {
    let udp = |service: &str| {
        around(&format!(
            "services: {{ sealed: {{ {service} }} }}\nload: {{ drum: {{ to: sealed, udp: {{ send: hello }}, rate: 1k/s }} }}\n"
        ))
    };
    check(
        &udp("at: \"https://localhost\""),
        &expect![[r#"
        s.yaml:5:29: error: datagrams are sent without TLS
          s.yaml:5:21: this service speaks it
          help: send them to a service without `tls` and `https://`"#]],
    );
    check(
        &udp("run: [serve, \"{port}\"], tls: { insecure: true }"),
        &expect![[r#"
            s.yaml:5:29: error: datagrams are sent without TLS
              s.yaml:5:21: this service speaks it
              help: send them to a service without `tls` and `https://`"#]],
    );
}

#[test]
fn a_doubled_brace_is_one() {
    let plan = plan(&with(
        "http: { post: \"/feed\", headers: { X-User: \"{{user}\" }, body: '{\"id\":{{id},\"n\":{\"m\":1}}' }, rate: 1k/s",
    ));
    let bytes = asked_of(&plan, 0, 0);
    assert_eq!(
        bytes,
        "POST /feed HTTP/1.1\r\nHost: ids.test\r\nX-User: {user}\r\nContent-Length: 23\r\n\r\n{\"id\":{id},\"n\":{\"m\":1}}"
    );
}

#[test]
fn a_request_that_cannot_be_sent_is_refused_before_anything_starts() {
    check(
        &with("http: { get: \"/a b\" }, rate: 1k/s"),
        &expect![[
            r#"s.yaml:5:39: error: the path "/a b" must begin with / and have spaces and non-ASCII bytes percent-encoded"#
        ]],
    );
    check(
        &with("http: { get: /, headers: { Content-Length: \"5\" } }, rate: 1k/s"),
        &expect![[
            r#"s.yaml:5:39: error: the header "Content-Length" is set by squall from the body's length; leave it out"#
        ]],
    );
}

#[test]
fn http_comes_in_two_versions() {
    check(
        &around(
            "load:
  three: { to: ids, http: { get: /, version: 3 }, rate: 1/s }
  alone: { to: ids, http: { get: /, streams: 5 }, rate: 1/s }
  one: { to: ids, http: { get: /, version: 1, streams: 5 }, rate: 1/s }
  many: { to: ids, http: { get: /, version: 2, streams: 20000 }, rate: 1/s }
  foreign: { to: ids, http: { get: /, version: 2, headers: { connection: close } }, rate: 1/s }
",
        ),
        &expect![[r#"
            s.yaml:6:46: error: HTTP has no version 3 here
              help: 1 is HTTP/1.1, 2 is HTTP/2
            s.yaml:7:46: error: HTTP/1.1 carries one request at a time
              help: write `version: 2`, or leave `streams` out
            s.yaml:8:56: error: HTTP/1.1 carries one request at a time
              help: write `version: 2`, or leave `streams` out
            s.yaml:9:57: error: requests at once on a connection are 1 to 10000, not 20000
            s.yaml:10:48: error: the header "connection" is one of HTTP/1.1 connections; leave it out with `version: 2`"#]],
    );
    let plan = plan(&around(
        "load:
  one: { to: ids, http: { get: /, version: 1 }, rate: 1/s }
  two: { to: ids, http: { get: /, version: 2 }, rate: 1/s }
  few: { to: ids, http: { get: /, version: 2, streams: 5 }, rate: 1/s }
",
    ));
    let target = target();
    let of = |load: &squall_engine::plan::PlannedLoad| {
        let dialect = load.asked.protocol.dialect(&target, Keep::default()).unwrap();
        (dialect.alpn(), dialect.streams())
    };
    let found: Vec<_> = plan.loads.iter().map(of).collect();
    assert_eq!(
        found,
        [
            (Some(&b"http/1.1"[..]), 1),
            (Some(&b"h2"[..]), 100),
            (Some(&b"h2"[..]), 5)
        ]
    );
}

#[test]
fn only_users_can_stay_on_a_connection() {
    check(
        &around(
            "load:
  chat: { to: ids, ws: { path: / }, rate: 10/s }
  feed: { to: ids, sse: { path: / }, arrivals: { ramp: { from: 1/s, to: 9/s } } }
",
        ),
        &expect![[r#"
            s.yaml:6:43: error: this `ws` stays open, and a schedule has nobody who stays
              s.yaml:6:20: here
              help: use `users`
            s.yaml:7:50: error: this `sse` stays open, and a schedule has nobody who stays
              s.yaml:7:20: here
              help: use `users`"#]],
    );
    let plan = plan(&around(
        "load:
  held: { to: ids, ws: { path: / }, users: 5 }
  asked: { to: ids, ws: { path: /, send: hello }, rate: 10/s }
  stays: { to: ids, sse: { path: / }, users: 5 }
  ends: { to: ids, sse: { path: /, events: 3 }, rate: 10/s }
",
    ));
    let holds: Vec<bool> = plan.loads.iter().map(|load| load.asked.holds).collect();
    assert_eq!(holds, [true, false, true, false]);
}

#[test]
fn more_than_the_generator_can_do_is_refused() {
    check(
        &around(
            "load:
  fast: { to: ids, http: { get: / }, rate: 900M/s }
  wide: { to: ids, http: { get: / }, rate: 1k/s, connections: 2000000 }
  many: { to: ids, http: { get: / }, users: 600000 }
phases: [ { phase: a, for: 1s }, { phase: b, for: 1s, load: { many: 2x } } ]
",
        ),
        &expect![[r#"
            s.yaml:5:44: error: 900M/s is more than can be scheduled
              help: at most 1.00M/s
            s.yaml:6:63: error: 2.00M connections are more than can be kept
              help: at most 1.00M
            s.yaml:8:69: error: 1.20M connections are more than can be kept
              help: at most 1.00M"#]],
    );
    check(
        &around("phases: [ { phase: a, for: 1s }, { phase: spike, for: 1s, load: { make: 1000000x } } ]\n"),
        &expect![[r#"
            s.yaml:5:73: error: 1.00G/s is more than can be scheduled
              help: at most 1.00M/s"#]],
    );
}

#[test]
fn a_phase_scales_replaces_or_stills_a_load() {
    let plan = plan(&around(
        "load:
  open: { to: ids, http: { get: / }, rate: 1k/s, arrivals: poisson }
  users: { to: ids, http: { get: / }, users: 5, think: 10ms }
phases:
  - { phase: own, for: 1s }
  - { phase: scaled, for: 1s, load: { open: 2.5x, users: 3x } }
  - { phase: replaced, for: 1s, load: { open: 70/s, users: { users: 9 } } }
  - { phase: changed, for: 1s, load: { open: { rate: 2x, arrivals: even }, users: 0.5x } }
  - { phase: still, for: 1s, load: { open: 0x, users: 0x } }
",
    ));
    let lines: Vec<String> = plan
        .phases
        .iter()
        .map(|phase| {
            let each: Vec<String> = phase.arrivals.iter().map(shown).collect();
            format!("{}: {}\n", phase.name, each.join(", "))
        })
        .collect();
    expect![[r#"
        own: 1000/s poisson, 5 users thinking Fixed(10ms)
        scaled: 2500/s poisson, 15 users thinking Fixed(10ms)
        replaced: 70/s poisson, 9 users thinking Fixed(10ms)
        changed: 2000/s even, 3 users thinking Fixed(10ms)
        still: rests, rests
    "#]]
    .assert_eq(&lines.concat());
}

fn shown(arrivals: &Arrivals) -> String {
    match arrivals {
        Arrivals::Open { rate_per_s, pacer } => format!("{rate_per_s}/s {pacer}"),
        Arrivals::Closed { users, think } => format!("{users} users thinking {think:?}"),
        Arrivals::None => "rests".to_owned(),
    }
}

#[test]
fn a_load_draws_the_same_numbers_whatever_else_the_scenario_holds() {
    let alone = plan(&around(""));
    let beside = plan(&around(
        "load:
  before: { to: ids, http: { get: / }, rate: 1k/s }
  make: { to: ids, http: { get: /id }, rate: 1k/s }
",
    ));
    assert_eq!(alone.loads[0].seed.value(), beside.loads[1].seed.value());
    assert_ne!(beside.loads[0].seed.value(), beside.loads[1].seed.value());
}
