//! A server in this process, a connection to it, and an ear for what clients tell, for tests only.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use axum::response::Response;
use squall_config_center::center::{Center, Limits, StartError};
use squall_config_center::plant::Plant;
use squall_config_center::report::Report;
use squall_config_center::seed::Seeds;
use squall_config_center::{SERVICE, http};
use squall_config_client::protocol::VERSION;
use squall_config_client::{ConfigKey, Incident, Observe};
use squall_service_kit::{Host, Launch, Settings, Telemetry};

/// How long a test waits for anything.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// How often a test looks whether what it waits for has come.
const LOOKS_EVERY: Duration = Duration::from_millis(1);
/// Where configurations are.
pub const CONFIGS: &str = "/nacos/v1/cs/configs";

/// What a server is to be like.
pub struct Setup {
    pub listen: String,
    pub limits: Limits,
    pub seeds: Seeds,
    pub plant: Plant,
    /// Whether it says of each content which version it is; a real Nacos does not.
    pub says_versions: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            limits: Limits::default(),
            seeds: Seeds::default(),
            plant: Plant::None,
            says_versions: true,
        }
    }
}

impl Setup {
    /// Starts a server whose store is in `data`.
    pub fn start(&self, data: &Path) -> Host {
        let launch = launch(data, &self.listen);
        let mut telemetry = Telemetry::new();
        let report = Arc::new(Report::new(&mut telemetry));
        let center = self.open(data, &report).unwrap();
        let router = |stopping| {
            let router = http::router(center, report, stopping);
            if self.says_versions {
                return router;
            }
            router.layer(axum::middleware::map_response(async |mut response: Response| {
                response.headers_mut().remove(VERSION);
                response
            }))
        };
        Host::start_with(&launch, router, telemetry).unwrap()
    }

    /// Opens the store. One that was open in this process a moment ago is closed by a thread that ends when it ends.
    pub fn open(&self, data: &Path, report: &Arc<Report>) -> Result<Arc<Center>, StartError> {
        let mut opened = None;
        until("the store stays open", || {
            let report = Arc::clone(report);
            let center = Center::start(data, self.limits, &self.seeds, self.plant, report);
            let is_open = |error: &StartError| error.to_string().contains("already open");
            let is_closed = !center.as_ref().is_err_and(is_open);
            opened = Some(center);
            is_closed
        });
        opened.expect("it was waited for")
    }
}

/// Starts a server as usual.
pub fn start(data: &Path) -> Host {
    Setup::default().start(data)
}

/// Waits until something holds.
#[expect(
    clippy::disallowed_methods,
    reason = "what holds tells nobody; the deadline bounds the looks, and the pause leaves the processor to it"
)]
pub fn until(otherwise: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "{otherwise}");
        thread::sleep(LOOKS_EVERY);
    }
}

/// Waits until a server's metric, without what all their names begin with, is this; all metrics.
pub fn until_metric(host: &Host, name: &str, value: usize) -> String {
    let mut admin = Client::connect(host.admin());
    let wanted = format!("\nconfig_center_{name} {value}\n");
    let mut metrics = String::new();
    until(&format!("{name} does not become {value}"), || {
        metrics = admin.get("/metrics").body;
        metrics.contains(&wanted)
    });
    metrics
}

/// Waits until so many polls hang.
pub fn until_hanging(host: &Host, polls: usize) {
    until_metric(host, "watchers", polls);
}

/// A configuration of group `G`, as [`Client::publish`] publishes it.
pub fn key(data_id: &str) -> ConfigKey {
    ConfigKey::new(data_id, "G", "").unwrap()
}

/// Keeps what a client tells.
#[derive(Debug, Default)]
pub struct Heard(Mutex<Vec<Incident>>);

impl Observe for Heard {
    fn note(&self, incident: &Incident) {
        self.0.lock().unwrap().push(incident.clone());
    }
}

impl Heard {
    pub fn has(&self, wanted: impl Fn(&Incident) -> bool) -> bool {
        self.0.lock().unwrap().iter().any(wanted)
    }

    /// Waits until it was told.
    pub fn wait(&self, wanted: impl Fn(&Incident) -> bool) {
        until("it was not told", || self.has(&wanted));
    }
}

/// How a server with usual settings is to run.
pub fn launch(data: &Path, listen: &str) -> Launch {
    Launch {
        listen: listen.parse().unwrap(),
        admin: "127.0.0.1:0".parse().unwrap(),
        data: data.to_owned(),
        peers: BTreeMap::new(),
        settings: Settings::parse(SERVICE.settings, [""; 0]).unwrap(),
    }
}

/// An HTTP/1.1 connection.
pub struct Client(BufReader<TcpStream>);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends a request; `None` if the connection breaks. `headers` are whole lines.
    pub fn send(&mut self, method: &str, target: &str, headers: &str, body: &str) -> Option<()> {
        write!(
            self.0.get_mut(),
            "{method} {target} HTTP/1.1\r\nhost: test\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .ok()
    }

    /// The next answer; `None` if the connection breaks.
    pub fn receive(&mut self) -> Option<Answer> {
        let status = self.line()?.split(' ').nth(1)?.parse().ok()?;
        let mut headers = BTreeMap::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers
            .get("content-length")
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        let body = String::from_utf8(body).unwrap();
        Some(Answer {
            status,
            headers,
            body,
        })
    }

    pub fn ask(&mut self, method: &str, target: &str, headers: &str, body: &str) -> Answer {
        self.send(method, target, headers, body)
            .and_then(|()| self.receive())
            .expect("the connection stays open")
    }

    pub fn get(&mut self, target: &str) -> Answer {
        self.ask("GET", target, "", "")
    }

    /// Publishes a content of letters and digits in group `G`.
    pub fn publish(&mut self, data_id: &str, content: &str) -> Answer {
        let form = format!("dataId={data_id}&group=G&content={content}");
        self.ask("POST", CONFIGS, "", &form)
    }

    /// Deletes what [`Client::publish`] published.
    pub fn delete(&mut self, data_id: &str) -> Answer {
        self.ask("DELETE", CONFIGS, "", &format!("dataId={data_id}&group=G"))
    }

    pub fn fetch(&mut self, data_id: &str) -> Answer {
        self.get(&format!("{CONFIGS}?dataId={data_id}&group=G"))
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }
}
