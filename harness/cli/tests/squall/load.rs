//! `squall load` against a service that `squall serve` runs.

use serde_json::Value;
use squall_model::exit::Exit;
use squall_model::record::{LoadMode, RunRecord, Verdict};

use crate::support::{Answering, Ended, Http2Server, Stage};
use rustix::process::Signal;
use std::time::Duration;

/// The record that `--json` printed. A busy machine makes it invalid, and a load that only fails; nothing else may.
#[track_caller]
fn record(ended: &Ended) -> RunRecord {
    let record: RunRecord = serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended}"));
    assert_eq!(ended.code(), i32::from(record.exit_code), "{ended}");
    assert_eq!(record.phases.len(), 1);
    assert_eq!(record.phases[0].load.len(), 1);
    let load = record.phases[0].load.values().next().expect("just counted");
    let only_fails = load.completed > 0 && load.failed == load.completed;
    assert!(
        !only_fails || record.verdict == Verdict::Invalid,
        "{:?}",
        record.reasons
    );
    let known = |text: &String| is_about_lateness(text) || only_fails && text.contains("no data: all ");
    match record.verdict {
        Verdict::Pass => assert_eq!(record.exit_code, Exit::Pass.code()),
        _ => assert!(record.reasons.iter().all(known), "{:?}", record.reasons),
    }
    record
}

/// Whether a busy machine is all that a reason speaks of.
fn is_about_lateness(text: &str) -> bool {
    text.contains("fell behind its schedule") || text.contains("sent and answers read late")
}

/// Asserts that a load without `--json` passed, or that a busy machine spoiled its times and it says so.
#[track_caller]
fn assert_measured(ended: &Ended) {
    let is_busy = ended.code() == i32::from(Exit::Invalid.code()) && is_about_lateness(&ended.stderr);
    assert!(ended.code() == 0 || is_busy, "{ended}");
}

#[test]
fn an_open_loop_keeps_its_rate_and_writes_no_file() {
    let stage = Stage::alone();
    let served = stage.serve("id-generator");
    let url = format!("http://{}/id", served.listen);
    let mut command = Stage::command(&["load", &url, "-r", "500", "-d", "1s", "-c", "8", "--json"]);
    std::fs::create_dir(stage.path("empty")).expect("made");
    command.current_dir(stage.path("empty"));
    let ended = stage.start(command).wait();
    let record = record(&ended);
    let load = record.phases[0].load.values().next().expect("counted before");
    assert_eq!(
        (load.mode, load.intended, load.completed, load.failed),
        (LoadMode::Open, 500, 500, 0)
    );
    assert_eq!(load.target_rate, Some(500.0));
    assert!(
        load.response.max >= load.service.max && load.response.count == 500,
        "{load:?}"
    );
    assert_eq!(ended.stderr, "");
    assert_eq!(
        std::fs::read_dir(stage.path("empty")).expect("readable").count(),
        0,
        "it wrote files"
    );
    assert_eq!(
        served.stop(),
        Some(0),
        "told to end, a service ends in good order"
    );
}

#[test]
fn a_closed_loop_has_users_and_no_schedule() {
    let stage = Stage::alone();
    let served = stage.serve("id-generator");
    let url = format!("http://{}/id", served.listen);
    let ended = stage.squall(&["load", &url, "-d", "500ms", "-c", "4", "--json"]);
    let record = record(&ended);
    assert!(
        !record.reasons.iter().any(|text| text.contains("schedule")),
        "a closed loop has no schedule to lag behind: {:?}",
        record.reasons
    );
    let load = record.phases[0].load.values().next().expect("counted before");
    assert_eq!(
        (load.mode, load.users, load.target_rate, load.failed),
        (LoadMode::Closed, Some(4), None, 0)
    );
    assert!(load.completed > 4, "{load:?}");
}

#[test]
fn over_http_2_one_connection_carries_what_many_users_ask() {
    let stage = Stage::alone();
    let server = Http2Server::start();
    let url = format!("http://{}/items?page=2", server.addr);
    let ended = stage.squall(&[
        "load", &url, "--http2", "-r", "200", "-c", "1", "-d", "500ms", "--json",
    ]);
    let record = record(&ended);
    let load = record.phases[0].load.values().next().expect("counted before");
    assert_eq!((load.intended, load.completed, load.failed), (100, 100, 0));
    assert_eq!(server.accepted(), 1, "{load:?}");

    // The same server, asked in the old way, is no answer.
    let ended = stage.squall(&["load", &url, "-r", "20", "-d", "500ms", "--json"]);
    ended.assert_code(i32::from(Exit::Invalid.code()));
    assert!(ended.stdout.contains("no data: all 10"), "{ended}");
}

#[test]
fn what_people_read_has_percentiles_and_errors_by_kind() {
    let stage = Stage::alone();
    let served = stage.serve("id-generator");
    let good = format!("http://{}/id", served.listen);
    let ended = stage.squall(&["load", &good, "-d", "300ms", "-c", "2"]);
    for words in [
        "P99.9",
        "with a status below 400",
        "Connections 2 opened",
        "Service times",
        "█",
    ] {
        assert!(ended.stdout.contains(words), "no `{words}`: {ended}");
    }
    assert_measured(&ended);
    assert!(
        ended.stdout.contains("Closed loop"),
        "it says that it can't see queueing: {ended}"
    );

    let absent = format!("http://{}/no-such-path", served.listen);
    let ended = stage.squall(&["load", &absent, "-r", "100", "-d", "500ms", "-c", "2", "--json"]);
    let record = record(&ended);
    let load = record.phases[0].load.values().next().expect("counted before");
    assert_eq!((load.completed, load.failed), (50, 50));
    assert_eq!(load.errors.values().sum::<u64>(), 50, "{:?}", load.errors);
}

