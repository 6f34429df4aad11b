//! What bundled services tell of themselves on their admin endpoint: metrics, events and pauses.
//!
//! Polled by one thread, a few times a second, over plain HTTP on loopback. A service that does not answer is skipped and
//! asked again: whether it is alive is the guard's business. Times come as `CLOCK_MONOTONIC`, which all processes of a
//! machine share, and are turned into microseconds since the run's start.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use serde::Deserialize;
use squall_model::event::Transition;

use super::pause::Pause;
use crate::network::Namespace;

/// How often services are asked.
const PERIOD: Duration = Duration::from_millis(250);

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_millis(500);

/// The most bytes an answer may have.
const BODY_MAX: u64 = 8 << 20;

/// What one service told in one round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// The service, by index.
    pub service: usize,
    /// Pauses that ended since the last round.
    pub pauses: Vec<Pause>,
    /// Pauses that its ring had lost before they could be read.
    pub pauses_lost: u64,
    /// Events since the last round.
    pub events: Vec<ToldEvent>,
    /// Events that its ring had lost before they could be read.
    pub events_lost: u64,
    /// How many of its processes were over before: each tells from its own beginning.
    pub lives: u32,
    /// Its metrics: the sum over all labels, by name.
    pub metrics: BTreeMap<String, f64>,
}

/// An event of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldEvent {
    /// When, since the run's start.
    pub at_us: u64,
    /// The kind it gave.
    pub kind: String,
    /// Its words.
    pub text: String,
    /// The change of state that it was, if it was one.
    pub transition: Option<Transition>,
}

/// Microseconds of `CLOCK_MONOTONIC` now.
pub fn monotonic_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

/// The polling thread.
#[derive(Debug)]
pub struct Poller {
    ask: Sender<Sender<()>>,
    /// Per service: how many of its processes are over.
    over: Arc<Mutex<BTreeMap<usize, u32>>>,
    told: Receiver<Told>,
    thread: Option<JoinHandle<()>>,
}

impl Poller {
    /// Polls admin endpoints. `zero_us` is the run's start on `CLOCK_MONOTONIC`.
    pub fn start(endpoints: Vec<Endpoint>, zero_us: u64) -> std::io::Result<Poller> {
        let (ask, asked) = bounded(1);
        let (tell, told) = unbounded();
        let mut targets: Vec<Target> = endpoints.into_iter().map(Target::new).collect();
        let over = Arc::new(Mutex::new(BTreeMap::new()));
        let known = Arc::clone(&over);
        let thread = std::thread::Builder::new()
            .name("squall-admin".to_owned())
            .spawn(move || {
                poll(&mut targets, zero_us, &asked, &tell, &known);
            })?;
        Ok(Poller {
            ask,
            over,
            told,
            thread: Some(thread),
        })
    }

    /// What came in. The channel closes when the poller ends.
    pub fn told(&self) -> &Receiver<Told> {
        &self.told
    }

    /// Says that a service's process is over and can't answer any more. The next one counts from its own beginning, so its
    /// first answer is read from there.
    pub fn forget(&self, service: usize) {
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        *over.entry(service).or_default() += 1;
    }

    /// Asks every service now, and waits until all have answered or had their time.
    pub fn now(&self) {
        let (done, wait) = bounded(1);
        if self.ask.send(done).is_ok() {
            let _ = wait.recv();
        }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        let (gone, _) = bounded(0);
        self.ask = gone;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn poll(
    targets: &mut [Target],
    zero_us: u64,
    asked: &Receiver<Sender<()>>,
    tell: &Sender<Told>,
    over: &Mutex<BTreeMap<usize, u32>>,
) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_idle_connections_per_host(1)
        .build()
        .into();
    loop {
        let done = match asked.recv_timeout(PERIOD) {
            Ok(done) => Some(done),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        for target in &mut *targets {
            let over = over.lock().unwrap_or_else(PoisonError::into_inner);
            let lives = over.get(&target.service).copied().unwrap_or_default();
            drop(over);
            target.begin_anew(lives);
            if let Some(told) = target.ask(&agent, zero_us)
                && tell.send(told).is_err()
            {
                return;
            }
        }
        if let Some(done) = done {
            let _ = done.send(());
        }
    }
}

/// Where a service tells of itself.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The service, by index.
    pub service: usize,
    /// Its admin address.
    pub address: SocketAddr,
    /// The network namespace in which it is asked: its own, so that no fault on the network is in between. Squall's own if absent.
    pub namespace: Option<Namespace>,
}

/// One admin endpoint and how far it was read.
#[derive(Debug)]
struct Target {
    service: usize,
    address: SocketAddr,
    namespace: Option<Namespace>,
    pauses_after: u64,
    events_after: u64,
    /// How many processes of the service were over when it was read last.
    lives: u32,
}

/// A line of `/pauses`: `at_us` is when it began.
#[derive(Deserialize)]
struct PauseLine {
    seq: u64,
    at_us: u64,
    length_us: u64,
}

/// A line of `/events`.
#[derive(Deserialize)]
struct EventLine {
    seq: u64,
    at_us: u64,
    kind: String,
    text: String,
    transition: Option<Transition>,
}

impl Target {
    fn new(endpoint: Endpoint) -> Target {
        Target {
            service: endpoint.service,
            address: endpoint.address,
            namespace: endpoint.namespace,
            pauses_after: 0,
            events_after: 0,
            lives: 0,
        }
    }

