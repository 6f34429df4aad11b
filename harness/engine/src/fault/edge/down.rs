//! `down`: the callee seems not to be there: open connections are closed, new ones are refused.

use std::sync::Arc;

use squall_edge::{EdgeSeen, Proxy};
use squall_model::decode::{Decode as _, NonEmpty, Schema};
use squall_model::diagnostic::Diagnostics;
use squall_model::name::Name;
use squall_model::record;
use squall_model::scenario;
use squall_model::span::Spanned;

use super::remote::RemoteDown;
use super::site::Site;
use super::{At, Between, Crossing, Deed, EdgeFault, Ends, Misfit, counted};
use crate::fault::{Fault, FaultError, FaultKind, FaultSpec, Part};

pub(in crate::fault) const KIND: FaultKind = FaultKind {
    name: "down",
    about: "closes the connections of an edge and refuses new ones",
    decode,
    schema,
    ways: super::WAYS,
};

record! {
    /// Closes the connections of an edge and refuses new ones.
    pub struct Down {
        /// The two ends of the edge, in any order.
        pub between: NonEmpty<Spanned<Name>>,
    }
}

fn decode(fault: &scenario::Fault, diagnostics: &mut Diagnostics) -> Option<Arc<dyn FaultSpec>> {
    let written: Down = fault.decode_params(diagnostics)?;
    Some(Arc::new(DownSpec {
        ends: Between::both(&written.between, fault.kind.span).ends(diagnostics)?,
    }))
}

fn schema() -> Schema {
    Down::schema()
}

/// As planned.
#[derive(Debug)]
struct DownSpec {
    ends: Ends,
}

impl FaultSpec for DownSpec {
    fn about(&self) -> String {
        format!("closes and refuses connections {}", self.ends)
    }

    fn ends(&self) -> Option<&Ends> {
        Some(&self.ends)
    }

    fn acts_on(&self) -> Option<Part> {
        Some(Part::Edge)
    }

    fn by_toxiproxy(&self) -> Result<(), Misfit> {
        Ok(())
    }

    fn arm_edges(&self, _name: &str, crossings: Vec<Crossing>) -> Result<Box<dyn Fault>, FaultError> {
        EdgeFault::on(crossings, |crossing| match crossing {
            Crossing::Toxiproxy(at, remote) => Ok(Site::of(at, RemoteDown { remote })),
            crossing => crossing.streams(Closing),
        })
    }
}

struct Closing;

impl Deed<Proxy> for Closing {
    fn begin(&self, at: &At<Proxy>) -> Result<(), FaultError> {
        at.proxy.disable().map_err(FaultError::Edge)
    }

    fn end(&self, at: &At<Proxy>) -> Result<(), FaultError> {
        at.proxy.enable().map_err(FaultError::Edge)
    }

    /// The kernel refuses new connections and counts none: what shows is that open ones were closed.
    fn met(&self, _: &At<Proxy>, before: &EdgeSeen, now: &EdgeSeen) -> Option<String> {
        let closed = before.open();
        let word = if closed == 1 { "was" } else { "were" };
        (closed > 0 && now.open() == 0)
            .then(|| format!("{} {word} closed", counted(closed, "open connection")))
    }
}
