//! Services: what is bundled, what is run, what already runs, and the order in which they start.

use expect_test::expect;

use crate::rig::{around, check, plan};

/// A scenario with these services and a load on the first.
fn with(services: &str) -> String {
    let first = services.trim_start().split(':').next().unwrap();
    let indented = services.lines().map(|line| format!("  {}\n", line.trim()));
    let indented = indented.collect::<Vec<_>>().concat();
    around(&format!(
        "services:\n{indented}load: {{ make: {{ to: {first}, http: {{ get: / }}, rate: 1k/s }} }}\n"
    ))
}

fn order(services: &str) -> Vec<String> {
    let plan = plan(&with(services));
    plan.services.into_iter().map(|service| service.name).collect()
}

#[test]
fn what_is_not_bundled_is_named_with_the_nearest_that_is() {
    check(
        &with("a: { use: stroe }"),
        &expect![[r#"
        s.yaml:5:13: error: there is no bundled service called `stroe`
          note: `squall list` shows them all; a program of your own is started with `run: [...]`
          help: did you mean `store`?"#]],
    );
    check(
        &with("a: { use: kafka }"),
        &expect![[r#"
            s.yaml:5:13: error: there is no bundled service called `kafka`
              note: `squall list` shows them all; a program of your own is started with `run: [...]`
              help: one of `store`, `gateway`, `switch`"#]],
    );
}

#[test]
fn settings_are_held_to_the_services_own_table() {
    check(
        &with("a: { use: store, with: { shard: 3, replicas: 12, shards: [1] } }"),
        &expect![[r#"
            s.yaml:5:28: error: store has no setting `shard`
              help: did you mean `shards`?
            s.yaml:5:48: error: store: `replicas` is a number from 0 to 9, not 12
            s.yaml:5:60: error: the setting `shards` takes one value, not a list"#]],
    );
}

#[test]
fn files_that_a_service_reads_must_be_there() {
    check(
        &with(
            "a: { use: gateway, calls: { backend: c }, with: { routes: [nowhere.json, [x]] } }\nc: { use: store }",
        ),
        &expect![[r#"
            s.yaml:5:62: error: there is no file nowhere.json
              help: paths are relative to the scenario's folder
            s.yaml:5:76: error: `routes` takes paths of files, not a list"#]],
    );
}

#[test]
fn roles_are_held_to_those_that_a_service_calls() {
    check(
        &with("a: { use: gateway }\nb: { use: gateway, calls: { backened: c } }\nc: { use: store }"),
        &expect![[r#"
            s.yaml:5:13: error: gateway needs a service in the role `backend`
              help: write `calls: { backend: SERVICE }`
            s.yaml:6:13: error: gateway needs a service in the role `backend`
              help: write `calls: { backend: SERVICE }`
            s.yaml:6:31: error: gateway calls nothing in the role `backened`
              help: did you mean `backend`?"#]],
    );
    let plan = plan(&with(
        "a: { use: gateway, calls: { backend: b } }\nb: { use: store }",
    ));
    assert_eq!(plan.services[1].calls["backend"], "b");
}

#[test]
fn a_service_may_call_roles_that_the_scenario_names() {
    let plan = plan(&with(
        "a: { use: switch, calls: { center: b, svc-v1: b, svc-v2: c } }\nb: { use: store }\nc: { use: store }",
    ));
    let switch = plan.services.iter().find(|service| service.name == "a").unwrap();
    assert_eq!(switch.calls["svc-v1"], "b");
    assert_eq!(switch.calls["svc-v2"], "c");
    check(
        &with("a: { use: switch, calls: { svc-v1: b } }\nb: { use: store }"),
        &expect![[r#"
            s.yaml:5:13: error: switch needs a service in the role `center`
              help: write `calls: { center: SERVICE }`"#]],
    );
}

#[test]
fn what_only_a_program_of_ones_own_can_have_is_refused_elsewhere() {
    check(
        &with("a: { use: store, env: { LEVEL: debug }, ready: { http: /healthz } }"),
        &expect![[r#"
            s.yaml:5:13: error: a bundled service says itself when it is ready
              help: leave `ready` out
            s.yaml:5:27: error: `env` is for programs of your own
              help: a bundled service takes its settings under `with`"#]],
    );
    check(
        &with("a: { at: \"127.0.0.1:80\", ready: { tcp: true } }"),
        &expect![[r#"
            s.yaml:5:12: error: what already runs is not waited for
              help: leave `ready` out"#]],
    );
}

#[test]
fn only_this_machine_and_what_the_user_allows_is_put_under_load() {
    check(
        &with("a: { at: \"http://10.0.0.7:80\" }"),
        &expect![[r#"
        s.yaml:5:12: error: `10.0.0.7:80` is not on this machine
          help: if you may put load on it, say `--allow-host 10.0.0.7`"#]],
    );
    for address in [
        "http://DB.example:80",
        "127.0.0.1:80",
        "[::1]:80",
        "http://localhost",
        "https://localhost",
        "unix:/run/a.sock",
    ] {
        plan(&with(&format!("a: {{ at: \"{address}\" }}")));
    }
}

#[test]
fn callees_start_before_their_callers() {
    assert_eq!(
        order(
            "a: { use: gateway, calls: { backend: b } }\nb: { use: gateway, calls: { backend: c } }\nc: { use: store }"
        ),
        ["c", "b", "a"]
    );
}

#[test]
fn what_a_command_line_or_an_environment_names_starts_before_it() {
    assert_eq!(
        order(
            "a: { run: [x, \"{port}\", \"http://{b}/{c.port}\"] }\nb: { run: [x, \"{port}\"], env: { C: \"{c.host}\" } }\nc: { use: store }"
        ),
        ["c", "b", "a"]
    );
}

#[test]
fn otherwise_services_start_as_they_were_written() {
    assert_eq!(
        order("b: { use: store }\na: { use: store }\nc: { use: store }"),
        ["b", "a", "c"]
    );
}

#[test]
fn a_circle_is_named_without_those_that_only_wait_for_it() {
    check(
        &with(
            "a: { run: [x, \"{port}\", \"{b}\"] }\nb: { run: [x, \"{port}\", \"{c}\"] }\nc: { run: [x, \"{port}\"], calls: [b] }\nd: { use: store }",
        ),
        &expect![[r#"
            s.yaml:6:3: error: these services wait for each other: b, c
              help: a service starts after those that it calls or names; break the circle"#]],
    );
    check(
        &with("a: { run: [x, \"{port}\"], calls: [a] }"),
        &expect![[r#"
        s.yaml:5:3: error: `a` waits for itself
          help: a service starts after those that it calls or names; break the circle"#]],
    );
}

#[test]
fn a_service_may_name_itself() {
    assert_eq!(order("a: { run: [x, \"{port}\", --public, \"{a}\"] }"), ["a"]);
}

#[test]
fn a_program_that_is_told_no_port_can_be_reached_by_nobody() {
    check(
        &with(
            "a: { run: [x] }\nb: { run: [x, \"{port}\", \"{a}\"] }\nc: { use: gateway, calls: { backend: a } }",
        ),
        &expect![[r#"
            s.yaml:6:28: error: `a` is told no port, so it has no address
              s.yaml:5:14: its command line
              help: use "{port}" in its `run` or `env`
            s.yaml:7:40: error: `a` is told no port, so it has no address
              s.yaml:5:14: its command line
              help: use "{port}" in its `run` or `env`
            s.yaml:8:21: error: `a` is told no port, so no load can reach it
              s.yaml:5:14: its command line
              help: use "{port}" in its `run` or `env`"#]],
    );
}

#[test]
fn a_port_of_another_service_is_one_that_it_has() {
    let ports = "b: { run: [x, \"{port.http}\"], ports: [http, raft] }";
    plan(&with(&format!(
        "a: {{ run: [x, \"{{port}}\", \"{{b.port.raft}}\"] }}\n{ports}"
    )));
    check(
        &with(&format!(
            "a: {{ run: [x, \"{{port}}\", \"{{b.port.rafd}}\"] }}\n{ports}"
        )),
        &expect![[r#"
            s.yaml:5:28: error: `b` has no port called `rafd`
              help: did you mean `raft`?"#]],
    );
}

#[test]
fn readiness_needs_something_to_look_at() {
    check(
        &with(
            "a: { use: store }\nb: { run: [x], ready: { http: /healthz } }\nc: { run: [x], ready: { tcp: true } }",
        ),
        &expect![[r#"
            s.yaml:6:33: error: this program is told no port, so nothing is known to connect to
              help: use `{port}` in `run` or `env`, or wait for a line of its output with `ready: { log: REGEX }`
            s.yaml:7:14: error: this program is told no port, so nothing is known to connect to
              help: use `{port}` in `run` or `env`, or wait for a line of its output with `ready: { log: REGEX }`"#]],
    );
    check(
        &with("a: { use: store }\nb: { run: [x], ready: { log: \"listening (on\" } }"),
        &expect!["s.yaml:6:32: error: no regular expression: found open group without closing ')'"],
    );
}

#[test]
fn a_unix_socket_has_a_path_that_fits_and_no_host_or_port() {
    let path = "a".repeat(200);
    check(
        &with(&format!(
            "a: {{ at: \"unix:/{path}\" }}\nb: {{ run: [x, \"{{port}}\", \"{{c}}\"] }}\nc: {{ at: \"unix:/c.sock\" }}\nd: {{ use: gateway, calls: {{ backend: c }} }}"
        )),
        &expect![[r#"
            s.yaml:5:12: error: /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa is 201 bytes long, and a unix socket's path has at most 107
              help: put the socket, or a link to its folder, into /tmp
            s.yaml:6:28: error: `c` is at a unix socket, which has no host and port
              s.yaml:7:12: its address
              help: write the socket's path where it is needed
            s.yaml:8:40: error: `c` is at a unix socket, which has no host and port
              s.yaml:7:12: its address
              help: write the socket's path where it is needed"#]],
    );
}

#[test]
fn tls_is_checked_before_anything_starts() {
    check(
        &with(
            "a: { at: \"http://localhost\", tls: { insecure: true } }\nb: { at: \"https://localhost\", tls: { ca: no-such-ca.pem } }\nc: { at: \"127.0.0.1:1\", tls: { name: \"a b\" } }\nd: { use: gateway, calls: { backend: e } }\ne: { at: \"https://127.0.0.1\" }\nf: { use: store, tls: {} }\ng: { run: [x, \"{port}\"], tls: {}, ready: { http: /healthz } }",
        ),
        &expect![[r#"
            s.yaml:5:12: error: `http://` is without TLS, and `tls` says how to check it
              help: write https://, or leave `tls` out
            s.yaml:6:44: error: reading the certificates in /scenarios/no-such-ca.pem: No such file or directory (os error 2)
            s.yaml:7:40: error: "a b" is neither a host name nor an IP address, so no certificate can be for it
            s.yaml:8:40: error: `e` speaks TLS, and bundled services call without
            s.yaml:10:20: error: `use` and `tls` exclude each other
              s.yaml:10:8: the other one
            s.yaml:11:52: error: readiness is not asked for over TLS
              help: wait for `tcp: true`, or for a line of its output with `log: REGEX`"#]],
    );
}

#[test]
fn tls_goes_by_the_host_of_the_address_unless_it_is_named() {
    let names = |service: &str| {
        let plan = plan(&with(service));
        let tls = plan.services[0].tls.clone();
        tls.map(|tls| (tls.name, tls.trust == squall_load::Trust::Anyone))
    };
    let named = |name: &str, anyone| Some((name.to_owned(), anyone));
    assert_eq!(names("a: { at: \"https://[::1]:8443\" }"), named("::1", false));
    assert_eq!(
        names("a: { at: \"localhost:1\", tls: { insecure: true } }"),
        named("localhost", true)
    );
    assert_eq!(
        names("a: { at: \"https://127.0.0.1\", tls: { name: api.test } }"),
        named("api.test", false)
    );
    assert_eq!(
        names("a: { run: [x, \"{port}\"], tls: {} }"),
        named("127.0.0.1", false)
    );
    assert_eq!(names("a: { at: \"127.0.0.1:1\" }"), None);
}