    /// Reads from the beginning where another process has begun to count.
    fn begin_anew(&mut self, lives: u32) {
        if lives != self.lives {
            (self.lives, self.pauses_after, self.events_after) = (lives, 0, 0);
        }
    }

    fn ask(&mut self, agent: &ureq::Agent, zero_us: u64) -> Option<Told> {
        // The thread goes from one to the next, and has no other place to be in.
        self.namespace.as_ref().map_or(Ok(()), Namespace::enter).ok()?;
        let (metrics, _) = get(agent, &format!("http://{}/metrics", self.address))?;
        let (pauses, lost) = get(
            agent,
            &format!("http://{}/pauses?after={}", self.address, self.pauses_after),
        )?;
        let (events, events_lost) = get(
            agent,
            &format!("http://{}/events?after={}", self.address, self.events_after),
        )?;
        let mut told = Told {
            service: self.service,
            pauses_lost: lost,
            events_lost,
            lives: self.lives,
            ..Told::default()
        };
        told.metrics = parse_metrics(&metrics);
        for line in pauses
            .lines()
            .filter_map(|line| serde_json::from_str::<PauseLine>(line).ok())
        {
            self.pauses_after = self.pauses_after.max(line.seq);
            told.pauses.push(Pause {
                at_us: line.at_us.saturating_add(line.length_us).saturating_sub(zero_us),
                length_us: line.length_us,
            });
        }
        for line in events
            .lines()
            .filter_map(|line| serde_json::from_str::<EventLine>(line).ok())
        {
            self.events_after = self.events_after.max(line.seq);
            let at_us = line.at_us.saturating_sub(zero_us);
            told.events.push(ToldEvent {
                at_us,
                kind: line.kind,
                text: line.text,
                transition: line.transition,
            });
        }
        Some(told)
    }
}

/// The body of a successful answer, and how many entries its ring had lost.
fn get(agent: &ureq::Agent, url: &str) -> Option<(String, u64)> {
    let mut response = agent.get(url).call().ok()?;
    let lost = response
        .headers()
        .get("x-squall-dropped")
        .and_then(|v| v.to_str().ok()?.parse().ok())
        .unwrap_or(0);
    let body = response
        .body_mut()
        .with_config()
        .limit(BODY_MAX)
        .read_to_string()
        .ok()?;
    Some((body, lost))
}

/// The samples of an `OpenMetrics` text, summed over their labels. Lines that are none are passed over.
fn parse_metrics(text: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some(end) = line.find(['{', ' ']) else {
            continue;
        };
        let (name, rest) = line.split_at(end);
        if let Some(value) = after_labels(rest)
            .split_ascii_whitespace()
            .next()
            .and_then(|value| value.parse::<f64>().ok())
        {
            *sums.entry(name.to_owned()).or_insert(0.0) += value;
        }
    }
    sums
}

