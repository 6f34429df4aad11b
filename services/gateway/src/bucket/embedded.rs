//! Buckets in a folder: two journals that are appended to in turn, and a database into which a thread takes them over.
//!
//! What is in a journal and not yet in the database is one batch. While the thread writes it, records go to the other journal; the one that was
//! written is then cleared. So each record is, at any time, in a journal or synced in the database, and a start takes over both.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;

use super::BucketError;
use super::assigned::Assigned;
use super::journal::{Journal, Record};
use super::rows::Rows;
use crate::route::{Event, Observe, UserDigest};

const JOURNALS: [&str; 2] = ["buckets.first.log", "buckets.second.log"];
/// For how long records are gathered before they are written and synced together.
const GATHER: Duration = Duration::from_millis(20);
/// How long it is waited before writing is tried again.
const RETRY: Duration = Duration::from_millis(250);

type Synced = oneshot::Sender<Result<(), BucketError>>;

/// What is not in the database yet.
struct Pending {
    journals: [Journal; 2],
    /// The one that is appended to.
    active: usize,
    /// Those of the active journal.
    records: Vec<Record>,
    next_number: u64,
    /// Who waits until all of it is synced.
    waiting: Vec<Synced>,
    stops: bool,
}

struct Shared {
    pending: Mutex<Pending>,
    woken: Condvar,
    folder: PathBuf,
    observe: Arc<dyn Observe>,
}

