//! `partition`: the ends of an edge are cut off from each other.
//!
//! Of datagrams: they are lost. Of streams it is more:
//! by a proxy this is a partition of streams: bytes stay in it instead of in the network, so the kernel acknowledges them to their
//! sender. Open connections stall and go on after healing with nothing lost, or are reset; new ones wait, are reset, or refused.
//! In an isolated network it is one of packets: all of them are dropped.

use std::sync::Arc;

use squall_edge::{
    DatagramProxy, DatagramSeen, Direction, EdgeSeen, NewConnections, OpenConnections, Partition, Proxy,
};
use squall_model::choice;
use squall_model::decode::{Decode as _, NonEmpty, Schema};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::name::Name;
use squall_model::scenario::{self, Network};
use squall_model::span::{Span, Spanned};
use squall_model::units::{Ratio, human};

use super::datagram::since;
use super::ends::on_an_edge;
use super::{At, Between, Carries, Crossing, Deed, EdgeFault, Ends, Misfit, counted};
use crate::fault::packet::PACKETS;
use crate::fault::{Fault, FaultError, FaultKind, FaultSpec, PacketDeed, Part};

pub(in crate::fault) const KIND: FaultKind = FaultKind {
    name: "partition",
    about: "cuts the ends of an edge off from each other, both ways or one",
    decode,
    schema,
    ways: &[super::PROXY, super::REDIRECT, super::DATAGRAM_PROXY, PACKETS],
};

choice! {
    /// What becomes of connections that are open.
    pub enum Open {
        /// Their bytes are held, and delivered after healing.
        Stall = "stall",
        /// They are reset.
        Reset = "reset",
    }
}

choice! {
    /// What becomes of connections that are begun.
    pub enum New {
        /// They are completed and not served before healing.
        Blackhole = "blackhole",
        /// They are reset at once.
        Reset = "reset",
        /// Nobody listens.
        Refuse = "refuse",
    }
}

on_an_edge! {
    /// Cuts the ends of an edge off from each other.
    pub struct Cut {
        /// Groups of which each is cut off from the others.
        pub groups: Option<NonEmpty<NonEmpty<Spanned<Name>>>>,
        /// What becomes of connections that are open; they stall if left out.
        pub open: Option<Spanned<Open>>,
        /// What becomes of connections that are begun; they are completed and not served if left out.
        pub new: Option<Spanned<New>>,
    }
    exactly_one ["between", "from", "groups"];
}

fn decode(fault: &scenario::Fault, diagnostics: &mut Diagnostics) -> Option<Arc<dyn FaultSpec>> {
    let written: Cut = fault.decode_params(diagnostics)?;
    let groups: Option<Vec<_>> = written
        .groups
        .as_ref()
        .map(|groups| groups.iter().cloned().collect());
    let between = Between {
        between: written.between.as_ref(),
        way: written.from.as_ref().zip(written.to.as_ref()),
        groups: groups.as_deref(),
        span: fault.kind.span,
    };
    let open = written.open.map_or(Open::Stall, |open| open.value);
    let new = written.new.map_or(New::Blackhole, |new| new.value);
    if let (Some(from), Open::Reset) = (&written.from, open) {
        let error = Diagnostic::error(from.span, "a connection can't be reset in one direction");
        diagnostics.push(error.help("use `between`, or leave `open: reset` out"));
        return None;
    }
    Some(Arc::new(CutSpec {
        ends: between.ends(diagnostics)?,
        open: match open {
            Open::Stall => OpenConnections::Stall,
            Open::Reset => OpenConnections::Reset,
        },
        new: match new {
            New::Blackhole => NewConnections::Blackhole,
            New::Reset => NewConnections::Reset,
            New::Refuse => NewConnections::Refuse,
        },
        of_streams: written
            .open
            .map(|open| open.span)
            .or(written.new.map(|new| new.span)),
    }))
}

fn schema() -> Schema {
    Cut::schema()
}

/// A partition as planned.
#[derive(Debug)]
struct CutSpec {
    ends: Ends,
    open: OpenConnections,
    new: NewConnections,
    /// What is written of connections, of which packets know nothing.
    of_streams: Option<Span>,
}

impl FaultSpec for CutSpec {
    fn about(&self) -> String {
        format!("cuts what goes {}", self.ends)
    }

