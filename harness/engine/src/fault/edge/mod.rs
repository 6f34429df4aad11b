//! What is done to an edge: a proxy stands between its caller and its callee, and this tells it what to do to their bytes.
//!
//! One file for each fault, which only says what is begun, what is ended, and what the proxy must have seen for either to be
//! proven ([`Deed`]). The evidence is what the proxy counted of the caller's own traffic, apart from the code that acts: bytes that
//! crossed before, and bytes, connections or requests that met the fault. An edge that nobody uses proves nothing.

pub(super) mod bandwidth;
pub(super) mod down;
pub(super) mod ends;
pub(super) mod http;
pub(super) mod latency;
pub(super) mod limit_data;
pub(super) mod partition;
pub(super) mod reset_peer;
pub(super) mod slicer;
pub(super) mod slow_close;
pub(super) mod timeout;
mod toxic;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use squall_edge::{Direction, EdgeError, EdgeSeen, Proxy};
use squall_model::units::human;

use super::{Fault, FaultError, Lack, Receipt, TargetProcess, Way};
use crate::network::{self, Namespace, NetworkError};
use crate::redirect::{self, Counts, Redirects};

pub use ends::{Between, Ends};

/// How they work.
pub const PROXY: Way = Way {
    name: "proxy",
    about: "a proxy that the caller is given in place of its callee's address; streams (TCP) of programs that can be told one",
    check: |_| Ok(()),
};

/// How they reach callers that can't be told.
pub const REDIRECT: Way = Way {
    name: "redirect",
    about: "`redirect: true` of the caller: its connects are led to the proxy, whatever it has the address from; any program that squall starts",
    check: |_| {
        redirect::probe().map_err(|why| Lack {
            missing: why.missing(),
            unlock: why.unlock(),
        })
    },
};

/// All of them.
pub const WAYS: &[Way] = &[PROXY, REDIRECT];

/// How long after healing bytes may take to cross again: callers that lost their connections come back in their own time.
const OVER_WITHIN: Duration = Duration::from_secs(10);

/// An edge as a fault reaches it.
#[derive(Clone, Debug)]
pub struct Crossing {
    /// Who calls.
    pub caller: String,
    /// Who is called.
    pub callee: String,
    /// The proxy between them.
    pub proxy: Arc<Proxy>,
    /// How the caller comes to the proxy.
    pub led: Led,
    /// The bytes that the fault is for.
    pub directions: Vec<Direction>,
    /// The place of the caller, and so of the proxy, where the network is isolated.
    pub place: Option<Namespace>,
}

/// How a caller comes to a proxy.
#[derive(Clone, Debug)]
pub enum Led {
    /// It was told the proxy's address.
    Told,
    /// Its connects are redirected there.
    Redirected {
        /// Where they are counted.
        redirects: Arc<Redirects>,
        /// The callee's addresses.
        from: Vec<SocketAddr>,
    },
}

impl Crossing {
    /// Does something to the proxy where it is: sockets that it opens are to be of its own place.
    fn there(&self, act: impl FnOnce() -> Result<(), EdgeError> + Send) -> Result<(), FaultError> {
        let done = network::within(self.place.as_ref(), act).map_err(NetworkError::entering)?;
        done.map_err(FaultError::Edge)
    }

    /// `feed->ranking`
    pub fn name(&self) -> String {
        format!("{}->{}", self.caller, self.callee)
    }

    /// Why nobody may have come to the proxy, and what to do.
    fn unused(&self) -> String {
        let Crossing { caller, callee, .. } = self;
        let why = match &self.led {
            Led::Told => {
                "a service that has its callee's address from elsewhere than what it is told needs `redirect: true`"
                    .to_owned()
            }
            Led::Redirected { redirects, from } => {
                let from: Vec<_> = from.iter().map(ToString::to_string).collect();
                elsewhere(&redirects.counts(), &from.join(" or "))
            }
        };
        format!("{caller} never used its edge to {callee}: {why}")
    }
}

/// Where connects went that were to be redirected.
fn elsewhere(counts: &Counts, from: &str) -> String {
    let Counts { seen, missed, .. } = counts;
    match &counts.last_miss {
        _ if *seen == 0 => "it has `redirect: true`, and connected to nothing".to_owned(),
        Some(miss) => format!(
            "it has `redirect: true`, but {missed} of its {seen} connects could not be redirected; the last one failed {}: {}",
            miss.doing, miss.error
        ),
        None => format!("it has `redirect: true`, but none of its {seen} connects was to {from}"),
    }
}

/// What a fault does to an edge, and what shows it.
pub trait Deed: Send + Sync {
    /// Begins it.
    fn begin(&self, at: &Crossing) -> Result<(), EdgeError>;

    /// Ends it.
    fn end(&self, at: &Crossing) -> Result<(), EdgeError>;

    /// What of the caller's traffic has met it since it began, in words; nothing where none has. `before` was seen just before.
    fn met(&self, at: &Crossing, before: &EdgeSeen, now: &EdgeSeen) -> Option<String>;
}

