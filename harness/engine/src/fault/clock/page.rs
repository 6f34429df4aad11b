//! The page that squall and a service's processes share: squall writes laws into it, the processes read them at every
//! clock read and write receipts back.
//!
//! Twin of `preload/page.h`. Readers never wait: the laws are double-buffered, so a squall that dies while writing
//! leaves the laws before in force. Several squalls may write one page (a run, and the cleaning up after it); a file
//! lock keeps them apart. Never truncates or replaces a page's file: the processes have it mapped.

#![expect(
    unsafe_code,
    reason = "memory shared with other processes has to be mapped and reached through a pointer"
)]

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, fence};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::ClockError;
use super::clocks::{KernelClock, Laws};
use super::law::{ClockLaw, Slope};

const MAGIC: u64 = u64::from_le_bytes(*b"SQUALCLK");
const VERSION: u32 = 1;
const SIZE: usize = 4096;
const RECEIPTS: usize = 54;
const NS_PER_S: i64 = 1_000_000_000;

#[repr(C)]
struct LawCell {
    offset_s: AtomicI64,
    offset_part_ns: AtomicI64,
    origin_ns: AtomicI64,
    slope_q63: AtomicI64,
}

#[repr(C)]
struct LawSet {
    law: [LawCell; 5],
    reserved: [u64; 4],
}

#[repr(C)]
struct ReceiptCell {
    ticket: AtomicU64,
    epoch: AtomicU64,
    pid: AtomicU32,
    clock_id: AtomicU32,
    real_ns: AtomicI64,
    virtual_ns: AtomicI64,
    reserved: [u64; 3],
}

#[repr(C)]
struct Layout {
    magic: AtomicU64,
    version: AtomicU32,
    size: AtomicU32,
    epoch: AtomicU64,
    attached: AtomicU64,
    receipts: AtomicU64,
    reserved: [u64; 3],
    laws: [LawSet; 2],
    receipt: [ReceiptCell; RECEIPTS],
    reserved_2: [u64; 24],
}

const _: () = {
    assert!(size_of::<LawSet>() == 192);
    assert!(size_of::<ReceiptCell>() == 64);
    assert!(std::mem::offset_of!(Layout, epoch) == 16);
    assert!(std::mem::offset_of!(Layout, laws) == 64);
    assert!(std::mem::offset_of!(Layout, receipt) == 448);
    assert!(size_of::<Layout>() == SIZE);
};

/// What a process wrote down at its first read of a family's clocks after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The receipt's number on this page, from one.
    pub ticket: u64,
    /// The change that was in force.
    pub epoch: u64,
    /// The process, as it knows itself: another number than ours if it has a process namespace of its own.
    pub pid: u32,
    /// The clock whose law applied.
    pub clock: KernelClock,
    /// What the clock really showed, in nanoseconds.
    pub real_ns: i64,
    /// What the process was shown, in nanoseconds.
    pub virtual_ns: i64,
}

/// A page, mapped.
#[derive(Debug)]
pub struct ClockPage {
    path: PathBuf,
    layout: NonNull<Layout>,
    /// Writers of this process hold the mutex, those of others the file's lock.
    file: Mutex<File>,
}

// SAFETY: the mapping lives as long as the value, is reachable only through `layout()`, and holds nothing but atomics
// and padding that nobody touches.
unsafe impl Send for ClockPage {}
// SAFETY: as above.
unsafe impl Sync for ClockPage {}

