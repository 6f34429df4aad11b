//! Services that are not there, never get ready, or die: exit code 95 or 99, with what they said last.

use std::net::TcpListener;

use squall_model::event::EventKind;
use squall_model::exit::Exit;
use squall_model::record::Verdict;

use crate::support::{SQUALL, Stage};

/// A scenario with one program, given as the inside of its mapping.
fn with_program(stage: &Stage, program: &str) -> String {
    let text = format!(
        "squall: 1
name: unlucky
services:
  ids: {{ use: id-generator }}
  unlucky: {{ {program} }}
load: {{ single: {{ to: ids, http: {{ get: /id }}, rate: 200/s, connections: 4 }} }}
phases: [{{ phase: p, for: 20s }}]
"
    );
    stage.write("unlucky.yaml", &text)
}

/// Runs it, and returns the reasons given: on the terminal, in the record and in the report alike.
#[track_caller]
fn unmet(program: &str) -> String {
    let stage = Stage::alone();
    let ended = stage.run(&with_program(&stage, program), &[]);
    ended.assert_exit(Exit::ExpectationNotMet).assert_nothing_left();
    let record = ended.record();
    assert_eq!(record.verdict, Verdict::Fail);
    let first = record.reasons.first().expect("a reason").clone();
    // The page escapes and the terminal wraps, so words are looked for, not lines.
    let opening: String = first.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    assert!(
        ended.stdout.contains(&opening),
        "the summary does not say so: {ended}"
    );
    assert!(
        ended.file("report.html").contains("unlucky"),
        "the report does not say so"
    );
    first
}

#[test]
fn one_that_never_gets_ready_is_shown_with_its_last_lines() {
    let program = r#"run: [sh, -c, "echo still warming up; exec sleep 60", "{port}"], ready: { tcp: true, within: 500ms }"#;
    let reason = unmet(program);
    for words in [
        "`unlucky` was not ready within 500ms",
        "connection refused",
        "still warming up",
    ] {
        assert!(reason.contains(words), "no `{words}`: {reason}");
    }
}

#[test]
fn one_that_says_nothing_never_gets_ready_either() {
    let reason = unmet(r#"run: [sleep, "60", "{port}"], ready: { tcp: true, within: 300ms }"#);
    assert!(
        reason.contains("was not ready") || reason.contains("ended with"),
        "{reason}"
    );
}

#[test]
fn one_that_ends_at_once_is_shown_with_its_status_and_last_lines() {
    let reason = unmet(r#"run: [sh, -c, "echo cannot open config; exit 7"], ready: { log: up }"#);
    for words in [
        "`unlucky` ended with exit code 7 before it was ready",
        "cannot open config",
    ] {
        assert!(reason.contains(words), "no `{words}`: {reason}");
    }
}

#[test]
fn what_one_prints_can_neither_steer_the_terminal_nor_the_report() {
    let stage = Stage::alone();
    let program = r#"run: [sh, -c, "printf '\\033]0;title\\007 \\377 <script>1</script>\\n'; exit 3"], ready: { log: up }"#;
    let ended = stage.run(&with_program(&stage, program), &[]);
    ended.assert_exit(Exit::ExpectationNotMet).assert_nothing_left();
    assert!(ended.stdout.contains("title"), "the last line is shown: {ended}");
    assert!(
        !ended.stdout.contains(['\u{1b}', '\u{7}']) && !ended.stderr.contains('\u{1b}'),
        "{:?}",
        ended.stdout
    );
    let page = ended.file("report.html");
    assert!(
        page.contains("title") && !page.contains("<script>1"),
        "it is shown, and as text"
    );
    let log = std::fs::read(ended.folder().join("logs/unlucky.log")).expect("a log");
    assert_eq!(
        log, b"\x1b]0;title\x07 \xff <script>1</script>\n",
        "the log has the program's own bytes"
    );
}

#[test]
fn one_that_dies_while_the_load_runs_ends_the_run() {
    let stage = Stage::alone();
    let scenario = with_program(
        &stage,
        r#"run: [sh, -c, "echo last words; sleep 1; kill -SEGV $$"]"#,
    );
    let ended = stage.run(&scenario, &[]);
    ended.assert_exit(Exit::ExpectationNotMet).assert_nothing_left();
    let record = ended.record();
    let reason = &record.reasons[0];
    for words in ["service unlucky died unasked", "last words"] {
        assert!(reason.contains(words), "no `{words}`: {reason}");
    }
    assert!(
        reason.contains("SIGSEGV") || reason.contains("signal 11"),
        "how it ended is said: {reason}"
    );
    assert!(
        !record.phases[0].complete && record.phases[0].load["single"].completed > 0,
        "what was measured is kept"
    );
    let died = ended.events().into_iter().find_map(|event| match event.kind {
        EventKind::ServiceDied {
            service, last_lines, ..
        } => Some((service, last_lines)),
        _ => None,
    });
    assert_eq!(died, Some(("unlucky".to_owned(), vec!["last words".to_owned()])));
    assert!(ended.stderr.contains("unlucky died unasked"), "{ended}");
    assert!(ended.file("report.html").contains("died unasked"));
}

#[test]
fn a_program_that_is_not_there_is_found_before_anything_starts() {
    let stage = Stage::alone();
    let ended = stage.run(&with_program(&stage, "run: [no-such-program-here]"), &[]);
    ended.assert_code(95).assert_nothing_left();
    assert!(
        ended
            .stderr
            .contains("service unlucky: the program `no-such-program-here` is not in PATH"),
        "{ended}"
    );
    assert!(!stage.reports().exists(), "nothing may have begun");

    let ended = stage.run(&with_program(&stage, "run: [./absent]"), &[]);
    ended.assert_code(95);
    assert!(ended.stderr.contains("absent is not there"), "{ended}");

    // A name that depends on another service is known only once that runs; what is missing then is missing all the same.
    let ended = stage.run(
        &with_program(&stage, r#"run: ["no-such-program-{ids.port}"]"#),
        &[],
    );
    ended.assert_exit(Exit::MissingCapability).assert_nothing_left();
    let reason = &ended.record().reasons[0];
    assert!(
        reason.contains("no-such-program-") && reason.contains("was not found"),
        "{reason}"
    );
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let program = format!(
        r#"run: [{SQUALL:?}, serve, id-generator, --listen, "{address}", --data, "{{data}}"], ready: {{ log: "^ready " }}"#
    );
    let reason = unmet(&program);
    assert!(
        reason.contains("`unlucky` ended with exit code 1 before it was ready"),
        "{reason}"
    );
    assert!(
        reason.contains(&address.to_string()) && reason.contains("in use"),
        "{reason}"
    );
}
