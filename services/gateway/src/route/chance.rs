//! Random draws: a source for each thread, all of one seed.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use super::split::Draw;
use crate::draw::Source;

/// Tells sources of different routers apart; decides nothing else.
static NEXT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The source that this thread used last, and whose it is.
    static SOURCE: RefCell<Option<(u64, Source)>> = const { RefCell::new(None) };
}

/// Where draws come from. The n-th thread that asks has the n-th stream of the seed, so one thread's draws replay.
pub(crate) struct Chance {
    id: u64,
    seed: u64,
    threads: AtomicU64,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            seed,
            threads: AtomicU64::new(0),
        }
    }

    /// The next draw of the calling thread.
    pub(crate) fn draw(&self) -> Draw {
        let bits = SOURCE.with_borrow_mut(|own| {
            if own.as_ref().is_none_or(|(id, _)| *id != self.id) {
                *own = Some((self.id, self.stream()));
            }
            own.as_ref().map_or(0, |(_, source)| source.next())
        });
        Draw::from_bits(bits)
    }

    /// Hashed, since seeds and threads are small numbers, and no two of them may begin alike.
    fn stream(&self) -> Source {
        let thread = self.threads.fetch_add(1, Ordering::Relaxed);
        let begin: [u8; 32] = Sha256::new()
            .chain_update(self.seed.to_le_bytes())
            .chain_update(thread.to_le_bytes())
            .finalize()
            .into();
        let mut number = [0; 8];
        number.copy_from_slice(&begin[..8]);
        Source::new(u64::from_le_bytes(number))
    }
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chance")
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
