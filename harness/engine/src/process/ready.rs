//! Waits until a service is ready, or tells why it isn't.
//!
//! The wait is on the process's own exit, so a service that dies is noticed at once; between two looks lie 2 to 10 ms.
//! A port that answers proves nothing by itself: the listener must be the service's own.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use regex_lite::Regex;

use super::log::Tail;
use super::socket::{Holder, Owner, accepts, owner};
use crate::guard::{ExitStatus, ExitWatch};

/// Between the first looks; doubled up to [`INTERVAL_MAX`].
const INTERVAL_MIN: Duration = Duration::from_millis(2);
const INTERVAL_MAX: Duration = Duration::from_millis(10);

/// The longest one health request may take; a slower answer is asked for again.
const ANSWER: Duration = Duration::from_secs(2);

/// When a service counts as ready.
#[derive(Clone, Debug)]
pub enum Ready {
    /// It prints `ready listen=ADDR admin=ADDR`, as the bundled services do.
    Line,
    /// It listens at this address.
    Tcp(SocketAddr),
    /// It listens at this address and answers a GET of this path with a 2xx status.
    Http {
        /// Where.
        address: SocketAddr,
        /// With the leading slash.
        path: String,
    },
    /// It prints a line that this matches.
    Log(Regex),
    /// It was started.
    Running,
}

/// Where a bundled service says that it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyLine {
    /// The service itself.
    pub listen: SocketAddr,
    /// Its admin endpoint.
    pub admin: SocketAddr,
}

impl ReadyLine {
    /// Reads `ready listen=ADDR admin=ADDR`; further `key=value` words are left for later versions. `None` if it is
    /// another kind of line, an error if it is a ready line that can't be read.
    pub fn parse(line: &str) -> Option<Result<Self, String>> {
        let rest = line.strip_prefix("ready ")?;
        let address = |key: &str| {
            let word = rest
                .split_ascii_whitespace()
                .find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            let word = word.ok_or_else(|| format!("no {key}= in `{line}`"))?;
            word.parse()
                .map_err(|_| format!("{key}= is no address in `{line}`"))
        };
        let both = || {
            Ok(Self {
                listen: address("listen")?,
                admin: address("admin")?,
            })
        };
        Some(both())
    }
}

/// Why a service isn't ready.
#[derive(Debug)]
pub(super) enum Unready {
    /// It ended.
    Exited(ExitStatus),
    /// The time is up; what the last look saw.
    TimedOut { last_seen: String },
    /// Somebody else listens at its address.
    Stranger {
        address: SocketAddr,
        holder: Option<Holder>,
    },
    /// Nobody waits any more.
    GivenUp,
    /// Its log can't be read.
    Log(io::Error),
}

/// What there is to look at.
pub(super) struct Watched<'a> {
    pub(super) ready: &'a Ready,
    pub(super) exit: &'a ExitWatch,
    pub(super) log: &'a Path,
    /// Where in the log this start begins, in bytes.
    pub(super) log_from: u64,
    /// The pids of the service, itself and all it started, at the moment of the call.
    pub(super) pids: &'a dyn Fn() -> io::Result<HashSet<i32>>,
    /// Give up as soon as somebody else is seen at the address: the port was drawn and can be drawn again.
    pub(super) give_up_to_stranger: bool,
    /// Set when nobody waits any more.
    pub(super) given_up: &'a AtomicBool,
}

/// What one look came to.
enum Look {
    Ready(Option<ReadyLine>),
    NotYet(String),
    Stranger {
        address: SocketAddr,
        holder: Option<Holder>,
    },
}

/// Waits until the service is ready; with [`Ready::Line`], says where it listens.
pub(super) fn wait(watched: &Watched<'_>, within: Duration) -> Result<Option<ReadyLine>, Unready> {
    let deadline = Instant::now() + within;
    let mut probe = Probe::new(watched).map_err(Unready::Log)?;
    let mut interval = INTERVAL_MIN;
    loop {
        let look = probe.look(deadline).map_err(Unready::Log)?;
        if let Some(status) = watched.exit.get() {
            return Err(Unready::Exited(status));
        }
        let last_seen = match look {
            Look::Ready(line) => return Ok(line),
            Look::Stranger { address, holder } if watched.give_up_to_stranger => {
                return Err(Unready::Stranger { address, holder });
            }
            Look::Stranger {
                address,
                holder: Some(holder),
            } => format!("{address} is held by {holder}"),
            Look::Stranger {
                address,
                holder: None,
            } => format!("{address} is held by another process"),
            Look::NotYet(seen) => seen,
        };
        if watched.given_up.load(Ordering::Relaxed) {
            return Err(Unready::GivenUp);
        }
        let now = Instant::now();
        if now >= deadline {
            return Err(Unready::TimedOut { last_seen });
        }
        if let Some(status) = watched.exit.wait_until(deadline.min(now + interval)) {
            return Err(Unready::Exited(status));
        }
        interval = INTERVAL_MAX.min(interval * 2);
    }
}

/// What to say of a program that listens at 127.0.0.1, where it was to be reached by others.
fn aside(address: SocketAddr) -> &'static str {
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
    if address.ip().is_loopback() || accepts(own).is_err() {
        return "";
    }
    "; it listens at 127.0.0.1, where in an isolated network only it can reach itself: have it listen at 0.0.0.0, or at its own \
     address, which is {NAME.host} with its name"
}

