//! `squall load` against a service that `squall serve` runs.

use serde_json::Value;
use squall_model::exit::Exit;
use squall_model::record::{LoadMode, RunRecord, Verdict};

use crate::support::{Ended, Stage};

/// The record that `--json` printed. Lag on a busy machine makes it invalid, and nothing else may.
#[track_caller]
fn record(ended: &Ended) -> RunRecord {
    let record: RunRecord = serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended}"));
    assert_eq!(ended.code(), i32::from(record.exit_code), "{ended}");
    assert_eq!(record.phases.len(), 1);
    assert_eq!(record.phases[0].load.len(), 1);
    let lag = |text: &String| text.contains("fell behind its schedule");
    match record.verdict {
        Verdict::Pass => assert_eq!(record.exit_code, Exit::Pass.code()),
        _ => assert!(record.reasons.iter().all(lag), "{:?}", record.reasons),
    }
    record
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
    assert_eq!(
        (record.verdict, ended.code()),
        (Verdict::Pass, 0),
        "a closed loop has no schedule to lag behind"
    );
    let load = record.phases[0].load.values().next().expect("counted before");
    assert_eq!(
        (load.mode, load.users, load.target_rate, load.failed),
        (LoadMode::Closed, Some(4), None, 0)
    );
    assert!(load.completed > 4, "{load:?}");
}

#[test]
fn what_people_read_has_percentiles_and_errors_by_kind() {
    let stage = Stage::alone();
    let served = stage.serve("id-generator");
    let good = format!("http://{}/id", served.listen);
    let ended = stage.squall(&["load", &good, "-d", "300ms", "-c", "2"]);
    assert!(
        ended.assert_code(0).stdout.contains("P99.9") && ended.stdout.contains("0 failed"),
        "{ended}"
    );
    assert!(
        ended.stdout.contains("closed loop"),
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
}
