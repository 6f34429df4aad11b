//! `slicer`: bytes go in small pieces, with a pause after each.

use std::sync::Arc;
use std::time::Duration;

use squall_edge::Slicer;
use squall_model::decode::{Decode as _, Schema};
use squall_model::diagnostic::Diagnostics;
use squall_model::scenario;
use squall_model::span::Spanned;
use squall_model::units::{Bytes, Ratio, human};

use super::ends::{ends_of, on_an_edge, share};
use super::toxic::ToxicFault;
use crate::fault::{FaultKind, FaultSpec};

pub(in crate::fault) const KIND: FaultKind = FaultKind {
    name: "slicer",
    about: "cuts the bytes of an edge into small pieces",
    decode,
    schema,
    ways: super::WAYS,
};

on_an_edge! {
    /// Cuts the bytes of an edge into small pieces.
    pub struct SlicerFault {
        /// Bytes of a piece, on average.
        pub size: Bytes,
        /// By how many bytes a piece may be off.
        pub variation: Option<Bytes>,
        /// The pause after each piece.
        pub delay: Duration = Duration::ZERO,
        /// The share of connections that it is for; all if left out.
        pub share: Option<Spanned<Ratio>>,
    }
    exactly_one ["between", "from"];
}

fn decode(fault: &scenario::Fault, diagnostics: &mut Diagnostics) -> Option<Arc<dyn FaultSpec>> {
    let written: SlicerFault = fault.decode_params(diagnostics)?;
    let toxic = ToxicFault {
        ends: ends_of!(written, fault).ends(diagnostics)?,
        kind: Slicer {
            average_size: written.size.0,
            size_variation: written.variation.map_or(0, |bytes| bytes.0),
            delay: written.delay,
        }
        .into(),
        share: share(written.share.as_ref(), diagnostics)?,
        about: format!("cuts bytes into pieces of {}", human::bytes(written.size.0)),
    };
    Some(toxic.spec())
}

fn schema() -> Schema {
    SlicerFault::schema()
}
