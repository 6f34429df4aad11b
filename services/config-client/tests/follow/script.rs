//! A server that answers by a function, and a client of it whose incidents are kept.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use squall_config_client::listening;
use squall_config_client::protocol::{CONFIGS, LISTENER};
use squall_config_client::{Client, ConfigKey, Incident, Observe, Settings};
use tokio::runtime::Runtime;

/// How long a test waits for anything.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// What the server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// For the configuration with this data id.
    Fetch(String),
    /// What has changed of these, with the MD5s that the client has, and whether the answer may take its time.
    Poll(Vec<(String, String)>, bool),
    /// Whether it is there.
    Alive,
}

/// What it does.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Says so, and goes on.
    Status(u16),
    /// The content.
    Content(String),
    /// The content, with the MD5 of another.
    Torn(String),
    /// These data ids have changed.
    Changed(Vec<&'static str>),
    /// Nothing, ever.
    Hang,
}

/// The server. Its threads end with the process.
#[derive(Debug)]
pub struct Script {
    pub address: String,
    asked: Arc<Mutex<Vec<(Instant, Asked)>>>,
}

impl Script {
    pub fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, all) = (Arc::new(answer), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, all) = (Arc::clone(&answer), Arc::clone(&all));
                thread::spawn(move || serve(stream, &*answer, &all));
            }
        });
        Self { address, asked }
    }

    /// How often it was asked something like it.
    pub fn count(&self, like: impl Fn(&Asked) -> bool) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(_, asked)| like(asked)).count()
    }

    /// Waits until it was asked something like it so often; how much later the last was than the first.
    pub fn wait(&self, times: usize, like: impl Fn(&Asked) -> bool) -> Duration {
        until("it was not asked", || self.count(&like) >= times);
        let asked = self.asked.lock().unwrap();
        let mut at = asked.iter().filter(|(_, asked)| like(asked)).map(|(at, _)| *at);
        let first = at.next().unwrap();
        at.nth(times - 2).unwrap() - first
    }
}

fn serve(
    stream: TcpStream,
    answer: &dyn Fn(&Asked) -> Answer,
    all: &Mutex<Vec<(Instant, Asked)>>,
) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut stream = BufReader::new(stream);
    loop {
        let asked = request(&mut stream)?;
        all.lock().unwrap().push((Instant::now(), asked.clone()));
        let mut headers = "";
        let (status, body) = match answer(&asked) {
            Answer::Status(status) => (status, String::new()),
            Answer::Content(content) => (200, content),
            Answer::Torn(content) => {
                headers = "content-md5: d41d8cd98f00b204e9800998ecf8427e\r\n";
                (200, content)
            }
            Answer::Changed(ids) => {
                let keys: Vec<ConfigKey> = ids.into_iter().map(key).collect();
                (200, listening::answer(&keys))
            }
            Answer::Hang => {
                // Until the client goes.
                let _ = stream.read(&mut [0]);
                return None;
            }
        };
        let length = body.len();
        write!(
            stream.get_mut(),
            "HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\n\r\n{body}"
        )
        .ok()?;
    }
}

fn request(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (stream.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let head = head.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    let target = head.split(' ').nth(1)?;
    Some(match target.split_once('?').map_or(target, |(path, _)| path) {
        CONFIGS => {
            let id = target.split_once("dataid=")?.1.split('&').next()?;
            Asked::Fetch(id.to_owned())
        }
        LISTENER => {
            let form = String::from_utf8(body).ok()?;
            let watched = listening::decoded(form.strip_prefix("Listening-Configs=")?);
            let watched = listening::parse(&watched).unwrap_or_default();
            let watched = watched
                .into_iter()
                .map(|one| (one.key.data_id().to_owned(), one.md5));
            Asked::Poll(watched.collect(), !head.contains("no-hangup"))
        }
        _ => Asked::Alive,
    })
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
    pub fn count(&self, like: impl Fn(&Incident) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|one| like(one)).count()
    }
}

pub fn client(script: &Script, snapshots: &Path, more: impl FnOnce(&mut Settings)) -> (Client, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let mut settings = Settings::new(&script.address, snapshots);
    more(&mut settings);
    let client = Client::start_observed(settings, Arc::clone(&heard) as _).unwrap();
    (client, heard)
}

pub fn key(name: &str) -> ConfigKey {
    ConfigKey::new(name, "G", "").unwrap()
}

/// What comes of a future, which must come in time.
pub fn now<F: Future>(future: F) -> F::Output {
    let runtime = Runtime::new().unwrap();
    runtime
        .block_on(async { tokio::time::timeout(DEADLINE, future).await })
        .expect("it comes in time")
}

/// Waits until something holds.
pub fn until(otherwise: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "{otherwise}");
        thread::yield_now();
    }
}
