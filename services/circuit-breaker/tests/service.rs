//! The service from outside, in front of servers that do as they are told.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use squall_circuit_breaker::service::report::Report;
use squall_circuit_breaker::service::{self, SERVICE, StartError};
use squall_config_client::checksum;
use squall_service_kit::{Host, Launch, Settings, Telemetry};
use tempfile::TempDir;

/// How long a test waits for anything.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a server answers a request with: its path, its body, then status, headers and body. It may take its time.
type Answer = dyn Fn(&str, &str) -> (u16, String, String) + Send + Sync;

/// A server on HTTP/1.1 that keeps connections.
struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    open: AtomicUsize,
    open_max: AtomicUsize,
    requests: AtomicUsize,
}

impl Server {
    fn start(answer: impl Fn(&str, &str) -> (u16, String, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let (counted, answer): (_, Arc<Answer>) = (Arc::clone(&seen), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (Arc::clone(&counted), Arc::clone(&answer));
                seen.connections.fetch_add(1, Ordering::AcqRel);
                let open = seen.open.fetch_add(1, Ordering::AcqRel) + 1;
                seen.open_max.fetch_max(open, Ordering::AcqRel);
                thread::spawn(move || {
                    let _ = serve(stream, &seen, &*answer);
                    seen.open.fetch_sub(1, Ordering::AcqRel);
                });
            }
        });
        Self { address, seen }
    }

    /// One that answers `ok` to everything.
    fn good() -> Self {
        Self::start(|_, _| ok())
    }
}

fn ok() -> (u16, String, String) {
    (200, String::new(), "ok".to_owned())
}

fn serve(stream: TcpStream, seen: &Seen, answer: &Answer) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut path, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if path.is_empty() {
                line.split(' ').nth(1).unwrap_or_default().clone_into(&mut path);
            } else if let Some(given) = line.strip_prefix("content-length:") {
                length = given.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        std::io::Read::read_exact(&mut stream, &mut body)?;
        seen.requests.fetch_add(1, Ordering::AcqRel);
        let (status, headers, text) = answer(&path, &String::from_utf8_lossy(&body));
        let length = text.len();
        let head = format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\n\r\n{text}");
        stream.get_mut().write_all(head.as_bytes())?;
        if headers.contains("connection: close") {
            return Ok(());
        }
    }
}

/// The service in front of servers.
struct Breaker {
    host: Host,
    data: Arc<TempDir>,
    agent: ureq::Agent,
}

/// The address of a role, and what it is played by.
type Peers<'a> = [(&'a str, &'a Server)];

impl Breaker {
    fn start(peers: &Peers<'_>, settings: &[&str]) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), peers, settings)
    }

    fn start_in(data: Arc<TempDir>, peers: &Peers<'_>, settings: &[&str]) -> Self {
        let launch = launch(data.path(), peers, settings);
        let mut telemetry = Telemetry::new();
        let report = Arc::new(Report::new(&mut telemetry));
        let app = service::start(&launch, &report).unwrap();
        let host = Host::start(&launch, service::http::router(app), telemetry).unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(DEADLINE))
            .build()
            .into();
        Self { host, data, agent }
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let url = format!("http://{}{path}", self.host.listen());
        let mut answer = self.agent.get(&url).call().unwrap();
        let body = answer.body_mut().read_to_string().unwrap();
        let json = serde_json::from_str(&body).unwrap_or(Value::Null);
        (answer.status().as_u16(), json)
    }

    /// Gets a path until its answer is as wanted.
    #[track_caller]
    fn get_until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let (_, answer) = self.get(path);
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "it stays {answer}");
            thread::yield_now();
        }
    }
}

fn launch(data: &Path, peers: &Peers<'_>, settings: &[&str]) -> Launch {
    let mut all = BTreeMap::new();
    for (role, server) in peers {
        all.insert((*role).to_owned(), server.address.to_string());
    }
    Launch {
        listen: "127.0.0.1:0".parse().unwrap(),
        admin: "127.0.0.1:0".parse().unwrap(),
        data: data.to_owned(),
        peers: all,
        settings: Settings::parse(SERVICE.settings, settings).unwrap(),
    }
}

