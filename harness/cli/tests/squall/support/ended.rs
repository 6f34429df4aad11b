//! What a `squall` that has ended said and left.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use squall_model::event::Event;
use squall_model::exit::Exit;
use squall_model::record::RunRecord;
use squall_model::series::SeriesRow;

use super::stage::only_run;
use super::{eventually, processes};

/// A `squall` that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) reports: PathBuf,
    pub(crate) pid: u32,
}

impl Ended {
    /// The exit code as a shell sees it.
    pub(crate) fn code(&self) -> i32 {
        self.status
            .code()
            .or(self.status.signal().map(|signal| 128 + signal))
            .expect("it has ended")
    }

    /// Asserts the exit code of a command that puts no load on anything.
    #[track_caller]
    pub(crate) fn assert_code(&self, expected: i32) -> &Ended {
        assert_eq!(self.code(), expected, "{self}");
        self
    }

    /// Asserts how a run ended, and that its record says the same.
    ///
    /// A busy machine may make a run invalid whose times are judged, and honestly so. Only a pass can turn into that:
    /// whatever else applies is graver, so 96 stands in for 0 alone, and only where the record gives no other reason than
    /// what the phases hold against their numbers.
    #[track_caller]
    pub(crate) fn assert_exit(&self, expected: Exit) -> &Ended {
        let record = self.record();
        assert_eq!(
            self.code(),
            i32::from(record.exit_code),
            "the record says another exit code\n{self}"
        );
        let doubts: Vec<&String> = record.phases.iter().flat_map(|phase| &phase.invalid).collect();
        let is_doubt = |reason: &String| doubts.iter().any(|doubt| reason.ends_with(doubt.as_str()));
        let is_only_busy = !record.reasons.is_empty() && record.reasons.iter().all(is_doubt);
        if expected == Exit::Pass && record.exit_code == Exit::Invalid.code() && is_only_busy {
            return self;
        }
        assert_eq!(record.exit_code, expected.code(), "{:#?}\n{self}", record.reasons);
        self
    }

    /// Whether the generator kept up in every phase, so that the run's numbers can be held against something.
    pub(crate) fn is_calm(&self) -> bool {
        self.record().phases.iter().all(|phase| phase.invalid.is_empty())
    }

    /// The folder of the only run.
    #[track_caller]
    pub(crate) fn folder(&self) -> PathBuf {
        only_run(&self.reports).unwrap_or_else(|| panic!("no run began: {self}"))
    }

    /// A file of the only run.
    #[track_caller]
    pub(crate) fn file(&self, name: &str) -> String {
        let path = self.folder().join(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("reading {}: {e}\n{self}", path.display()))
    }

    /// `run.json`.
    #[track_caller]
    pub(crate) fn record(&self) -> RunRecord {
        serde_json::from_str(&self.file("run.json")).expect("run.json is a run record")
    }

    /// `events.ndjson`; every line must be one.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Event> {
        self.file("events.ndjson")
            .lines()
            .map(|line| serde_json::from_str(line).expect("an event"))
            .collect()
    }

    /// `series.ndjson`; every line must be a row.
    #[track_caller]
    pub(crate) fn series(&self) -> Vec<SeriesRow> {
        self.file("series.ndjson")
            .lines()
            .map(|line| serde_json::from_str(line).expect("a row"))
            .collect()
    }

    /// Asserts that nothing of the run is left: at once where squall could clean up, for which it waits itself.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) -> &Ended {
        let left = processes::of_run(self.pid);
        assert!(left.is_empty(), "left running: {left:?}\n{self}");
        self
    }

    /// Waits until nothing of the run is left, where squall was killed and its guard cleans up.
    pub(crate) fn wait_until_nothing_left(&self, within: std::time::Duration) {
        eventually("no process of the run is left", within, || {
            processes::of_run(self.pid).is_empty()
        });
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}\nstandard error:\n{}\nstandard output:\n",
            self.status, self.stderr
        )?;
        // A run record on standard output would bury the rest.
        f.write_str(self.stdout.get(..4_000).unwrap_or(&self.stdout))
    }
}
