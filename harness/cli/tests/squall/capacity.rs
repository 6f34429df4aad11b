//! `squall capacity` against a server whose limit is known: it counts, so no machine is too slow for it.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Answering, Ended, Stage, processes};

/// So long that a generator on a busy machine keeps its schedule well within a tenth of it.
const PAUSE: Duration = Duration::from_millis(100);

fn scenario(stage: &Stage, server: &Answering) -> String {
    let text = format!(
        "squall: 1
name: limited
seed: 7
services: {{ shop: {{ at: \"{}\" }} }}
load:
  buy: {{ to: shop, http: {{ get: /buy }}, rate: 100/s, connections: 200, timeout: 5s }}
  other: {{ to: shop, http: {{ get: /other }}, rate: 10/s }}
phases:
  - {{ phase: first, for: 1m, measure: false }}
  - {{ phase: steady, for: 1h, baseline: true, load: {{ other: 0x }} }}
  - {{ phase: spike, for: 1m, load: {{ buy: 5x }} }}
",
        server.address
    );
    stage.write("limited.yaml", &text)
}

fn capacity(stage: &Stage, scenario: &str, more: &[&str]) -> Ended {
    let mut command = Stage::command(&["capacity", scenario]);
    command.args(more).arg("--out").arg(stage.reports());
    stage.start(command).wait()
}

/// Where the machine was too busy for any number, that is said, and nothing else can be asked for.
fn was_disturbed(ended: &Ended) -> bool {
    ended.code() == 96
        && ended
            .stdout
            .contains("the generator, or the machine under it, was the limit")
}

#[test]
fn the_limit_of_a_server_is_found_and_bracketed() {
    let stage = Stage::alone();
    let server = Answering::limited(300.0, PAUSE);
    let scenario = scenario(&stage, &server);
    let words = [
        "--load",
        "buy",
        "--slo",
        "errors < 5%",
        "--step-for",
        "1s",
        "--confirm",
        "1",
        "--precision",
        "25%",
    ];
    let ended = capacity(&stage, &scenario, &[&words[..], &["--json"]].concat());
    if was_disturbed(&ended) {
        return;
    }
    ended.assert_code(0);
    let told: Value = serde_json::from_str(&ended.stdout).expect("JSON and nothing else");
    let (holds, fails) = (
        told["holds"].as_f64().expect("found"),
        told["fails"].as_f64().expect("a bracket"),
    );
    // The server forgives a quarter of a second's worth at once, and 5 % more are allowed to fail.
    assert!((150.0..=450.0).contains(&holds), "{told:#}");
    assert!(fails > holds && fails / holds < 1.26, "{told:#}");
    assert_eq!(
        told["objectives"],
        serde_json::json!(["buy.errors < 5%", "buy.achieved >= 99%"]),
        "what is not said otherwise is expected as well"
    );
    let probes = told["probes"].as_array().expect("a list");
    let held = |probe: &&Value| probe["rate"] == told["holds"] && probe["verdict"] == "holds";
    assert!(
        probes.iter().filter(held).count() >= 2,
        "found, and confirmed: {told:#}"
    );
    for probe in probes {
        let folder = std::path::Path::new(probe["folder"].as_str().expect("a path"));
        assert!(folder.starts_with(stage.reports().join("limited")) && folder.join("report.html").exists());
    }
    assert!(
        server.asked().iter().all(|asked| !asked.contains("/other")),
        "the phase lets the other load rest"
    );
}

#[test]
fn where_nothing_holds_that_is_the_answer() {
    let stage = Stage::alone();
    let server = Answering::start(Duration::ZERO, || (503, "no"));
    let scenario = scenario(&stage, &server);
    let ended = capacity(
        &stage,
        &scenario,
        &[
            "--load",
            "buy",
            "--slo",
            "p99 < 5s",
            "--from",
            "50/s",
            "--step-for",
            "500ms",
        ],
    );
    // How fast everything fails is no latency, and that all of it fails is an error rate.
    if !was_disturbed(&ended) {
        ended.assert_code(99);
        assert!(
            ended
                .stdout
                .contains("no capacity of buy: even 50/s does not hold: buy.errors < 1%"),
            "{ended}"
        );
        assert!(ended.stdout.contains("runs: "), "{ended}");
    }
    ended.assert_nothing_left();
}

#[test]
fn a_generator_that_is_too_slow_is_no_capacity_of_the_service() {
    let stage = Stage::alone();
    // Nobody listens, so each request fails at once and only the generator works; none keeps this schedule.
    let words = [
        "--load",
        "flood",
        "--slo",
        "p50 < 1h",
        "--step-for",
        "500ms",
        "--quiet",
    ];
    let ended = capacity(&stage, "canary-saturated-generator", &words);
    ended.assert_code(96).assert_nothing_left();
    assert!(
        ended
            .stdout
            .starts_with("invalid: the generator, or the machine under it, was the limit at 1M/s"),
        "{ended}"
    );
    assert!(ended.stdout.contains("no rate was seen to hold"), "{ended}");
    assert_eq!(ended.stdout.lines().count(), 1, "{ended}");
}

#[test]
fn what_is_wrong_is_said_before_anything_runs() {
    let stage = Stage::shared();
    let server = Answering::start(Duration::ZERO, || (200, "{}"));
    let scenario = scenario(&stage, &server);
    let table: [(&[&str], i32, &str); 8] = [
        (&["--load", "by", "--slo", "p99 < 5ms"], 2, "buy"),
        (
            &["--load", "buy", "--slo", "p99 < 5ms", "--phase", "stedy"],
            2,
            "steady",
        ),
        (
            &["--load", "other", "--slo", "p99 < 5ms"],
            2,
            "rests in phase steady",
        ),
        (&["--load", "buy", "--slo", "p98 < 5ms"], 104, "p98"),
        (&["--load", "buy", "--slo", "p99 < 5"], 104, "write 5ms or 5s"),
        (
            &["--load", "buy", "--slo", "p99 < 5ms", "--precision", "0.1%"],
            2,
            "between 1% and 50%",
        ),
        (
            &[
                "--load",
                "buy",
                "--slo",
                "p99 < 5ms",
                "--from",
                "9/s",
                "--to",
                "8/s",
            ],
            2,
            "--from is above --to",
        ),
        (&["--load", "buy"], 2, "--slo"),
    ];
    for (words, code, said) in table {
        let ended = capacity(&stage, &scenario, words);
        ended.assert_code(code);
        assert!(ended.stderr.contains(said), "no `{said}`: {ended}");
        assert_eq!(ended.stdout, "", "{ended}");
    }
    assert!(server.asked().is_empty() && !stage.reports().exists());
}

#[test]
fn ctrl_c_ends_a_search_and_says_what_was_seen() {
    let stage = Stage::alone();
    let server = Answering::start(PAUSE, || (200, "{}"));
    let scenario = scenario(&stage, &server);
    let words = [
        "capacity",
        &scenario,
        "--load",
        "buy",
        "--slo",
        "p99 < 5s",
        "--step-for",
        "1m",
    ];
    let mut command = Stage::command(&words);
    command.arg("--out").arg(stage.reports());
    let mut squall = stage.start(command);
    squall.wait_for("a probe takes 62.0 s");
    crate::support::eventually("a request", crate::support::PATIENCE, || {
        !server.asked().is_empty()
    });
    squall.signal_group(Signal::INT);
    let pid = squall.pid();
    let ended = squall.wait();
    ended.assert_code(130);
    assert!(
        ended
            .stderr
            .contains("stopped before an answer; no rate was seen to hold"),
        "{ended}"
    );
    assert!(processes::of_run(pid).is_empty());
}
