//! The sections of a comparison, in the order in which they are read. A new one is one file and one line in [`SECTIONS`].

mod changes;
pub(super) mod differences;
pub(super) mod faults;
mod overview;
mod runs;
mod series;
mod services;
mod spectra;
mod summary;

use super::Comparison;
use crate::block::Block;
use crate::section::Detail;

/// One section.
pub(super) struct Section {
    /// Names it inside a page.
    pub(super) id: &'static str,
    /// Its heading; empty for the one that needs none.
    pub(super) title: &'static str,
    /// Its blocks; none where it has nothing to say.
    pub(super) blocks: fn(&Comparison, Detail) -> Vec<Block>,
}

/// All sections.
pub(super) static SECTIONS: [Section; 9] = [
    Section {
        id: "summary",
        title: "",
        blocks: summary::blocks,
    },
    Section {
        id: "first",
        title: "",
        blocks: overview::blocks,
    },
    Section {
        id: "changes",
        title: "What changed",
        blocks: changes::blocks,
    },
    Section {
        id: "recovery",
        title: "Faults and recovery",
        blocks: faults::blocks,
    },
    Section {
        id: "over-time",
        title: "Over time",
        blocks: series::blocks,
    },
    Section {
        id: "spectra",
        title: "Percentile spectra",
        blocks: spectra::blocks,
    },
    Section {
        id: "resources",
        title: "Pauses and resources",
        blocks: services::blocks,
    },
    Section {
        id: "differences",
        title: "What differs",
        blocks: differences::blocks,
    },
    Section {
        id: "runs",
        title: "Runs",
        blocks: runs::blocks,
    },
];
