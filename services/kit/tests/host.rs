//! A served application and its admin endpoint, over real sockets.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use squall_service_kit::{Host, Launch, ServiceError, Settings, Telemetry};
use tokio::sync::Notify;

const DEADLINE: Duration = Duration::from_secs(20);

fn launch(listen: SocketAddr) -> Launch {
    let any = "127.0.0.1:0".parse().unwrap();
    let settings = Settings::parse(&[], [""; 0]).unwrap();
    Launch {
        listen,
        admin: any,
        data: std::env::temp_dir(),
        peers: BTreeMap::new(),
        settings,
    }
}

fn start(app: Router, telemetry: Telemetry) -> Host {
    Host::start(&launch("127.0.0.1:0".parse().unwrap()), app, telemetry).unwrap()
}

/// Sends `head` with a request to close afterwards and returns the whole response.
fn exchange(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "{head}host: test\r\nconnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn get_admin(host: &Host, target: &str) -> String {
    exchange(host.admin(), &format!("GET {target} HTTP/1.1\r\n"))
}

#[test]
fn the_application_and_the_admin_endpoint_have_listeners_of_their_own() {
    let host = start(
        Router::new().route("/hello", get(async || "hello")),
        Telemetry::new(),
    );
    let response = exchange(host.listen(), "GET /hello HTTP/1.1\r\n");
    assert!(
        response.starts_with("HTTP/1.1 200 OK\r\n") && response.ends_with("\r\n\r\nhello"),
        "{response}"
    );
    assert!(get_admin(&host, "/healthz").ends_with("\r\n\r\nok"));
    assert!(exchange(host.listen(), "GET /healthz HTTP/1.1\r\n").starts_with("HTTP/1.1 404"));
    assert!(get_admin(&host, "/hello").starts_with("HTTP/1.1 404"));
    assert!(host.stop());
}

#[test]
fn no_response_carries_the_wall_clock() {
    let host = start(
        Router::new().route("/hello", get(async || "hello")),
        Telemetry::new(),
    );
    for response in [
        exchange(host.listen(), "GET /hello HTTP/1.1\r\n"),
        get_admin(&host, "/metrics"),
    ] {
        assert!(!response.to_ascii_lowercase().contains("\r\ndate:"), "{response}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let app = Router::new()
        .route("/one", get(async || "one"))
        .route("/two", get(async || "two"));
    let host = start(app, Telemetry::new());
    let response = exchange(
        host.listen(),
        "GET /one HTTP/1.1\r\nhost: test\r\n\r\nGET /two HTTP/1.1\r\n",
    );
    let (one, two) = (response.find("\r\n\r\none"), response.find("\r\n\r\ntwo"));
    assert!(one.is_some() && one < two, "{response}");
}

#[test]
fn an_oversized_head_is_refused() {
    let host = start(Router::new(), Telemetry::new());
    let head = format!("GET / HTTP/1.1\r\nx-large: {}\r\n", "x".repeat(20_000));
    assert!(exchange(host.listen(), &head).starts_with("HTTP/1.1 431"));
}

#[test]
fn metrics_are_open_metrics_text() {
    let mut telemetry = Telemetry::new();
    telemetry.counter("demo_things", "Things done").inc_by(3);
    telemetry.gauge("demo_level", "How high").set(-2);
    telemetry.seconds("demo_last", "How long").set(0.05);
    let host = start(Router::new(), telemetry);
    let response = get_admin(&host, "/metrics");
    let expected = [
        "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n",
        "# HELP demo_things Things done.\n# TYPE demo_things counter\ndemo_things_total 3\n",
        "# TYPE demo_level gauge\ndemo_level -2\n",
        "# TYPE demo_last_seconds gauge\n# UNIT demo_last_seconds seconds\ndemo_last_seconds 0.05\n",
        "# TYPE hiccup_seconds histogram\n",
        "hiccup_seconds_bucket{le=\"+Inf\"} ",
    ];
    for part in expected {
        assert!(response.contains(part), "{part:?} is missing from {response}");
    }
    assert!(response.ends_with("\n# EOF\n"), "{response}");
}

#[test]
fn events_are_read_once_and_survive_any_text() {
    let telemetry = Telemetry::new();
    let events = telemetry.events();
    let host = start(Router::new(), telemetry);
    events.record("first", "plain".to_owned());
    events.record("second", "a \"quote\"\nand a newline".to_owned());

    let response = get_admin(&host, "/events");
    assert!(
        response.contains("\r\nx-squall-next: 2\r\nx-squall-dropped: 0\r\n"),
        "{response}"
    );
    let (_, body) = response.split_once("\r\n\r\n").unwrap();
    let lines: Vec<serde_json::Value> = body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["seq"], &lines[0]["kind"], &lines[0]["text"]),
        (&1.into(), &"first".into(), &"plain".into())
    );
    assert_eq!(lines[1]["text"], "a \"quote\"\nand a newline");
    assert!(lines[0]["at_us"].as_u64().unwrap() <= lines[1]["at_us"].as_u64().unwrap());

    let rest = get_admin(&host, "/events?after=1");
    assert!(
        rest.contains(r#""seq":2"#) && !rest.contains(r#""seq":1"#),
        "{rest}"
    );
    assert!(get_admin(&host, "/events?after=x").starts_with("HTTP/1.1 400"));
}

#[test]
fn a_change_of_state_says_of_what_and_between_which() {
    let telemetry = Telemetry::new();
    let events = telemetry.events();
    let host = start(Router::new(), telemetry);
    events.transition("recall \"a\"", "closed", "open", "12 of 20 failed".to_owned());
    events.record("other", String::new());

    let response = get_admin(&host, "/events");
    let (_, body) = response.split_once("\r\n\r\n").unwrap();
    let lines: Vec<serde_json::Value> = body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["kind"], "state");
    assert_eq!(lines[0]["text"], "12 of 20 failed");
    let change = serde_json::json!({"of": "recall \"a\"", "from": "closed", "to": "open"});
    assert_eq!(lines[0]["transition"], change);
    assert_eq!(lines[1].get("transition"), None);
}

