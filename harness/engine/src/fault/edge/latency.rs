//! `latency`: bytes go on a while after they came.

use std::sync::Arc;
use std::time::Duration;

use squall_edge::{Distribution, Latency};
use squall_model::choice;
use squall_model::decode::{Decode as _, Schema};
use squall_model::diagnostic::Diagnostics;
use squall_model::scenario;
use squall_model::span::Spanned;
use squall_model::units::{Ratio, human};

use super::ends::{ends_of, on_an_edge, share};
use super::toxic::ToxicFault;
use crate::fault::{FaultKind, FaultSpec};

pub(in crate::fault) const KIND: FaultKind = FaultKind {
    name: "latency",
    about: "delays the bytes of an edge, with jitter",
    decode,
    schema,
    ways: &[
        super::PROXY,
        super::REDIRECT,
        super::TOXIPROXY,
        super::DATAGRAM_PROXY,
    ],
};

choice! {
    /// How a delay is drawn.
    pub enum Spread {
        /// Anywhere from `delay - jitter` to `delay + jitter`.
        Uniform = "uniform",
        /// Normal, with the standard deviation `jitter`.
        Normal = "normal",
        /// `delay`, and beyond it a Pareto tail of shape 3 whose mean is `jitter`.
        Pareto = "pareto",
        /// `delay`, and beyond it an exponential tail whose mean is `jitter`.
        Exponential = "exponential",
    }
}

on_an_edge! {
    /// Delays the bytes of an edge.
    pub struct LatencyFault {
        /// How long.
        pub delay: Spanned<Duration>,
        /// How much that varies.
        pub jitter: Duration = Duration::ZERO,
        /// How it varies.
        pub distribution: Spread = Spread::Uniform,
        /// The share of connections that it is for; all if left out.
        pub share: Option<Spanned<Ratio>>,
    }
    exactly_one ["between", "from"];
}

fn decode(fault: &scenario::Fault, diagnostics: &mut Diagnostics) -> Option<Arc<dyn FaultSpec>> {
    let written: LatencyFault = fault.decode_params(diagnostics)?;
    let kind = Latency {
        latency: written.delay.value,
        jitter: written.jitter,
        distribution: match written.distribution {
            Spread::Uniform => Distribution::Uniform,
            Spread::Normal => Distribution::Normal,
            Spread::Pareto => Distribution::Pareto,
            Spread::Exponential => Distribution::Exponential,
        },
    };
    let jitter = if written.jitter.is_zero() {
        String::new()
    } else {
        format!(" with {} of jitter", human::duration(written.jitter))
    };
    let toxic = ToxicFault {
        ends: ends_of!(written, fault).ends(diagnostics)?,
        kind: kind.into(),
        share: share(written.share.as_ref(), diagnostics)?,
        about: format!("delays bytes by {}{jitter}", human::duration(written.delay.value)),
    };
    Some(toxic.spec())
}

fn schema() -> Schema {
    LatencyFault::schema()
}
