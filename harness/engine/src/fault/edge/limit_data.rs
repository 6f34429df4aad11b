//! `limit_data`: a connection is closed after a number of bytes.

use std::sync::Arc;

use squall_edge::LimitData;
use squall_model::decode::{Decode as _, Schema};
use squall_model::diagnostic::Diagnostics;
use squall_model::scenario;
use squall_model::span::Spanned;
use squall_model::units::{Bytes, Ratio, human};

use super::ends::{ends_of, on_an_edge, share, size};
use super::toxic::ToxicFault;
use crate::fault::{FaultKind, FaultSpec};

pub(in crate::fault) const KIND: FaultKind = FaultKind {
    name: "limit_data",
    about: "closes each connection of an edge after a number of bytes",
    decode,
    schema,
    ways: super::WAYS,
};

on_an_edge! {
    /// Closes each connection of an edge after a number of bytes.
    pub struct LimitDataFault {
        /// How many pass on each connection from when the fault begins.
        pub bytes: Spanned<Bytes>,
        /// The share of connections that it is for; all if left out.
        pub share: Option<Spanned<Ratio>>,
    }
    exactly_one ["between", "from"];
}

fn decode(fault: &scenario::Fault, diagnostics: &mut Diagnostics) -> Option<Arc<dyn FaultSpec>> {
    let written: LimitDataFault = fault.decode_params(diagnostics)?;
    let bytes = size(
        &written.bytes,
        "connections would end before a byte has met this",
        "to end them at once use `reset_peer` or `down`",
        diagnostics,
    )?;
    let toxic = ToxicFault {
        ends: ends_of!(written, fault).ends(diagnostics)?,
        kind: LimitData { bytes }.into(),
        share: share(written.share.as_ref(), diagnostics)?,
        about: format!("closes connections after {}", human::bytes(bytes)),
    };
    Some(toxic.spec())
}

fn schema() -> Schema {
    LimitDataFault::schema()
}