struct Probe<'a> {
    watched: &'a Watched<'a>,
    tail: Tail,
    /// What the log has shown so far, for those who time out.
    seen: String,
    /// The listener was found to be the service's own: not looked up again.
    own_listener: bool,
    /// What the last health request came to.
    answered: Option<String>,
}

impl<'a> Probe<'a> {
    fn new(watched: &'a Watched<'a>) -> io::Result<Self> {
        let tail = Tail::open(watched.log, watched.log_from)?;
        Ok(Self {
            watched,
            tail,
            seen: "no such line".to_owned(),
            own_listener: false,
            answered: None,
        })
    }

    fn look(&mut self, deadline: Instant) -> io::Result<Look> {
        match self.watched.ready {
            Ready::Running => Ok(Look::Ready(None)),
            Ready::Line => self.look_for_ready_line(),
            Ready::Log(pattern) => {
                let found = self.tail.lines()?.iter().any(|line| pattern.is_match(line));
                Ok(if found {
                    Look::Ready(None)
                } else {
                    Look::NotYet(format!("no line matches `{}`", pattern.as_str()))
                })
            }
            Ready::Tcp(address) => self.look_at_port(*address),
            Ready::Http { address, path } => match self.look_at_port(*address)? {
                Look::Ready(_) => Ok(self.ask(*address, path, deadline)),
                other => Ok(other),
            },
        }
    }

    fn look_for_ready_line(&mut self) -> io::Result<Look> {
        for line in self.tail.lines()? {
            match ReadyLine::parse(&line) {
                Some(Ok(ready)) => return Ok(Look::Ready(Some(ready))),
                Some(Err(wrong)) => self.seen = wrong,
                None => {}
            }
        }
        Ok(Look::NotYet(format!(
            "`ready listen=ADDR admin=ADDR` was not printed: {}",
            self.seen
        )))
    }

    fn look_at_port(&mut self, address: SocketAddr) -> io::Result<Look> {
        if self.own_listener {
            return Ok(Look::Ready(None));
        }
        // Connecting first: it costs nothing while nobody listens.
        if let Err(error) = accepts(address) {
            return Ok(Look::NotYet(format!(
                "{}: {}{}",
                address,
                in_words(&error),
                aside(address)
            )));
        }
        match owner(address, &(self.watched.pids)()?) {
            Owner::Asked | Owner::Hidden => {
                self.own_listener = true;
                Ok(Look::Ready(None))
            }
            Owner::Other(holder) => Ok(Look::Stranger { address, holder }),
            Owner::Nobody => Ok(Look::NotYet(format!("{address}: the listener has gone"))),
        }
    }

    fn ask(&mut self, address: SocketAddr, path: &str, deadline: Instant) -> Look {
        let seen = match get(address, path, deadline) {
            Answer::Good => return Look::Ready(None),
            Answer::Other(seen) => self.answered.insert(seen).clone(),
            // An earlier answer says more than that the last request was one too many.
            Answer::CutShort(seen) => self.answered.clone().unwrap_or(seen),
        };
        Look::NotYet(format!("GET {path} at {address}: {seen}"))
    }
}

/// What one health request came to.
enum Answer {
    Good,
    Other(String),
    /// The time was up before there was one.
    CutShort(String),
}

fn get(address: SocketAddr, path: &str, deadline: Instant) -> Answer {
    let left = deadline.saturating_duration_since(Instant::now());
    let time = ANSWER.min(left).max(INTERVAL_MIN);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_global(Some(time))
        .max_idle_connections(0)
        .build()
        .into();
    let seen = match agent.get(format!("http://{address}{path}")).call() {
        Ok(response) if response.status().is_success() => return Answer::Good,
        Ok(response) => format!("HTTP {}", response.status().as_u16()),
        Err(ureq::Error::Io(error)) => in_words(&error),
        Err(ureq::Error::Timeout(_)) => {
            let seen = format!("no answer in {} ms", time.as_millis());
            return if left < ANSWER {
                Answer::CutShort(seen)
            } else {
                Answer::Other(seen)
            };
        }
        Err(error) => error.to_string(),
    };
    Answer::Other(seen)
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
            "closed without an answer".to_owned()
        }
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_ready_line_and_says_what_is_wrong_with_one() {
        let check = |line: &str, expected: Option<Result<(&str, &str), &str>>| {
            let expected = expected.map(|expected| {
                expected
                    .map(|(listen, admin)| ReadyLine {
                        listen: listen.parse().expect("an address"),
                        admin: admin.parse().expect("an address"),
                    })
                    .map_err(str::to_owned)
            });
            assert_eq!(ReadyLine::parse(line), expected);
        };
        check(
            "ready listen=127.0.0.1:80 admin=[::1]:81",
            Some(Ok(("127.0.0.1:80", "[::1]:81"))),
        );
        check(
            "ready admin=127.0.0.1:81 v=2 listen=127.0.0.1:80",
            Some(Ok(("127.0.0.1:80", "127.0.0.1:81"))),
        );
        check(
            "ready listen=127.0.0.1:80",
            Some(Err("no admin= in `ready listen=127.0.0.1:80`")),
        );
        check(
            "ready listen=x admin=[::1]:81",
            Some(Err("listen= is no address in `ready listen=x admin=[::1]:81`")),
        );
        check("already listen=127.0.0.1:80", None);
        check("starting", None);
    }
}
