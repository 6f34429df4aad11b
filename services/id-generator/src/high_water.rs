//! The high-water mark: a time on disk that no id ever issued is beyond, so that ids stay unique across restarts.
//!
//! Before the first id of a millisecond beyond the mark, the mark is moved 5 ms ahead of it and written. A restart
//! treats everything up to the mark as used. The write reaches the kernel, so it survives the process; a background
//! thread forces it to disk once a second, and after a restart of the machine, told by its boot id, the mark is taken
//! to be 5 s further on. The file is locked while in use. A file that is damaged or another node's is refused.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::StateError;
use crate::incident::{Incident, Observe};
use crate::layout::MS_MAX;

/// How far ahead of the id that needs it the mark is moved. It bounds how long a restart has to wait for the clock,
/// and is short enough to be spun out.
const AHEAD_MS: u64 = 5;
/// How often the mark is forced to disk.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// What a loss of power may have cost the mark: the interval between two syncs, and four times that for a slow one.
const UNSYNCED_MS: u64 = 5_000;

const MAGIC: [u8; 8] = *b"SQUALLID";
const VERSION: u32 = 1;
/// Magic, version, node, mark, boot id, checksum.
const RECORD_LEN: usize = 8 + 4 + 4 + 8 + 16 + 8;

/// A node's high-water mark.
#[derive(Debug)]
pub struct HighWaterMark {
    /// The mark as written.
    mark_ms: AtomicU64,
    /// The mark as found when opened, `None` where there was none.
    found_ms: Option<u64>,
    disk: Option<Mutex<Disk>>,
}

#[derive(Debug)]
struct Disk {
    path: PathBuf,
    record: Record,
    file: Arc<SyncedFile>,
    syncer: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct SyncedFile {
    file: File,
    dirty: AtomicBool,
    closing: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    node: u32,
    mark_ms: u64,
    /// The boot during which it was written; 0 where that is not known.
    boot: u128,
}

impl HighWaterMark {
    /// A mark that is kept nowhere: ids are unique only while the process lives.
    pub fn in_memory() -> Self {
        Self {
            mark_ms: AtomicU64::new(0),
            found_ms: None,
            disk: None,
        }
    }

    /// Opens, locks and checks `node-<node>.state` in `folder`, making both if they are missing.
    pub fn open(folder: &Path, node: u16, observer: Arc<dyn Observe>) -> Result<Self, StateError> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").map_or(0, |text| parse_boot(&text));
        Self::open_in_boot(folder, node, boot, observer)
    }

    fn open_in_boot(
        folder: &Path,
        node: u16,
        boot: u128,
        observer: Arc<dyn Observe>,
    ) -> Result<Self, StateError> {
        let path = folder.join(format!("node-{node}.state"));
        let failed = |doing| {
            let path = path.clone();
            move |source| StateError::Io { doing, path, source }
        };
        fs::create_dir_all(folder).map_err(failed("make the folder of"))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::Held { path }),
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
        }
        let found = Record::read(&file, &path, node)?;
        let found_ms = found.map(|record| record.mark_after_restart(boot));
        let record = Record {
            node: node.into(),
            mark_ms: found_ms.unwrap_or(0),
            boot,
        };
        // Before any id: from now on the file is of this boot, and on disk under its name.
        file.write_all_at(&record.encode(), 0).map_err(failed("write"))?;
        file.sync_all().map_err(failed("sync"))?;
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed("sync the folder of"))?;
        let file = Arc::new(SyncedFile {
            file,
            dirty: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        });
        let shared = Arc::clone(&file);
        let syncer = thread::Builder::new()
            .name("state-sync".to_owned())
            .spawn(move || shared.keep_synced(&*observer))
            .map_err(failed("start the thread that syncs"))?;
        let mark_ms = AtomicU64::new(record.mark_ms);
        let disk = Disk {
            path,
            record,
            file,
            syncer: Some(syncer),
        };
        Ok(Self {
            mark_ms,
            found_ms,
            disk: Some(Mutex::new(disk)),
        })
    }

    /// The last millisecond that an earlier process may have used.
    pub fn found_ms(&self) -> Option<u64> {
        self.found_ms
    }

    /// Whether ids of this millisecond may be issued without moving the mark.
    pub fn covers(&self, ms: u64) -> bool {
        ms <= self.mark_ms.load(Ordering::Acquire)
    }

    /// Moves the mark, if need be, so that it covers this millisecond.
    pub fn cover(&self, ms: u64) -> Result<(), StateError> {
        let mark_ms = ms.saturating_add(AHEAD_MS).min(MS_MAX);
        let Some(disk) = &self.disk else {
            self.mark_ms.fetch_max(mark_ms, Ordering::AcqRel);
            return Ok(());
        };
        let mut disk = disk.lock().unwrap_or_else(PoisonError::into_inner);
        if self.covers(ms) {
            return Ok(());
        }
        disk.write(mark_ms)?;
        self.mark_ms.store(mark_ms, Ordering::Release);
        Ok(())
    }
}

