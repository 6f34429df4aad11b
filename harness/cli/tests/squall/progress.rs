//! What a run says while it goes on.

use squall_model::exit::Exit;

use crate::support::Stage;

#[test]
fn where_standard_error_is_no_terminal_there_are_plain_lines() {
    let stage = Stage::alone();
    let scenario = stage.write(
        "plain.yaml",
        "squall: 1
name: plain
seed: 7
services: { ids: { use: id-generator } }
load: { single: { to: ids, http: { get: /id }, rate: 300/s, connections: 4 } }
phases:
  - phase: only
    for: 6s
    faults: [clock: { as: back, target: ids, step: -20ms, after: 1s, for: 1s }]
",
    );
    let ended = stage.run(&scenario, &[]);
    ended.assert_exit(Exit::Pass).assert_nothing_left();
    assert!(
        !ended.stderr.contains(['\r', '\u{1b}']),
        "no control characters: {:?}",
        ended.stderr
    );
    let mut lines = ended.stderr.lines();
    let told = [
        "plain begins, seed 7",
        "ids is ready at 127.0.0.1:",
        "phase only",
        "back injected",
        "back proven: ",
        "back healed",
        "back over: ",
        "only 1/1",
    ];
    for words in told {
        assert!(
            lines.any(|line| line.contains(words)),
            "no `{words}` in its place: {ended}"
        );
    }
    let standing = ended
        .stderr
        .lines()
        .find(|line| line.contains("only 1/1"))
        .expect("found before");
    for part in ["s left", "single", "/s", "P99", "errors 0 %"] {
        assert!(standing.contains(part), "no `{part}`: {standing}");
    }
    assert!(
        ended.stdout.contains("report: ") && !ended.stdout.contains('\u{1b}'),
        "{ended}"
    );
}

#[test]
fn several_runs_are_one_array_and_each_has_a_folder() {
    let stage = Stage::alone();
    let scenario = stage.write(
        "twice.yaml",
        "squall: 1\nname: twice\nservices: { ids: { use: id-generator } }\nphases: [{ phase: p, for: 200ms }]\n",
    );
    let ended = stage.run(&scenario, &["--json", "--runs", "2", "--seed", "11"]);
    let records: Vec<squall_model::record::RunRecord> =
        serde_json::from_str(&ended.stdout).expect("an array");
    assert_eq!(
        records.iter().map(|record| record.seed).collect::<Vec<_>>(),
        [11, 11]
    );
    let runs = std::fs::read_dir(stage.reports().join("twice"))
        .expect("readable")
        .flatten();
    assert_eq!(
        runs.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .count(),
        2
    );
    ended.assert_code(0);
}
