//! Faults on edges in the forms that scenarios rarely take: between groups, for a share, by a pattern, again and again, and across a
//! restart of the callee.

use squall_model::record::{FaultRecord, RunRecord};

use crate::support::Stage;

/// Runs a scenario of a server, loads and phases; what came of it.
fn run(name: &str, rest: &str) -> RunRecord {
    let stage = Stage::alone();
    let text = format!(
        "squall: 1\nname: {name}\nseed: 7\nservices:\n  server: {{ use: delay-law, with: {{ delay: 1ms, body-bytes: 2 }} }}\n{rest}"
    );
    let path = stage.write(&format!("{name}.yaml"), &text);
    let ended = stage.run(&path, &[]);
    ended.assert_nothing_left();
    ended.record()
}

#[track_caller]
fn proven<'a>(record: &'a RunRecord, name: &str) -> &'a FaultRecord {
    let found = record.faults.iter().find(|fault| fault.name == name);
    let found = found.unwrap_or_else(|| panic!("{name} is not among {:?}", record.faults));
    assert!(found.proved && found.undone, "{found:?}");
    found
}

fn errors(record: &RunRecord, phase: usize, load: &str, kind: &str) -> u64 {
    let load = &record.phases[phase].load[load];
    load.errors.get(kind).copied().unwrap_or(0)
}

#[test]
fn groups_are_cut_off_on_every_edge_between_them_and_on_no_other() {
    let record = run(
        "groups",
        "  other: { use: delay-law, with: { delay: 1ms } }
load:
  one: { to: server, http: { get: / }, rate: 100/s, timeout: 200ms }
  two: { to: other, http: { get: / }, rate: 100/s, timeout: 200ms }
  within: { to: server, http: { get: / }, rate: 100/s, timeout: 200ms }
phases:
  - { phase: before, for: 1s }
  - phase: cut
    for: 2s
    faults:
      - partition: { groups: [[one, two], [server, other, within]], for: 1s }
      # It has a proxy too, and nothing is done to it.
      - latency: { as: near, between: [within, server], delay: 1ms, for: 1s }
  - { phase: after, for: 1s }
",
    );
    let cut = proven(&record, "partition");
    assert_eq!(cut.edge.as_deref(), Some("one->server, two->other"));
    for edge in ["one->server: ", "two->other: "] {
        assert!(
            cut.evidence.contains(edge) && cut.undone_evidence.contains(edge),
            "{cut:?}"
        );
    }
    for load in ["one", "two"] {
        assert!(
            errors(&record, 1, load, "timeout") > 30,
            "{load}: {:?}",
            record.phases[1]
        );
    }
    let within = &record.phases[1].load["within"];
    assert!(within.failed * 10 < within.completed, "{within:?}");
}

#[test]
fn a_share_of_the_connections_meets_a_toxic_and_the_others_do_not() {
    let record = run(
        "shares",
        "load:
  get: { to: server, http: { get: / }, users: 16, think: 20ms, connections: 16, timeout: 5s }
phases:
  - { phase: before, for: 1s }
  - phase: late
    for: 4s
    faults: [latency: { from: server, to: get, delay: 400ms, share: 50% }]
  - { phase: after, for: 1s }
",
    );
    proven(&record, "latency");
    let late = &record.phases[1].load["get"].response;
    // Who is delayed asks less often, so it is few requests of half of the users.
    assert!(late.p50 < Some(400_000) && late.p99 >= Some(400_000), "{late:?}");
    assert!(
        late.count > 16 * 4_000 / 421 * 2,
        "more than if all were delayed: {late:?}"
    );
}

#[test]
fn only_paths_that_match_get_another_body() {
    let record = run(
        "bodies",
        "load:
  in: { to: server, http: { get: /a/17, check: { body: changed } }, rate: 100/s, timeout: 2s }
  out: { to: server, http: { get: /a/b, check: { body: changed } }, rate: 100/s, timeout: 2s }
phases:
  - { phase: before, for: 1s }
  - phase: changed
    for: 2s
    faults:
      - http: { as: numbers, between: [in, server], path_regex: \"^/a/[0-9]+$\", body: changed }
      - http: { as: none, between: [out, server], path_regex: \"^/a/[0-9]+$\", body: changed }
  - { phase: after, for: 1s }
",
    );
    proven(&record, "numbers");
    let none = record
        .faults
        .iter()
        .find(|fault| fault.name == "none")
        .expect("it is there");
    assert!(
        !none.proved
            && none
                .evidence
                .contains("sent nothing over its edge to server that met it"),
        "{none:?}"
    );
    for (phase, load, changed) in [
        (0, "in", false),
        (1, "in", true),
        (1, "out", false),
        (2, "in", false),
    ] {
        let unchanged = errors(&record, phase, load, "check_body");
        let answered = record.phases[phase].load[load].response.count;
        assert!(answered > 0);
        if changed {
            assert!(
                unchanged * 10 < answered,
                "{load} in {phase}: {unchanged} of {answered}"
            );
        } else {
            assert!(
                unchanged * 10 > answered * 9,
                "{load} in {phase}: {unchanged} of {answered}"
            );
        }
    }
}

#[test]
fn a_fault_on_an_edge_comes_again_and_again_with_receipts_each_time() {
    let record = run(
        "again",
        "load:
  get: { to: server, http: { get: / }, rate: 200/s, timeout: 2s }
phases:
  - { phase: before, for: 1s }
  - phase: often
    for: 4s
    faults:
      - partition: { between: [get, server], after: 200ms, for: 200ms, every: 800ms, times: 4 }
      - latency: { from: server, to: get, delay: 20ms, after: 500ms, for: 200ms, every: 800ms, times: 4 }
  - { phase: after, for: 1s }
",
    );
    for name in ["partition", "latency"] {
        let times = proven(&record, name).repeated.expect("it comes again");
        assert_eq!(
            (times.planned, times.proved, times.undone),
            (4, 4, 4),
            "{:?}",
            record.faults
        );
    }
}

#[test]
fn a_fault_goes_on_while_its_callee_is_started_again() {
    let record = run(
        "callee",
        "load:
  get: { to: server, http: { get: / }, rate: 200/s, timeout: 2s }
phases:
  - { phase: before, for: 1s }
  - phase: hit
    for: 4s
    faults:
      - latency: { from: server, to: get, delay: 150ms }
      - restart: { target: server, after: 1s, down: 300ms, signal: KILL }
  - { phase: after, for: 1s }
",
    );
    proven(&record, "latency");
    proven(&record, "restart");
    let hit = &record.phases[1].load["get"];
    // Most of its answers come after the restart, and all of them late.
    assert!(
        hit.response.min >= Some(150_000) || hit.response.p50 >= Some(150_000),
        "{hit:?}"
    );
    let answered = hit.completed - hit.failed;
    assert!(answered * 2 > hit.sent, "it answers again: {hit:?}");
}
