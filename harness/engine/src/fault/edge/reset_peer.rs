//! `reset_peer`: connections are reset after a time.

use std::sync::Arc;
use std::time::Duration;

use squall_edge::ResetPeer;
use squall_model::decode::{Decode as _, Schema};
use squall_model::diagnostic::Diagnostics;
use squall_model::scenario;
use squall_model::span::Spanned;
use squall_model::units::{Ratio, human};

use super::ends::{ends_of, on_an_edge, share};
use super::toxic::ToxicFault;
use crate::fault::{FaultKind, FaultSpec};

pub(in crate::fault) const KIND: FaultKind = FaultKind {
    name: "reset_peer",
    about: "resets each connection of an edge after a time",
    decode,
    schema,
    ways: super::WAYS,
};

on_an_edge! {
    /// Resets each connection of an edge after a time.
    pub struct ResetPeerFault {
        /// The time; at once if left out.
        pub timeout: Duration = Duration::ZERO,
        /// The share of connections that it is for; all if left out.
        pub share: Option<Spanned<Ratio>>,
    }
    exactly_one ["between", "from"];
}

fn decode(fault: &scenario::Fault, diagnostics: &mut Diagnostics) -> Option<Arc<dyn FaultSpec>> {
    let written: ResetPeerFault = fault.decode_params(diagnostics)?;
    let toxic = ToxicFault {
        ends: ends_of!(written, fault).ends(diagnostics)?,
        kind: ResetPeer {
            timeout: written.timeout,
        }
        .into(),
        share: share(written.share.as_ref(), diagnostics)?,
        about: format!("resets connections after {}", human::duration(written.timeout)),
    };
    Some(toxic.spec())
}

fn schema() -> Schema {
    ResetPeerFault::schema()
}
