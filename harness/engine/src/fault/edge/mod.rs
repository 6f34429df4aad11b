//! What is done to an edge: a proxy stands between its caller and its callee, and this tells it what to do to their bytes.
//!
//! One file for each fault, which only says what is begun, what is ended, and what the proxy must have seen for either to be
//! proven ([`Deed`]). The evidence is what the proxy counted of the caller's own traffic, apart from the code that acts: bytes that
//! crossed before, and bytes, connections or requests that met the fault. An edge that nobody uses proves nothing.

pub(super) mod bandwidth;
pub(super) mod corrupt;
mod datagram;
pub(super) mod down;
pub(super) mod duplicate;
pub(super) mod ends;
pub(super) mod http;
pub(super) mod latency;
mod led;
pub(super) mod limit_data;
pub(super) mod loss;
pub(super) mod partition;
mod remote;
pub(super) mod reorder;
pub(super) mod reset_peer;
mod site;
pub(super) mod slicer;
pub(super) mod slow_close;
pub(super) mod timeout;
mod toxic;

use std::sync::Arc;
use std::time::{Duration, Instant};

use squall_edge::{DatagramProxy, Direction, Proxy};

use super::{CROSSES_WITHIN, Fault, FaultError, Lack, Receipt, TargetProcess, Way, milliseconds};
use crate::network::Namespace;
use crate::redirect;
use crate::toxiproxy::Remote;

pub use ends::{Between, Ends};
pub use led::Led;
pub use site::{Deed, OnEdge, Post};
use site::{Site, in_directions};

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

/// How those work that Toxiproxy has too.
pub const TOXIPROXY: Way = Way {
    name: "toxiproxy",
    about: "`toxiproxy: URL`: a Toxiproxy server that runs on this machine, asked when the scenario names it; streams (TCP) of programs that can be told an address",
    check: |_| Ok(()),
};

/// How those work that are done to streams alone, and that Toxiproxy has too.
pub const WAYS: &[Way] = &[PROXY, REDIRECT, TOXIPROXY];

/// How those work that are done to datagrams.
pub const DATAGRAM_PROXY: Way = Way {
    name: "datagram proxy",
    about: "a proxy that the caller is given in place of its callee's address; datagrams (UDP) that a load sends",
    check: |_| Ok(()),
};

/// What an edge carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carries {
    /// Connections with streams of bytes (TCP).
    #[default]
    Streams,
    /// Datagrams (UDP).
    Datagrams,
}

/// Why a fault can't be done to what an edge carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// What is wrong, following "`load` sends datagrams, and " or "`load` sends no datagrams, and ".
    pub problem: String,
    /// What to do instead.
    pub help: String,
}

impl Misfit {
    /// Of a fault of streams on datagrams.
    pub fn of_streams() -> Misfit {
        Misfit {
            problem: "this fault is one of streams".to_owned(),
            help:
                "of datagrams there are `loss`, `duplicate`, `reorder`, `corrupt`, `latency` and `partition`"
                    .to_owned(),
        }
    }
}

/// An edge as a fault reaches it; `P` is what stands there.
#[derive(Debug)]
pub struct At<P> {
    /// Who calls.
    pub caller: String,
    /// Who is called.
    pub callee: String,
    /// What stands between them.
    pub proxy: Arc<P>,
    /// How the caller comes there.
    pub led: Led,
    /// The bytes that the fault is for.
    pub directions: Vec<Direction>,
    /// The place of the caller, and so of the proxy, where the network is isolated.
    pub place: Option<Namespace>,
}

/// An edge as a fault reaches it, by what stands there.
#[derive(Debug)]
pub enum Crossing {
    /// A proxy for streams.
    Streams(At<Proxy>),
    /// A proxy for datagrams.
    Datagrams(At<DatagramProxy>),
    /// A proxy on a Toxiproxy server, with one for streams before it that counts.
    Toxiproxy(At<Proxy>, Remote),
}

