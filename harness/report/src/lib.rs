//! From what was recorded of a run to what a person or a machine reads of it.
//!
//! Pure: texts and values in, strings out. Nothing here opens a file, asks a clock or reads the environment, so a report
//! can be made again at any time from the run's folder, and comes out the same.
//!
//! The way through: [`recording()`] reads the texts of a run's folder; each file in `section/` turns the recording into
//! [`block::Block`]s; each file in `render/` turns blocks into one format. A new section is one file and one line in
//! `section/mod.rs`; a new format is one file in `render/`. `chart/` draws, and knows no run. `compare/` does the same for several
//! runs beside each other.

pub mod baseline;
pub mod block;
pub mod chart;
mod columns;
pub mod compare;
pub mod figure;
pub mod gate;
pub mod gate_report;
pub mod index;
mod marks;
mod over_time;
mod partial;
mod picture;
mod reading;
mod recording;
mod render;
mod section;
mod series;
mod states;
mod story;
mod visible;
mod window;

pub use picture::{PictureError, picture};
#[cfg(feature = "png")]
pub use picture::{PngError, png};
pub use reading::{Events, Texts};
pub use recording::{Recording, ReportError, recording, recording_of};
pub use render::{
    NoStart, PageSection, SectionBlocks, csv, html, html_of, junit, markdown, openmetrics, page_sections,
    terminal,
};
pub use series::Series;