/// One fault on one or more edges.
pub struct EdgeFault {
    deed: Box<dyn Deed>,
    crossings: Vec<Crossing>,
    /// What each edge had seen before, and when that was.
    before: Vec<EdgeSeen>,
    began: Option<Instant>,
    /// The same at its end.
    after: Vec<EdgeSeen>,
    ended: Option<Instant>,
}

impl EdgeFault {
    /// A fault that waits.
    pub fn new(deed: Box<dyn Deed>, crossings: Vec<Crossing>) -> EdgeFault {
        EdgeFault {
            deed,
            crossings,
            before: Vec::new(),
            began: None,
            after: Vec::new(),
            ended: None,
        }
    }

    fn seen(&self) -> Vec<EdgeSeen> {
        self.crossings.iter().map(|at| at.proxy.seen()).collect()
    }
}

impl Fault for EdgeFault {
    fn inject(&mut self) -> Result<(), FaultError> {
        self.before = self.seen();
        (self.after, self.ended) = (Vec::new(), None);
        self.began = Some(Instant::now());
        for at in &self.crossings {
            at.there(|| self.deed.begin(at))?;
        }
        Ok(())
    }

    /// Every edge must have met it.
    fn prove(&mut self) -> Receipt {
        let Some(began) = self.began else {
            return Receipt::Pending;
        };
        let mut told = Vec::new();
        for (at, before) in self.crossings.iter().zip(&self.before) {
            let Some(met) = self.deed.met(at, before, &at.proxy.seen()) else {
                return Receipt::Pending;
            };
            told.push(format!("{}: {}, then {met}", at.name(), crossed(before)));
        }
        Receipt::Proven {
            evidence: format!("{}, within {}", told.join("; "), milliseconds(began.elapsed())),
        }
    }

    fn lacking(&self) -> String {
        for (at, before) in self.crossings.iter().zip(&self.before) {
            let now = at.proxy.seen();
            if self.deed.met(at, before, &now).is_some() {
                continue;
            }
            let Crossing { caller, callee, .. } = at;
            return if now.opened == 0 {
                at.unused()
            } else {
                format!("{caller} sent nothing over its edge to {callee} that met it")
            };
        }
        "nothing shows that the edge felt it".to_owned()
    }

    fn heal(&mut self) -> Result<(), FaultError> {
        self.after = self.seen();
        self.ended = Some(Instant::now());
        let ended = self.crossings.iter().map(|at| at.there(|| self.deed.end(at)));
        let ended: Vec<_> = ended.collect();
        ended.into_iter().collect()
    }

    /// Bytes must have crossed again, on every edge that was used before.
    fn prove_healed(&mut self) -> Receipt {
        let Some(ended) = self.ended else {
            return Receipt::Pending;
        };
        let mut told = Vec::new();
        for (at, after) in self.crossings.iter().zip(&self.after) {
            let bytes = forwarded(&at.proxy.seen()) - forwarded(after);
            match bytes {
                0 if after.opened > 0 => return Receipt::Pending,
                0 => told.push(format!("{} was not used", at.name())),
                bytes => told.push(format!("{}: {} crossed again", at.name(), human::bytes(bytes))),
            }
        }
        Receipt::Proven {
            evidence: format!("{}, within {}", told.join("; "), milliseconds(ended.elapsed())),
        }
    }

    fn over_within(&self) -> Duration {
        OVER_WITHIN
    }

    /// A proxy stays where it is when a service is started again.
    fn rearm(&mut self, _: &TargetProcess) -> Result<(), FaultError> {
        Ok(())
    }
}

fn forwarded(seen: &EdgeSeen) -> u64 {
    seen.directions.iter().map(|one| one.forwarded.bytes).sum()
}

/// What had crossed an edge, in words.
fn crossed(before: &EdgeSeen) -> String {
    match forwarded(before) {
        0 => "nothing had crossed before".to_owned(),
        bytes => {
            let on = counted(before.opened, "connection");
            format!("{} had crossed on {on}", human::bytes(bytes))
        }
    }
}

/// `one connection`, `3 connections`
fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("one {what}"),
        count => format!("{count} {what}s"),
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redirect::Miss;

    #[test]
    fn why_nobody_came_by_a_redirect_goes_by_what_was_counted() {
        let counts = |seen, missed, last_miss| Counts {
            seen,
            missed,
            last_miss,
            ..Counts::default()
        };
        let miss = Miss {
            doing: "taking the socket",
            error: "Operation not permitted (os error 1)".to_owned(),
            errno: Some(1),
        };
        for (counts, expected) in [
            (counts(0, 0, None), "and connected to nothing"),
            (
                counts(4, 0, None),
                "but none of its 4 connects was to 127.0.0.1:80",
            ),
            (
                counts(4, 3, Some(miss)),
                "but 3 of its 4 connects could not be redirected; the last one failed taking the socket: Operation not permitted",
            ),
        ] {
            let told = elsewhere(&counts, "127.0.0.1:80");
            assert!(told.contains(expected), "{told}");
        }
    }
}
