//! A server in this process, and a client of one connection, for tests only.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use squall_config_center::center::{Center, Limits};
use squall_config_center::plant::Plant;
use squall_config_center::report::Report;
use squall_config_center::seed::Seeds;
use squall_config_center::{SERVICE, http};
use squall_service_kit::{Host, Launch, Settings, Telemetry};

/// How long a test waits for anything.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// Where configurations are.
pub const CONFIGS: &str = "/nacos/v1/cs/configs";

/// Starts a server whose store is in `data`.
pub fn start(data: &Path) -> Host {
    start_with(data, "127.0.0.1:0", Limits::default(), &Seeds::default())
}

/// Likewise, with all that may be said.
pub fn start_with(data: &Path, listen: &str, limits: Limits, seeds: &Seeds) -> Host {
    let launch = launch(data, listen);
    let mut telemetry = Telemetry::new();
    let report = Arc::new(Report::new(&mut telemetry));
    let center = open(data, limits, seeds, &report);
    Host::start_with(
        &launch,
        |stopping| http::router(center, report, stopping),
        telemetry,
    )
    .unwrap()
}

/// Waits until something holds.
pub fn until(otherwise: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "{otherwise}");
        std::thread::yield_now();
    }
}

/// Waits until so many polls hang.
pub fn until_hanging(host: &Host, polls: usize) {
    let mut admin = Client::connect(host.admin());
    let wanted = format!("\nconfig_center_watchers {polls}\n");
    until("the polls do not hang", || {
        admin.get("/metrics").body.contains(&wanted)
    });
}

/// Opens the store. One that was open in this process a moment ago is closed by a thread that ends when it ends.
pub fn open(data: &Path, limits: Limits, seeds: &Seeds, report: &Arc<Report>) -> Arc<Center> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match Center::start(data, limits, seeds, Plant::None, Arc::clone(report)) {
            Ok(center) => return center,
            Err(error) => assert!(
                Instant::now() < deadline && error.to_string().contains("already open"),
                "{error}"
            ),
        }
        std::thread::yield_now();
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

    pub fn fetch(&mut self, data_id: &str) -> Answer {
        self.get(&format!("{CONFIGS}?dataId={data_id}&group=G"))
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }
}