impl ClockPage {
    /// Makes a new page on real time. The file must not exist. Its space is taken at once, so that a full disk is an
    /// error here and never a `SIGBUS` in the target.
    pub fn create(path: &Path) -> Result<Self, ClockError> {
        let failed = |source| ClockError::CreatePage {
            path: path.to_owned(),
            source,
        };
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        match fallocate(&file, FallocateFlags::empty(), 0, SIZE as u64) {
            // Where a file system can't promise space, writing every byte is what takes it.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
        let mut image = vec![0_u8; SIZE];
        image[0..8].copy_from_slice(&MAGIC.to_ne_bytes());
        image[8..12].copy_from_slice(&VERSION.to_ne_bytes());
        image[12..16].copy_from_slice(&(SIZE as u32).to_ne_bytes());
        image[16..24].copy_from_slice(&1_u64.to_ne_bytes()); // the first epoch: everything at rest
        file.write_all(&image).map_err(failed)?;
        Self::map(path, file)
    }

    /// Maps a page that exists.
    pub fn open(path: &Path) -> Result<Self, ClockError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| ClockError::OpenPage {
                path: path.to_owned(),
                source,
            })?;
        Self::map(path, file)
    }

    fn map(path: &Path, file: File) -> Result<Self, ClockError> {
        let failed = |source: io::Error| ClockError::OpenPage {
            path: path.to_owned(),
            source,
        };
        let foreign = |found| ClockError::NotAPage {
            path: path.to_owned(),
            found,
        };
        let length = file.metadata().map_err(failed)?.len();
        if length != SIZE as u64 {
            return Err(foreign(format!("it has {length} bytes")));
        }
        // SAFETY: a new mapping at an address of the kernel's choosing; nothing else is overlaid.
        let at = unsafe {
            mmap(
                std::ptr::null_mut(),
                SIZE,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &file,
                0,
            )
        }
        .map_err(|errno| failed(errno.into()))?;
        let layout = NonNull::new(at.cast::<Layout>()).ok_or_else(|| failed(io::ErrorKind::Other.into()))?;
        let page = Self {
            path: path.to_owned(),
            layout,
            file: Mutex::new(file),
        };
        let header = page.layout();
        if header.magic.load(Relaxed) != MAGIC {
            return Err(foreign("it doesn't start like one".to_owned()));
        }
        let (version, size) = (header.version.load(Relaxed), header.size.load(Relaxed));
        if version != VERSION || size as usize != SIZE {
            return Err(foreign(format!("it has version {version} and size {size}")));
        }
        Ok(page)
    }

    fn layout(&self) -> &Layout {
        // SAFETY: `layout` points to `SIZE` mapped, page-aligned bytes until drop; `Layout` is as large, has no invalid
        // bit patterns, and all of it that other processes write is atomic.
        unsafe { self.layout.as_ref() }
    }

    /// The page's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the change in force; one is a new page. Grows with every change.
    pub fn epoch(&self) -> u64 {
        self.layout().epoch.load(Acquire)
    }

    /// How many processes have mapped this page so far. None after a service got ready: it can't be reached.
    pub fn attached(&self) -> u64 {
        self.layout().attached.load(Relaxed)
    }

    /// How many receipts were begun so far; a later one has a greater ticket.
    pub fn receipts(&self) -> u64 {
        self.layout().receipts.load(Relaxed)
    }

    /// The laws in force.
    pub fn laws(&self) -> Laws {
        self.read().1
    }

    /// The laws in force and their epoch. Lock-free: starts over only if a change was published meanwhile.
    pub fn read(&self) -> (u64, Laws) {
        let layout = self.layout();
        loop {
            let epoch = layout.epoch.load(Acquire);
            let laws = load_laws(&layout.laws[(epoch & 1) as usize]);
            fence(Acquire);
            if layout.epoch.load(Relaxed) == epoch {
                return (epoch, laws);
            }
        }
    }

    /// Replaces the laws by what `change` makes of them, as one step that a reader sees whole or not at all.
    /// Returns the new epoch and laws.
    pub fn update<E: From<ClockError>>(
        &self,
        change: impl FnOnce(&Laws) -> Result<Laws, E>,
    ) -> Result<(u64, Laws), E> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |errno: rustix::io::Errno| ClockError::LockPage {
            path: self.path.clone(),
            source: errno.into(),
        };
        // Held for well under a microsecond by whoever has it, and dropped by the kernel if they die.
        rustix::io::retry_on_intr(|| flock(&*file, FlockOperation::LockExclusive)).map_err(failed)?;
        let published = change(&self.laws()).map(|laws| (self.publish(&laws), laws));
        let unlocked = flock(&*file, FlockOperation::Unlock).map_err(failed);
        let published = published?;
        unlocked?;
        Ok(published)
    }

    /// For the holder of both locks.
    fn publish(&self, laws: &Laws) -> u64 {
        let layout = self.layout();
        let epoch = layout.epoch.load(Relaxed) + 1;
        // Whoever reads any of the stores below also sees that the epoch before was published, and starts over.
        fence(Release);
        store_laws(&layout.laws[(epoch & 1) as usize], laws);
        layout.epoch.store(epoch, Release);
        epoch
    }

    /// The receipts that are on the page, oldest first. It holds 54 (two for every process and change); of more, the
    /// oldest are gone. One that is being written is left out.
    pub fn seen(&self) -> Vec<Seen> {
        let mut seen: Vec<Seen> = self.layout().receipt.iter().filter_map(load_receipt).collect();
        seen.sort_unstable_by_key(|receipt| receipt.ticket);
        seen
    }
}

