//! Appending to the files of a run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use squall_model::event::Event;
use squall_model::histogram::Histogram;
use squall_model::hlog;
use squall_model::record::RunRecord;
use squall_model::series::SeriesRow;

/// Why something measured could not be written down.
#[derive(Debug, thiserror::Error)]
#[error("writing {}: {source}; what was measured until then is kept, and `squall report` reads it", path.display())]
pub struct RecordError {
    /// The file.
    pub path: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}

/// The open files of a run.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    events: Lines,
    series: Lines,
    intervals: BTreeMap<String, Lines>,
}

impl Writer {
    /// Opens the files of a run in `folder`, with an interval log for each of `loads`.
    ///
    /// `started_ms` is the wall time of the run's start in milliseconds since 1970, which interval logs count from, and
    /// `started_at` the same for people to read.
    pub fn open(
        folder: &Path,
        loads: &[String],
        started_ms: u64,
        started_at: &str,
    ) -> Result<Writer, RecordError> {
        let mut intervals = BTreeMap::new();
        for load in loads {
            let mut lines = Lines::open(folder.join(format!("{load}.hlog")))?;
            lines.line(hlog::header(started_ms, started_at).trim_end())?;
            lines.flush()?;
            intervals.insert(load.clone(), lines);
        }
        Ok(Writer {
            folder: folder.to_owned(),
            events: Lines::open(folder.join("events.ndjson"))?,
            series: Lines::open(folder.join("series.ndjson"))?,
            intervals,
        })
    }

    /// Appends an event and hands it to the kernel at once: events are few, and each may be the last.
    pub fn event(&mut self, event: &Event) -> Result<(), RecordError> {
        self.events.json(event)?;
        self.events.flush()
    }

    /// Appends a row; [`Writer::flush`] hands it on.
    pub fn row(&mut self, row: &SeriesRow) -> Result<(), RecordError> {
        self.series.json(row)
    }

    /// Appends one interval of a load; [`Writer::flush`] hands it on.
    pub fn interval(
        &mut self,
        load: &str,
        kind: hlog::Kind,
        start_us: u64,
        end_us: u64,
        histogram: &Histogram,
    ) -> Result<(), RecordError> {
        let lines = self
            .intervals
            .get_mut(load)
            .expect("every load has an interval log from the start");
        lines.line(hlog::line(kind, start_us, end_us, histogram).trim_end())
    }

    /// Hands everything appended so far to the kernel.
    pub fn flush(&mut self) -> Result<(), RecordError> {
        self.series.flush()?;
        self.intervals.values_mut().try_for_each(Lines::flush)
    }

    /// Writes `run.json`, whole or not at all.
    pub fn run(&self, record: &RunRecord) -> Result<(), RecordError> {
        let text = serde_json::to_string_pretty(record).expect("a record has only string keys");
        write_whole(&self.folder.join("run.json"), text.as_bytes())
    }
}

/// Writes a file so that a reader finds all of it or the one before.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    let fresh = path.with_extension("partial");
    let written = std::fs::write(&fresh, bytes).and_then(|()| std::fs::rename(&fresh, path));
    written.map_err(|source| {
        let _ = std::fs::remove_file(&fresh);
        RecordError {
            path: path.to_owned(),
            source,
        }
    })
}

/// A file of lines.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Lines {
    fn open(path: PathBuf) -> Result<Lines, RecordError> {
        match File::options().append(true).create_new(true).open(&path) {
            Ok(file) => Ok(Lines {
                path,
                file: BufWriter::with_capacity(1 << 16, file),
            }),
            Err(source) => Err(RecordError { path, source }),
        }
    }

    fn json(&mut self, value: &impl serde::Serialize) -> Result<(), RecordError> {
        let text = serde_json::to_string(value).expect("rows and events have only string keys");
        self.line(&text)
    }

    fn line(&mut self, text: &str) -> Result<(), RecordError> {
        let written = self
            .file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|source| RecordError {
            path: self.path.clone(),
            source,
        })
    }

    fn flush(&mut self) -> Result<(), RecordError> {
        self.file.flush().map_err(|source| RecordError {
            path: self.path.clone(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use squall_model::event::EventKind;

    #[test]
    fn an_event_can_be_read_as_soon_as_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path(), &["a".to_owned()], 0, "").unwrap();
        let event = Event {
            at_us: 3,
            kind: EventKind::PhaseStarted { phase: "p".into() },
        };
        writer.event(&event).unwrap();
        let text = std::fs::read_to_string(folder.path().join("events.ndjson")).unwrap();
        assert_eq!(serde_json::from_str::<Event>(text.trim_end()).unwrap(), event);
    }

    #[test]
    fn a_run_never_writes_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Writer::open(folder.path(), &[], 0, "").unwrap();
        let error = Writer::open(folder.path(), &[], 0, "").unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        // /dev/full takes no byte: what a full disk answers, without filling one.
        let mut lines = Lines {
            path: "/dev/full".into(),
            file: BufWriter::new(File::create("/dev/full").unwrap()),
        };
        lines.line("a row").unwrap();
        let error = lines.flush().unwrap_err().to_string();
        assert!(
            error.contains("/dev/full") && error.contains("No space left"),
            "{error}"
        );
    }
}
