//! Reading the texts in a run's folder, each on its own, so that several threads can do it.
//!
//! They come from files that may have been torn by `kill -9` or a full disk, so every line stands for itself: what can't be read is
//! skipped, counted and said. Where a text is split at the ends of lines, its parts read one by one and put together again must be
//! what the whole is: nothing here may depend on the line before.

use std::collections::BTreeMap;

use squall_model::event::Event;
use squall_model::hlog;
use squall_model::series::SeriesRow;

use crate::series::Series;

/// A line that is taken to be no shorter, so that a short first one does not ask for more memory than the text is worth.
const SHORTEST: usize = 100;

/// A line of a file in which each stands for itself.
pub trait Line: Sized {
    /// What the line says; nothing where it is torn.
    fn read(line: &str) -> Option<Self>;
}

impl Line for Event {
    fn read(line: &str) -> Option<Event> {
        serde_json::from_str(line).ok()
    }
}

impl Line for SeriesRow {
    fn read(line: &str) -> Option<SeriesRow> {
        SeriesRow::read(line)
    }
}

/// What a file with a value in each line holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines<T> {
    /// The values, in the order of the lines.
    pub values: Vec<T>,
    /// How many lines could not be read.
    pub skipped: usize,
}

impl<T> Default for Lines<T> {
    fn default() -> Lines<T> {
        Lines {
            values: Vec::new(),
            skipped: 0,
        }
    }
}

impl<T: Line> Lines<T> {
    /// Reads a whole text.
    pub fn read(text: &str) -> Lines<T> {
        let mut lines = Lines::default();
        lines.go_on(text, text.len());
        lines
    }

    /// Reads more of a text, of which `left` bytes are left with this part: whole lines, or the last of it.
    pub fn go_on(&mut self, part: &str, left: usize) {
        if self.values.is_empty() {
            // Lines are about as long as the first: a million need not be moved again and again while their list grows.
            let usual = part.find('\n').unwrap_or(0).max(SHORTEST);
            self.values.reserve(left / usual);
        }
        for line in part.lines().filter(|line| !line.trim().is_empty()) {
            match T::read(line) {
                Some(value) => self.values.push(value),
                None => self.skipped += 1,
            }
        }
    }
}

/// What the texts in a run's folder hold, but for `run.json`.
#[derive(Debug, Default)]
pub struct Texts {
    /// `events.ndjson`.
    pub events: Lines<Event>,
    /// `series.ndjson`.
    pub series: Series,
    /// How many lines of it could not be read.
    pub skipped_rows: usize,
    /// `<load>.hlog` by load.
    pub logs: BTreeMap<String, hlog::Log>,
}

impl Texts {
    /// What could not be read, in words.
    pub(crate) fn notes(&self) -> Vec<String> {
        let files = [
            ("events.ndjson".to_owned(), self.events.skipped),
            ("series.ndjson".to_owned(), self.skipped_rows),
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
