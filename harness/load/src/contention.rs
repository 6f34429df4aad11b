//! How long the calling thread waited for a processor: the second number of `/proc/thread-self/schedstat`, the kernel's
//! run-queue delay (Documentation/scheduler/sched-stats).

use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// The account of one thread, read from that thread.
#[derive(Debug)]
pub(crate) struct Contention {
    /// `None` where the kernel keeps no such account: then no wait is known.
    account: Option<File>,
    seen_ns: u64,
}

impl Contention {
    /// Begins to watch the calling thread.
    pub(crate) fn of_this_thread() -> Contention {
        let mut contention = Contention {
            account: File::open("/proc/thread-self/schedstat").ok(),
            seen_ns: 0,
        };
        contention.lately_ns();
        contention
    }

    /// How long it waited since the last call.
    pub(crate) fn lately_ns(&mut self) -> u64 {
        let mut bytes = [0; 64];
        let read = self
            .account
            .as_ref()
            .and_then(|file| file.read_at(&mut bytes, 0).ok())
            .unwrap_or(0);
        let now_ns = parse(&bytes[..read]).unwrap_or(self.seen_ns);
        let lately_ns = now_ns.saturating_sub(self.seen_ns);
        self.seen_ns = now_ns;
        lately_ns
    }
}

/// Nanoseconds on a processor, nanoseconds waiting for one, time slices.
fn parse(account: &[u8]) -> Option<u64> {
    std::str::from_utf8(account)
        .ok()?
        .split_ascii_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_number_is_the_wait() {
        assert_eq!(parse(b"123 456 7\n"), Some(456));
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn a_thread_among_more_than_there_are_processors_waits() {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let waits = |_| {
            std::thread::spawn(|| {
                let mut contention = Contention::of_this_thread();
                let mut waited_ns = 0;
                // Bounded work, long enough that no thread ends before the others begin.
                for round in 0..40_000_u64 {
                    std::hint::black_box(
                        (0..1_000).fold(round, |sum, one| sum.wrapping_mul(31).wrapping_add(one)),
                    );
                    if round % 1_000 == 0 {
                        waited_ns += contention.lately_ns();
                    }
                }
                waited_ns
            })
        };
        let threads: Vec<_> = (0..4 * processors).map(waits).collect();
        let waited: Vec<u64> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let known = Contention::of_this_thread().account.is_some();
        assert_eq!(waited.iter().any(|ns| *ns > 0), known, "{waited:?}");
    }
}
