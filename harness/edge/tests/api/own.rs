//! What is Squall's own: warnings, strictness, who may be reached, counters, repeatable draws; and that bytes feel it.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use squall_edge::api::{Api, Request};

use crate::transcript::{api, ask};

const PATIENCE: Duration = Duration::from_mins(1);

/// A callee, and a proxy called `feed` in front of it.
struct Stage {
    api: Api,
    callee: TcpListener,
    listen: String,
}

impl Stage {
    fn new() -> Stage {
        let callee = TcpListener::bind("127.0.0.1:0").unwrap();
        let api = api(false, &[]);
        let upstream = callee.local_addr().unwrap();
        let body = format!(r#"{{"name":"feed","listen":"127.0.0.1:0","upstream":"{upstream}"}}"#);
        let answer = ask(&api, "POST", "/proxies", &body);
        assert_eq!(answer.status, 201, "{}", answer.body);
        let proxy: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let listen = proxy["listen"].as_str().unwrap().to_owned();
        Stage { api, callee, listen }
    }

    fn open(&self) -> (TcpStream, TcpStream) {
        let caller = TcpStream::connect(&self.listen).unwrap();
        let (callee, _) = self.callee.accept().unwrap();
        for end in [&caller, &callee] {
            end.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        (caller, callee)
    }

    #[track_caller]
    fn ask(&self, method: &str, target: &str, body: &str) -> String {
        let answer = ask(&self.api, method, target, body);
        assert!(answer.status < 300, "{method} {target}: {}", answer.body);
        answer.body
    }
}

#[test]
fn what_is_unknown_is_taken_with_a_warning_and_refused_where_that_is_asked_for() {
    let proxy = r#""upstream":"127.0.0.1:1","listen":"127.0.0.1:0""#;
    let requests = [
        (
            "/proxies",
            format!(r#"{{"name":"b",{proxy},"upsteam":"x"}}"#),
            201,
        ),
        (
            "/proxies",
            format!(r#"{{"name":"c",{proxy},"toxics":[{{"type":"latency"}}]}}"#),
            201,
        ),
        (
            "/populate",
            format!(r#"[{{"name":"d",{proxy},"enable":true}}]"#),
            201,
        ),
        ("/proxies/a", r#"{"enabeld":true}"#.to_owned(), 200),
        (
            "/proxies/a/toxics",
            r#"{"type":"latency","name":"l","toxcity":0.1}"#.to_owned(),
            200,
        ),
        (
            "/proxies/a/toxics",
            r#"{"type":"latency","attributes":{"rate":1}}"#.to_owned(),
            200,
        ),
        (
            "/proxies/a/toxics/known",
            r#"{"attributes":{"delay":1}}"#.to_owned(),
            200,
        ),
    ];
    for is_strict in [false, true] {
        let api = api(is_strict, &[]);
        // What a client sends back of what it was sent is no mistake.
        let known = [
            ("/proxies", format!(r#"{{"name":"a",{proxy},"toxics":[]}}"#)),
            (
                "/proxies/a/toxics",
                r#"{"type":"latency","name":"known","stream":"upstream"}"#.to_owned(),
            ),
            (
                "/proxies/a",
                r#"{"name":"a","toxics":[{"type":"latency","name":"known"}]}"#.to_owned(),
            ),
            (
                "/proxies/a/toxics/known",
                r#"{"name":"known","type":"latency","stream":"upstream"}"#.to_owned(),
            ),
        ];
        for (target, body) in known {
            let answer = ask(&api, "POST", target, &body);
            assert!(answer.status < 300, "{body}: {}", answer.body);
            assert!(answer.warnings.is_empty(), "{body}: {:?}", answer.warnings);
        }
        for (target, body, status) in &requests {
            let answer = ask(&api, "POST", target, body);
            if is_strict {
                assert_eq!(answer.status, 400, "{body}: {}", answer.body);
                assert!(
                    answer.body.contains(r#""error":"bad request body: "#),
                    "{}",
                    answer.body
                );
            } else {
                assert_eq!(answer.status, *status, "{body}: {}", answer.body);
                assert_eq!(answer.warnings.len(), 1, "{body}: {:?}", answer.warnings);
            }
        }
        let there = ask(&api, "GET", "/proxies", "").body;
        let there: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&there).unwrap();
        assert_eq!(there.len(), if is_strict { 1 } else { 4 });
    }
}

#[test]
fn other_machines_are_reached_only_where_they_are_named() {
    let table = [
        (
            r#"{"name":"a","listen":"127.0.0.1:0","upstream":"192.0.2.1:80"}"#,
            "--allow-host 192.0.2.1",
        ),
        (
            r#"{"name":"a","listen":"0.0.0.0:0","upstream":"127.0.0.1:80"}"#,
            "--allow-host 0.0.0.0",
        ),
        (
            r#"{"name":"a","listen":":0","upstream":"127.0.0.1:80"}"#,
            "--allow-host 0.0.0.0",
        ),
    ];
    let closed = api(false, &[]);
    for (body, advice) in table {
        for (target, body) in [("/proxies", body.to_owned()), ("/populate", format!("[{body}]"))] {
            let refused = ask(&closed, "POST", target, &body);
            assert_eq!(refused.status, 403, "{body}: {}", refused.body);
            assert!(refused.body.contains(advice), "{}", refused.body);
        }
    }
    // It leads there only once somebody connects, which nobody does.
    let taken = ask(&api(false, &["192.0.2.1"]), "POST", "/proxies", table[0].0);
    assert_eq!(taken.status, 201, "{}", taken.body);
    assert_eq!(ask(&closed, "GET", "/proxies", "").body, "{}");
}

#[test]
fn an_update_that_is_refused_changes_nothing() {
    let stage = Stage::new();
    let before = stage.ask("GET", "/proxies/feed", "");
    let (mut caller, mut callee) = stage.open();
    for (body, status) in [
        (r#"{"upstream":"192.0.2.1:80"}"#, 403),
        (r#"{"listen":"0.0.0.0:0"}"#, 403),
        (r#"{"upstream":"nowhere"}"#, 400),
    ] {
        assert_eq!(
            ask(&stage.api, "PATCH", "/proxies/feed", body).status,
            status,
            "{body}"
        );
    }
    // Nor can a proxy come by another address while it does not listen.
    stage.ask(
        "POST",
        "/proxies",
        r#"{"name":"idle","upstream":"192.0.2.1:80","enabled":false}"#,
    );
    assert_eq!(
        ask(&stage.api, "PATCH", "/proxies/idle", r#"{"enabled":true}"#).status,
        403
    );
    assert_eq!(ask(&stage.api, "POST", "/reset", "").status, 403);
    assert_eq!(stage.ask("GET", "/proxies/feed", ""), before);
    caller.write_all(b"still").unwrap();
    callee.read_exact(&mut [0; 5]).unwrap();
}

#[test]
fn bytes_are_delayed_held_cut_and_let_go_as_requests_say() {
    let stage = Stage::new();
    let (mut caller, mut callee) = stage.open();
    let mut answered = |caller: &mut TcpStream| {
        let since = Instant::now();
        callee.write_all(b"x").unwrap();
        caller.read_exact(&mut [0]).unwrap();
        since.elapsed()
    };
    stage.ask(
        "POST",
        "/proxies/feed/toxics",
        r#"{"type":"latency","attributes":{"latency":300}}"#,
    );
    assert!(answered(&mut caller) >= Duration::from_millis(300));
    stage.ask(
        "PATCH",
        "/proxies/feed/toxics/latency_downstream",
        r#"{"attributes":{"latency":600}}"#,
    );
    let twice = answered(&mut caller);
    assert!(twice >= Duration::from_millis(600));
    // An hour, and nobody waits for it: what is held goes on once the toxic is gone.
    stage.ask(
        "PATCH",
        "/proxies/feed/toxics/latency_downstream",
        r#"{"attributes":{"latency":3600000}}"#,
    );
    callee.write_all(b"x").unwrap();
    stage.ask("DELETE", "/proxies/feed/toxics/latency_downstream", "");
    caller.read_exact(&mut [0]).unwrap();
    stage.ask(
        "POST",
        "/proxies/feed/toxics",
        r#"{"type":"limit_data","attributes":{"bytes":3}}"#,
    );
    callee.write_all(b"abcdef").unwrap();
    let mut rest = Vec::new();
    caller.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"abc");
}

#[test]
fn what_is_disabled_refuses_and_what_is_enabled_has_its_toxics() {
    let stage = Stage::new();
    let (mut caller, _callee) = stage.open();
    stage.ask(
        "POST",
        "/proxies/feed/toxics",
        r#"{"type":"reset_peer","stream":"upstream"}"#,
    );
    stage.ask("PATCH", "/proxies/feed", r#"{"enabled":false}"#);
    let ended = caller.read(&mut [0]);
    assert!(matches!(ended, Ok(0)) || ended.is_err_and(|e| e.kind() == ErrorKind::ConnectionReset));
    assert_eq!(
        TcpStream::connect(&stage.listen).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    stage.ask("PATCH", "/proxies/feed", r#"{"enabled":true}"#);
    let (mut caller, _callee) = stage.open();
    caller.write_all(b"x").unwrap();
    assert_eq!(
        caller.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    // A proxy that is made anew for another address keeps them, too.
    stage.ask("PATCH", "/proxies/feed", r#"{"listen":"127.0.0.1:0"}"#);
    let proxy: serde_json::Value = serde_json::from_str(&stage.ask("GET", "/proxies/feed", "")).unwrap();
    assert_eq!(proxy["toxics"][0]["name"], "reset_peer_upstream");
    assert_ne!(proxy["listen"].as_str().unwrap(), stage.listen);
    let mut caller = TcpStream::connect(proxy["listen"].as_str().unwrap()).unwrap();
    caller.set_read_timeout(Some(PATIENCE)).unwrap();
    caller.write_all(b"x").unwrap();
    assert_eq!(
        caller.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
}

#[test]
fn counters_are_the_originals_and_stay_when_a_proxy_goes() {
    let stage = Stage::new();
    let (mut caller, mut callee) = stage.open();
    caller.write_all(b"12345").unwrap();
    callee.read_exact(&mut [0; 5]).unwrap();
    callee.write_all(b"123").unwrap();
    caller.read_exact(&mut [0; 3]).unwrap();
    let upstream = stage.callee.local_addr().unwrap();
    let sample = |what: &str, direction: &str, count: u64| {
        let listen = &stage.listen;
        format!(
            "toxiproxy_proxy_{what}_bytes_total{{direction=\"{direction}\",listener=\"{listen}\",proxy=\"feed\",upstream=\"{upstream}\"}} {count}"
        )
    };
    let lines = [
        "# TYPE toxiproxy_proxy_received_bytes_total counter".to_owned(),
        "# TYPE toxiproxy_proxy_sent_bytes_total counter".to_owned(),
        sample("received", "upstream", 5),
        sample("received", "downstream", 3),
        sample("sent", "upstream", 5),
        sample("sent", "downstream", 3),
    ];
    for method in ["GET", "DELETE"] {
        stage.ask(method, "/proxies/feed", "");
        // Bytes are counted once they are sent, so that they can be here before they are there.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = stage.ask("GET", "/metrics", "");
            assert_eq!(text.lines().count(), 8, "{text}");
            if lines.iter().all(|line| text.lines().any(|one| one == line)) {
                break;
            }
            assert!(Instant::now() < deadline, "{method}: {lines:#?}\n{text}");
        }
    }
}

#[test]
fn the_same_seed_takes_the_same_connections() {
    let reset = || {
        let stage = Stage::new();
        stage.ask(
            "POST",
            "/proxies/feed/toxics",
            r#"{"type":"reset_peer","stream":"upstream","toxicity":0.5}"#,
        );
        let mut reset = Vec::new();
        for _ in 0..32 {
            let (mut caller, mut callee) = stage.open();
            caller.write_all(b"x").unwrap();
            reset.push(callee.read(&mut [0]).is_err());
        }
        reset
    };
    let first = reset();
    assert!(first.contains(&true) && first.contains(&false), "{first:?}");
    assert_eq!(first, reset());
}

#[test]
fn a_file_is_taken_whole_or_says_what_is_wrong() {
    let api = api(false, &[]);
    let file = br#"[{"name":"a","listen":"127.0.0.1:0","upstream":"127.0.0.1:1","enbaled":false}]"#;
    assert_eq!(
        api.populate(file).unwrap(),
        ["`enbaled` of a proxy is ignored: nobody knows it"]
    );
    assert_eq!(ask(&api, "GET", "/proxies/a", "").status, 200);
    let error = api.populate(br#"[{"name":"b"}]"#).unwrap_err();
    assert_eq!(error.message, "missing required field: upstream at proxy 1");
}

/// Pieces of requests that mean something, for a machine to put together.
const METHODS: [&str; 5] = ["GET", "POST", "PATCH", "DELETE", "PUT"];
const TARGETS: [&str; 9] = [
    "/proxies",
    "/populate",
    "/reset",
    "/metrics",
    "/proxies/a",
    "/proxies/a/toxics",
    "/proxies/a/toxics/t",
    "/proxies/b/toxics",
    "/proxies/b/toxics/latency_downstream",
];
const FIELDS: [&str; 14] = [
    r#""name":"a""#,
    r#""name":"b""#,
    r#""name":"t""#,
    r#""listen":"127.0.0.1:0""#,
    r#""listen":"""#,
    r#""upstream":"127.0.0.1:1""#,
    r#""upstream":null"#,
    r#""enabled":false"#,
    r#""enabled":true"#,
    r#""type":"latency""#,
    r#""type":"slicer""#,
    r#""stream":"upstream""#,
    r#""toxicity":1e9"#,
    r#""attributes":{"latency":9223372036854775807,"jitter":-9223372036854775808,"delay":-1}"#,
];

fn bodies() -> impl Strategy<Value = String> {
    let object = proptest::sample::subsequence(FIELDS.to_vec(), 0..=FIELDS.len());
    let object = object.prop_map(|fields| format!("{{{}}}", fields.join(",")));
    prop_oneof![
        8 => object.clone(),
        3 => proptest::collection::vec(object, 0..3).prop_map(|all| format!("[{}]", all.join(","))),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_asked_is_answered_and_what_is_listed_is_so(
        requests in proptest::collection::vec((0..METHODS.len(), 0..TARGETS.len(), bodies()), 1..24),
        nonsense in ".{0,40}",
    ) {
        let api = api(false, &[]);
        ask(&api, "POST", "/proxies", r#"{"name":"a","upstream":"127.0.0.1:1","listen":"127.0.0.1:0"}"#);
        ask(&api, &nonsense, &nonsense, &nonsense);
        for (method, target, body) in &requests {
            let answer = ask(&api, METHODS[*method], TARGETS[*target], body);
            prop_assert!((200..=500).contains(&answer.status));
            if answer.status >= 400 && answer.status != 405 {
                let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
                prop_assert_eq!(&told["status"], answer.status);
            }
        }
        let listed = ask(&api, "GET", "/proxies", "").body;
        let listed: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&listed).unwrap();
        for (name, proxy) in listed {
            prop_assert_eq!(proxy["name"].as_str(), Some(name.as_str()));
            if proxy["enabled"] == true {
                // Nobody is behind it, so what it takes it resets, now and then before the caller is back on a processor.
                let taken = match TcpStream::connect(proxy["listen"].as_str().unwrap()) {
                    Ok(_) => true,
                    Err(error) => error.kind() == ErrorKind::ConnectionReset,
                };
                prop_assert!(taken, "{proxy}");
            }
            let toxics = proxy["toxics"].as_array().unwrap();
            let names: BTreeSet<_> = toxics.iter().map(|one| one["name"].to_string()).collect();
            prop_assert_eq!(names.len(), toxics.len());
        }
        let browser = Request { method: "POST", target: "/reset", user_agent: "Mozilla/5.0", body: b"" };
        prop_assert_eq!(api.answer(&browser).status, 403);
    }
}