impl Drop for ClockPage {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, `SIZE` bytes long, and no reference into it outlives `self`. A failure would
        // only leave the page mapped.
        let _ = unsafe { munmap(self.layout.as_ptr().cast(), SIZE) };
    }
}

/// Puts every clock of a page back on real time: the undo of any clock fault, from any process. Doing it again changes
/// nothing for the target.
pub fn reset_page(path: &Path) -> Result<(), ClockError> {
    ClockPage::open(path)?
        .update(|_| Ok::<_, ClockError>(Laws::REST))
        .map(|_| ())
}

fn load_laws(set: &LawSet) -> Laws {
    let mut laws = Laws::REST;
    for (clock, cell) in KernelClock::ALL.into_iter().zip(&set.law) {
        let offset_s = cell.offset_s.load(Relaxed);
        laws.set(
            clock,
            ClockLaw {
                offset_ns: offset_s
                    .wrapping_mul(NS_PER_S)
                    .wrapping_add(cell.offset_part_ns.load(Relaxed)),
                origin_ns: cell.origin_ns.load(Relaxed),
                slope: Slope::from_q63(cell.slope_q63.load(Relaxed)),
            },
        );
    }
    laws
}

fn store_laws(set: &LawSet, laws: &Laws) {
    for (clock, cell) in KernelClock::ALL.into_iter().zip(&set.law) {
        let law = laws.of(clock);
        cell.offset_s.store(law.offset_ns.div_euclid(NS_PER_S), Relaxed);
        cell.offset_part_ns
            .store(law.offset_ns.rem_euclid(NS_PER_S), Relaxed);
        cell.origin_ns.store(law.origin_ns, Relaxed);
        cell.slope_q63.store(law.slope.q63(), Relaxed);
    }
}

fn load_receipt(cell: &ReceiptCell) -> Option<Seen> {
    let ticket = cell.ticket.load(Acquire);
    let seen = Seen {
        ticket,
        epoch: cell.epoch.load(Relaxed),
        pid: cell.pid.load(Relaxed),
        clock: KernelClock::from_id(cell.clock_id.load(Relaxed))?,
        real_ns: cell.real_ns.load(Relaxed),
        virtual_ns: cell.virtual_ns.load(Relaxed),
    };
    fence(Acquire);
    (ticket != 0 && cell.ticket.load(Relaxed) == ticket).then_some(seen)
}

#[cfg(test)]
mod tests {
    use super::super::clocks::{ClockFamily, Readings};
    use super::super::law::ClockChange;
    use super::*;
    use crate::fault::FaultError;

    fn new_page() -> (tempfile::TempDir, ClockPage) {
        let dir = tempfile::tempdir().unwrap();
        let page = ClockPage::create(&dir.path().join("page")).unwrap();
        (dir, page)
    }

