//! `--metrics`: a run's numbers for scrapers, read by parsers that nobody here wrote.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use prometheus_parse::{Sample, Scrape, Value};
use squall_model::exit::Exit;

use crate::foreign;
use crate::support::{PATIENCE, Stage, eventually};

/// The parser of the reference implementation of the format.
const PYTHON: &str = "prometheus-client==0.21.1";

/// Reads a text as strictly as the specification asks, and prints how many families and samples it has.
const STRICT: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.argv[1]))
print(len(families), sum(len(family.samples) for family in families))
";

const SCENARIO: &str = r"
squall: 1
name: exposed
services: { ids: { use: id-generator } }
load: { single: { to: ids, http: { get: /id }, rate: 200/s } }
phases:
  - { phase: steady, for: 1s }
  - phase: back
    for: 5s
    faults:
      - clock: { as: step, target: ids, step: -50ms, after: 500ms, for: 4s }
";

/// How many families and samples the reference parser finds in `text`, which it must take; none, said, where there is no such parser.
#[track_caller]
pub fn strictly_read(text: &str) -> Option<(u64, u64)> {
    match foreign::python(
        "prometheus-client",
        PYTHON,
        "prometheus_client.openmetrics.parser",
    ) {
        Err(missing) => {
            foreign::not_checked("the exposition by the reference parser", &missing);
            None
        }
        Ok(python) => {
            let told =
                foreign::ended(Command::new(python).args(["-c", STRICT, text])).expect("it is conformant");
            let mut told = told
                .split_whitespace()
                .map(|word| word.parse().expect("a number"));
            Some((told.next()?, told.next()?))
        }
    }
}

/// What the endpoint answers: the head and the text.
fn scrape(address: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: squall\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let (head, text) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), text.to_owned())
}

/// The one sample with this name and these labels.
fn sample(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<Value> {
    let lines = text.lines().map(|line| Ok(line.to_owned()));
    let read = Scrape::parse(lines).expect("a text of metrics");
    let is_it = |sample: &&Sample| {
        sample.metric == name
            && labels
                .iter()
                .all(|(key, value)| sample.labels.get(key) == Some(*value))
    };
    let found: Vec<&Sample> = read.samples.iter().filter(is_it).collect();
    assert!(found.len() < 2, "{name}: {found:?}");
    found.first().map(|sample| sample.value.clone())
}

/// The value of a counter or a gauge.
fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    sample(text, name, labels).map(|value| match value {
        Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => value,
        other => panic!("{name}: {other:?}"),
    })
}

/// The buckets of a histogram: upper bound, and how many lie below it.
fn histogram(text: &str, name: &str, labels: &[(&str, &str)]) -> Vec<(f64, f64)> {
    match sample(text, name, labels) {
        Some(Value::Histogram(buckets)) => buckets.iter().map(|one| (one.less_than, one.count)).collect(),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn a_run_can_be_scraped_while_it_goes_on() {
    let stage = Stage::alone();
    let scenario = stage.write("exposed.yaml", SCENARIO);
    let mut running = stage.start(stage.run_command(&scenario, &["--metrics", "127.0.0.1:0"]));
    let line = running.wait_for("metrics: http://127.0.0.1:");
    let address = line
        .trim_start_matches("metrics: http://")
        .trim_end_matches("/metrics")
        .to_owned();
    running.wait_for("step proven");
    let single = [("load", "single")];
    let step = [("fault", "step"), ("kind", "clock")];
    let mut texts = Vec::new();
    eventually("the proven fault is exposed", PATIENCE, || {
        let (head, text) = scrape(&address);
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert!(
            head.contains("content-type: application/openmetrics-text; version=1.0.0"),
            "{head}"
        );
        assert!(text.ends_with("# EOF\n"), "{text}");
        let is_there = value(&text, "squall_fault_proved", &step) == Some(1.0);
        texts.push(text);
        is_there
    });
    let text = texts.last().expect("scraped");
    assert_eq!(value(text, "squall_fault_holds", &step), Some(1.0));
    assert_eq!(
        value(text, "squall_phase_info", &[("phase", "back"), ("number", "2")]),
        Some(1.0)
    );
    assert_eq!(
        value(text, "squall_run_info", &[("scenario", "exposed")]),
        Some(1.0)
    );
    assert_eq!(value(text, "squall_target_rate", &single), Some(200.0));
    assert!(
        value(
            text,
            "squall_service_resident_memory_bytes",
            &[("service", "ids")]
        ) > Some(0.0)
    );
    assert!(value(text, "squall_service_cpu_seconds_total", &[("service", "ids")]).is_some());
    let ok = |text: &str| {
        value(
            text,
            "squall_requests_total",
            &[("load", "single"), ("outcome", "ok")],
        )
    };
    let early = ok(text).expect("counted");
    assert!(early > 0.0, "{text}");
    let count = format!("squall_response_time_seconds_count{{load=\"single\"}} {early}\n");
    assert!(text.contains(&count), "no `{count}`: {text}");
    let buckets = histogram(text, "squall_response_time_seconds", &single);
    assert_eq!(buckets.last(), Some(&(f64::INFINITY, early)));
    assert!(
        buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1),
        "{buckets:?}"
    );
    eventually("the counters go on", PATIENCE, || {
        ok(&scrape(&address).1) > Some(early)
    });
    let told = strictly_read(text);
    assert!(
        told.is_none_or(|(families, samples)| families >= 15 && samples > 50),
        "{told:?}"
    );
    let ended = running.wait();
    ended.assert_nothing_left();
    if ended.is_calm() {
        ended.assert_exit(Exit::Pass);
    }
    let load = |at: usize| ended.record().phases[at].load["single"].completed;
    assert!(early < (load(0) + load(1)) as f64);
}

#[test]
fn the_strict_parser_refuses_what_is_wrong() {
    let Ok(python) = foreign::python(
        "prometheus-client",
        PYTHON,
        "prometheus_client.openmetrics.parser",
    ) else {
        return foreign::not_checked(
            "the reference parser's own strictness",
            "no python, or no package",
        );
    };
    for wrong in ["# TYPE a counter\na 1\n# EOF\n", "# TYPE a gauge\na 1\n"] {
        let told = foreign::ended(Command::new(&python).args(["-c", STRICT, wrong]));
        assert!(told.is_err(), "{wrong} was taken: {told:?}");
    }
}

#[test]
fn an_address_that_others_can_reach_is_refused_unless_meant() {
    let stage = Stage::shared();
    let ended = stage.squall(&["run", "canary-no-data", "--metrics", "0.0.0.0:0"]);
    ended.assert_code(2);
    assert!(ended.stderr.contains("--metrics-public"), "{ended}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let ended = stage.squall(&["run", "canary-no-data", "--metrics", &address]);
    ended.assert_code(2);
    assert!(
        ended.stderr.contains(&format!("listening at {address}")),
        "{ended}"
    );
}