#[test]
fn events_that_no_longer_fit_are_counted() {
    let telemetry = Telemetry::new();
    for _ in 0..5_000 {
        telemetry.events().record("many", String::new());
    }
    let host = start(Router::new(), telemetry);
    let response = get_admin(&host, "/events?after=4");
    assert!(
        response.contains("\r\nx-squall-next: 5000\r\nx-squall-dropped: 900\r\n"),
        "{}",
        &response[..300]
    );
}

#[test]
fn pauses_are_lines_of_their_own() {
    let host = start(Router::new(), Telemetry::new());
    let response = get_admin(&host, "/pauses?after=0");
    assert!(response.contains("\r\nx-squall-dropped: 0\r\n"), "{response}");
    let (_, body) = response.split_once("\r\n\r\n").unwrap();
    for line in body.lines() {
        let pause: serde_json::Value = serde_json::from_str(line).unwrap();
        let late_us = pause["late_us"].as_u64().unwrap();
        assert!(late_us >= 1_000, "{line}");
        assert_eq!(
            pause["length_us"],
            late_us + 500,
            "corrected for half a period: {line}"
        );
    }
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let first = start(Router::new(), Telemetry::new());
    let error = Host::start(&launch(first.listen()), Router::new(), Telemetry::new()).unwrap_err();
    assert!(
        matches!(&error, ServiceError::Listen { purpose: "requests", address, .. } if *address == first.listen())
    );
    assert!(error.to_string().contains(&first.listen().to_string()), "{error}");
}

#[test]
fn a_request_in_flight_is_finished_and_later_ones_are_refused() {
    let (entered, wait_entered) = mpsc::channel();
    let release = Arc::new(Notify::new());
    let held = Arc::clone(&release);
    let slow = move || {
        let (entered, held) = (entered.clone(), Arc::clone(&held));
        async move {
            entered.send(()).unwrap();
            held.notified().await;
            "finished"
        }
    };
    let host = start(Router::new().route("/slow", get(slow)), Telemetry::new());
    let address = host.listen();
    let client = thread::spawn(move || exchange(address, "GET /slow HTTP/1.1\r\n"));
    wait_entered.recv_timeout(DEADLINE).unwrap();
    let stopping = thread::spawn(move || host.stop());
    // The listener closes as soon as the stop is under way, which it is while the request is still held.
    let began = std::time::Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(began.elapsed() < DEADLINE, "the listener is still open");
        thread::yield_now();
    }
    release.notify_one();
    assert!(client.join().unwrap().ends_with("\r\n\r\nfinished"));
    assert!(stopping.join().unwrap(), "every request was finished");
}

#[test]
fn an_idle_connection_does_not_hold_up_the_stop() {
    let host = start(
        Router::new().route("/hello", get(async || "hello")),
        Telemetry::new(),
    );
    let mut idle = TcpStream::connect(host.listen()).unwrap();
    idle.set_read_timeout(Some(DEADLINE)).unwrap();
    idle.write_all(b"GET /hello HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).unwrap();
    assert!(host.stop());
}