/// What stands behind the labels. Their values may hold spaces, brackets and escaped quotes, and an example with labels
/// of its own may follow the sample.
fn after_labels(rest: &str) -> &str {
    if !rest.starts_with('{') {
        return rest;
    }
    let (mut quoted, mut escaped) = (false, false);
    for (at, letter) in rest.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            '}' if !quoted => return &rest[at + 1..],
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;

    #[test]
    fn samples_are_summed_over_labels_and_comments_are_passed_over() {
        let text = "# TYPE a counter\na_total{x=\"1 }\"} 2 1700000000\na_total{x=\"2\"} 3.5\nb 7\nnot a sample\n# EOF\n";
        let metrics = parse_metrics(text);
        assert_eq!(metrics.get("a_total"), Some(&5.5));
        assert_eq!(metrics.get("b"), Some(&7.0));
        assert_eq!(metrics.len(), 2);
    }

    #[test]
    fn a_sample_keeps_its_value_where_it_has_an_example() {
        let text =
            "took{le=\"1\"} 4 # {trace=\"7\"} 0.5 1700000000\nodd{of=\"a \\\"} # {b\"} 3\nbroken{of=\"} 5\n";
        let metrics = parse_metrics(text);
        assert_eq!(metrics.get("took"), Some(&4.0));
        assert_eq!(metrics.get("odd"), Some(&3.0));
        assert_eq!(metrics.len(), 2);
    }

    /// An admin endpoint that answers from a script, and what it was asked.
    struct Server {
        address: SocketAddr,
        asked: Receiver<String>,
    }

    /// Answers each request by `answer`, which gets its path: a body and how many entries were lost, or nothing, which
    /// is a failure of the service.
    fn endpoint(answer: impl Fn(&str) -> Option<(String, u64)> + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, asked) = unbounded();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut line = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                if reader.read_line(&mut line).is_err() {
                    continue;
                }
                let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                // The rest of the head, so that closing resets nothing.
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {}
                let head = match answer(&path) {
                    Some((body, lost)) => format!(
                        "HTTP/1.1 200 OK\r\nx-squall-dropped: {lost}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                        body.len()
                    ),
                    None => "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
                };
                let _ = stream.write_all(head.as_bytes());
                if tell.send(path).is_err() {
                    return;
                }
            }
        });
        Server { address, asked }
    }

    /// Entries 1 to 3, of which it gives those that were asked for, as the kit's ring does.
    fn ring(path: &str, entry: fn(u64) -> String) -> String {
        let after: u64 = path.split("after=").nth(1).unwrap().parse().unwrap();
        (1..=3).filter(|seq| *seq > after).map(entry).collect()
    }

    fn well(path: &str) -> (String, u64) {
        let pause = |seq| format!("{{\"seq\":{seq},\"at_us\":{},\"length_us\":5}}\n", 1_000 + seq);
        let event = |seq| {
            format!(
                "{{\"seq\":{seq},\"at_us\":{},\"kind\":\"rollback\",\"text\":\"t{seq}\"}}\n",
                500 * seq
            )
        };
        match path {
            "/metrics" => ("a_total 7\n".to_owned(), 0),
            path if path.starts_with("/pauses") => (ring(path, pause), 2),
            path => (ring(path, event) + "not an event\n", 0),
        }
    }

    fn at(service: usize, address: SocketAddr) -> Endpoint {
        Endpoint {
            service,
            address,
            namespace: None,
        }
    }

    /// One round over `targets`, after which everything that was told is there.
    fn round(poller: &Poller) -> Vec<Told> {
        poller.now();
        poller.told().try_iter().collect()
    }

    #[test]
    fn a_round_goes_on_where_the_last_one_ended_and_counts_in_the_runs_time() {
        let endpoint = endpoint(|path| Some(well(path)));
        let poller = Poller::start(vec![at(4, endpoint.address)], 1_000).unwrap();
        let mut told = round(&poller);
        told.extend(round(&poller));
        // The poller's own period may have passed in between: whatever the rounds, each entry comes once.
        assert!(told.len() >= 2);
        assert!(
            told.iter()
                .all(|one| one.service == 4 && one.metrics.get("a_total") == Some(&7.0))
        );
        let pauses: Vec<(u64, u64)> = told
            .iter()
            .flat_map(|one| &one.pauses)
            .map(|pause| (pause.at_us, pause.length_us))
            .collect();
        assert_eq!(pauses, [(6, 5), (7, 5), (8, 5)], "each at its end");
        let events: Vec<(u64, &str)> = told
            .iter()
            .flat_map(|one| &one.events)
            .map(|event| (event.at_us, event.text.as_str()))
            .collect();
        assert_eq!(
            events,
            [(0, "t1"), (0, "t2"), (500, "t3")],
            "what was before the run is at its begin"
        );
        assert_eq!(told[0].pauses_lost, 2);
        let asked: Vec<String> = endpoint.asked.try_iter().take(6).collect();
        assert_eq!(
            asked,
            [
                "/metrics",
                "/pauses?after=0",
                "/events?after=0",
                "/metrics",
                "/pauses?after=3",
                "/events?after=3"
            ]
        );
    }

    #[test]
    fn a_service_that_does_not_answer_is_passed_over_and_the_next_is_asked() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let failing = endpoint(|_| None);
        let answering = endpoint(|path| Some(well(path)));
        let targets = vec![at(0, gone), at(1, failing.address), at(2, answering.address)];
        let poller = Poller::start(targets, 0).unwrap();
        let told = round(&poller);
        assert!(
            !told.is_empty() && told.iter().all(|one| one.service == 2),
            "{told:?}"
        );
    }

    #[test]
    fn half_an_answer_is_asked_for_again_so_that_nothing_of_it_is_lost() {
        let asked_events = std::sync::atomic::AtomicU32::new(0);
        let endpoint = endpoint(move |path| {
            let is_first = path.starts_with("/events")
                && asked_events.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
            (!is_first).then(|| well(path))
        });
        let poller = Poller::start(vec![at(0, endpoint.address)], 0).unwrap();
        let mut told = round(&poller);
        told.extend(round(&poller));
        let pauses: usize = told.iter().map(|one| one.pauses.len()).sum();
        let events: usize = told.iter().map(|one| one.events.len()).sum();
        assert_eq!((pauses, events), (3, 3));
    }
}
