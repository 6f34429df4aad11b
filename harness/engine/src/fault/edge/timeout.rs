//! `timeout`: nothing goes through, and connections are closed after a time.

use std::sync::Arc;
use std::time::Duration;

use squall_edge::Timeout;
use squall_model::decode::{Decode as _, Schema};
use squall_model::diagnostic::Diagnostics;
use squall_model::scenario;
use squall_model::span::Spanned;
use squall_model::units::{Ratio, human};

use super::ends::{ends_of, on_an_edge, share};
use super::toxic::ToxicFault;
use crate::fault::{FaultKind, FaultSpec};

pub(in crate::fault) const KIND: FaultKind = FaultKind {
    name: "timeout",
    about: "lets nothing through, and closes each connection of an edge after a time",
    decode,
    schema,
    ways: super::WAYS,
};

on_an_edge! {
    /// Lets nothing through, and closes each connection of an edge after a time.
    pub struct TimeoutFault {
        /// The time; until the fault is over if left out.
        pub timeout: Duration = Duration::ZERO,
        /// The share of connections that it is for; all if left out.
        pub share: Option<Spanned<Ratio>>,
    }
    exactly_one ["between", "from"];
}

fn decode(fault: &scenario::Fault, diagnostics: &mut Diagnostics) -> Option<Arc<dyn FaultSpec>> {
    let written: TimeoutFault = fault.decode_params(diagnostics)?;
    let toxic = ToxicFault {
        ends: ends_of!(written, fault).ends(diagnostics)?,
        kind: Timeout {
            timeout: written.timeout,
        }
        .into(),
        share: share(written.share.as_ref(), diagnostics)?,
        about: if written.timeout.is_zero() {
            "lets no byte through".to_owned()
        } else {
            format!(
                "lets no byte through and closes connections after {}",
                human::duration(written.timeout)
            )
        },
    };
    Some(toxic.spec())
}

fn schema() -> Schema {
    TimeoutFault::schema()
}
