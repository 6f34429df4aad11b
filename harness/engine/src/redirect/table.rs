//! The table of what is redirected where, as a rule of the service's supervisor, and what it counts.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use super::address::{BYTES_MAX, canonical, decode};
use super::connect::{redirect, transport};
use crate::seccomp::{Call, Rule, Syscall, Verdict};

/// The most interrupted calls that are remembered; far more than a program has threads that connect at once.
const INTERRUPTED_MAX: usize = 1024;

/// What a socket carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP.
    Stream,
    /// UDP, on a connected socket.
    Datagram,
}

/// An IPv4 socket reaches no IPv6 address. The other way round it does, unless its program has forbidden it, which is a
/// [`Miss`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("connects to {from} can't be redirected to {to}: an IPv4 socket reaches no IPv6 address")]
pub struct Families {
    /// The real address.
    pub from: SocketAddr,
    /// The proxy's.
    pub to: SocketAddr,
}

/// What came of the calls of connect(2), by all starts of the service. Calls, not connections: a program that asks twice
/// whether a connection is up counts twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All calls, but for those whose caller was killed before they could be looked at.
    pub seen: u64,
    /// Of these, the ones that were made to the proxy, whatever came of them there.
    pub redirected: u64,
    /// The ones that name no address of the table, or no internet address at all.
    pub passed: u64,
    /// The ones that went where they would, since squall could not look or could not act. Each is a hole.
    pub missed: u64,
    /// The latest of these.
    pub last_miss: Option<Miss>,
}

/// Why a call could not be looked at or redirected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// What was being done.
    pub doing: &'static str,
    /// The kernel's words.
    pub error: String,
    /// Its number, where there is one.
    pub errno: Option<i32>,
}

/// What is redirected where, for one service. Shared between its supervisor, which asks it, and whoever changes it.
#[derive(Debug, Default)]
pub struct Redirects(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    routes: HashMap<(Transport, SocketAddr), Route>,
    counts: Counts,
    /// Calls that were made and whose callers did not hear of it, by thread and descriptor.
    interrupted: HashSet<(i32, i32)>,
}

#[derive(Debug)]
struct Route {
    to: SocketAddr,
    redirected: u64,
}

impl Redirects {
    /// An empty table: every call passes.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on, connects to `from` are made to `to`; calls counted so far are kept.
    ///
    /// `0.0.0.0` and `::` mean this machine, as they do to connect(2), and IPv4 addresses mapped into IPv6 mean the IPv4 ones.
    pub fn set(&self, transport: Transport, from: SocketAddr, to: SocketAddr) -> Result<(), Families> {
        let [key, proxy] = [from, to].map(canonical);
        if key.is_ipv4() && proxy.is_ipv6() {
            return Err(Families { from, to });
        }
        let mut table = self.lock();
        let route = table.routes.entry((transport, key)).or_insert(Route {
            to: proxy,
            redirected: 0,
        });
        route.to = proxy;
        Ok(())
    }

    /// From now on, connects to `from` pass; returns how many were redirected.
    pub fn remove(&self, transport: Transport, from: SocketAddr) -> u64 {
        let route = self.lock().routes.remove(&(transport, canonical(from)));
        route.map_or(0, |route| route.redirected)
    }