    fn all(law: ClockLaw) -> Laws {
        let mut laws = Laws::REST;
        for clock in KernelClock::ALL {
            laws.set(clock, law);
        }
        laws
    }

    fn set(page: &ClockPage, law: ClockLaw) -> u64 {
        page.update(|_| Ok::<_, ClockError>(all(law))).unwrap().0
    }

    #[test]
    fn what_one_mapping_writes_another_reads() {
        let (_dir, page) = new_page();
        let other = ClockPage::open(page.path()).unwrap();
        assert_eq!(other.read(), (1, Laws::REST));
        for offset_ns in [-1, -NS_PER_S, 1, i64::MAX / 4, i64::MIN / 4, 0] {
            let law = ClockLaw {
                offset_ns,
                origin_ns: -offset_ns,
                slope: Slope::FROZEN,
            };
            let epoch = set(&page, law);
            let (seen_epoch, laws) = other.read();
            assert_eq!((seen_epoch, laws.of(KernelClock::Tai)), (epoch, law));
        }
    }

    #[test]
    fn a_reset_from_outside_puts_every_clock_back() {
        let (_dir, page) = new_page();
        let freeze = |laws: &Laws| laws.after(ClockFamily::Realtime, ClockChange::Freeze, &Readings::take());
        page.update(|laws| freeze(laws).map_err(FaultError::from))
            .unwrap();
        assert_ne!(page.laws(), Laws::REST);
        reset_page(page.path()).unwrap();
        reset_page(page.path()).unwrap();
        assert_eq!(page.laws(), Laws::REST);
    }

    #[test]
    fn a_refused_change_leaves_the_laws_and_the_page_usable() {
        let (_dir, page) = new_page();
        let refused = page.update(|_| {
            Err::<Laws, _>(ClockError::NotAPage {
                path: PathBuf::new(),
                found: "a test".to_owned(),
            })
        });
        assert!(refused.is_err());
        assert_eq!(page.read(), (1, Laws::REST));
        assert_eq!(set(&page, ClockLaw::REST), 2);
    }

    #[test]
    fn what_is_not_a_page_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("page");
        let open = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            ClockPage::open(&path).unwrap_err().to_string()
        };
        assert!(open(b"").contains("it has 0 bytes"));
        assert!(open(&[0; SIZE]).contains("doesn't start like one"));
        let mut later = [0; SIZE];
        later[..8].copy_from_slice(b"SQUALCLK");
        later[8..16].copy_from_slice(&[2, 0, 0, 0, 0, 16, 0, 0]);
        assert!(open(&later).contains("version 2 and size 4096"));
        assert!(matches!(
            ClockPage::create(&path),
            Err(ClockError::CreatePage { .. })
        ));
        assert!(matches!(
            ClockPage::open(&dir.path().join("none")),
            Err(ClockError::OpenPage { .. })
        ));
    }

    #[test]
    fn readers_never_see_half_a_change() {
        const CHANGES: i64 = 1_000_000;
        let (_dir, page) = new_page();
        let done = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let reader = ClockPage::open(page.path()).unwrap();
                    while done.load(Relaxed) == 0 {
                        let (epoch, laws) = reader.read();
                        for clock in KernelClock::ALL {
                            let law = laws.of(clock);
                            let expected = if epoch == 1 { 0 } else { epoch as i64 };
                            assert_eq!(
                                (law.offset_ns, law.origin_ns),
                                (expected * 7_777_777_777, expected)
                            );
                        }
                    }
                });
            }
            // Without the locks, which would only slow the one writer there is.
            for next in 2..CHANGES + 2 {
                let law = ClockLaw {
                    offset_ns: next * 7_777_777_777,
                    origin_ns: next,
                    slope: Slope::NONE,
                };
                assert_eq!(page.publish(&all(law)), next as u64);
            }
            done.store(1, Relaxed);
        });
    }
}
