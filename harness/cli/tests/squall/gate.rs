//! `squall gate`, against services that differ in what can be counted: no machine is too slow for errors.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use squall_model::exit::Exit;
use squall_model::gate::{Arm, GateEnd, GateRecord, GateVerdict, MetricKind};

use crate::support::{Ended, PATIENCE, Stage, eventually, gate_folder, gate_record, git, processes};

/// Fourteen blocks of a second, on a machine that has other things to do.
const LONG: Duration = Duration::from_secs(400);

/// A service whose share of errors can be told, in blocks of a second.
const LAW: &str = "squall: 1
name: shop
seed: 7
services: { law: { use: delay-law, with: { delay: 1ms } } }
load: { buy: { to: law, http: { get: / }, rate: 400/s, arrivals: poisson, timeout: 5s } }
phases: [ { phase: steady, for: 10s, baseline: true } ]
gate: { slice: 200ms, slices: 2, gap: 50ms, warm_up: 100ms }
";

/// What a candidate is told that is worse: one request in ten fails.
const WORSE: &str = "services.law.with.error-share=10%";

fn gate(stage: &Stage, scenario: &str, more: &[&str]) -> Ended {
    stage.start(command(stage, scenario, more)).wait_within(LONG)
}

fn command(stage: &Stage, scenario: &str, more: &[&str]) -> Command {
    let mut command = Stage::command(&["gate", scenario]);
    command.args(more).arg("--out").arg(stage.reports());
    command
}

#[test]
fn more_errors_block_and_nothing_is_left() {
    let stage = Stage::alone();
    let scenario = stage.write("shop.yaml", LAW);
    let ended = gate(
        &stage,
        &scenario,
        &["--candidate-set", WORSE, "--metric", "errors", "--seed", "5"],
    );
    ended.assert_code(i32::from(Exit::Regression.code()));
    let record = gate_record(&ended);
    assert_eq!(
        (record.verdict, record.end),
        (GateVerdict::Regressed, GateEnd::Decided),
        "{ended}"
    );
    assert_eq!(
        record.looked_at, 14,
        "ten in a hundred are seen at the first look"
    );
    let errors = record
        .metrics
        .iter()
        .find(|metric| metric.kind == MetricKind::Errors)
        .expect("it is measured");
    let finding = errors.finding.expect("it was looked at");
    assert!((0.05..0.15).contains(&finding.estimate), "{finding:?}");
    for block in &record.blocks {
        let asked = |arm: Arm| -> Vec<u64> {
            block
                .arms
                .of(arm)
                .stretches
                .iter()
                .map(|stretch| stretch.load["buy"].intended)
                .collect()
        };
        assert_eq!(
            asked(Arm::Base),
            asked(Arm::Candidate),
            "both arms are asked for the same"
        );
        assert_eq!(asked(Arm::Base).len(), 2);
    }
    assert!(
        record
            .command
            .contains("--candidate-set services.law.with.error-share=10%"),
        "{}",
        record.command
    );
    assert!(record.command.contains("--seed 5"));
    let kept: Vec<_> = fs::read_dir(gate_folder(&ended).join("blocks"))
        .expect("there")
        .flatten()
        .collect();
    let spoiled = record.blocks.iter().filter(|block| !block.is_valid()).count();
    assert_eq!(kept.len(), spoiled, "only blocks that don't count are kept");
}

#[test]
fn the_same_passes_by_what_can_be_counted() {
    let stage = Stage::alone();
    let scenario = stage.write("shop.yaml", LAW);
    let ended = gate(
        &stage,
        &scenario,
        &["--metric", "errors", "--keep-blocks", "--json"],
    );
    ended.assert_code(0);
    let printed: GateRecord = serde_json::from_str(&ended.stdout).expect("JSON and nothing else");
    assert_eq!(printed, gate_record(&ended));
    assert_eq!(printed.verdict, GateVerdict::Pass, "{ended}");
    assert!(printed.same_binary && !printed.blind_spot.is_empty());
    let block = gate_folder(&ended).join(printed.blocks[0].folder.as_deref().expect("it was kept"));
    for arm in Arm::BOTH {
        assert!(
            block.join(arm.as_str()).join("shop/latest/run.json").is_file(),
            "{}",
            block.display()
        );
    }
}

#[test]
fn advice_blocks_nothing() {
    let stage = Stage::alone();
    let scenario = stage.write("shop.yaml", LAW);
    let ended = gate(
        &stage,
        &scenario,
        &["--candidate-set", WORSE, "--metric", "errors", "--advise"],
    );
    ended.assert_code(0);
    let record = gate_record(&ended);
    assert_eq!(record.verdict, GateVerdict::Regressed);
    assert!(!record.blocks_merge);
}

#[test]
fn too_little_time_decides_nothing_and_says_so() {
    let stage = Stage::alone();
    let scenario = stage.write("shop.yaml", LAW);
    let ended = gate(
        &stage,
        &scenario,
        &["--budget", "1s", "--on-inconclusive", "fail"],
    );
    ended.assert_code(i32::from(Exit::Invalid.code()));
    let record = gate_record(&ended);
    assert_eq!(
        (record.verdict, record.end),
        (GateVerdict::Inconclusive, GateEnd::Budget),
        "{ended}"
    );
    assert!(
        record.reasons.iter().any(|reason| reason.contains("14")),
        "{:?}",
        record.reasons
    );
}

