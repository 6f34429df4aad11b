//! One direction of a connection: what waits on its way from one socket to the other.
//!
//! A lane that nothing is done to holds no memory but while its receiver is slower than its sender.

use std::collections::VecDeque;
use std::os::fd::AsFd;

use bytes::{Buf, Bytes};
use rustix::io::Errno;

use crate::chain::{Chain, End, Output};
use crate::config::Config;
use crate::socket;
use crate::spec::Direction;
use crate::tally::EdgeTally;

/// Pieces that a lane may hold, so that many small ones don't take many times their bytes.
const CHUNKS_MAX: usize = 16_384;

/// Room for pieces that a lane with toxics keeps while none waits; one without keeps none.
const PIECES_KEPT: usize = 64;

/// What a lane needs to know for a step.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) direction: Direction,
    pub(crate) config: &'a Config,
    pub(crate) tally: &'a EdgeTally,
    pub(crate) now_ns: u64,
}

/// One direction.
#[derive(Default)]
pub(crate) struct Lane {
    pub(crate) chain: Option<Box<Chain>>,
    /// What has passed all toxics and waits for its receiver.
    pub(crate) output: Output,
    output_bytes: usize,
    /// Its sender says no more.
    pub(crate) source_ended: bool,
    /// Its receiver takes no more.
    pub(crate) sink_gone: bool,
    /// Its receiver was told that nothing more comes.
    pub(crate) ended: bool,
    /// The number of the partition that holds what waits.
    stalled_by: Option<u64>,
    /// The partition has met it.
    met_partition: bool,
    /// When time alone makes something due.
    pub(crate) wake_ns: Option<u64>,
}

impl Lane {
    /// Whether a partition holds what waits.
    #[inline]
    fn is_stalled(&self) -> bool {
        self.stalled_by.is_some()
    }

    /// Bytes inside.
    pub(crate) fn held_bytes(&self) -> usize {
        self.output_bytes + self.chain.as_ref().map_or(0, |chain| chain.bytes())
    }

    /// Nothing is done to it and nothing waits: bytes may go from socket to socket.
    #[inline]
    pub(crate) fn is_direct(&self) -> bool {
        self.chain.is_none()
            && !self.is_stalled()
            && self.output.bytes.is_empty()
            && self.output.end.is_none()
    }

    /// Whether its sender may be read.
    #[inline]
    pub(crate) fn takes_more(&self, held_bytes_max: usize) -> bool {
        if self.source_ended || self.sink_gone {
            return false;
        }
        match &self.chain {
            None if !self.is_stalled() => self.output.bytes.is_empty(),
            None => self.output_bytes < held_bytes_max && self.output.bytes.len() < CHUNKS_MAX,
            Some(chain) => {
                !chain.is_stopped()
                    && self.held_bytes() < held_bytes_max
                    && chain.chunks() + self.output.bytes.len() < CHUNKS_MAX
            }
        }
    }

    /// Whether its receiver took less than there was for it.
    #[inline]
    pub(crate) fn is_blocked(&self) -> bool {
        !self.is_stalled() && !self.sink_gone && !self.output.bytes.is_empty()
    }

    /// Takes bytes that came.
    pub(crate) fn push(&mut self, bytes: Bytes, view: View<'_>) {
        if let Some(chain) = &mut self.chain {
            chain.push(bytes, view.now_ns, &mut self.output);
        } else {
            let count = bytes.len();
            self.output.bytes.push_back(bytes);
            self.account(count, view);
        }
    }

    /// Takes the end.
    pub(crate) fn push_end(&mut self, end: End, view: View<'_>) {
        self.source_ended = true;
        match &mut self.chain {
            Some(chain) => chain.push_end(end, view.now_ns, &mut self.output),
            None => {
                self.output.end.get_or_insert(end);
            }
        }
        if self.is_stalled() && self.output.end.is_some() {
            self.meet_partition(0, view);
        }
    }

    /// Bytes came out of the toxics.
    fn account(&mut self, bytes: usize, view: View<'_>) {
        self.output_bytes += bytes;
        if self.is_stalled() && bytes > 0 {
            self.meet_partition(bytes, view);
        }
    }

    fn meet_partition(&mut self, bytes: usize, view: View<'_>) {
        if let Some(partition) = &view.config.partition {
            partition.met[view.direction.index()].note(bytes, !self.met_partition, view.now_ns);
            self.met_partition = true;
        }
    }

    /// Makes its toxics, and whether it is held, those of the configuration.
    pub(crate) fn reconcile(&mut self, seed: squall_model::seed::Seed, view: View<'_>) {
        let toxics = &view.config.toxics[view.direction.index()];
        if self.chain.is_some() || !toxics.is_empty() {
            let before = self.output.bytes.len();
            let chain = self.chain.get_or_insert_default();
            chain.reconcile(toxics, seed, view.now_ns, &mut self.output);
            if chain.is_empty() {
                self.chain = None;
                self.wake_ns = None;
            }
            self.account_from(before, view);
        }
        let stalled_by = view.config.stalls[view.direction.index()];
        if stalled_by != self.stalled_by {
            (self.stalled_by, self.met_partition) = (stalled_by, false);
            if self.is_stalled() && self.output_bytes > 0 {
                self.meet_partition(self.output_bytes, view);
            }
        }
    }

    fn account_from(&mut self, before: usize, view: View<'_>) {
        let bytes: usize = self.output.bytes.range(before..).map(Bytes::len).sum();
        self.account(bytes, view);
    }

    /// Moves on what is due, as far as the receiver takes it. Returns the end, once it is due and all bytes before it were taken.
    pub(crate) fn advance(&mut self, sink: impl AsFd, view: View<'_>) -> Option<End> {
        if let Some(chain) = &mut self.chain {
            let before = self.output.bytes.len();
            self.wake_ns = chain.advance(view.now_ns, &mut self.output);
            self.account_from(before, view);
            let discarded = std::mem::take(&mut self.output.discarded);
            view.tally.directions[view.direction.index()].discarded(discarded);
        }
        if self.output.end == Some(End::Reset) {
            return Some(End::Reset);
        }
        if self.sink_gone {
            self.discard(view);
        } else if !self.is_stalled() {
            self.flush(sink, view);
        }
        if self.is_stalled() || !self.output.bytes.is_empty() || self.ended {
            return None;
        }
        self.output.end
    }

    fn flush(&mut self, sink: impl AsFd, view: View<'_>) {
        while let Some(head) = self.output.bytes.front_mut() {
            match socket::send(&sink, head) {
                Ok(count) => {
                    view.tally.directions[view.direction.index()].forwarded(count, view.now_ns);
                    self.output_bytes -= count;
                    head.advance(count);
                    if head.is_empty() {
                        self.output.bytes.pop_front();
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => return,
                Err(_) => {
                    self.sink_gone = true;
                    return self.discard(view);
                }
            }
        }
        if self.chain.is_none() || self.output.bytes.capacity() > PIECES_KEPT {
            self.output.bytes = VecDeque::new();
        }
    }

    /// Throws away what waits for a receiver that takes no more.
    fn discard(&mut self, view: View<'_>) {
        view.tally.directions[view.direction.index()].discarded(self.output_bytes);
        self.output_bytes = 0;
        self.output.bytes.clear();
    }

    /// The connection is over: what is still inside is lost.
    pub(crate) fn abandon(&mut self, view: View<'_>) {
        let held = self.held_bytes() + std::mem::take(&mut self.output.discarded);
        view.tally.directions[view.direction.index()].discarded(held);
    }
}
