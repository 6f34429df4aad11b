//! Reading the texts in a run's folder, each on its own, so that several threads can do it.
//!
//! They come from files that may have been torn by `kill -9` or a full disk, so every line stands for itself: what can't be read is
//! skipped, counted and said. Where a text is split at the ends of lines, its parts read one by one and put together again must be
//! what the whole is: nothing here may depend on the line before.

use std::collections::BTreeMap;

use squall_model::event::Event;
use squall_model::hlog;

use crate::series::Series;

/// What `events.ndjson` holds.
#[derive(Debug, Default)]
pub struct Events {
    /// In the order of the lines.
    pub values: Vec<Event>,
    /// How many lines could not be read.
    pub skipped: usize,
}

impl Events {
    /// Reads a whole text.
    pub fn read(text: &str) -> Events {
        let mut events = Events::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str(line) {
                Ok(event) => events.values.push(event),
                Err(_) => events.skipped += 1,
            }
        }
        events
    }
}

/// What the texts in a run's folder hold, but for `run.json`.
#[derive(Debug, Default)]
pub struct Texts {
    /// `events.ndjson`.
    pub events: Events,
    /// `series.ndjson`.
    pub series: Series,
    /// `<load>.hlog` by load.
    pub logs: BTreeMap<String, hlog::Log>,
}

impl Texts {
    /// What could not be read, in words.
    pub(crate) fn notes(&self) -> Vec<String> {
        let files = [
            ("events.ndjson".to_owned(), self.events.skipped),
            ("series.ndjson".to_owned(), self.series.skipped()),
        ];
        let logs = self.logs.iter();
        let logs = logs.map(|(load, log)| (format!("{load}.hlog"), log.skipped));
        let notes = files
            .into_iter()
            .chain(logs)
            .filter_map(|(file, skipped)| match skipped {
                0 => None,
                1 => Some(format!("{file}: 1 line could not be read and was skipped")),
                n => Some(format!("{file}: {n} lines could not be read and were skipped")),
            });
        notes.collect()
    }
}