#[test]
fn an_invariant_of_the_candidate_needs_no_statistics() {
    let stage = Stage::alone();
    let text = "squall: 1
name: shop
services: { ids: { use: id-generator, with: { node: 7 } } }
load: { make: { to: ids, http: { get: \"/ids?count=100\" }, rate: 300/s, timeout: 5s } }
phases:
  - { phase: steady, for: 1s, baseline: true }
  - phase: step
    for: 1s
    faults: [ clock: { target: ids, step: -50ms, after: 300ms } ]
gate: { slice: 200ms, slices: 1, gap: 50ms, warm_up: 100ms }
";
    let scenario = stage.write("shop.yaml", text);
    let plant = "services.ids.with.plant=reuse-after-rollback";
    let ended = gate(&stage, &scenario, &["--candidate-set", plant]);
    ended.assert_code(i32::from(Exit::InvariantViolated.code()));
    let record = gate_record(&ended);
    assert_eq!(record.blocks.len(), 1, "one block is enough: {ended}");
    let arms = &record.blocks[0].arms;
    assert_eq!(arms.base.violations, []);
    assert_eq!(arms.candidate.violations[0].invariant, "ids.unique");
    for arm in Arm::BOTH {
        let faults: Vec<_> = arms
            .of(arm)
            .stretches
            .iter()
            .flat_map(|stretch| &stretch.faults)
            .collect();
        assert_eq!(faults.len(), 1, "each arm has the fault in its own window");
        assert!(faults[0].proved, "{ended}");
    }
}

#[test]
fn a_candidate_that_does_not_start_fails_and_a_base_that_does_not_is_none() {
    let stage = Stage::alone();
    let scenario = stage.write(
        "shop.yaml",
        &LAW.replace(
            "{ use: delay-law, with: { delay: 1ms } }",
            "{ run: [sleep, \"60\", \"{port}\"], ready: { tcp: true, within: 1s } }",
        ),
    );
    let works = r#"run=["{squall}", serve, delay-law, --listen, "127.0.0.1:{port}"]"#;
    let ended = gate(
        &stage,
        &scenario,
        &["--base-set", &format!("services.law.{works}")],
    );
    ended.assert_code(i32::from(Exit::ExpectationNotMet.code()));
    let failed = gate_record(&ended);
    assert_eq!(failed.end, GateEnd::Broken);
    assert!(
        failed.reasons[0].starts_with("candidate: ") && failed.reasons[0].contains("law"),
        "{:?}",
        failed.reasons
    );

    fs::remove_dir_all(stage.reports()).expect("removed");
    let ended = gate(
        &stage,
        &scenario,
        &["--candidate-set", &format!("services.law.{works}")],
    );
    ended.assert_code(0);
    let none = gate_record(&ended);
    assert_eq!((none.verdict, none.end), (GateVerdict::NoBase, GateEnd::NoBase));
    assert!(none.reasons[0].starts_with("base: "), "{:?}", none.reasons);
}

#[test]
fn ctrl_c_ends_with_what_is_known() {
    let stage = Stage::alone();
    let scenario = stage.write("shop.yaml", LAW);
    let running = stage.start(command(&stage, &scenario, &["--keep-blocks"]));
    let second = |reports: &Path| {
        let gates = fs::read_dir(reports.join("shop")).into_iter().flatten().flatten();
        gates
            .into_iter()
            .any(|gate| gate.path().join("blocks/002/candidate/shop/latest").exists())
    };
    eventually("the second block begins", PATIENCE, || second(&stage.reports()));
    running.signal(Signal::INT);
    let ended = running.wait();
    ended
        .assert_code(i32::from(Exit::Interrupted.code()))
        .assert_nothing_left();
    let record = gate_record(&ended);
    assert_eq!(
        (record.verdict, record.end),
        (GateVerdict::Inconclusive, GateEnd::Interrupted)
    );
    assert_eq!(record.blocks.len(), 1, "the block that was cut short is no block");
}

#[test]
fn a_gate_that_is_killed_leaves_no_process_of_either_arm_and_the_blocks_so_far() {
    let stage = Stage::alone();
    let scenario = stage.write("shop.yaml", LAW);
    let running = stage.start(command(&stage, &scenario, &[]));
    let pid = running.pid();
    let services = || {
        processes::of_run(pid)
            .iter()
            .filter(|process| process.command.contains("serve"))
            .count()
    };
    let written = || {
        let gates = fs::read_dir(stage.reports().join("shop"))
            .into_iter()
            .flatten()
            .flatten();
        gates
            .map(|gate| gate.path().join("gate.json"))
            .find(|file| file.is_file())
    };
    eventually("both arms are up once more", PATIENCE, || {
        written().is_some() && services() == 2
    });
    running.signal(Signal::KILL);
    let ended = running.wait();
    ended.wait_until_nothing_left(PATIENCE);
    let text = fs::read_to_string(written().expect("it was there")).expect("readable");
    let record: GateRecord = serde_json::from_str(&text).expect("it is whole");
    assert_eq!(
        (record.end, record.blocks.is_empty()),
        (GateEnd::Interrupted, false)
    );
    let cleaned = stage.squall(&["clean".as_ref(), "--out".as_ref(), stage.reports().as_os_str()]);
    cleaned.assert_code(0);
    assert_eq!(
        cleaned
            .stdout
            .matches("undone: every process of this run")
            .count(),
        2,
        "the journals of both arms are found in the gate's folder: {cleaned}"
    );
}

#[test]
fn what_both_arms_would_reach_is_refused_unless_it_is_shared() {
    let stage = Stage::alone();
    let served = stage.serve("delay-law");
    let text = LAW.replace(
        "{ use: delay-law, with: { delay: 1ms } }",
        &format!("{{ at: \"{}\" }}", served.listen),
    );
    let scenario = stage.write("shop.yaml", &text);
    let ended = gate(&stage, &scenario, &[]);
    ended.assert_code(i32::from(Exit::Usage.code()));
    assert!(
        ended.stderr.contains("both arms reach `law`") && ended.stderr.contains("gate.shared"),
        "{ended}"
    );
    let left = stage.reports().join("shop");
    assert!(!left.exists(), "a gate that did not begin leaves no folder");
    let shared = text.replace("gate: {", "gate: { shared: [law],");
    let scenario = stage.write("shop.yaml", &shared);
    let ended = gate(&stage, &scenario, &["--budget", "1s"]);
    ended.assert_code(0);
}

#[test]
fn a_service_that_both_share_is_started_once() {
    let stage = Stage::alone();
    let text = "squall: 1
name: shop
services:
  law: { use: delay-law }
load: { buy: { to: law, http: { get: / }, rate: 200/s, timeout: 5s } }
phases: [ { phase: steady, for: 10s, baseline: true } ]
gate: { shared: [law], slice: 200ms, slices: 1, gap: 50ms, warm_up: 0s }
";
    let scenario = stage.write("shop.yaml", text);
    let ended = gate(&stage, &scenario, &["--budget", "1s", "--keep-blocks"]);
    ended.assert_code(0);
    let block = gate_folder(&ended).join("blocks/001");
    let log = |arm: &str| block.join(arm).join("shop/latest/logs/law.log").exists();
    assert_eq!(
        (log("shared"), log("base"), log("candidate")),
        (true, false, false),
        "{ended}"
    );
    let record = gate_record(&ended);
    assert!(record.blocks[0].is_valid(), "{:?}", record.blocks[0].invalid);
}

#[test]
fn a_working_tree_is_held_against_the_revision_it_parted_from() {
    let stage = Stage::alone();
    let repository = stage.path("a shop");
    fs::create_dir(&repository).expect("made");
    let file = |name: &str, text: &str| fs::write(repository.join(name), text).expect("written");
    file(
        "shop.yaml",
        &LAW.replace(
            "{ use: delay-law, with: { delay: 1ms } }",
            r#"{ run: [./serve.sh, "{squall}", "127.0.0.1:{port}"] }"#,
        ),
    );
    // What is built is what is run: the share of errors that the source has.
    file(
        "squall.toml",
        "[gate]\nbuild = [\"sh\", \"-c\", \"cp errors.txt built.txt\"]\n",
    );
    file(
        "serve.sh",
        "#!/bin/sh\nexec \"$1\" serve delay-law --listen \"$2\" --set delay=1ms --set error-share=$(cat built.txt)\n",
    );
    file("errors.txt", "0%\n");
    file(".gitignore", "built.txt\nreports/\n");
    let made = Command::new("chmod")
        .args(["+x"])
        .arg(repository.join("serve.sh"))
        .status()
        .expect("chmod");
    assert!(made.success());
    for args in [
        &["init", "-q"][..],
        &["add", "."],
        &["commit", "-qm", "one"],
        &["checkout", "-qb", "work"],
    ] {
        git(&repository, args);
    }
    file("errors.txt", "10%\n");
    let scenario = repository.join("shop.yaml").display().to_string();
    let ended = gate(&stage, &scenario, &["--base", "main", "--metric", "errors"]);
    ended.assert_code(i32::from(Exit::Regression.code()));
    let record = gate_record(&ended);
    assert!(
        record.arms.candidate.revision.ends_with("-dirty"),
        "{:?}",
        record.arms
    );
    assert!(
        record.arms.base.about.starts_with("main at "),
        "{:?}",
        record.arms
    );
    assert!(!record.same_binary, "scripts lie in different folders");

    // Accepted by a commit, it does not block.
    git(
        &repository,
        &[
            "commit",
            "-qam",
            "two\n\nSquall-Accept: errors +15% a cheaper shop",
        ],
    );
    fs::remove_dir_all(stage.reports()).expect("removed");
    let ended = gate(&stage, &scenario, &["--base", "main", "--metric", "errors"]);
    ended.assert_code(0);
    let accepted = gate_record(&ended);
    assert!(accepted.accepted[0].used, "{:?}", accepted.accepted);
}
