//! The service, started in front of servers.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Weak};

use serde_json::Value;
use squall_circuit_breaker::service::report::Report;
use squall_circuit_breaker::service::{self, SERVICE};
use squall_service_kit::{Host, Launch, Settings, Telemetry};
use tempfile::TempDir;

use crate::server::Server;
use crate::{DEADLINE, wait_until};

/// Times that a busy machine keeps to.
pub const PATIENT: [&str; 2] = ["recall-timeout=30s", "deadline=60s"];

/// The service in front of servers.
pub struct Breaker {
    pub host: Host,
    pub data: Arc<TempDir>,
    pub agent: ureq::Agent,
    /// What every part of the service holds.
    pub report: Weak<Report>,
}

/// The address of a role, and what it is played by.
pub type Peers<'a> = [(&'a str, &'a Server)];

impl Breaker {
    pub fn start(peers: &Peers<'_>, settings: &[&str]) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), peers, settings)
    }

    pub fn start_in(data: Arc<TempDir>, peers: &Peers<'_>, settings: &[&str]) -> Self {
        let launch = launch(data.path(), peers, settings);
        let mut telemetry = Telemetry::new();
        let report = Arc::new(Report::new(&mut telemetry));
        let app = service::start(&launch, &report).unwrap();
        let host = Host::start(&launch, service::http::router(app), telemetry).unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(2 * DEADLINE))
            .build()
            .into();
        Self {
            host,
            data,
            agent,
            report: Arc::downgrade(&report),
        }
    }

    /// With rules of its own.
    pub fn with_rules(rules: &str, peers: &Peers<'_>, settings: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("rules.json");
        std::fs::write(&file, rules).unwrap();
        let given = format!("rules={}", file.display());
        Self::start_in(Arc::new(data), peers, &[settings, &[&given]].concat())
    }

    /// The status, and the body where it is JSON.
    pub fn get(&self, path: &str) -> (u16, Value) {
        let url = format!("http://{}{path}", self.host.listen());
        let (status, body) = self.get_text(&url);
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    fn get_text(&self, url: &str) -> (u16, String) {
        let mut answer = self.agent.get(url).call().unwrap();
        let body = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), body)
    }

    /// Gets a path until its answer is as wanted.
    #[track_caller]
    pub fn get_until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let last = std::cell::RefCell::new(Value::Null);
        wait_until(path, || {
            last.replace(self.get(path).1);
            wanted(&last.borrow())
        });
        last.into_inner()
    }

    /// A metric of the service, by what follows `circuit_breaker_`.
    pub fn metric(&self, name: &str) -> u64 {
        let (_, metrics) = self.get_text(&format!("http://{}/metrics", self.host.admin()));
        let begin = format!("circuit_breaker_{name} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&begin));
        let value = value.unwrap_or_else(|| panic!("there is no {begin}in {metrics}"));
        value.parse().unwrap()
    }

    /// What it has told, in order.
    pub fn events(&self) -> Vec<Value> {
        let (_, events) = self.get_text(&format!("http://{}/events", self.host.admin()));
        let read = |line| serde_json::from_str(line).unwrap();
        events.lines().map(read).collect()
    }

    /// Asks for a refresh, and leaves once something is so, without having waited for an answer.
    #[track_caller]
    pub fn ask_and_leave(&self, what: &str, is_so: impl Fn() -> bool) {
        let mut stream = TcpStream::connect(self.host.listen()).unwrap();
        stream
            .write_all(b"GET /feed HTTP/1.1\r\nhost: breaker\r\n\r\n")
            .unwrap();
        wait_until(what, is_so);
    }
}

pub fn launch(data: &Path, peers: &Peers<'_>, settings: &[&str]) -> Launch {
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