#[test]
fn a_refresh_is_served_over_connections_that_are_kept() {
    let (recall, model, light) = (Server::good(), Server::good(), Server::good());
    let peers = [("recall", &recall), ("model", &model), ("model-light", &light)];
    let breaker = Breaker::start(&peers, &["workers=2"]);
    for _ in 0..50 {
        let (status, answer) = breaker.get("/feed");
        assert_eq!(status, 200);
        assert_eq!(
            (&answer["card"], &answer["recall"], &answer["model"]),
            (&"feed".into(), &"live".into(), &"full".into())
        );
        assert!(answer["admitted_us"].is_u64());
    }
    let of = |server: &Server| {
        let Seen {
            connections,
            requests,
            ..
        } = &*server.seen;
        (
            connections.load(Ordering::Acquire),
            requests.load(Ordering::Acquire),
        )
    };
    assert_eq!((of(&recall), of(&model), of(&light)), ((1, 50), (1, 50), (0, 0)));
}

#[test]
fn a_connection_that_was_closed_meanwhile_fails_no_refresh() {
    let closes = Server::start(|_, _| (200, "connection: close\r\n".to_owned(), "ok".to_owned()));
    let model = Server::good();
    let peers = [("recall", &closes), ("model", &model), ("model-light", &model)];
    let breaker = Breaker::start(&peers, &["recall-timeout=30s", "deadline=60s"]);
    for _ in 0..50 {
        assert_eq!(breaker.get("/feed").1["recall"], "live");
    }
}

#[test]
fn recall_that_fails_is_served_from_the_cache_once_there_is_something_in_it() {
    let status = Arc::new(AtomicU64::new(503));
    let told = Arc::clone(&status);
    let recall = Server::start(move |_, _| (told.load(Ordering::Acquire) as u16, String::new(), "ok".into()));
    let model = Server::good();
    let peers = [("recall", &recall), ("model", &model), ("model-light", &model)];
    let breaker = Breaker::start(&peers, &[]);
    let (code, answer) = breaker.get("/feed");
    assert_eq!(code, 503, "{answer}");
    status.store(200, Ordering::Release);
    assert_eq!(breaker.get("/feed").1["recall"], "live");
    status.store(500, Ordering::Release);
    let (code, answer) = breaker.get("/feed");
    assert_eq!((code, &answer["recall"]), (200, &"cache".into()));
}

/// Recall never answers, and the model has what is left of the deadline.
#[test]
fn recall_that_hangs_leaves_time_for_the_model() {
    let is_first = AtomicUsize::new(0);
    let recall = Server::start(move |_, _| {
        if is_first.fetch_add(1, Ordering::AcqRel) > 0 {
            thread::park_timeout(DEADLINE);
        }
        ok()
    });
    let model = Server::good();
    let peers = [("recall", &recall), ("model", &model), ("model-light", &model)];
    let breaker = Breaker::start(&peers, &["recall-timeout=200ms", "deadline=20s"]);
    assert_eq!(breaker.get("/feed").1["recall"], "live");
    let (code, answer) = breaker.get("/feed");
    assert_eq!((code, &answer["recall"]), (200, &"cache".into()));
}

#[test]
fn a_model_that_fails_or_is_late_fails_the_refresh_with_the_gateways_statuses() {
    for (behaviour, expected) in [("fails", 502), ("hangs", 504), ("talks", 502)] {
        let recall = Server::good();
        let model = Server::start(move |_, _| match behaviour {
            "fails" => (500, String::new(), "no".to_owned()),
            "hangs" => {
                thread::park_timeout(DEADLINE);
                ok()
            }
            _ => (200, String::new(), "x".repeat(5_000)),
        });
        let peers = [("recall", &recall), ("model", &model), ("model-light", &model)];
        let settings = ["deadline=1s", "recall-timeout=900ms", "answer-max=4096"];
        let (code, answer) = Breaker::start(&peers, &settings).get("/feed");
        assert_eq!(code, expected, "{behaviour}: {answer}");
        assert!(
            answer["error"]
                .as_str()
                .is_some_and(|text| text.contains("model"))
        );
    }
}

