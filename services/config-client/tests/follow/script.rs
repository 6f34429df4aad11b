//! A server that answers by a function, and a client of it whose incidents are kept.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use squall_config_client::checksum::md5;
use squall_config_client::listening;
use squall_config_client::protocol::{CHANGED, CONFIGS, LISTENER};
use squall_config_client::{Client, ConfigKey, Incident, Observe, Settings};
use tokio::runtime::Runtime;

/// How long a test waits for anything.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// How often a test looks whether what it waits for has come.
const LOOKS_EVERY: Duration = Duration::from_millis(1);
/// How long [`Number::listen`] lets a poll hang, as a Nacos server does at least.
const HANGS: Duration = Duration::from_secs(10);
/// The MD5 of nothing.
const MD5_OF_NOTHING: &str = "d41d8cd98f00b204e9800998ecf8427e";

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
    /// This content, with the word that these data ids have changed.
    Pushed(Vec<&'static str>, &'static str),
    /// Likewise, with the MD5 of another.
    PushedTorn(Vec<&'static str>, &'static str),
    /// This; and the connection is closed, as by a server that stops.
    Lastly(Box<Answer>),
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
        let (answer, is_last) = match answer(&asked) {
            Answer::Lastly(answer) => (*answer, true),
            answer => (answer, false),
        };
        let torn = format!("content-md5: {MD5_OF_NOTHING}\r\n");
        let (status, mut headers, body) = match answer {
            Answer::Status(status) => (status, String::new(), String::new()),
            Answer::Content(content) => (200, String::new(), content),
            Answer::Torn(content) => (200, torn, content),
            Answer::Changed(ids) => (200, String::new(), changed(ids)),
            Answer::Pushed(ids, content) => (200, pushed(ids), content.to_owned()),
            Answer::PushedTorn(ids, content) => (200, pushed(ids) + &torn, content.to_owned()),
            Answer::Lastly(_) => panic!("it is the last already"),
            Answer::Hang => {
                // Until the client goes.
                let _ = stream.read(&mut [0]);
                return None;
            }
        };
        if is_last {
            headers += "connection: close\r\n";
        }
        let length = body.len();
        write!(
            stream.get_mut(),
            "HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\n\r\n{body}"
        )
        .ok()?;
        if is_last {
            return None;
        }
    }
}

/// The listener's body that says that these have changed.
fn changed(ids: Vec<&'static str>) -> String {
    let keys: Vec<ConfigKey> = ids.into_iter().map(key).collect();
    listening::answer(&keys)
}

/// The line of the head that says so.
fn pushed(ids: Vec<&'static str>) -> String {
    format!("{CHANGED}: {}\r\n", changed(ids).trim_end())
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

/// A number that is the content of every configuration, and polls that wait for another.
#[derive(Debug, Default)]
pub struct Number {
    now: Mutex<u64>,
    changed: Condvar,
}

impl Number {
    pub fn set(&self, now: u64) {
        *self.now.lock().unwrap() = now;
        self.changed.notify_all();
    }

    pub fn content(&self) -> String {
        self.now.lock().unwrap().to_string()
    }

    /// Answers a poll: which of `ids` have changed of what it watches, once any have or at once. One whose client is gone is let go when
    /// its time is over.
    pub fn listen(&self, watched: &[(String, String)], hangs: bool, ids: &[&'static str]) -> Answer {
        let changed = |now: u64| {
            let now = md5(&now.to_string());
            let has_changed = |id: &&str| watched.iter().any(|(one, md5)| one == id && *md5 != now);
            ids.iter().copied().filter(has_changed).collect::<Vec<_>>()
        };
        let within = if hangs { HANGS } else { Duration::ZERO };
        let now = self.now.lock().unwrap();
        let nothing_new = |now: &mut u64| changed(*now).is_empty();
        let (now, _) = self.changed.wait_timeout_while(now, within, nothing_new).unwrap();
        Answer::Changed(changed(*now))
    }
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
#[expect(
    clippy::disallowed_methods,
    reason = "what holds tells nobody; the deadline bounds the looks, and the pause leaves the processor to it"
)]
pub fn until(otherwise: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "{otherwise}");
        thread::sleep(LOOKS_EVERY);
    }
}
