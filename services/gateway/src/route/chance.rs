//! Random draws: a generator for each thread, all of one seed.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use sha2::{Digest as _, Sha256};

use super::split::Draw;

/// Tells generators of different routers apart; decides nothing else.
static NEXT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The generator that this thread used last, and whose it is.
    static GENERATOR: RefCell<Option<(u64, Xoshiro256PlusPlus)>> = const { RefCell::new(None) };
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
        let bits = GENERATOR.with_borrow_mut(|own| {
            if own.as_ref().is_none_or(|(id, _)| *id != self.id) {
                *own = Some((self.id, self.stream()));
            }
            own.as_mut().map_or(0, |(_, generator)| generator.next_u64())
        });
        Draw::from_bits(bits)
    }

    /// Hashed, since streams of neighbouring seeds would overlap.
    fn stream(&self) -> Xoshiro256PlusPlus {
        let thread = self.threads.fetch_add(1, Ordering::Relaxed);
        let seed = Sha256::new()
            .chain_update(self.seed.to_le_bytes())
            .chain_update(thread.to_le_bytes())
            .finalize();
        Xoshiro256PlusPlus::from_seed(seed.into())
    }
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chance")
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