impl Disk {
    fn write(&mut self, mark_ms: u64) -> Result<(), StateError> {
        self.record.mark_ms = mark_ms;
        self.file
            .file
            .write_all_at(&self.record.encode(), 0)
            .map_err(|source| StateError::Io {
                doing: "write",
                path: self.path.clone(),
                source,
            })?;
        self.file.dirty.store(true, Ordering::Release);
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.close();
    }
}

impl Disk {
    /// Syncs once more and ends the thread that does.
    fn close(&mut self) {
        self.file.closing.store(true, Ordering::Release);
        if let Some(syncer) = self.syncer.take() {
            syncer.thread().unpark();
            let _ = syncer.join();
        }
    }
}

impl SyncedFile {
    /// Forces what was written to disk, once a second, and once more when closing.
    fn keep_synced(&self, observer: &dyn Observe) {
        loop {
            let closing = self.closing.load(Ordering::Acquire);
            if self.dirty.swap(false, Ordering::AcqRel)
                && let Err(error) = self.file.sync_data()
            {
                self.dirty.store(true, Ordering::Release);
                observer.note(&Incident::SyncFailed {
                    reason: error.to_string(),
                });
            }
            if closing {
                return;
            }
            thread::park_timeout(SYNC_EVERY);
        }
    }
}

impl Record {
    /// Reads the record of a node; `None` from an empty file, which is one that was made and never written.
    fn read(file: &File, path: &Path, node: u16) -> Result<Option<Self>, StateError> {
        let io = |source| StateError::Io {
            doing: "read",
            path: path.to_owned(),
            source,
        };
        let damaged = |what| StateError::Damaged {
            path: path.to_owned(),
            what,
            node,
        };
        let length = file.metadata().map_err(io)?.len();
        if length == 0 {
            return Ok(None);
        }
        if length != RECORD_LEN as u64 {
            return Err(damaged("its length is wrong"));
        }
        let mut bytes = [0; RECORD_LEN];
        file.read_exact_at(&mut bytes, 0).map_err(io)?;
        if bytes[..8] != MAGIC {
            return Err(damaged("it is not a state file of this service"));
        }
        let checksum = u64::from_le_bytes(field(&bytes, RECORD_LEN - 8));
        if checksum != fnv1a(&bytes[..RECORD_LEN - 8]) {
            return Err(damaged("its checksum is wrong"));
        }
        let found = u32::from_le_bytes(field(&bytes, 8));
        if found != VERSION {
            return Err(StateError::Version {
                path: path.to_owned(),
                found,
                expected: VERSION,
            });
        }
        let record = Self {
            node: u32::from_le_bytes(field(&bytes, 12)),
            mark_ms: u64::from_le_bytes(field(&bytes, 16)),
            boot: u128::from_le_bytes(field(&bytes, 24)),
        };
        if record.node != u32::from(node) {
            return Err(StateError::Foreign {
                path: path.to_owned(),
                found: record.node,
                expected: node,
            });
        }
        Ok(Some(record))
    }