#[test]
fn no_more_connections_are_opened_than_may_be() {
    let recall = Server::start(|_, _| {
        thread::park_timeout(Duration::from_millis(20));
        ok()
    });
    let model = Server::good();
    let peers = [("recall", &recall), ("model", &model), ("model-light", &model)];
    let settings = ["connections=2", "deadline=60s", "recall-timeout=50s", "workers=2"];
    let breaker = Breaker::start(&peers, &settings);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..5).for_each(|_| assert_eq!(breaker.get("/feed").1["recall"], "live")));
        }
    });
    assert_eq!(recall.seen.requests.load(Ordering::Acquire), 40);
    assert!(recall.seen.open_max.load(Ordering::Acquire) <= 2);
}

#[test]
fn what_cannot_be_answered_is_said_in_http() {
    let server = Server::good();
    let peers = [("recall", &server), ("model", &server), ("model-light", &server)];
    let breaker = Breaker::start(&peers, &[]);
    assert_eq!(breaker.get("/nowhere").0, 404);
    assert_eq!(breaker.get("/guard/unknown").0, 404);
    assert_eq!(breaker.get("/guard/feed").0, 200);
    assert_eq!(breaker.get("/rules/versions").0, 502);
    let url = format!("http://{}/feed", breaker.host.listen());
    assert_eq!(breaker.agent.post(&url).send("x").unwrap().status().as_u16(), 405);
}

/// Its turn would come after a minute, and nobody waits longer than the deadline.
#[test]
fn a_place_in_a_queue_is_not_waited_for_beyond_the_deadline() {
    let server = Server::good();
    let peers = [("recall", &server), ("model", &server), ("model-light", &server)];
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("rules.json");
    let queue =
        r#"[{ "resource": "slow", "count": 0.016, "controlBehavior": 2, "maxQueueingTimeMs": 100000 }]"#;
    std::fs::write(&file, queue).unwrap();
    let breaker = Breaker::start(&peers, &[&format!("rules={}", file.display()), "deadline=1s"]);
    assert_eq!(breaker.get("/guard/slow").0, 200);
    assert_eq!(breaker.get("/guard/slow").0, 429);
}

#[test]
fn what_it_cannot_start_with_is_said() {
    let server = Server::good();
    let data = tempfile::tempdir().unwrap();
    let fails = |peers: &Peers<'_>, settings: &[&str]| {
        let mut telemetry = Telemetry::new();
        let report = Arc::new(Report::new(&mut telemetry));
        let launch = launch(data.path(), peers, settings);
        service::start(&launch, &report)
            .err()
            .map(|error| (error.to_string(), error))
    };
    let peers = [("recall", &server), ("model", &server)];
    let (said, _) = fails(&peers, &[]).unwrap();
    assert!(said.contains("--peer model-light=HOST:PORT"), "{said}");
    let file = data.path().join("rules.json");
    std::fs::write(&file, r#"[{ "resource": "feed", "cuont": 1 }]"#).unwrap();
    let given = format!("rules={}", file.display());
    let (said, error) = fails(&peers, &[&given]).unwrap();
    assert!(
        said.contains("cuont") && matches!(error, StartError::Rules { .. }),
        "{said}"
    );
}

/// What a configuration server says: the number of the content, and the content, if there is one.
type Published = Arc<Mutex<(u64, Option<String>)>>;

