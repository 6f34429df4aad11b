//! Files that can't be written: a clear error, exit code 1, and what was measured so far stays readable.

use std::fs;
use std::process::Command;

use squall_model::exit::Exit;
use squall_model::record::RunRecord;

use super::report;
use crate::support::{SQUALL, Stage};

#[test]
fn a_reports_folder_that_cannot_be_written_is_named() {
    let stage = Stage::shared();
    let file = stage.write("a-file", "in the way");
    // Not a question of permissions, which do not bind a superuser.
    for place in [file.as_str(), "/proc/squall-reports"] {
        let ended = stage.squall(&["run", "canary-no-data", "--out", place]);
        ended.assert_code(1).assert_nothing_left();
        assert!(
            ended.stderr.contains(place) && ended.stderr.contains("--out DIR"),
            "{ended}"
        );
        assert_eq!(ended.stdout, "");
        let line = ended.stderr.lines().last().unwrap_or_default();
        assert_eq!(
            line.matches("(os error").count(),
            1,
            "the cause is said once: {line}"
        );
    }
    assert_eq!(fs::read_to_string(file).expect("readable"), "in the way");
}

/// Eight loads write eight times as many rows, so that little room is soon used up.
fn chatty(stage: &Stage) -> String {
    let load = |n| format!("  l{n}: {{ to: ids, http: {{ get: /id }}, rate: 50/s, connections: 2 }}\n");
    let loads: String = (0..8).map(load).collect();
    let text = format!(
        "squall: 1\nname: chatty\nseed: 3\nservices: {{ ids: {{ use: id-generator }} }}\nload:\n{loads}\
         phases: [{{ phase: p, for: 50s }}]\n"
    );
    stage.write("chatty.yaml", &text)
}

/// `command` run by a shell that has set its limits. The shell's own process becomes squall.
fn in_shell(before: &str, stage: &Stage, scenario: &str, more: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!(
        "{before}; exec '{SQUALL}' run '{scenario}' --out '{}' {more}",
        stage.reports().display()
    );
    command.args(["-c", &script]);
    command
}

#[test]
fn a_file_that_may_not_grow_ends_the_run_with_its_name_and_keeps_what_was_written() {
    let stage = Stage::alone();
    let scenario = chatty(&stage);
    // 128 blocks of 512 bytes for each file: too few for the series, enough for the events, which say why the run ended.
    // Without the signal, writing more is an error as on a full disk.
    let before = "trap '' XFSZ; ulimit -f 128 2>/dev/null || exit 77";
    let ended = stage.start(in_shell(before, &stage, &scenario, "")).wait();
    ended.assert_code(1).assert_nothing_left();
    assert!(
        unwrapped(&ended.stdout).contains("series.ndjson: File too large"),
        "file and cause are named: {ended}"
    );
    assert!(ended.stderr.contains("report.html: File too large"), "{ended}");
    for line in ended.stderr.lines() {
        assert!(
            line.matches("(os error").count() <= 1,
            "the cause is said once: {line}"
        );
    }
    let (again, page) = report(&stage, &ended.folder());
    assert!(
        again.stdout.contains("series.ndjson: 1 line could not be read"),
        "{again}"
    );
    assert!(
        page.contains("File too large"),
        "the report says why the run ended"
    );
}

#[test]
fn a_full_disk_ends_the_run_and_what_was_measured_is_readable() {
    let stage = Stage::alone();
    let scenario = chatty(&stage);
    if !may_mount() {
        // The test above covers the same path with a limit that every system has.
        return;
    }
    let (reports, kept) = (stage.reports(), stage.path("kept"));
    fs::create_dir_all(&reports).expect("made");
    // The mount is seen by this process alone, and goes with it.
    let script = format!(
        "mount -t tmpfs -o size=150k none '{reports}' && {{ '{SQUALL}' run '{scenario}' --out '{reports}'; \
         code=$?; cp -r '{reports}/chatty/latest/.' '{kept}'; exit $code; }}",
        reports = reports.display(),
        kept = kept.display()
    );
    fs::create_dir(&kept).expect("made");
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-c", &script]);
    let ended = stage.start(command).wait();
    ended.assert_code(1);
    assert!(
        unwrapped(&ended.stdout).contains("No space left on device"),
        "the summary says why: {ended}"
    );
    assert!(
        !unwrapped(&ended.stdout).contains("cut off"),
        "it knows how it ended: {ended}"
    );
    let (again, page) = report(&stage, &kept);
    assert!(
        again.stdout.contains("requests of l0"),
        "what was measured is there: {again}"
    );
    assert!(page.contains("did not finish"), "the report is marked");
}

/// A summary without the line breaks that fit it to a page.
fn unwrapped(summary: &str) -> String {
    summary.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether this machine lets a user mount in a namespace of its own.
fn may_mount() -> bool {
    let tried = Command::new("unshare")
        .args(["-Urm", "mount", "-t", "tmpfs", "none", "/mnt"])
        .output();
    tried.is_ok_and(|output| output.status.success())
}

#[test]
fn a_record_that_cannot_be_finished_is_no_pass() {
    let stage = Stage::alone();
    // Many expectations: what is written after the verdict is far larger than what comes before it.
    let expected = vec!["\"single.errors == 0%\""; 300].join(", ");
    let scenario = stage.write(
        "late.yaml",
        &format!(
            "squall: 1\nname: late\nservices: {{ ids: {{ use: id-generator }} }}
load: {{ single: {{ to: ids, http: {{ get: /id }}, rate: 100/s, connections: 2 }} }}
phases: [{{ phase: p, for: 500ms }}]\nexpect: {{ run: [{expected}] }}\n"
        ),
    );
    let before = "trap '' XFSZ; ulimit -f 64 2>/dev/null || exit 77";
    let ended = stage.start(in_shell(before, &stage, &scenario, "--json")).wait();
    ended.assert_code(1).assert_nothing_left();
    let record: RunRecord = serde_json::from_str(&ended.stdout).expect("one JSON document");
    assert_eq!(record.exit_code, Exit::Internal.code(), "{:?}", record.reasons);
    assert!(
        record.reasons.iter().any(|text| text.contains("File too large")),
        "{:?}",
        record.reasons
    );
}
