//! Work in pieces that don't depend on each other, done on every processor.

use std::num::NonZero;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many processors there are for this process.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// What `work` makes of each of `pieces`, in their order. A thread that is done with one takes the next, so those that take long go
/// first.
pub fn each<P: Sync, R: Send + Sync>(pieces: &[P], work: impl Fn(&P) -> R + Sync) -> Vec<R> {
    let results: Vec<OnceLock<R>> = pieces.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let take = || {
        while let Some((piece, result)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            pieces.get(at).zip(results.get(at))
        } {
            // Each place is taken once.
            let _ = result.set(work(piece));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..processors().min(pieces.len()) {
            scope.spawn(take);
        }
        take();
    });
    results.into_iter().filter_map(OnceLock::into_inner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_done_once_and_results_come_in_order() {
        for number in [0, 1, 2, 1_000] {
            let done = AtomicUsize::new(0);
            let pieces: Vec<usize> = (0..number).collect();
            let twice = each(&pieces, |piece| {
                done.fetch_add(1, Ordering::Relaxed);
                piece * 2
            });
            assert_eq!(twice, pieces.iter().map(|piece| piece * 2).collect::<Vec<_>>());
            assert_eq!(done.into_inner(), number);
        }
    }
}
