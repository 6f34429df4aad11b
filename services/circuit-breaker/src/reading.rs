//! How a call gets at the table in force: by one word that all threads only read.
//!
//! Loading an [`ArcSwap`] costs two locked instructions, a quarter of a whole guarded call. So each thread keeps the table that it
//! read last and looks whether it is still the one in force. Tables have serial numbers, unique among all switchboards of the process.
//! The price: a table that is no longer in force lives on until each thread that read it has read another one, or ended.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

/// The last serial number that was given out.
static LAST: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// What this thread read last. Taken out while it is read, so that nobody else can put another one in its place meanwhile.
    static KEPT: Cell<Option<Arc<Numbered>>> = const { Cell::new(None) };
}

type Table = crate::board::Table;

/// A table with its serial number.
struct Numbered {
    serial: u64,
    table: Table,
}

/// The table in force.
pub(crate) struct InForce {
    /// The number of what the pointer leads to, or led to a moment ago: it is stored after the pointer.
    serial: AtomicU64,
    pointer: ArcSwap<Numbered>,
}

/// A table that is being read.
pub(crate) struct Reading(Option<Arc<Numbered>>);

impl InForce {
    pub(crate) fn new(table: Table) -> Self {
        let numbered = Numbered::new(table);
        Self {
            serial: AtomicU64::new(numbered.serial),
            pointer: ArcSwap::from_pointee(numbered),
        }
    }

    /// Puts a table in force. Whoever does holds the lock of its switchboard.
    pub(crate) fn store(&self, table: Table) {
        let numbered = Numbered::new(table);
        let serial = numbered.serial;
        self.pointer.store(Arc::new(numbered));
        self.serial.store(serial, Ordering::Release);
    }

    /// The table in force: for a call that began before another was stored, either.
    #[inline]
    pub(crate) fn load(&self) -> Reading {
        let kept = KEPT.try_with(Cell::take).ok().flatten();
        let in_force = self.serial.load(Ordering::Acquire);
        match kept {
            Some(kept) if kept.serial == in_force => Reading(Some(kept)),
            _ => Reading(Some(self.load_anew())),
        }
    }

    #[cold]
    fn load_anew(&self) -> Arc<Numbered> {
        self.pointer.load_full()
    }
}

impl Numbered {
    fn new(table: Table) -> Self {
        let serial = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        Self { serial, table }
    }
}

impl Deref for Reading {
    type Target = Table;

    #[inline]
    fn deref(&self) -> &Table {
        match &self.0 {
            Some(numbered) => &numbered.table,
            None => unreachable!("it is taken out only when it is dropped"),
        }
    }
}

impl Drop for Reading {
    #[inline]
    fn drop(&mut self) {
        let read = self.0.take();
        // A thread that is ending keeps nothing.
        let _ = KEPT.try_with(|kept| kept.set(read));
    }
}
