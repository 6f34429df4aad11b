//! What a run says while it goes on.

use squall_model::exit::Exit;

use crate::support::{OnTerminal, Stage, processes};

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

/// Ten loads on one service.
fn ten_loads(stage: &Stage, length: &str) -> String {
    let load = |at| format!("  load-{at}: {{ to: ids, http: {{ get: /id }}, rate: 20/s, connections: 2 }}\n");
    let loads = (0..10).map(load).collect::<Vec<_>>().concat();
    let text = format!(
        "squall: 1\nname: ten\nseed: 7\nservices: {{ ids: {{ use: id-generator }} }}\nload:\n{loads}phases: [{{ phase: only, for: {length} }}]\n"
    );
    stage.write("ten.yaml", &text)
}

#[test]
fn on_a_terminal_ten_loads_are_a_table_that_stays_in_its_place() {
    let stage = Stage::alone();
    let scenario = ten_loads(&stage, "3s");
    let mut squall = OnTerminal::start(stage.run_command(&scenario, &[]), 24, 80);
    squall.wait_until("the table has a row for each load", |screen| {
        (0..10).all(|at| screen.contains(&format!("load-{at} "))) && screen.contains(" 20/s")
    });
    let screen = squall.screen();
    assert_eq!(screen.matches("load-3 ").count(), 1, "drawn once:\n{screen}");
    assert_eq!(screen.matches("only 1/1").count(), 1, "drawn once:\n{screen}");
    assert!(
        screen.contains("ten begins, seed 7"),
        "what was said stays above:\n{screen}"
    );
    squall.wait();
    let screen = squall.screen();
    assert!(
        !screen.contains("load-") && !screen.contains(" left"),
        "no live line is left:\n{screen}"
    );
    assert!(screen.contains("phase only"), "what was said stays:\n{screen}");
    assert_eq!(squall.parser.screen().cursor_position().1, 0, "{screen}");
    assert!(squall.wrapped.is_empty(), "{:#?}", squall.wrapped);
}

#[test]
fn a_small_terminal_shows_some_loads_and_the_sum_of_the_others() {
    let stage = Stage::alone();
    let scenario = ten_loads(&stage, "2s");
    let mut squall = OnTerminal::start(stage.run_command(&scenario, &[]), 12, 60);
    squall.wait_until("four loads and six more", |screen| {
        screen.contains("load-3 ") && screen.contains("and 6 more: ")
    });
    assert!(!squall.screen().contains("load-4"), "{}", squall.screen());
    squall.wait();
    assert!(squall.wrapped.is_empty(), "{:#?}", squall.wrapped);
}

#[test]
fn ctrl_c_leaves_no_live_line_behind() {
    let stage = Stage::alone();
    let scenario = ten_loads(&stage, "30s");
    let mut squall = OnTerminal::start(stage.run_command(&scenario, &[]), 24, 80);
    squall.wait_until("the table", |screen| screen.contains("load-9 "));
    squall.ctrl_c();
    let status = squall.wait();
    let screen = squall.screen();
    assert_eq!(status.code(), Some(130), "{screen}");
    assert!(screen.contains("SIGINT (Ctrl-C): stopping"), "{screen}");
    for rest in ["^C", "load-", " left"] {
        assert!(!screen.contains(rest), "`{rest}` is left:\n{screen}");
    }
    assert!(processes::of_run(squall.pid()).is_empty());
}

#[test]
fn quiet_is_the_verdict_and_nothing_else() {
    let stage = Stage::alone();
    let scenario = stage.write(
        "quiet.yaml",
        "squall: 1\nname: quiet\nservices: { ids: { use: id-generator } }\nphases: [{ phase: p, for: 200ms }]\n",
    );
    let ended = stage.run(&scenario, &["--quiet"]);
    let word = ended.record().verdict.as_str().to_uppercase();
    assert_eq!(
        ended.stdout.lines().next(),
        Some(format!("{word}  quiet").as_str()),
        "{ended}"
    );
    assert_eq!(
        ended.stdout.lines().count(),
        1 + ended.record().reasons.len(),
        "{ended}"
    );
    assert_eq!(ended.stderr, "");
}

#[test]
fn colours_are_as_asked_for() {
    let stage = Stage::shared();
    let wrong = stage.write("wrong.yaml", "squall: 1\nnam: x\n");
    let coloured = |args: &[&str]| {
        let mut command = Stage::command(&["check", &wrong]);
        command.args(args).env_remove("NO_COLOR");
        stage.start(command).wait().stderr.contains('\u{1b}')
    };
    assert!(!coloured(&[]), "standard error is no terminal");
    assert!(coloured(&["--color", "always"]));
    assert!(!coloured(&["--color", "never"]));
    let on_terminal = |args: &[&str], no_color: Option<&str>| {
        let mut command = Stage::command(&["check", &wrong]);
        command.args(args).env_remove("NO_COLOR");
        no_color.map(|value| command.env("NO_COLOR", value));
        let mut squall = OnTerminal::start(command, 24, 80);
        squall.wait();
        let screen = squall.parser.screen();
        let coloured = |row| {
            screen
                .cell(row, 0)
                .is_some_and(|cell| cell.fgcolor() != vt100::Color::Default)
        };
        (0..24).any(coloured)
    };
    assert!(on_terminal(&[], None));
    assert!(on_terminal(&[], Some("")), "an empty NO_COLOR says nothing");
    assert!(!on_terminal(&[], Some("1")));
    assert!(!on_terminal(&["--color", "never"], None));
}

#[test]
fn a_one_shot_load_shows_how_it_stands_and_clears_that_away() {
    let stage = Stage::alone();
    let served = stage.serve("id-generator");
    let words = ["load", &served.listen, "-r", "100", "-d", "4s", "-c", "4"];
    let mut squall = OnTerminal::start(Stage::command(&words), 24, 80);
    squall.wait_until("the live table", |screen| {
        screen.contains(" s left") && screen.contains("target")
    });
    assert_eq!(
        squall.screen().matches(" s left").count(),
        1,
        "{}",
        squall.screen()
    );
    squall.wait();
    let screen = squall.screen();
    assert!(
        screen.contains("open loop at 100/s"),
        "what was said stays:\n{screen}"
    );
    assert!(
        !screen.contains(" s left") && !screen.contains("target"),
        "{screen}"
    );
}
