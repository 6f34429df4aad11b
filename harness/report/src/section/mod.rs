//! The sections of a report, in the order in which they are read.
//!
//! A section turns the recording into blocks and knows no format. A new one is one file and one line in [`SECTIONS`].

mod edges;
mod errors;
mod expectations;
mod faults;
mod generator;
mod heat;
mod invariants;
mod latency;
mod origin;
mod overview;
mod pauses;
mod phases;
mod services;
pub(crate) mod spectrum;
mod states;
mod throughput;
mod timeline;
mod verdict;

use crate::block::Block;
use crate::recording::Recording;

/// How much of a section is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// A summary: what a person reads in a terminal or a comment.
    Brief,
    /// Everything.
    Full,
}

/// One section.
pub(crate) struct Section {
    /// Names it inside a page.
    pub(crate) id: &'static str,
    /// Its heading; empty for the one that needs none.
    pub(crate) title: &'static str,
    /// Its blocks; none where it has nothing to say.
    pub(crate) blocks: fn(&Recording, Detail) -> Vec<Block>,
}

/// All sections.
pub(crate) static SECTIONS: [Section; 18] = [
    Section {
        id: "verdict",
        title: "",
        blocks: verdict::blocks,
    },
    Section {
        id: "overview",
        title: "",
        blocks: overview::blocks,
    },
    Section {
        id: "expectations",
        title: "Expectations",
        blocks: expectations::blocks,
    },
    Section {
        id: "invariants",
        title: "Invariants",
        blocks: invariants::blocks,
    },
    Section {
        id: "faults",
        title: "Faults",
        blocks: faults::blocks,
    },
    Section {
        id: "edges",
        title: "Edges",
        blocks: edges::blocks,
    },
    Section {
        id: "phases",
        title: "Phases",
        blocks: phases::blocks,
    },
    Section {
        id: "errors",
        title: "Errors",
        blocks: errors::blocks,
    },
    Section {
        id: "latency",
        title: "Latency",
        blocks: latency::blocks,
    },
    Section {
        id: "heat",
        title: "Heat map",
        blocks: heat::blocks,
    },
    Section {
        id: "throughput",
        title: "Throughput",
        blocks: throughput::blocks,
    },
    Section {
        id: "pauses",
        title: "Pauses",
        blocks: pauses::blocks,
    },
    Section {
        id: "spectrum",
        title: "Percentiles",
        blocks: spectrum::blocks,
    },
    Section {
        id: "services",
        title: "Services",
        blocks: services::blocks,
    },
    Section {
        id: "generator",
        title: "Generator",
        blocks: generator::blocks,
    },
    Section {
        id: "states",
        title: "States",
        blocks: states::blocks,
    },
    Section {
        id: "timeline",
        title: "Timeline",
        blocks: timeline::blocks,
    },
    Section {
        id: "origin",
        title: "Where this comes from",
        blocks: origin::blocks,
    },
];
