//! What the toxics share: one is put on the edge for each direction, and taken off.

use std::sync::Arc;
use std::time::Duration;

use squall_edge::{EdgeSeen, Proxy, ToxicKind, ToxicSpec};
use squall_model::units::human;

use super::datagram::Treatment;
use super::remote::{self, RemoteToxic};
use super::site::{Site, crossed_again};
use super::{At, Carries, Crossing, Deed, EdgeFault, Ends, Misfit, counted};
use crate::fault::{Fault, FaultError, FaultSpec};

/// A toxic as planned.
#[derive(Debug)]
pub(super) struct ToxicFault {
    pub(super) ends: Ends,
    pub(super) kind: ToxicKind,
    /// The share of connections that it is for.
    pub(super) share: f64,
    /// What it does, without where: "delays bytes by 50 ms".
    pub(super) about: String,
}

impl ToxicFault {
    pub(super) fn spec(self) -> Arc<dyn FaultSpec> {
        Arc::new(self)
    }
}

impl FaultSpec for ToxicFault {
    fn about(&self) -> String {
        let share = if self.share < 1.0 {
            format!(", on {} of connections", human::ratio(self.share))
        } else {
            String::new()
        };
        format!("{} {}{share}", self.about, self.ends)
    }

    fn ends(&self) -> Option<&Ends> {
        Some(&self.ends)
    }

    /// Of the toxics only `latency` has a meaning for datagrams, and there is no connection to draw a share of.
    fn fits(&self, carries: Carries) -> Result<(), Misfit> {
        let is_latency = matches!(self.kind, ToxicKind::Latency(_));
        match carries {
            Carries::Streams => Ok(()),
            Carries::Datagrams if is_latency && self.share >= 1.0 => Ok(()),
            Carries::Datagrams if is_latency => Err(Misfit {
                problem: "a share of connections is one of streams".to_owned(),
                help: "leave `share` out: every datagram is delayed".to_owned(),
            }),
            Carries::Datagrams => Err(Misfit::of_streams()),
        }
    }

    fn by_toxiproxy(&self) -> Result<(), Misfit> {
        remote::known(self.kind, self.share)
    }

    fn arm_edges(&self, name: &str, crossings: Vec<Crossing>) -> Result<Box<dyn Fault>, FaultError> {
        let deed = || Poisoning {
            name: name.to_owned(),
            kind: self.kind,
            share: self.share,
        };
        EdgeFault::on(crossings, |crossing| match (crossing, self.kind) {
            (crossing @ Crossing::Datagrams(_), ToxicKind::Latency(delay)) => {
                crossing.datagrams(Treatment::Delay(delay))
            }
            (Crossing::Toxiproxy(at, remote), kind) => {
                let name = name.to_owned();
                Ok(Site::of(at, RemoteToxic { remote, name, kind }))
            }
            (crossing, _) => crossing.streams(deed()),
        })
    }
}

/// Toxics of one kind on an edge, one for each direction.
struct Poisoning {
    name: String,
    kind: ToxicKind,
    share: f64,
}

impl Poisoning {
    fn names<'a>(&'a self, at: &'a At<Proxy>) -> impl Iterator<Item = String> + 'a {
        at.directions
            .iter()
            .map(|way| format!("{}.{}", self.name, way.name()))
    }
}

impl Deed<Proxy> for Poisoning {
    fn begin(&self, at: &At<Proxy>) -> Result<(), FaultError> {
        for (name, stream) in self.names(at).zip(&at.directions) {
            at.proxy
                .add_toxic(ToxicSpec {
                    name,
                    stream: *stream,
                    toxicity: self.share,
                    kind: self.kind,
                })
                .map_err(FaultError::Edge)?;
        }
        Ok(())
    }

    /// All that can be removed are, also where one can't.
    fn end(&self, at: &At<Proxy>) -> Result<(), FaultError> {
        let removed: Vec<_> = self.names(at).map(|name| at.proxy.remove_toxic(&name)).collect();
        removed
            .into_iter()
            .collect::<Result<(), _>>()
            .map_err(FaultError::Edge)
    }

    /// Bytes also cross most toxics while they hold.
    fn over(&self, at: &At<Proxy>, after: &EdgeSeen, now: &EdgeSeen, _: Duration) -> Option<String> {
        let is_gone = |name: &String| {
            let mine = now.toxics.iter().rev().find(|toxic| toxic.name == *name);
            mine.is_none_or(|toxic| toxic.removed_ns.is_some())
        };
        self.names(at)
            .all(|name| is_gone(&name))
            .then(|| crossed_again(at, after, now))?
    }

    fn met(&self, at: &At<Proxy>, before: &EdgeSeen, now: &EdgeSeen) -> Option<String> {
        let (mut connections, mut bytes) = (0, 0);
        let (mut ends, mut held_max_ns) = (0, 0);
        for name in self.names(at) {
            let mine = |toxic: &&squall_edge::ToxicSeen| toxic.name == name && toxic.added_ns >= before.at_ns;
            let Some(toxic) = now.toxics.iter().rev().find(mine) else {
                continue;
            };
            connections = connections.max(toxic.met.connections);
            bytes += toxic.met.amount.bytes;
            ends += toxic.met.ends;
            held_max_ns = held_max_ns.max(toxic.met.end_held_max_ns);
        }
        if let ToxicKind::SlowClose(_) = self.kind {
            return held_back(ends, held_max_ns);
        }
        (connections > 0).then(|| {
            let of = counted(connections, "connection");
            format!("{} of {of} met it", human::bytes(bytes))
        })
    }
}

/// Bytes pass `slow_close` untouched: what met it are ends.
fn held_back(ends: u64, held_max_ns: u64) -> Option<String> {
    let longest = human::duration(Duration::from_nanos(held_max_ns));
    (ends > 0).then(|| format!("{} held back, the longest for {longest}", counted(ends, "end")))
}
