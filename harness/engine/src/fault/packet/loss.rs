//! `loss`: a share of the packets of an edge is dropped.

use std::sync::Arc;

use squall_model::decode::{Decode as _, Schema};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::scenario::{self, Network};
use squall_model::span::{Span, Spanned};
use squall_model::units::{Ratio, human};

use super::{PACKETS, PacketDeed};
use crate::fault::edge::ends::{ends_of, on_an_edge, share};
use crate::fault::{Ends, FaultKind, FaultSpec};

pub(in crate::fault) const KIND: FaultKind = FaultKind {
    name: "loss",
    about: "loses a share of the packets of an edge",
    decode,
    schema,
    ways: &[PACKETS],
};

on_an_edge! {
    /// Loses a share of the packets of an edge.
    pub struct LossFault {
        /// The share of packets that is lost.
        pub share: Spanned<Ratio>,
    }
    exactly_one ["between", "from"];
}

fn decode(fault: &scenario::Fault, diagnostics: &mut Diagnostics) -> Option<Arc<dyn FaultSpec>> {
    let written: LossFault = fault.decode_params(diagnostics)?;
    Some(Arc::new(LossSpec {
        ends: ends_of!(written, fault).ends(diagnostics)?,
        share: Ratio::new(share(Some(&written.share), diagnostics)?),
        span: fault.kind.span,
    }))
}

fn schema() -> Schema {
    LossFault::schema()
}

/// A loss as planned.
#[derive(Debug)]
struct LossSpec {
    ends: Ends,
    share: Ratio,
    span: Span,
}

impl FaultSpec for LossSpec {
    fn about(&self) -> String {
        format!(
            "loses {} of the packets {}",
            human::ratio(self.share.get()),
            self.ends
        )
    }

    fn ends(&self) -> Option<&Ends> {
        Some(&self.ends)
    }

    fn on_packets(&self) -> Option<PacketDeed> {
        Some(PacketDeed::Drop(self.share))
    }

    fn misfit(&self, network: Network) -> Option<Diagnostic> {
        let error = Diagnostic::error(self.span, "packets can be lost only in a network of their own");
        (network == Network::Shared)
            .then(|| error.help("write `network: isolated` at the top of the scenario"))
    }
}
