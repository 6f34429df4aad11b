//! When a thread has to look at something again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Times, each with a token. Those that are no longer of use are passed over by whoever they were for.
#[derive(Debug, Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(u64, u64)>>);

impl Timers {
    pub(crate) fn set(&mut self, at_ns: u64, token: u64) {
        self.0.push(Reverse((at_ns, token)));
    }

    /// The earliest.
    #[inline]
    pub(crate) fn next_ns(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((at_ns, _))| *at_ns)
    }

    /// Takes one that is due.
    #[inline]
    pub(crate) fn take_due(&mut self, now_ns: u64) -> Option<(u64, u64)> {
        if self.next_ns()? > now_ns {
            return None;
        }
        self.0.pop().map(|Reverse(due)| due)
    }
}