    /// What came of all calls.
    pub fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// How many calls for `from` were redirected, so long as it is in the table.
    pub fn redirected(&self, transport: Transport, from: SocketAddr) -> u64 {
        let table = self.lock();
        let route = table.routes.get(&(transport, canonical(from)));
        route.map_or(0, |route| route.redirected)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempt(&self, call: &Call<'_>) -> Result<Outcome, Miss> {
        let doing = |doing| move |error: io::Error| Miss::new(doing, &error);
        let [number, pointer, length] = [0, 1, 2].map(|index| call.argument(index));
        let length = usize::try_from(length as u32).unwrap_or(usize::MAX);
        let bytes = call
            .read(pointer, length.min(BYTES_MAX))
            .map_err(doing("reading the address"))?;
        let Some(asked) = decode(&bytes).map(canonical) else {
            return Ok(Outcome::Passed);
        };
        if !self.lock().knows(asked) {
            return Ok(Outcome::Passed);
        }
        let number = number as i32;
        let socket = call.descriptor(number).map_err(doing("taking the socket"))?;
        let carries =
            transport(socket.as_fd()).map_err(|errno| doing("looking at the socket")(errno.into()))?;
        let interrupted = self.lock().interrupted.remove(&(call.thread(), number));
        let Some(key) = carries.map(|transport| (transport, asked)) else {
            return Ok(Outcome::Passed);
        };
        let Some(to) = self.lock().routes.get(&key).map(|route| route.to) else {
            return Ok(Outcome::Passed);
        };
        // Not under the lock, though it doesn't wait either: a long queue of packets is delivered inside it.
        let verdict = redirect(socket.as_fd(), to, interrupted)
            .map_err(|errno| doing("connecting the socket")(errno.into()))?;
        Ok(Outcome::Redirected(key, verdict))
    }
}

impl Table {
    fn knows(&self, address: SocketAddr) -> bool {
        let both = [Transport::Stream, Transport::Datagram];
        both.iter()
            .any(|transport| self.routes.contains_key(&(*transport, address)))
    }
}

/// What came of one call.
enum Outcome {
    Passed,
    Redirected((Transport, SocketAddr), Verdict),
}

impl Rule for Redirects {
    fn calls(&self) -> &[Syscall] {
        &[Syscall::Connect]
    }

    fn decide(&self, call: &Call<'_>) -> Option<Verdict> {
        let attempted = self.attempt(call);
        if attempted.is_err() && !call.is_waiting() {
            return None;
        }
        let mut table = self.lock();
        table.counts.seen += 1;
        match attempted {
            Ok(Outcome::Passed) => {
                table.counts.passed += 1;
                None
            }
            Ok(Outcome::Redirected(key, verdict)) => {
                table.counts.redirected += 1;
                if let Some(route) = table.routes.get_mut(&key) {
                    route.redirected += 1;
                }
                Some(verdict)
            }
            Err(miss) => {
                table.counts.missed += 1;
                table.counts.last_miss = Some(miss);
                None
            }
        }
    }

    fn unheard(&self, call: &Call<'_>) {
        let mut table = self.lock();
        if table.interrupted.len() < INTERRUPTED_MAX {
            table.interrupted.insert((call.thread(), call.argument(0) as i32));
        }
    }
}

impl Miss {
    fn new(doing: &'static str, error: &io::Error) -> Self {
        Self {
            doing,
            error: error.to_string(),
            errno: error.raw_os_error(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn no_ipv6_address_can_stand_for_an_ipv4_one() {
        let table = Redirects::new();
        let set = |from, to| table.set(Transport::Stream, address(from), address(to));
        let refused = set("127.0.0.1:80", "[::1]:81").unwrap_err();
        assert!(
            refused.to_string().contains("reaches no IPv6 address"),
            "{refused}"
        );
        assert_eq!(set("[::1]:80", "127.0.0.1:81"), Ok(()));
        let mapped = table.set(
            Transport::Stream,
            address("[::ffff:127.0.0.1]:80"),
            address("127.0.0.1:81"),
        );
        assert_eq!(mapped, Ok(()));
        assert!(table.lock().knows(address("127.0.0.1:80")));
    }

    #[test]
    fn a_row_is_of_one_transport() {
        let table = Redirects::new();
        let from = address("127.0.0.1:80");
        table
            .set(Transport::Datagram, from, address("127.0.0.1:81"))
            .unwrap();
        table.remove(Transport::Stream, from);
        assert!(table.lock().knows(from));
        table.remove(Transport::Datagram, from);
        assert!(!table.lock().knows(from));
    }
}
