//! `partition`: the ends of an edge are cut off from each other.
//!
//! By a proxy this is a partition of streams: bytes stay in it instead of in the network, so the kernel acknowledges them to their
//! sender. Open connections stall and go on after healing with nothing lost, or are reset; new ones wait, are reset, or refused.
//! In an isolated network it is one of packets: all of them are dropped.

use std::sync::Arc;

use squall_edge::{Direction, EdgeError, EdgeSeen, NewConnections, OpenConnections, Partition};
use squall_model::choice;
use squall_model::decode::{Decode as _, NonEmpty, Schema};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::name::Name;
use squall_model::scenario::{self, Network};
use squall_model::span::{Span, Spanned};
use squall_model::units::{Ratio, human};

use super::ends::on_an_edge;
use super::{Between, Crossing, Deed, EdgeFault, Ends, counted};
use crate::fault::packet::PACKETS;
use crate::fault::{Fault, FaultError, FaultKind, FaultSpec, PacketDeed, Part};

pub(in crate::fault) const KIND: FaultKind = FaultKind {
    name: "partition",
    about: "cuts the ends of an edge off from each other, both ways or one",
    decode,
    schema,
    ways: &[super::PROXY, super::REDIRECT, PACKETS],
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
        format!("cuts the stream {}", self.ends)
    }

    fn ends(&self) -> Option<&Ends> {
        Some(&self.ends)
    }

    fn on_packets(&self) -> Option<PacketDeed> {
        Some(PacketDeed::Drop(Ratio::new(1.0)))
    }

    fn misfit(&self, network: Network) -> Option<Diagnostic> {
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

    fn arm_edges(&self, _name: &str, crossings: Vec<Crossing>) -> Result<Box<dyn Fault>, FaultError> {
        let deed = Cutting {
            open: self.open,
            new: self.new,
        };
        Ok(Box::new(EdgeFault::new(Box::new(deed), crossings)))
    }
}

struct Cutting {
    open: OpenConnections,
    new: NewConnections,
}

impl Deed for Cutting {
    fn begin(&self, at: &Crossing) -> Result<(), EdgeError> {
        at.proxy.partition(Partition {
            direction: match at.directions[..] {
                [only] => Some(only),
                _ => None,
            },
            open: self.open,
            new: self.new,
        })
    }

    fn end(&self, at: &Crossing) -> Result<(), EdgeError> {
        at.proxy.heal()
    }

    fn met(&self, at: &Crossing, before: &EdgeSeen, now: &EdgeSeen) -> Option<String> {
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
