//! `slow_close`: the end of a connection goes on late.

use std::sync::Arc;
use std::time::Duration;

use squall_edge::SlowClose;
use squall_model::decode::{Decode as _, Schema};
use squall_model::diagnostic::Diagnostics;
use squall_model::scenario;
use squall_model::span::Spanned;
use squall_model::units::{Ratio, human};

use super::ends::{ends_of, on_an_edge, share};
use super::toxic::ToxicFault;
use crate::fault::{FaultKind, FaultSpec};

pub(in crate::fault) const KIND: FaultKind = FaultKind {
    name: "slow_close",
    about: "delays the end of each connection of an edge",
    decode,
    schema,
    ways: super::WAYS,
};

on_an_edge! {
    /// Delays the end of each connection of an edge.
    pub struct SlowCloseFault {
        /// How long.
        pub delay: Duration,
        /// The share of connections that it is for; all if left out.
        pub share: Option<Spanned<Ratio>>,
    }
    exactly_one ["between", "from"];
}

fn decode(fault: &scenario::Fault, diagnostics: &mut Diagnostics) -> Option<Arc<dyn FaultSpec>> {
    let written: SlowCloseFault = fault.decode_params(diagnostics)?;
    let toxic = ToxicFault {
        ends: ends_of!(written, fault).ends(diagnostics)?,
        kind: SlowClose { delay: written.delay }.into(),
        share: share(written.share.as_ref(), diagnostics)?,
        about: format!(
            "delays the end of connections by {}",
            human::duration(written.delay)
        ),
    };
    Some(toxic.spec())
}

fn schema() -> Schema {
    SlowCloseFault::schema()
}
