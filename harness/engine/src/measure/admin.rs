//! What bundled services tell of themselves on their admin endpoint: metrics, events and pauses.
//!
//! Polled by one thread, a few times a second, over plain HTTP on loopback. A service that does not answer is skipped and
//! asked again: whether it is alive is the guard's business. Times come as `CLOCK_MONOTONIC`, which all processes of a
//! machine share, and are turned into microseconds since the run's start.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use serde::Deserialize;

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
    /// Its metrics: the sum over all labels, by name.
    pub metrics: BTreeMap<String, f64>,
}

/// A pause of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When it ended, since the run's start.
    pub at_us: u64,
    /// How long it was.
    pub length_us: u64,
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
    told: Receiver<Told>,
    thread: Option<JoinHandle<()>>,
}

impl Poller {
    /// Polls `targets` (service by index, admin address). `zero_us` is the run's start on `CLOCK_MONOTONIC`.
    pub fn start(targets: Vec<(usize, SocketAddr)>, zero_us: u64) -> std::io::Result<Poller> {
        let (ask, asked) = bounded(1);
        let (tell, told) = unbounded();
        let mut targets: Vec<Target> = targets
            .into_iter()
            .map(|(of, addr)| Target::new(of, addr))
            .collect();
        let thread = std::thread::Builder::new()
            .name("squall-admin".to_owned())
            .spawn(move || {
                poll(&mut targets, zero_us, &asked, &tell);
            })?;
        Ok(Poller {
            ask,
            told,
            thread: Some(thread),
        })
    }

    /// What came in. The channel closes when the poller ends.
    pub fn told(&self) -> &Receiver<Told> {
        &self.told
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

fn poll(targets: &mut [Target], zero_us: u64, asked: &Receiver<Sender<()>>, tell: &Sender<Told>) {
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

/// One admin endpoint and how far it was read.
#[derive(Debug)]
struct Target {
    service: usize,
    address: SocketAddr,
    pauses_after: u64,
    events_after: u64,
}

/// A line of `/pauses`.
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
}

impl Target {
    fn new(service: usize, address: SocketAddr) -> Target {
        Target {
            service,
            address,
            pauses_after: 0,
            events_after: 0,
        }
    }

    fn ask(&mut self, agent: &ureq::Agent, zero_us: u64) -> Option<Told> {
        let (metrics, _) = get(agent, &format!("http://{}/metrics", self.address))?;
        let (pauses, lost) = get(
            agent,
            &format!("http://{}/pauses?after={}", self.address, self.pauses_after),
        )?;
        let (events, _) = get(
            agent,
            &format!("http://{}/events?after={}", self.address, self.events_after),
        )?;
        let mut told = Told {
            service: self.service,
            pauses_lost: lost,
            ..Told::default()
        };
        told.metrics = parse_metrics(&metrics);
        for line in pauses
            .lines()
            .filter_map(|line| serde_json::from_str::<PauseLine>(line).ok())
        {
            self.pauses_after = self.pauses_after.max(line.seq);
            told.pauses.push(Pause {
                at_us: line.at_us.saturating_sub(zero_us),
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
        // A label's value may hold spaces and brackets; the sample stands behind the last bracket.
        let rest = rest.rsplit_once('}').map_or(rest, |(_, sample)| sample);
        if let Some(value) = rest
            .split_ascii_whitespace()
            .next()
            .and_then(|value| value.parse::<f64>().ok())
        {
            *sums.entry(name.to_owned()).or_insert(0.0) += value;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_over_labels_and_comments_are_passed_over() {
        let text = "# TYPE a counter\na_total{x=\"1 }\"} 2 1700000000\na_total{x=\"2\"} 3.5\nb 7\nnot a sample\n# EOF\n";
        let metrics = parse_metrics(text);
        assert_eq!(metrics.get("a_total"), Some(&5.5));
        assert_eq!(metrics.get("b"), Some(&7.0));
        assert_eq!(metrics.len(), 2);
    }
}
