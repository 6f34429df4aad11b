//! The sections of a gate, in the order in which they are read. A new one is one file and one line in [`SECTIONS`].

mod accepted;
mod arms;
mod invariants;
mod left_out;
mod machine;
mod metrics;
mod origin;
mod over_time;
mod overview;
mod spectra;
pub(super) mod verdict;

use squall_model::gate::GateRecord;

use crate::block::Block;
use crate::section::Detail;

pub(super) use invariants::{broken, of_candidate};
pub(super) use metrics::decisive;

/// One section.
pub(super) struct Section {
    /// Names it inside a page.
    pub(super) id: &'static str,
    /// Its heading; empty for the one that needs none.
    pub(super) title: &'static str,
    /// Its blocks; none where it has nothing to say.
    pub(super) blocks: fn(&GateRecord, Detail) -> Vec<Block>,
}

/// All sections.
pub(super) static SECTIONS: [Section; 11] = [
    Section {
        id: "verdict",
        title: "",
        blocks: verdict::blocks,
    },
    Section {
        id: "first",
        title: "",
        blocks: overview::blocks,
    },
    Section {
        id: "metrics",
        title: "Metrics",
        blocks: metrics::blocks,
    },
    Section {
        id: "invariants",
        title: "Invariants that did not hold",
        blocks: invariants::blocks,
    },
    Section {
        id: "accepted",
        title: "Accepted regressions",
        blocks: accepted::blocks,
    },
    Section {
        id: "over-time",
        title: "Blocks over time",
        blocks: over_time::blocks,
    },
    Section {
        id: "spectra",
        title: "Percentile spectra",
        blocks: spectra::blocks,
    },
    Section {
        id: "arms",
        title: "Arms side by side",
        blocks: arms::blocks,
    },
    Section {
        id: "machine",
        title: "Machine and contamination",
        blocks: machine::blocks,
    },
    Section {
        id: "left-out",
        title: "Blocks that do not count",
        blocks: left_out::blocks,
    },
    Section {
        id: "origin",
        title: "Where this comes from",
        blocks: origin::blocks,
    },
];
