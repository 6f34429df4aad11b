//! `bandwidth`: bytes go no faster than a rate.

use std::sync::Arc;

use squall_edge::Bandwidth;
use squall_model::decode::{Decode as _, Schema};
use squall_model::diagnostic::Diagnostics;
use squall_model::scenario;
use squall_model::span::Spanned;
use squall_model::units::{Bytes, Ratio, human};

use super::ends::{ends_of, on_an_edge, share, size};
use super::toxic::ToxicFault;
use crate::fault::{FaultKind, FaultSpec};

pub(in crate::fault) const KIND: FaultKind = FaultKind {
    name: "bandwidth",
    about: "limits the rate at which the bytes of an edge go",
    decode,
    schema,
    ways: &[super::PROXY],
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
    let toxic = ToxicFault {
        ends: ends_of!(written, fault).ends(diagnostics)?,
        kind: Bandwidth {
            rate: rate.div_ceil(1_000),
        }
        .into(),
        share: share(written.share.as_ref(), diagnostics)?,
        about: format!("lets bytes go at {}/s", human::bytes(rate)),
    };
    Some(toxic.spec())
}

fn schema() -> Schema {
    BandwidthFault::schema()
}