/// See the module.
pub(super) struct Embedded {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Opens a folder and restores what is in it.
    pub(super) fn open(
        folder: &Path,
        assigned: &Assigned,
        observe: Arc<dyn Observe>,
    ) -> Result<Self, BucketError> {
        let rows = Rows::open(folder)?;
        let (mut journals, records) = journals(folder)?;
        rows.commit(&records)?;
        clear(&mut journals)?;
        restore(&rows, assigned)?;
        let shared = Arc::new(Shared {
            pending: Mutex::new(Pending {
                journals,
                active: 0,
                records: Vec::new(),
                next_number: 0,
                waiting: Vec::new(),
                stops: false,
            }),
            woken: Condvar::new(),
            folder: folder.to_owned(),
            observe,
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            rows: Some(rows),
            away: false,
        };
        let thread = thread::Builder::new()
            .name("gateway-buckets".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| io_error("start a thread for", folder, &error))?;
        Ok(Self {
            shared,
            writer: Some(thread),
        })
    }

    /// Keeps that a user was given a variant; false if the disk did not take it.
    pub(super) fn append(&self, user: UserDigest, variant: &Arc<str>) -> bool {
        let mut pending = self.shared.lock();
        let record = Record {
            number: pending.next_number,
            user,
            variant: Arc::clone(variant),
        };
        let active = pending.active;
        if pending.journals[active].append(&record).is_err() {
            return false;
        }
        pending.next_number += 1;
        pending.records.push(record);
        if pending.records.len() == 1 {
            self.shared.woken.notify_one();
        }
        true
    }

    /// Returns once everything that was appended so far is synced.
    pub(super) async fn sync(&self) -> Result<(), BucketError> {
        let (send, receive) = oneshot::channel();
        self.shared.lock().waiting.push(send);
        self.shared.woken.notify_one();
        let gone = || Err(BucketError::Unwritten("the writer ended".to_owned()));
        receive.await.unwrap_or_else(|_| gone())
    }
}

#[cfg(test)]
impl Embedded {
    /// From now on the disk takes no more, or does again.
    pub(super) fn fill_disk(&self, full: bool) {
        let mut pending = self.shared.lock();
        pending
            .journals
            .iter_mut()
            .for_each(|journal| journal.fill_disk(full));
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.shared.lock().stops = true;
        self.shared.woken.notify_one();
        if let Some(writer) = self.writer.take() {
            // It panicked if this fails, which the panic itself has told.
            let _ = writer.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that takes journals over into the database.
struct Writer {
    shared: Arc<Shared>,
    /// Gone after a write that failed, until it can be opened again.
    rows: Option<Rows>,
    away: bool,
}

/// What is written together.
struct Batch {
    records: Vec<Record>,
    journal: usize,
    waiting: Vec<Synced>,
    stops: bool,
}

impl Writer {
    fn run(mut self) {
        loop {
            let batch = self.next_batch();
            let stops = batch.stops;
            let written = self.write(batch);
            if stops || !written {
                return;
            }
        }
    }

    /// Waits for something to do, and a little longer for more of it.
    fn next_batch(&self) -> Batch {
        let is_idle = |pending: &mut Pending| {
            pending.records.is_empty() && pending.waiting.is_empty() && !pending.stops
        };
        let gathers = |pending: &mut Pending| pending.waiting.is_empty() && !pending.stops;
        let woken = &self.shared.woken;
        let pending = self.shared.lock();
        let pending = woken
            .wait_while(pending, is_idle)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut pending, _) = woken
            .wait_timeout_while(pending, GATHER, gathers)
            .unwrap_or_else(PoisonError::into_inner);
        let journal = pending.active;
        if !pending.records.is_empty() {
            pending.active = 1 - journal;
        }
        Batch {
            records: std::mem::take(&mut pending.records),
            journal,
            waiting: std::mem::take(&mut pending.waiting),
            stops: pending.stops,
        }
    }

    /// Writes a batch, as often as it takes; false where that was given up since all is to stop. It is in its journal then.
    fn write(&mut self, mut batch: Batch) -> bool {
        loop {
            match self.commit(&batch) {
                Ok(()) => {
                    if std::mem::take(&mut self.away) {
                        self.shared.observe.note(&Event::BucketStoreBack);
                    }
                    batch
                        .waiting
                        .drain(..)
                        .for_each(|waiting| drop(waiting.send(Ok(()))));
                    return true;
                }
                Err(error) => {
                    self.rows = None;
                    let why = error.to_string();
                    if !std::mem::replace(&mut self.away, true) {
                        self.shared.observe.note(&Event::BucketStoreAway { why: &why });
                    }
                    let unwritten = || Err(BucketError::Unwritten(why.clone()));
                    batch
                        .waiting
                        .drain(..)
                        .for_each(|waiting| drop(waiting.send(unwritten())));
                    if batch.stops || self.stops_within(RETRY, &unwritten) {
                        return false;
                    }
                }
            }
        }
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), BucketError> {
        let rows = match self.rows.take() {
            Some(rows) => rows,
            None => Rows::open(&self.shared.folder)?,
        };
        let rows = self.rows.insert(rows);
        if batch.records.is_empty() {
            return Ok(());
        }
        rows.commit(&batch.records)?;
        let mut pending = self.shared.lock();
        let journal = &mut pending.journals[batch.journal];
        journal
            .clear()
            .map_err(|error| io_error("clear", journal.path(), &error))
    }

    /// Waits, and answers who asks meanwhile; true as soon as all is to stop.
    fn stops_within(&self, time: Duration, unwritten: &dyn Fn() -> Result<(), BucketError>) -> bool {
        let pending = self.shared.lock();
        let (mut pending, _) = self
            .shared
            .woken
            .wait_timeout_while(pending, time, |pending| !pending.stops)
            .unwrap_or_else(PoisonError::into_inner);
        pending
            .waiting
            .drain(..)
            .for_each(|waiting| drop(waiting.send(unwritten())));
        pending.stops
    }
}

/// Both journals, the older one first, and their records in the order in which they were appended.
fn journals(folder: &Path) -> Result<([Journal; 2], Vec<Record>), BucketError> {
    let open = |name: &str| {
        let path = folder.join(name);
        Journal::open(&path).map_err(|error| io_error("open", &path, &error))
    };
    let mut both = [open(JOURNALS[0])?, open(JOURNALS[1])?];
    both.sort_by_key(|(_, records)| records.first().map(|record| record.number));
    let [(older, mut records), (newer, later)] = both;
    records.extend(later);
    Ok(([older, newer], records))
}

/// The older one first: were the newer one gone alone, the next start would take the older for what was last.
fn clear(journals: &mut [Journal; 2]) -> Result<(), BucketError> {
    for journal in journals {
        journal
            .clear()
            .map_err(|error| io_error("clear", journal.path(), &error))?;
    }
    Ok(())
}

/// Names are few, so they are kept once.
fn restore(rows: &Rows, assigned: &Assigned) -> Result<(), BucketError> {
    let mut names: HashSet<Arc<str>> = HashSet::new();
    rows.load(|user, name| {
        let name = names.get(name).cloned().unwrap_or_else(|| {
            let name: Arc<str> = Arc::from(name);
            names.insert(Arc::clone(&name));
            name
        });
        assigned.restore(user, name)
    })
}

fn io_error(doing: &'static str, path: &Path, error: &std::io::Error) -> BucketError {
    BucketError::Folder {
        doing,
        path: path.to_owned(),
        why: error.to_string(),
    }
}
