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

use std::sync::Arc;
use std::time::{Duration, Instant};

use squall_edge::{Direction, EdgeError, EdgeSeen, Proxy};
use squall_model::units::human;

use super::{Fault, FaultError, Receipt, TargetProcess, Way};
use crate::network::{self, Namespace, NetworkError};

pub use ends::{Between, Ends};

/// How they work.
pub const PROXY: Way = Way {
    name: "proxy",
    about: "a proxy that the caller is given in place of its callee's address; streams (TCP) of programs that can be told one",
    check: |_| Ok(()),
};

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
    /// The bytes that the fault is for.
    pub directions: Vec<Direction>,
    /// The place of the caller, and so of the proxy, where the network is isolated.
    pub place: Option<Namespace>,
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
                format!(
                    "{caller}, which may have its address from elsewhere than what it was told, never used its edge to {callee}"
                )
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
