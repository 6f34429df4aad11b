//! From blocks to formats, one file each. A renderer knows blocks and no run; all escaping happens here.

mod csv;
mod html;
mod junit;
mod markdown;
mod openmetrics;
mod terminal;

use crate::block::Block;
use crate::recording::Recording;
use crate::section::{Detail, SECTIONS, Section};

pub use csv::csv;
pub use html::{PageSection, SectionBlocks, html, html_of, page_sections};
pub(crate) use html::{escaped, page};
pub use junit::junit;
pub(crate) use junit::{Case, Outcome, Suite, document as junit_document};
pub use markdown::markdown;
pub(crate) use markdown::{blocks as markdown_blocks, document, folded, heading, linked, sign};
pub use openmetrics::{NoStart, openmetrics};
pub(crate) use terminal::screen;
pub use terminal::terminal;

/// What stands around the sections of a page.
pub(crate) struct Frame {
    /// The title of the window.
    pub(crate) title: String,
    /// The heading.
    pub(crate) heading: String,
    /// What it is about; may be empty.
    pub(crate) about: String,
    /// When and of what, in a line.
    pub(crate) origin: String,
    /// The link that leads keyboard users past the navigation.
    pub(crate) skip: &'static str,
    /// A script of this kind of page, which runs before that of all pages; may be empty.
    pub(crate) script: &'static str,
}

/// A section with its blocks.
pub(crate) struct Part {
    /// Names it inside a page: letters, digits and dashes.
    pub(crate) id: String,
    /// Its heading; empty for the one that needs none.
    pub(crate) title: String,
    /// Whether the navigation leads to it.
    pub(crate) in_navigation: bool,
    /// Whether its blocks lie on the page itself, not on a card of their own.
    pub(crate) bare: bool,
    /// What it holds, at least one.
    pub(crate) blocks: Vec<Block>,
}

impl Part {
    /// One with a heading, to which the navigation leads; without a heading it lies on the page itself.
    pub(crate) fn new(id: &str, title: &str, blocks: Vec<Block>) -> Part {
        Part {
            id: id.to_owned(),
            title: title.to_owned(),
            in_navigation: !title.is_empty(),
            bare: title.is_empty(),
            blocks,
        }
    }
}

impl Section {
    /// The section with these blocks.
    fn part(&self, blocks: Vec<Block>) -> Part {
        Part {
            bare: false,
            ..Part::new(self.id, self.title, blocks)
        }
    }
}

/// The sections of a run's report that have something to say.
fn parts(recording: &Recording, detail: Detail) -> Vec<Part> {
    let sections = SECTIONS.iter();
    let sections = sections.map(|section| section.part((section.blocks)(recording, detail)));
    sections.filter(|part| !part.blocks.is_empty()).collect()
}