    fn ends(&self) -> Option<&Ends> {
        Some(&self.ends)
    }

    fn on_packets(&self) -> Option<PacketDeed> {
        Some(PacketDeed::Drop(Ratio::new(1.0)))
    }

    fn refused_in(&self, network: Network) -> Option<Diagnostic> {
        let (Network::Isolated, Some(span)) = (network, self.of_streams) else {
            return None;
        };
        let error = Diagnostic::error(
            span,
            "an isolated network loses packets, and knows nothing of connections",
        );
        Some(error.help(
            "leave `open` and `new` out, or leave `network: isolated` out to cut off streams by a proxy",
        ))
    }

    fn acts_on(&self) -> Option<Part> {
        Some(Part::Edge)
    }

    fn fits(&self, carries: Carries) -> Result<(), Misfit> {
        let stalls = self.open == OpenConnections::Stall && self.new == NewConnections::Blackhole;
        if carries == Carries::Streams || stalls {
            return Ok(());
        }
        Err(Misfit {
            problem: "there is no connection that could be reset or refused".to_owned(),
            help: "leave `open` and `new` out: datagrams that are cut off are lost".to_owned(),
        })
    }

    fn arm_edges(&self, _name: &str, crossings: Vec<Crossing>) -> Result<Box<dyn Fault>, FaultError> {
        EdgeFault::on(crossings, |crossing| match crossing {
            Crossing::Datagrams(_) => crossing.datagrams(Silencing),
            _ => crossing.streams(Cutting {
                open: self.open,
                new: self.new,
            }),
        })
    }
}

struct Cutting {
    open: OpenConnections,
    new: NewConnections,
}

impl Deed<Proxy> for Cutting {
    fn begin(&self, at: &At<Proxy>) -> Result<(), FaultError> {
        let cut = Partition {
            direction: only(at),
            open: self.open,
            new: self.new,
        };
        at.proxy.partition(cut).map_err(FaultError::Edge)
    }

    fn end(&self, at: &At<Proxy>) -> Result<(), FaultError> {
        at.proxy.heal().map_err(FaultError::Edge)
    }

    fn met(&self, at: &At<Proxy>, before: &EdgeSeen, now: &EdgeSeen) -> Option<String> {
        let cut = now
            .partitions
            .iter()
            .rev()
            .find(|cut| cut.began_ns >= before.at_ns)?;
        let held: u64 = Direction::BOTH
            .iter()
            .map(|way| cut.met[way.index()].amount.bytes)
            .sum();
        let mut met = Vec::new();
        if held > 0 {
            met.push(format!("{} held", human::bytes(held)));
        }
        if cut.reset > 0 {
            met.push(format!("{} reset", counted(cut.reset, "open connection")));
        }
        if cut.refused > 0 {
            met.push(format!("{} reset", counted(cut.refused, "new connection")));
        }
        // The kernel's list, which takes a moment to read, only where nothing else shows.
        if met.is_empty() && self.new == NewConnections::Blackhole {
            let waiting = at.proxy.waiting().ok().flatten().filter(|waiting| *waiting > 0);
            met.extend(waiting.map(|waiting| format!("{} waiting", counted(waiting, "new connection"))));
        }
        (!met.is_empty()).then(|| met.join(", "))
    }
}

/// The same of datagrams: they are lost.
struct Silencing;

impl Deed<DatagramProxy> for Silencing {
    fn begin(&self, at: &At<DatagramProxy>) -> Result<(), FaultError> {
        at.proxy.partition(only(at)).map_err(FaultError::Edge)
    }

    fn end(&self, at: &At<DatagramProxy>) -> Result<(), FaultError> {
        at.proxy.heal().map_err(FaultError::Edge)
    }

    fn met(&self, at: &At<DatagramProxy>, before: &DatagramSeen, now: &DatagramSeen) -> Option<String> {
        let cut = since(at, before, now, |seen| seen.cut.chunks);
        (cut > 0).then(|| format!("{} cut off", counted(cut, "datagram")))
    }
}

/// The direction that is cut, where it is not both.
fn only<P>(at: &At<P>) -> Option<Direction> {
    match at.directions[..] {
        [only] => Some(only),
        _ => None,
    }
}
