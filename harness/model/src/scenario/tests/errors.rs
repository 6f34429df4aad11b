//! Every kind of mistake, as a user sees it.

#![expect(clippy::needless_raw_string_hashes, reason = "as expect-test writes them")]

use expect_test::expect;

use super::vocabulary::read_open_parts;
use super::{around, check, environment};
use crate::scenario::{parse, parse_with};

#[test]
fn a_scenario_full_of_mistakes_shows_them_all() {
    check(
        r#"squall: 1
name: Feed Partition
sed: 7
services:
  ids: { use: id-generator, wiht: { node: 7 } }
  feed: { run: [./feed, {port}], calls: [idz], env: { A: "{rankng}", B: "${NOT_SET}" } }
load:
  refresh: { to: fed, http: { get: / }, rate: 2k, timeout: 5 }
phases:
  - { phase: steady, for: 20 }
  - phase: cut
    for: 20s
    faults:
      - clock: { target: ids, afer: 5s, after: 15s, for: 10s }
matrix: { rate: [1k/s] }
expect:
  stead: [ "refresh.p99 < 20ms" ]
  run: [ "refresh.p99 20ms" ]
"#,
        &expect![[r#"
            s.yaml:2:7: error: `Feed Partition` is no name: a name is made of a-z, 0-9, `-` and `_` and starts with a letter
              help: write `feed-partition`
            s.yaml:3:1: error: unknown key `sed`
              help: did you mean `seed`?
            s.yaml:5:29: error: unknown key `wiht`
              help: did you mean `with`?
            s.yaml:6:25: error: expected a text; `{port}` without quotes is a YAML mapping
              help: quote it: "{port}"
            s.yaml:6:42: error: there is no service called `idz`
              help: did you mean `ids`?
            s.yaml:6:59: error: nothing is called `rankng` in `{rankng}`
              help: one of `ids`, `feed`, `port`, `data`, `squall`, `arm`
            s.yaml:6:74: error: the environment has no variable `NOT_SET`
              help: set it, or give a default: ${NOT_SET:-default}
            s.yaml:8:18: error: there is no service called `fed`
              help: did you mean `feed`?
            s.yaml:8:47: error: `2k` has no unit: write 2k/s
            s.yaml:8:60: error: `5` has no unit: write 5s or 5ms
            s.yaml:10:27: error: `20` has no unit: write 20s or 20ms
            s.yaml:14:58: error: the fault ends 5s after its phase
              s.yaml:12:10: the phase lasts 20s
              help: write at most 5s, or `through: PHASE` to span phases
            s.yaml:15:1: error: `matrix` is not supported by this version (comes with a later one)
            s.yaml:17:3: error: there is no phase, fault or `run` called `stead`
              help: did you mean `steady`?
            s.yaml:18:23: error: expected an operator after `refresh.p99`, found `20ms`
              help: operators are <, <=, >, >=, == and !="#]],
    );
}

#[test]
fn the_top_level() {
    check(
        "",
        &expect![[r#"
            s.yaml:1:1: error: expected a scenario, found nothing
              help: a scenario begins with `squall: 1` and `name: NAME`"#]],
    );
    check(
        "just text\n",
        &expect![[r#"
            s.yaml:1:1: error: expected a scenario, found the text `just text`
              help: a scenario begins with `squall: 1` and `name: NAME`"#]],
    );
    check(
        "squall: 2\nname: a\nphases: [ { phase: a, for: 1s } ]\n",
        &expect![[r#"
        s.yaml:1:9: error: version 2 of the scenario language is unknown
          help: this squall reads version 1: write `squall: 1`"#]],
    );
    check(
        "name: a\n",
        &expect![[r#"
        s.yaml:1:1: error: the key `squall` is missing
        s.yaml:1:1: error: the key `phases` is missing"#]],
    );
    check(
        &around("phases: []\n"),
        &expect!["s.yaml:5:9: error: the list is empty; at least one item is needed"],
    );
    check(
        &around("phases:\n"),
        &expect![[r#"
        s.yaml:5:1: error: expected a list, found nothing
          help: give it a value or remove the key"#]],
    );
    check(
        &around("include: [a.yaml]\ncleanup: []\nabort: [\"a.b > 1\"]\ngate: {}\n"),
        &expect![[r#"
            s.yaml:6:1: error: `include` is not supported by this version (comes with a later one)
            s.yaml:7:1: error: `cleanup` is not supported by this version (comes with a later one)
            s.yaml:8:1: error: `abort` is not supported by this version (comes with a later one)"#]],
    );
    check(
        &around("seed: -1\ntags: smoke\nsecrets: [a-b]\ngenerator: { threads: 0 }\n"),
        &expect![[r#"
        s.yaml:6:7: error: -1 is out of range: 0 to 18446744073709551615
        s.yaml:7:7: error: expected a list, found the text `smoke`
        s.yaml:8:11: error: `a-b` is no name: a variable's name is made of letters, digits and `_` and starts with no digit
        s.yaml:9:23: error: at least 1 is needed"#]],
    );
}

#[test]
fn services() {
    check(
        &around(
            r#"services:
  ids: { use: id-generator, run: [./x] }
  none: {}
  nothing:
  line: { run: "./x --port {port}" }
  empty: { run: [] }
  there: { at: localhost, env: { A: b }, calls: [ids] }
  tls: { at: "wss://api.test", tls: { ca: ca.pem, insecure: true } }
  many: { run: [./x], count: 3, with: { a: 1 }, ready: { http: healthz, tcp: true } }
  self: { use: a, ports: [http], calls: ids, ready: { tcp: yes, within: 5 } }
  twice: { run: [./x, "{port}"], ports: [http, http], calls: { a: ids, b: ids, c: load } }
"#,
        ),
        &expect![[r#"
            s.yaml:6:29: error: `use` and `run` exclude each other
              s.yaml:6:10: the other one
            s.yaml:7:9: error: one of `use`, `run` or `at` is needed
            s.yaml:8:3: error: expected a mapping, found nothing
              help: give it a value or remove the key
            s.yaml:9:16: error: expected a list of the program and its arguments, found the text `./x --port {port}`
              help: write [PROGRAM, ARGUMENT, ...]; no shell splits a line
            s.yaml:10:17: error: the list is empty; at least one item is needed
            s.yaml:11:16: error: the port is missing: write HOST:PORT
            s.yaml:11:27: error: `at` and `env` exclude each other
              s.yaml:11:12: the other one
            s.yaml:11:42: error: `at` and `calls` exclude each other
              s.yaml:11:12: the other one
            s.yaml:12:14: error: only http://, https:// and unix: are known: write http://HOST:PORT or HOST:PORT
            s.yaml:12:51: error: `ca` and `insecure` exclude each other
              s.yaml:12:39: the other one
            s.yaml:13:23: error: `count` is not supported by this version (comes with a later one)
            s.yaml:13:33: error: `with` needs `use`
            s.yaml:13:64: error: a path starts with `/`
              help: the service's own address goes before it
            s.yaml:13:73: error: `http` and `tcp` exclude each other
              s.yaml:13:58: the other one
            s.yaml:14:19: error: `ports` needs `run`
            s.yaml:14:41: error: expected a list of services or a mapping from roles to services, found the text `ids`
              help: write [ids]
            s.yaml:14:60: error: expected `true` or `false`, found the text `yes`
              help: booleans are `true` and `false` only: write true
            s.yaml:14:73: error: `5` has no unit: write 5s or 5ms
            s.yaml:15:24: error: `{port}` is ambiguous: this service has several ports
              help: write {port.http}
            s.yaml:15:48: error: two ports are called `http`
              s.yaml:15:42: first here
            s.yaml:15:83: error: there is no service called `load`
              help: one of `ids`, `none`, `nothing`, `line`, `empty`, `there`, `tls`, `many`, `self`, `twice`"#]],
    );
}

#[test]
fn placeholders() {
    check(
        &around(
            r#"services:
  ids: { use: id-generator, env: { PORT: "{port}" } }
  one: { run: [./x, "{port} {data} {ids} {ids.host} {ids.port} {{nope} {Nope} {\"n\":1}"] }
  two: { run: [./x, "{idz}", "{port.http}", "{ids.addr}", "{arm}", "a {nope.x} b"] }
  three: { run: [./x, "{port}", "{port.htp}", "{port.http}"], ports: [http, raft] }
  four: { run: [./x, {port}, {ids.host}, "\u0041{nope}"] }
"#,
        ),
        &expect![[r#"
            s.yaml:6:43: error: `{port}` is only for programs that are run
              help: a bundled service binds its own port
            s.yaml:8:22: error: nothing is called `idz` in `{idz}`
              help: did you mean `ids`?
            s.yaml:8:31: error: this service has no port `http`
              help: name it under `ports`
            s.yaml:8:46: error: `{ids.addr}`: a service has no `addr`
              help: one of `host`, `port`
            s.yaml:8:71: error: nothing is called `nope` in `{nope.x}`
              help: one of `ids`, `one`, `two`, `three`, `four`, `port`, `data`, `squall`, `arm`
            s.yaml:9:24: error: `{port}` is ambiguous: this service has several ports
              help: write {port.http}
            s.yaml:9:34: error: this service has no port `htp`
              help: did you mean `http`?
            s.yaml:10:22: error: expected a text; `{port}` without quotes is a YAML mapping
              help: quote it: "{port}"
            s.yaml:10:30: error: expected a text; `{ids.host}` without quotes is a YAML mapping
              help: quote it: "{ids.host}"
            s.yaml:10:42: error: nothing is called `nope` in `{nope}`
              help: one of `ids`, `one`, `two`, `three`, `four`, `port`, `data`, `squall`, `arm`"#]],
    );
}

#[test]
fn environment_variables() {
    check(
        &around(
            "about: \"${NOPE} ${open\"\ntags: [\"${a b}\", \"${matrix.rate}\", \"${}\"]\nseed: ${PGPASS}\ngenerator: { threads: \"${SECONDS}\" }\n",
        ),
        &expect![[r#"
            s.yaml:6:9: error: the environment has no variable `NOPE`
              help: set it, or give a default: ${NOPE:-default}
            s.yaml:6:17: error: this `${` is never closed
              help: `${NAME}` reads the environment; write `$${` for the characters themselves
            s.yaml:7:9: error: `${a b}`: a variable's name is made of letters, digits and `_` and starts with no digit
              help: `${NAME}` reads the environment; write `$${` for the characters themselves
            s.yaml:7:19: error: `matrix` is not supported by this version
              help: `${NAME}` reads the environment; write `$${` for the characters themselves
            s.yaml:7:37: error: `${}`: a name cannot be empty
              help: `${NAME}` reads the environment; write `$${` for the characters themselves
            s.yaml:8:7: error: expected a whole number, found a text with environment variables
            s.yaml:9:23: error: expected a whole number, found a text with environment variables"#]],
    );
    // A value that may be a secret is in no message.
    let found = super::findings(&around(
        "phases: [ { phase: \"${PGPASS}\", for: \"${PGPASS}\" } ]\nexpect: { run: [ \"${PGPASS}.a\" ] }\n\
         services: { a: { use: a, ready: { tcp: \"${PGPASS}\" }, calls: \"${PGPASS}\" } }\n",
    ));
    assert_eq!(
        found.lines().filter(|line| line.contains("error")).count(),
        6,
        "{found}"
    );
    assert!(!found.is_empty() && !found.contains("s3cret"), "{found}");
}

#[test]
fn loads() {
    check(
        &around(
            r#"load:
  none: { to: ids, rate: 1/s }
  both: { to: ids, http: { get: / }, rate: 1/s, users: 5 }
  neither: { to: ids, http: { get: / } }
  two: { to: ids, http: { get: / }, tcp: { send: x }, rate: 1/s }
  slip: { to: ids, http: { get: / }, rat: 1/s }
  zero: { to: ids, http: { get: / }, rate: 0/s, timeout: 0s, connections: 0 }
  think: { to: ids, http: { get: / }, rate: 1/s, think: 1s, data: { user: { zipf: { n: 1 } } } }
  closed: { to: ids, http: { get: / }, users: 5, arrivals: poisson }
  phase: { to: steady, http: /path, rate: 1/s, arrivals: [a] }
  half: { to: ids, http: { get: / }, users: 1, think: { from: 1s } }
  either: { to: ids, http: { get: / }, users: 1, think: { from: 1s, to: 2s, exponential: 1s } }
  no-kind: { to: ids, http: { get: / }, users: 1, think: {} }
"#,
        ),
        &expect![[r#"
            s.yaml:6:9: error: no key here tells the protocol
              help: add one, such as `http: { get: /path }`
            s.yaml:7:49: error: `rate` and `users` exclude each other
              s.yaml:7:38: the other one
            s.yaml:8:12: error: one of `rate`, `users` or `arrivals` is needed
            s.yaml:9:37: error: `tcp` cannot stand beside `http`
              s.yaml:9:19: one kind is possible
            s.yaml:10:38: error: unknown key `rat`
              help: did you mean `rate`?
            s.yaml:11:44: error: a load's rate must be above zero
            s.yaml:11:58: error: a timeout must be above zero
            s.yaml:11:75: error: at least 1 is needed
            s.yaml:12:50: error: `think` needs `users`
            s.yaml:12:83: error: the key `s` is missing
            s.yaml:13:50: error: `users` and `arrivals` exclude each other
              s.yaml:13:40: the other one
            s.yaml:14:16: error: `steady` is a phase, not a service
              s.yaml:4:20: given here
              help: the only one is `ids`
            s.yaml:14:58: error: expected a kind, as a word or as one key, found a list
            s.yaml:15:57: error: `from` needs `to`
            s.yaml:16:77: error: `from` and `exponential` exclude each other
              s.yaml:16:59: the other one
            s.yaml:17:58: error: one of `from` or `exponential` is needed"#]],
    );
}

#[test]
fn load_overrides() {
    check(
        &around(
            r#"load:
  open: { to: ids, http: { get: / }, rate: 1/s }
  closed: { to: ids, http: { get: / }, users: 5 }
phases:
  - { phase: a, for: 1s, load: { open: 5, closed: 10/s, opne: 5x } }
  - { phase: b, for: 1s, load: { open: { users: 5 }, closed: { rate: 5x, arrivals: poisson } } }
  - { phase: c, for: 1s, load: { open: fast, closed: { users: 5, rate: 2x } } }
  - { phase: d, for: 1s, load: { open: 5x, closed: 2x } }
"#,
        ),
        &expect![[r#"
            s.yaml:8:40: error: `5` has no unit: write 5x or 5/s
            s.yaml:8:51: error: `closed` has users: it has no rate to change
              s.yaml:6:47: what the load has
            s.yaml:8:57: error: there is no load called `opne`
              help: did you mean `open`?
            s.yaml:9:49: error: `open` has a rate: it has no users to change
              s.yaml:5:44: what the load has
            s.yaml:9:84: error: `closed` has users: it has no arrivals to change
              s.yaml:6:47: what the load has
            s.yaml:10:40: error: expected a factor such as 5x or a rate such as 100/s, found the text `fast`
            s.yaml:10:66: error: `users` and `rate` exclude each other
              s.yaml:10:56: the other one"#]],
    );
}

#[test]
fn what_squall_did_not_start_or_calls_nobody_has_no_connects_to_redirect() {
    check(
        &around(
            r#"services:
  ids: { use: a }
  there: { at: "localhost:80", redirect: true }
  alone: { run: [./x, "{port}", "{alone.port}", "{data}"], redirect: true }
  off: { run: [./x], calls: [ids], redirect: false }
  odd: { run: [./x], calls: [ids], redirect: [ids] }
  by-call: { run: [./x], calls: [ids], redirect: true }
  by-address: { run: [./x], env: { IDS: "{ids.host}" }, redirect: true }
  bundled: { use: b, calls: [ids], redirect: true }
"#,
        ),
        &expect![[r#"
            s.yaml:7:42: error: `there` was not started by squall, so its connects can't be redirected
              s.yaml:7:16: it already runs
              help: start it with `run: [...]`, or tell it the address of a `squall proxy`
            s.yaml:8:70: error: `alone` calls no service that is named, so there is nothing to redirect
              help: say whom it calls: `calls: [NAME]`
            s.yaml:9:46: error: only `true` is possible here
              help: or remove the key
            s.yaml:10:46: error: expected `true` or `false`, found a list"#]],
    );
}

#[test]
fn names_are_given_once() {
    check(
        &around(
            r#"services: { ids: { use: a }, run: { use: b }, port: { use: c }, clock: { use: d } }
load: { ids: { to: ids, http: { get: / }, rate: 1/s } }
phases:
  - { phase: ids, for: 1s }
  - { phase: baseline, for: 1s, faults: [ clock: { target: ids } ] }
  - { phase: x, for: 1s, faults: [ pause: { as: x }, kill: {}, kill: {} ] }
  - { phase: x, for: 1s }
expect: { kill: [], ids: [], load: [], pause: [] }
invariants: { x: unique }
"#,
        ),
        &expect![[r#"
            s.yaml:3:30: error: the name `run` is reserved: it stands for the whole run in `expect`
            s.yaml:3:47: error: the name `port` is reserved: it is a placeholder of its own
            s.yaml:4:9: error: `ids` is a load here and a service elsewhere
              s.yaml:3:13: first given here
              help: rename one of them
            s.yaml:6:14: error: `ids` is a phase here and a service elsewhere
              s.yaml:3:13: first given here
              help: rename one of them
            s.yaml:7:14: error: the name `baseline` is reserved: it stands for the phase that recovery is measured against
            s.yaml:7:43: error: `clock` is a fault here and a service elsewhere
              s.yaml:3:65: first given here
              help: give the fault a name of its own with `as`
            s.yaml:8:49: error: `x` is a fault here and a phase elsewhere
              s.yaml:8:14: first given here
              help: rename one of them
            s.yaml:9:14: error: two things are called `x`, each a phase
              s.yaml:8:14: first given here
              help: rename one of them
            s.yaml:10:11: error: `kill` could be any of several faults
              s.yaml:8:54: this one
              s.yaml:8:64: or this
              help: give each a name with `as`
            s.yaml:10:30: error: there is no phase, fault or `run` called `load`
              help: one of `ids`, `baseline`, `clock`, `x`, `kill`, `run`
            s.yaml:10:40: error: there is no phase, fault or `run` called `pause`
              help: one of `ids`, `baseline`, `clock`, `x`, `kill`, `run`
            s.yaml:11:15: error: `x` is an invariant here and a phase elsewhere
              s.yaml:8:14: first given here
              help: rename one of them"#]],
    );
}

#[test]
fn timelines() {
    check(
        &around(
            r#"phases:
  - phase: a
    for: 10s
    baseline: true
    faults:
      - one: { after: 10s }
      - two: { after: 5s, for: 6s }
      - three: { after: 5s, for: 5s }
      - four: { for: 0s }
      - five: { through: a }
      - six: { through: b, after: 3s }
      - seven: { through: c }
      - eight: { through: b, for: 3s }
      - nine: { every: 1s, times: 3, for: 2s }
      - ten: { times: 3, redirect: true }
      - eleven: { every: 1s, for: 1s, through: b }
      - twelve: { every: 1s, times: 0, for: 500ms }
  - { phase: b, for: 0s, baseline: true, measure: false, faults: [ other: { as: other, through: a } ] }
  - { phase: until, until: steady, within: 60s }
"#,
        ),
        &expect![[r#"
            s.yaml:10:23: error: the fault begins after 10s, when its phase is over
              s.yaml:7:10: the phase lasts 10s
            s.yaml:11:32: error: the fault ends 1s after its phase
              s.yaml:7:10: the phase lasts 10s
              help: write at most 5s, or `through: PHASE` to span phases
            s.yaml:13:22: error: a fault must last longer than nothing
            s.yaml:14:26: error: `a` does not come after `a`
              s.yaml:6:12: the fault begins here
              help: `through` names a later phase; without it a fault ends with its own
            s.yaml:16:27: error: there is no phase called `c`
              help: one of `a`, `b`, `until`
            s.yaml:17:30: error: `through` and `for` exclude each other
              s.yaml:17:18: the other one
            s.yaml:18:43: error: each time lasts 2s, and the next begins after 1s
              s.yaml:18:24: the next begins then
              help: make `for` shorter than `every`: each time is over before the next begins
            s.yaml:19:16: error: `times` needs `every`
            s.yaml:19:26: error: a fault redirects nobody
              help: write `redirect: true` at the service that calls
            s.yaml:20:35: error: each time lasts 1s, and the next begins after 1s
              s.yaml:20:26: the next begins then
              help: make `for` shorter than `every`: each time is over before the next begins
            s.yaml:21:37: error: at least 1 is needed
            s.yaml:22:14: error: `b` is a second baseline
              s.yaml:6:12: the first one
              help: recovery is measured against one phase
            s.yaml:22:14: error: `b` is the baseline and is not measured
            s.yaml:22:22: error: a phase must last longer than nothing
            s.yaml:22:97: error: `a` does not come after `b`
              s.yaml:22:14: the fault begins here
              help: `through` names a later phase; without it a fault ends with its own
            s.yaml:23:5: error: the key `for` is missing
            s.yaml:23:21: error: `until` is not supported by this version (comes with a later one)
            s.yaml:23:36: error: `within` is not supported by this version (comes with a later one)"#]],
    );
}

#[test]
fn faults_have_one_key() {
    check(
        &around(
            "phases:\n  - phase: a\n    for: 1s\n    faults:\n      - clock:\n        target: ids\n      - { a: {}, b: {} }\n      - {}\n      - [x]\n      - down\n      - pause: 5s\n",
        ),
        &expect![[r#"
            s.yaml:10:9: error: expected one key that names the kind, found `target` as well
              s.yaml:9:9: the first key
              help: indent what belongs to `clock` below it
            s.yaml:11:18: error: expected one key that names the kind, found `b` as well
              s.yaml:11:11: the first key
            s.yaml:12:9: error: expected one key that names the kind, found none
            s.yaml:13:9: error: expected a kind, as a word or as one key, found a list"#]],
    );
}

#[test]
fn expectations() {
    check(
        &around(
            r#"expect:
  run: [ "make.p99 < 20", "make.p99 = 20ms", make.p99 < 5msec, "make" ]
  steady: "make.p99 < 20ms"
  maek: [ 5, [a] ]
"#,
        ),
        &expect![[r#"
            s.yaml:7:37: error: `=` is no operator
              help: write `==`
            s.yaml:7:57: error: `msec` is no unit of a duration: write 5ms
            s.yaml:7:65: error: `make` does not say what of it is meant
              help: write `make.METRIC`, such as `make.p99 < 20ms`
            s.yaml:8:11: error: expected a list, found the text `make.p99 < 20ms`
            s.yaml:9:3: error: there is no phase, fault or `run` called `maek`
              help: one of `steady`, `run`
            s.yaml:9:11: error: expected an expectation such as "refresh.p99 < 20ms", found the number `5`
            s.yaml:9:14: error: expected an expectation such as "refresh.p99 < 20ms", found a list"#]],
    );
}

#[test]
fn overrides() {
    let overrides = [
        "load.mak.rate=1/s",
        "rate",
        "load.make.rate=[",
        "load.make.rate.x=1",
        "load.make.rate=5",
        "seed=x",
    ]
    .map(str::to_owned);
    let (_, diagnostics, sources) = parse_with("s.yaml", &around(""), &overrides, &environment);
    expect![[r#"
        --set:1:6: error: there is no `mak` to change
          help: did you mean `make`?
        --set:1:1: error: an override is a path, `=` and a value
          help: such as load.refresh.rate=1k/s
        --set:1:17: error: not valid YAML: while parsing a node, did not find expected node content
          --set:1:16: this is still open
          help: close it, or put it in quotes
        --set:1:16: error: `x` cannot be set on the text `1k/s`
        --set:1:16: error: `5` has no unit: write 5/s
        --set:1:6: error: expected a whole number, found the text `x`"#]]
    .assert_eq(&diagnostics.display(&sources).to_string());
}

#[test]
fn parameters_know_the_keys_of_the_schedule() {
    let text = around(
        "phases: [ { phase: a, for: 9s, faults: [ clock: { target: ids, step: -5ms, aftr: 1s, trget: x } ] } ]\n",
    );
    let (scenario, mut diagnostics, sources) = parse("s.yaml", &text, &environment);
    read_open_parts(&scenario.unwrap(), &mut diagnostics);
    expect![[r#"
        s.yaml:5:76: error: unknown key `aftr`
          help: did you mean `after`?
        s.yaml:5:86: error: unknown key `trget`
          help: did you mean `target`?"#]]
    .assert_eq(&diagnostics.display(&sources).to_string());
}