    fn encode(self) -> [u8; RECORD_LEN] {
        let mut bytes = [0; RECORD_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.node.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.mark_ms.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.boot.to_le_bytes());
        let checksum = fnv1a(&bytes[..40]);
        bytes[40..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The mark for a process that starts in `boot`.
    fn mark_after_restart(self, boot: u128) -> u64 {
        let same_boot = boot != 0 && boot == self.boot;
        let margin_ms = if same_boot || self.mark_ms == 0 {
            0
        } else {
            UNSYNCED_MS
        };
        (self.mark_ms + margin_ms).min(MS_MAX)
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N]
        .try_into()
        .expect("the range has the field's length")
}

/// The 64-bit FNV-1a hash: a damaged record is to be noticed, not a forged one.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The number in a boot id such as `2f8a3c1e-...`; 0 where it is none.
fn parse_boot(text: &str) -> u128 {
    u128::from_str_radix(&text.trim().replace('-', ""), 16).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Unobserved;

    /// Has the mark write into this file instead, which the syncing thread knows nothing of.
    fn divert(mark: &HighWaterMark, file: File) {
        let mut disk = mark.disk.as_ref().unwrap().lock().unwrap();
        disk.close();
        disk.file = Arc::new(SyncedFile {
            file,
            dirty: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        });
    }

    fn open(folder: &Path, node: u16, boot: u128) -> Result<HighWaterMark, StateError> {
        HighWaterMark::open_in_boot(folder, node, boot, Arc::new(Unobserved))
    }

    #[test]
    fn the_mark_outlives_the_process_that_set_it() {
        let folder = tempfile::tempdir().unwrap();
        let mark = open(folder.path(), 7, 1).unwrap();
        assert_eq!(mark.found_ms(), None);
        assert!(!mark.covers(1_000));
        mark.cover(1_000).unwrap();
        assert!(mark.covers(1_005) && !mark.covers(1_006));
        drop(mark);
        assert_eq!(open(folder.path(), 7, 1).unwrap().found_ms(), Some(1_005));
    }

    #[test]
    fn what_a_loss_of_power_may_have_cost_is_added_once() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), 7, 1).unwrap().cover(1_000).unwrap();
        assert_eq!(open(folder.path(), 7, 2).unwrap().found_ms(), Some(6_005));
        assert_eq!(open(folder.path(), 7, 2).unwrap().found_ms(), Some(6_005));
        // Where the boot is not known it might always be another one.
        assert_eq!(open(folder.path(), 7, 0).unwrap().found_ms(), Some(11_005));
        assert_eq!(open(folder.path(), 7, 0).unwrap().found_ms(), Some(16_005));
    }

    #[test]
    fn one_node_has_one_holder() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path(), 7, 1).unwrap();
        assert!(matches!(open(folder.path(), 7, 1), Err(StateError::Held { .. })));
        open(folder.path(), 8, 1).unwrap();
        drop(first);
        open(folder.path(), 7, 1).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_trusted_is_refused() {
        let good = Record {
            node: 7,
            mark_ms: 1_000,
            boot: 1,
        }
        .encode();
        let mut flipped = good;
        flipped[16] ^= 1;
        let mut newer = good;
        newer[8] = 2;
        let checksum = fnv1a(&newer[..40]);
        newer[40..].copy_from_slice(&checksum.to_le_bytes());
        let foreign = Record {
            node: 8,
            mark_ms: 1_000,
            boot: 1,
        }
        .encode();
        let cases: [(&[u8], &str); 5] = [
            (&good[..20], "its length is wrong"),
            (&[0; RECORD_LEN], "it is not a state file of this service"),
            (&flipped, "its checksum is wrong"),
            (&newer, "has layout version 2, this program reads 1"),
            (&foreign, "belongs to node 8, not to node 7"),
        ];
        for (bytes, expected) in cases {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("node-7.state");
            fs::write(&path, bytes).unwrap();
            let error = open(folder.path(), 7, 1).unwrap_err().to_string();
            assert!(
                error.contains(expected) && error.contains("node-7.state"),
                "{error}"
            );
            assert_eq!(
                fs::read(&path).unwrap(),
                bytes,
                "what is refused is left as it was"
            );
        }
    }

    #[test]
    fn a_mark_that_cannot_be_written_covers_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mark = open(folder.path(), 7, 1).unwrap();
        divert(&mark, File::open(folder.path().join("node-7.state")).unwrap());
        assert!(matches!(
            mark.cover(1_000),
            Err(StateError::Io { doing: "write", .. })
        ));
        assert!(!mark.covers(1_000));
    }

    #[test]
    fn boot_ids_are_read_as_numbers() {
        assert_eq!(parse_boot("00000000-0000-0000-0000-0000000000ff\n"), 255);
        assert_eq!(parse_boot("nonsense"), 0);
    }
}
