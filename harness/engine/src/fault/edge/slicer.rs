//! `slicer`: bytes go in small pieces, with a pause after each.

use std::sync::Arc;
use std::time::Duration;

use squall_edge::Slicer;
use squall_model::decode::{Decode as _, Schema};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::scenario;
use squall_model::span::Spanned;
use squall_model::units::{Bytes, Ratio, human};

use super::ends::{ends_of, on_an_edge, share, size};
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
        pub size: Spanned<Bytes>,
        /// By how many bytes a piece may be off.
        pub variation: Option<Spanned<Bytes>>,
        /// The pause after each piece.
        pub delay: Duration = Duration::ZERO,
        /// The share of connections that it is for; all if left out.
        pub share: Option<Spanned<Ratio>>,
    }
    exactly_one ["between", "from"];
}

fn decode(fault: &scenario::Fault, diagnostics: &mut Diagnostics) -> Option<Arc<dyn FaultSpec>> {
    let written: SlicerFault = fault.decode_params(diagnostics)?;
    let size = size(
        &written.size,
        "a piece has at least one byte",
        "write how many, such as `size: 64B`",
        diagnostics,
    )?;
    let variation = written.variation.map_or(0, |bytes| bytes.value.0);
    if let Some(written) = written.variation.filter(|_| variation >= size) {
        let error = Diagnostic::error(written.span, "a piece would have no byte left");
        diagnostics.push(error.help("vary it by less than its `size`"));
        return None;
    }
    let toxic = ToxicFault {
        ends: ends_of!(written, fault).ends(diagnostics)?,
        kind: Slicer {
            average_size: size,
            size_variation: variation,
            delay: written.delay,
        }
        .into(),
        share: share(written.share.as_ref(), diagnostics)?,
        about: format!("cuts bytes into pieces of {}", human::bytes(size)),
    };
    Some(toxic.spec())
}

fn schema() -> Schema {
    SlicerFault::schema()
}
