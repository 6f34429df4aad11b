//! The sections of an index, in the order in which they are read. A new one is one file and one line in [`SECTIONS`].

mod comparisons;
mod method;
mod newest;
mod runs;
mod scenario;
mod scenarios;
mod summary;
mod unread;

use super::Index;
use crate::render::Part;
use crate::section::Detail;

/// All sections. Each is one part of the page, or several that are alike; one without blocks has nothing to say.
pub(super) static SECTIONS: [fn(&Index, Detail) -> Vec<Part>; 7] = [
    summary::parts,
    scenarios::parts,
    newest::parts,
    unread::parts,
    scenario::parts,
    comparisons::parts,
    method::parts,
];