#[test]
fn nobody_there_is_an_error_of_every_request() {
    let stage = Stage::alone();
    // Bound and not listening: a connection is refused, and nobody else gets the port meanwhile.
    let taken = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    )
    .expect("a socket");
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    rustix::net::bind(&taken, &any).expect("bound");
    let address = rustix::net::getsockname(&taken).expect("a name");
    let address = std::net::SocketAddr::try_from(address).expect("an address");
    let ended = stage.squall(&[
        "load",
        &format!("http://{address}/"),
        "-r",
        "50",
        "-d",
        "500ms",
        "--json",
    ]);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended}"));
    let load = &document["phases"][0]["load"]["load"];
    assert_eq!(load["failed"], load["completed"], "{load}");
    let errors = load["errors"].as_object().expect("by kind");
    assert!(
        !errors.is_empty() && errors.values().any(|count| count.as_u64() > Some(0)),
        "{load}"
    );
    ended.assert_code(i32::from(Exit::Invalid.code()));
    let reasons = document["reasons"].to_string();
    assert!(
        reasons.contains(&format!("nothing listens at {address}")),
        "{reasons}"
    );
}

#[test]
fn a_load_that_is_kept_is_a_scenario_that_sends_the_very_same_request() {
    let stage = Stage::alone();
    let server = Answering::start(Duration::ZERO, || (200, "{}"));
    let body = stage.write("body.json", "{\"user\": \"{id}\", \"costs\": \"${5}\"}\n");
    let (url, kept) = (
        format!("http://{}/orders?a={{b}}", server.address),
        stage.path("kept.yaml"),
    );
    let kept = kept.to_str().expect("UTF-8");
    let words = [
        "load",
        &url,
        "-H",
        "X-Note: a: \"b\" {c}",
        "-b",
        &format!("@{body}"),
        "-r",
        "40",
        "-d",
        "500ms",
    ];
    let words = [&words[..], &["-c", "4", "--save", kept]].concat();
    let ended = stage.squall(&words);
    assert!(matches!(ended.code(), 0 | 96), "{ended}");
    assert!(
        ended.stderr.contains("squall run"),
        "it says what to do with it: {ended}"
    );
    let asked = server.asked();
    assert!(
        asked.len() == 1 && asked[0].starts_with("POST /orders?a={b} HTTP/1.1\r\n"),
        "{asked:#?}"
    );

    stage.squall(&["check", kept]).assert_code(0);
    let ended = stage.run(kept, &[]);
    ended.assert_exit(Exit::Pass);
    let load = &ended.record().phases[0].load["request"];
    assert_eq!((load.completed, load.failed), (20, 0));
    assert_eq!(server.asked(), asked, "the run sent something else");

    let again = stage.squall(&words);
    assert!(
        again.assert_code(2).stderr.contains("already there; --force"),
        "{again}"
    );
    assert_eq!(again.stdout, "", "nothing was measured");
}

#[test]
fn ctrl_c_ends_a_load_early_and_what_was_measured_is_printed() {
    let stage = Stage::alone();
    let server = Answering::start(Duration::ZERO, || (200, "{}"));
    let mut squall = stage.start(Stage::command(&[
        "load",
        &server.address,
        "-r",
        "200",
        "-d",
        "1h",
        "-c",
        "4",
    ]));
    squall.wait_for("open loop at 200/s");
    // Until something was measured, there is nothing to print.
    crate::support::eventually("a request", crate::support::PATIENCE, || {
        !server.asked().is_empty()
    });
    squall.signal_group(Signal::INT);
    let ended = squall.wait();
    ended.assert_code(130);
    assert!(
        ended.stdout.contains("Requests") && ended.stdout.contains("of those asked for"),
        "{ended}"
    );
    assert!(ended.stderr.contains("interrupted by SIGINT"), "{ended}");
}

#[test]
fn with_out_there_is_the_folder_of_a_run() {
    let stage = Stage::alone();
    let server = Answering::start(Duration::ZERO, || (200, "{}"));
    let out = stage.reports();
    let words = [
        "load",
        &server.address,
        "-r",
        "200",
        "-n",
        "300",
        "--json",
        "--out",
    ];
    let ended = stage.squall(&[&words[..], &[out.to_str().expect("UTF-8")]].concat());
    let record = record(&ended);
    assert_eq!(ended.record(), record, "run.json is what was printed");
    let load = &record.phases[0].load["load"];
    assert!((299..=301).contains(&load.intended), "-n says how many: {load:?}");
    assert!(
        record.command.contains("-n 300") && record.command.contains("-r 200"),
        "{}",
        record.command
    );
    assert!(ended.file("report.html").contains("<svg") && ended.file("load.hlog").contains("Tag=response"));
    assert!(ended.series().len() >= 10 && ended.events().len() >= 5);
    let remade = stage.squall(&["report", ended.folder().to_str().expect("UTF-8")]);
    assert!(matches!(remade.code(), 0), "{remade}");
}

#[test]
fn quiet_is_one_line() {
    let stage = Stage::alone();
    let server = Answering::start(Duration::ZERO, || (200, "{}"));
    let ended = stage.squall(&["load", &server.address, "-d", "300ms", "-c", "2", "--quiet"]);
    assert_measured(&ended);
    assert!(
        ended.stdout.lines().count() == 1 && ended.stdout.contains("none failed"),
        "{ended}"
    );
    assert_eq!(ended.stderr.is_empty(), ended.code() == 0, "{ended}");
}
