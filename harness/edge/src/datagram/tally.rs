//! The counters of a proxy for datagrams.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::clock::now_ns;
use crate::seen::{DatagramDirectionSeen, DatagramSeen};
use crate::tally::{AmountTally, Moments, Silence};

/// Counters of one direction.
#[derive(Debug, Default)]
pub(crate) struct DirectionTally {
    pub(crate) entered: AmountTally,
    pub(crate) forwarded: AmountTally,
    pub(crate) lost: AmountTally,
    pub(crate) duplicated: AmountTally,
    pub(crate) reordered: AmountTally,
    pub(crate) corrupted: AmountTally,
    pub(crate) delayed: AmountTally,
    pub(crate) cut: AmountTally,
    pub(crate) overflowed: AmountTally,
    met: Moments,
}

impl DirectionTally {
    /// A fault acted on a datagram.
    pub(crate) fn met(&self, what: &AmountTally, bytes: usize, now_ns: u64) {
        what.add(bytes);
        self.met.note(now_ns);
    }

    fn seen(&self) -> DatagramDirectionSeen {
        DatagramDirectionSeen {
            entered: self.entered.seen(),
            forwarded: self.forwarded.seen(),
            lost: self.lost.seen(),
            duplicated: self.duplicated.seen(),
            reordered: self.reordered.seen(),
            corrupted: self.corrupted.seen(),
            delayed: self.delayed.seen(),
            cut: self.cut.seen(),
            overflowed: self.overflowed.seen(),
            first_met_ns: self.met.first_ns(),
            last_met_ns: self.met.last_ns(),
        }
    }
}

/// Counters of one proxy.
#[derive(Debug, Default)]
pub(crate) struct DatagramTally {
    flows_opened: AtomicU64,
    flows_closed: AtomicU64,
    pub(crate) directions: [DirectionTally; 2],
    silence: Silence,
}

impl DatagramTally {
    pub(crate) fn flow_opened(&self, now_ns: u64) {
        if self.flows_opened.fetch_add(1, Relaxed) == self.flows_closed.load(Relaxed) {
            self.silence.begin(now_ns);
        }
    }

    pub(crate) fn flow_closed(&self) {
        self.flows_closed.fetch_add(1, Relaxed);
    }

    pub(crate) fn entered(&self, direction: usize, bytes: usize, now_ns: u64) {
        self.directions[direction].entered.add(bytes);
        self.silence.interrupt(now_ns);
    }

    pub(crate) fn seen(&self) -> DatagramSeen {
        let at_ns = now_ns();
        let closed = self.flows_closed.load(Relaxed);
        let opened = self.flows_opened.load(Relaxed);
        DatagramSeen {
            at_ns,
            flows_opened: opened,
            flows: opened.saturating_sub(closed),
            directions: [self.directions[0].seen(), self.directions[1].seen()],
            longest_silence_ns: self.silence.longest_ns(opened > closed, at_ns),
        }
    }
}