impl Crossing {
    /// A fault on it that is one of streams.
    fn streams(self, deed: impl Deed<Proxy> + 'static) -> Result<Box<dyn OnEdge>, FaultError> {
        match self {
            Crossing::Streams(at) => Ok(Site::of(at, deed)),
            Crossing::Datagrams(at) => Err(unplanned(&at)),
            Crossing::Toxiproxy(at, _) => Err(unplanned(&at)),
        }
    }

    /// A fault on it that is one of datagrams.
    fn datagrams(self, deed: impl Deed<DatagramProxy> + 'static) -> Result<Box<dyn OnEdge>, FaultError> {
        match self {
            Crossing::Datagrams(at) => Ok(Site::of(at, deed)),
            Crossing::Streams(at) | Crossing::Toxiproxy(at, _) => Err(unplanned(&at)),
        }
    }
}

/// The plan refuses what does not fit, so this tells of a defect.
fn unplanned<P>(at: &At<P>) -> FaultError {
    FaultError::Parameters(format!(
        "{} carries something else than what it is for",
        at.name()
    ))
}

/// One fault on one or more edges.
pub struct EdgeFault {
    edges: Vec<Box<dyn OnEdge>>,
    began: Option<Instant>,
    ended: Option<Instant>,
}

impl EdgeFault {
    /// A fault that waits.
    pub fn new(edges: Vec<Box<dyn OnEdge>>) -> EdgeFault {
        EdgeFault {
            edges,
            began: None,
            ended: None,
        }
    }

    /// A fault that waits, each of whose edges is made by `on`.
    fn on(
        crossings: Vec<Crossing>,
        on: impl Fn(Crossing) -> Result<Box<dyn OnEdge>, FaultError>,
    ) -> Result<Box<dyn Fault>, FaultError> {
        let edges = crossings.into_iter().map(on).collect::<Result<_, _>>()?;
        Ok(Box::new(EdgeFault::new(edges)))
    }

    /// What every edge shows; nothing where one shows nothing.
    fn shown(&self, since: Option<Instant>, tell: impl Fn(&dyn OnEdge) -> Option<String>) -> Receipt {
        let Some(since) = since else {
            return Receipt::Pending;
        };
        let told = |edge: &dyn OnEdge| {
            let shown = tell(edge)?;
            Some(format!("{}: {shown}", edge.name()))
        };
        let all = self.edges.iter().map(|edge| told(edge.as_ref()));
        match all.collect::<Option<Vec<String>>>() {
            None => Receipt::Pending,
            Some(told) => Receipt::Proven {
                evidence: format!("{}, within {}", told.join("; "), milliseconds(since.elapsed())),
            },
        }
    }
}

impl Fault for EdgeFault {
    fn inject(&mut self) -> Result<(), FaultError> {
        self.ended = None;
        self.began = Some(Instant::now());
        self.edges.iter_mut().try_for_each(|edge| edge.begin())
    }

    /// Every edge must have met it.
    fn prove(&mut self) -> Receipt {
        self.shown(self.began, |edge| edge.met())
    }

    fn lacking(&self) -> String {
        let unmet = self.edges.iter().find(|edge| edge.met().is_none());
        unmet.map_or_else(
            || "nothing shows that the edge felt it".to_owned(),
            |edge| edge.lacking(),
        )
    }

    /// One that can't be ended keeps none of the others.
    fn heal(&mut self) -> Result<(), FaultError> {
        self.ended = Some(Instant::now());
        let ended: Vec<_> = self.edges.iter_mut().map(|edge| edge.end()).collect();
        ended.into_iter().collect()
    }

    /// Every edge that was used before must show it.
    fn prove_healed(&mut self) -> Receipt {
        let ended = self.ended;
        let ended_for = ended.map_or(Duration::ZERO, |ended| ended.elapsed());
        self.shown(ended, |edge| edge.over(ended_for))
    }

    fn over_within(&self) -> Duration {
        CROSSES_WITHIN
    }

    /// A proxy stays where it is when a service is started again.
    fn rearm(&mut self, _: &TargetProcess) -> Result<(), FaultError> {
        Ok(())
    }
}

/// `one connection`, `3 connections`
fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("one {what}"),
        count => format!("{count} {what}s"),
    }
}
