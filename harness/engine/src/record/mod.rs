//! The run's folder on disk: `events.ndjson`, `series.ndjson`, `<load>.hlog`, `run.json` and the logs.
//!
//! Everything is appended as it happens and handed to the kernel at least once a second, so that a run that is cut off,
//! by a signal or by `kill -9`, stays readable up to its last second. Nothing here judges or sums up.

mod folder;
mod writer;

pub use folder::{Folder, FolderError, exclusive, revision};
pub use writer::{RecordError, Writer, write_whole};
