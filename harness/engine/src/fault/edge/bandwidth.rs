//! `bandwidth`: bytes go no faster than a rate. By a proxy each connection has that rate to itself; in an isolated network it is the
//! callee's cable that has it.

use std::sync::Arc;

use squall_edge::Bandwidth;
use squall_model::decode::{Decode as _, Schema};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::scenario::{self, Network};
use squall_model::span::{Span, Spanned};
use squall_model::units::{Bytes, Ratio, human};

use super::ends::{ends_of, on_an_edge, share, size};
use super::toxic::ToxicFault;
use super::{Carries, Crossing, Ends, Misfit};
use crate::fault::packet::QUEUE;
use crate::fault::{Fault, FaultError, FaultKind, FaultSpec, PacketDeed};

pub(in crate::fault) const KIND: FaultKind = FaultKind {
    name: "bandwidth",
    about: "limits the rate at which the bytes of an edge go",
    decode,
    schema,
    ways: &[super::PROXY, super::REDIRECT, super::TOXIPROXY, QUEUE],
};

on_an_edge! {
    /// Limits the rate of each connection of an edge.
    pub struct BandwidthFault {
        /// Bytes a second, for each connection and direction; whole kilobytes.
        pub rate: Spanned<Bytes>,
        /// The share of connections that it is for; all if left out.
        pub share: Option<Spanned<Ratio>>,
    }
    exactly_one ["between", "from"];
}

fn decode(fault: &scenario::Fault, diagnostics: &mut Diagnostics) -> Option<Arc<dyn FaultSpec>> {
    let written: BandwidthFault = fault.decode_params(diagnostics)?;
    let rate = size(
        &written.rate,
        "at this rate no byte would ever go",
        "to let nothing through use `partition`, which holds bytes, or `timeout`, which throws them away",
        diagnostics,
    )?;
    let stream = ToxicFault {
        ends: ends_of!(written, fault).ends(diagnostics)?,
        kind: Bandwidth {
            rate: rate.div_ceil(1_000),
        }
        .into(),
        share: share(written.share.as_ref(), diagnostics)?,
        about: format!("lets bytes go at {}/s", human::bytes(rate)),
    };
    Some(Arc::new(BandwidthSpec {
        stream,
        rate,
        share: written.share.map(|share| share.span),
    }))
}

fn schema() -> Schema {
    BandwidthFault::schema()
}

/// A limit as planned: of each connection by a proxy, or of the callee's cable in an isolated network.
#[derive(Debug)]
struct BandwidthSpec {
    stream: ToxicFault,
    /// Bytes a second.
    rate: u64,
    /// Where a share of connections is written.
    share: Option<Span>,
}

impl FaultSpec for BandwidthSpec {
    fn about(&self) -> String {
        self.stream.about()
    }

    fn ends(&self) -> Option<&Ends> {
        self.stream.ends()
    }

    fn fits(&self, carries: Carries) -> Result<(), Misfit> {
        self.stream.fits(carries)
    }

    fn by_toxiproxy(&self) -> Result<(), Misfit> {
        self.stream.by_toxiproxy()
    }

    fn on_packets(&self) -> Option<PacketDeed> {
        Some(PacketDeed::Limit(self.rate))
    }

    fn refused_in(&self, network: Network) -> Option<Diagnostic> {
        let (Network::Isolated, Some(span)) = (network, self.share) else {
            return None;
        };
        let error = Diagnostic::error(
            span,
            "an isolated network limits a cable, and knows nothing of connections",
        );
        Some(
            error.help("leave `share` out, or leave `network: isolated` out to limit connections by a proxy"),
        )
    }

    fn arm_edges(&self, name: &str, crossings: Vec<Crossing>) -> Result<Box<dyn Fault>, FaultError> {
        self.stream.arm_edges(name, crossings)
    }
}
