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
use crate::block::Block;
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

fn part(id: &str, title: &str, blocks: Vec<Block>) -> Part {
    Part {
        id: id.to_owned(),
        title: title.to_owned(),
        bare: title.is_empty(),
        in_navigation: !title.is_empty(),
        blocks,
    }
}

/// A number of things in words: `1 run`, `12 runs`.
fn counted(n: usize, one: &str, many: &str) -> String {
    let number = crate::figure::count(n as u64);
    format!("{number} {}", if n == 1 { one } else { many })
}
