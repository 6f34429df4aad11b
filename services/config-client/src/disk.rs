//! The thread that reads and writes snapshots, so that a slow disk holds up nobody who follows the server.
//!
//! What waits is bounded by who asks: at most one read and one write for each configuration that is followed.

use std::io;
use std::path::Path;
use std::sync::mpsc as std_mpsc;
use std::thread;

use tokio::sync::mpsc;

use crate::cache::Entry;
use crate::key::ConfigKey;
use crate::snapshot::{Snapshot, SnapshotError, Snapshots};

/// The most jobs that are done before their ends are told; all writes among them are synced by one sync of the folder.
const GROUP_MAX: usize = 64;

/// Something to be done.
#[derive(Debug)]
pub(crate) enum Job {
    /// Reads what is kept of a configuration.
    Read { key: ConfigKey, number: u64 },
    /// Keeps a configuration. The entry comes back once it is on disk.
    Write {
        snapshot: Snapshot,
        number: u64,
        entry: Entry,
    },
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) key: ConfigKey,
    /// The number that the job had.
    pub(crate) number: u64,
    /// The file, for whoever is told of an error.
    pub(crate) file: String,
    pub(crate) outcome: Outcome,
}

/// See [`Done`].
#[derive(Debug)]
pub(crate) enum Outcome {
    Read(Result<Option<Snapshot>, SnapshotError>),
    Written(Entry, Result<(), SnapshotError>),
}

/// The thread. It ends, once all is done, when this is dropped.
#[derive(Debug)]
pub(crate) struct Disk {
    jobs: std_mpsc::Sender<Job>,
}

impl Disk {
    /// Opens the folder and starts the thread. Whatever it is asked, it says here when it is done.
    pub(crate) fn start(folder: &Path, server: &str) -> io::Result<(Self, mpsc::UnboundedReceiver<Done>)> {
        let snapshots = Snapshots::open(folder)?;
        let (jobs, waiting) = std_mpsc::channel();
        let (done, ends) = mpsc::unbounded_channel();
        let server = server.to_owned();
        thread::Builder::new()
            .name("config-snapshots".to_owned())
            .spawn(move || work(snapshots, &server, &waiting, &done))?;
        Ok((Self { jobs }, ends))
    }

    pub(crate) fn ask(&self, job: Job) {
        // A thread that has ended is noticed by its last word, the end of the channel of ends.
        let _ = self.jobs.send(job);
    }
}

fn work(
    mut snapshots: Snapshots,
    server: &str,
    jobs: &std_mpsc::Receiver<Job>,
    done: &mpsc::UnboundedSender<Done>,
) {
    while let Ok(first) = jobs.recv() {
        let group = std::iter::once(first).chain(jobs.try_iter()).take(GROUP_MAX);
        let mut ends: Vec<Done> = group.map(|job| one(&mut snapshots, server, job)).collect();
        let is_written = |end: &Done| matches!(end.outcome, Outcome::Written(_, Ok(())));
        if ends.iter().any(is_written)
            && let Err(error) = snapshots.sync()
        {
            for end in ends.iter_mut().filter(|end| is_written(end)) {
                if let Outcome::Written(_, written) = &mut end.outcome {
                    *written = Err(SnapshotError::Io {
                        doing: "sync the folder of",
                        source: error.kind().into(),
                    });
                }
            }
        }
        for end in ends {
            // Whoever followed has gone, and needs no telling.
            let _ = done.send(end);
        }
    }
}

fn one(snapshots: &mut Snapshots, server: &str, job: Job) -> Done {
    let (key, number, outcome) = match job {
        Job::Read { key, number } => {
            let read = snapshots.read(&key, server);
            (key, number, Outcome::Read(read))
        }
        Job::Write {
            snapshot,
            number,
            entry,
        } => {
            let written = snapshots.place(&snapshot);
            (snapshot.key, number, Outcome::Written(entry, written))
        }
    };
    Done {
        file: snapshots.path(&key).display().to_string(),
        key,
        number,
        outcome,
    }
}