/// As much of Nacos as the client asks for.
fn center(published: Published) -> Server {
    Server::start(move |path, body| {
        let (version, content) = published.lock().unwrap().clone();
        let md5 = content.as_deref().map(checksum::md5).unwrap_or_default();
        let headers = format!("squall-version: {version}\r\ncontent-md5: {md5}\r\nconfig-type: json\r\n");
        if path.contains("/configs/listener") {
            let knows = body.contains(&md5) && !md5.is_empty();
            thread::park_timeout(Duration::from_millis(5));
            let changed = "feed-flow-rules.json%02SENTINEL_GROUP%01";
            return (
                200,
                String::new(),
                if knows { String::new() } else { changed.to_owned() },
            );
        }
        match content {
            Some(content) => (200, headers, content),
            None => (404, headers, "config data not exist".to_owned()),
        }
    })
}

fn limit(count: u32) -> String {
    format!(r#"[{{ "resource": "feed", "count": {count} }}]"#)
}

/// Which limit of L1 is in force.
fn limit_in_force(rules: &Value) -> Option<f64> {
    rules["rules"]["flow"][0]["count"].as_f64()
}

#[test]
fn rules_are_followed_refused_whole_and_kept_over_a_restart() {
    let published: Published = Arc::new(Mutex::new((1, Some(limit(70)))));
    let (server, center) = (Server::good(), center(Arc::clone(&published)));
    let mut peers = vec![
        ("recall", &server),
        ("model", &server),
        ("model-light", &server),
        ("config-center", &center),
    ];
    let breaker = Breaker::start(&peers, &[]);
    let (_, first) = breaker.get("/rules");
    assert_eq!(
        limit_in_force(&first),
        Some(70.0),
        "before the first request is served"
    );
    assert_eq!(first["source"], "live");

    *published.lock().unwrap() = (2, Some(limit(80)));
    breaker.get_until("/rules", |rules| limit_in_force(rules) == Some(80.0));
    assert_eq!(
        breaker.get("/rules/versions").1["versions"],
        serde_json::json!([2, 2])
    );

    *published.lock().unwrap() = (3, Some(r#"[{ "resource": "feed", "cuont": 1 }]"#.to_owned()));
    let refused = |breaker: &Breaker| {
        let url = format!("http://{}/metrics", breaker.host.admin());
        let mut answer = breaker.agent.get(&url).call().unwrap();
        let metrics = answer.body_mut().read_to_string().unwrap();
        metrics.contains("circuit_breaker_rules_refused_total 1")
    };
    breaker.get_until("/rules", |_| refused(&breaker));
    let (_, rules) = breaker.get("/rules");
    assert_eq!(
        (limit_in_force(&rules), &rules["center_version"]),
        (Some(80.0), &2.into())
    );

    // Started again, the newest rules are still none: those that were accepted last are in force.
    let data = Arc::clone(&breaker.data);
    drop(breaker);
    let again = Breaker::start_in(Arc::clone(&data), &peers, &[]);
    let (_, rules) = again.get("/rules");
    assert_eq!(
        (limit_in_force(&rules), &rules["source"]),
        (Some(80.0), &"accepted".into())
    );
    *published.lock().unwrap() = (4, Some(limit(90)));
    again.get_until("/rules", |rules| limit_in_force(rules) == Some(90.0));
    drop(again);

    // And where the server is away, its client's copy is.
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = Server {
        address: away,
        seen: Arc::default(),
    };
    *peers.last_mut().unwrap() = ("config-center", &away);
    let alone = Breaker::start_in(data, &peers, &[]);
    let (_, rules) = alone.get("/rules");
    assert_eq!(limit_in_force(&rules), Some(90.0), "{rules}");
    assert_eq!(rules["connected"], false);
}

#[test]
fn where_rules_are_deleted_the_services_own_come_back() {
    let published: Published = Arc::new(Mutex::new((1, Some(limit(70)))));
    let (server, center) = (Server::good(), center(Arc::clone(&published)));
    let peers = [
        ("recall", &server),
        ("model", &server),
        ("model-light", &server),
        ("config-center", &center),
    ];
    let breaker = Breaker::start(&peers, &[]);
    *published.lock().unwrap() = (2, None);
    let rules = breaker.get_until("/rules", |rules| limit_in_force(rules) == Some(5_000.0));
    assert_eq!(rules["source"], "default");
}
