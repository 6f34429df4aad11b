//! The event loop of one generator thread: sleeps until a socket is ready or time asks for something, and does that.
//!
//! It must never block on anything but its own poll, and takes no lock. Arrivals are looked at between any two events, so that
//! a burst of answers doesn't make them late.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender};

use crate::clock::{Clock, NS_PER_MS, NS_PER_US, thread_cpu_us};
use crate::connection::unpack_token;
use crate::contention::Contention;
use crate::lane::Lane;
use crate::poller::Poller;
use crate::report::{Report, SLICE_US};
use crate::spec::PhaseSpec;

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// While answers are handled, arrivals are looked at this often.
const LOOK_NS: u64 = 20 * NS_PER_US;
const SLICE_NS: u64 = SLICE_US * NS_PER_US;

/// What a thread is told.
pub(crate) enum Command {
    Push(Arc<PhaseSpec>),
    End { index: u32, at_ns: u64 },
    Finish,
    Abort,
}

/// What the loads of a thread share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) poller: Poller,
    pub(crate) scratch: Box<[u8]>,
    /// What was read, without the TLS that it came in.
    pub(crate) plain: Vec<u8>,
    pub(crate) out: Vec<u8>,
    pub(crate) thread: u16,
    /// The time last read with [`tick`](Shared::tick).
    pub(crate) latest_ns: u64,
    /// The thread has had no rest lately.
    pub(crate) behind: bool,
    /// How far wall time is ahead of the timeline.
    wall_ahead_ns: u64,
    reports: Sender<Report>,
    reports_lost: u64,
}

impl Shared {
    pub(crate) fn new(clock: Clock, poller: Poller, thread: u16, reports: Sender<Report>) -> Shared {
        let (scratch, out) = (vec![0; READ_BYTES].into_boxed_slice(), Vec::with_capacity(4096));
        Shared {
            clock,
            poller,
            scratch,
            plain: Vec::new(),
            out,
            thread,
            latest_ns: 0,
            behind: false,
            wall_ahead_ns: clock.wall_ahead_ns(),
            reports,
            reports_lost: 0,
        }
    }

    /// Reads the clock and remembers what it said, for whoever can do with a time some microseconds old.
    #[inline]
    pub(crate) fn tick(&mut self) -> u64 {
        self.latest_ns = self.clock.now_ns();
        self.latest_ns
    }

    /// The moment of the timeline at which the wall clock stood at `wall_ns`, nanoseconds since 1970.
    #[inline]
    pub(crate) fn on_timeline(&self, wall_ns: u64) -> u64 {
        wall_ns.wrapping_sub(self.wall_ahead_ns)
    }

    /// Hands over a report without ever waiting.
    pub(crate) fn send(&mut self, report: Report) {
        if self.reports.try_send(report).is_err() {
            self.reports_lost += 1;
        }
    }
}

/// What a thread has used, readable while it runs.
#[derive(Debug, Default)]
pub(crate) struct ThreadUsage {
    pub(crate) cpu_us: AtomicU64,
    pub(crate) reports_lost: AtomicU64,
}

/// Tells whether the thread had rest lately: a thread that never waits is itself what limits the rate. Waiting for a
/// processor that another thread has is no rest.
struct Rest {
    window_start_ns: u64,
    rested_ns: u64,
    /// Rest was short in the window before.
    was_short: bool,
    contention: Contention,
}

impl Rest {
    const WINDOW_NS: u64 = 10 * NS_PER_MS;
    /// A window with less than this part of it rested counts as none.
    const PART: u64 = 20;

    /// Notes a wait of which `rested_ns` passed with nothing to do; returns, at the end of a window, whether the thread was without
    /// rest.
    fn note(&mut self, rested_ns: u64, now_ns: u64) -> Option<bool> {
        self.rested_ns += rested_ns;
        let window_ns = now_ns - self.window_start_ns;
        if window_ns < Self::WINDOW_NS {
            return None;
        }
        // The account is a file, so it is read only while rest is short: its first reading then says nothing of this window alone.
        let short = self.rested_ns < window_ns / 2;
        let waited_ns = if short { self.contention.lately_ns() } else { 0 };
        let rested_ns = self
            .rested_ns
            .saturating_sub(if self.was_short { waited_ns } else { 0 });
        self.was_short = short;
        self.window_start_ns = now_ns;
        self.rested_ns = 0;
        Some(rested_ns * Self::PART < window_ns)
    }
}

/// How much too late this machine wakes the thread, at the median: some microseconds on bare metal, fifty and more in a virtual machine. It
/// asks to be woken so much earlier, and looks again and again for the rest of the time.
struct Lead {
    median_ns: u64,
}

impl Lead {
    /// A machine that wakes its threads later than this is busy, and no earlier alarm helps.
    const MAX_NS: u64 = 150 * NS_PER_US;
    /// The median is followed by this step, up or down, from wake-up to wake-up.
    const STEP_NS: u64 = NS_PER_US;

    /// Notes a sleep that nothing ended but its time: when it should have ended and when it did.
    fn note(&mut self, asked_ns: u64, woke_ns: u64) {
        let late_ns = woke_ns.saturating_sub(asked_ns);
        self.median_ns = if late_ns > self.median_ns {
            (self.median_ns + Self::STEP_NS).min(Self::MAX_NS)
        } else {
            self.median_ns.saturating_sub(Self::STEP_NS)
        };
    }
}

/// One generator thread.
pub(crate) struct Dispatcher {
    shared: Shared,
    lanes: Vec<Lane>,
    inbox: Receiver<Command>,
    usage: Arc<ThreadUsage>,
    lead: Lead,
    slice_start_ns: u64,
    finishing: bool,
    aborted: bool,
}

impl Dispatcher {
    pub(crate) fn new(
        shared: Shared,
        lanes: Vec<Lane>,
        inbox: Receiver<Command>,
        usage: Arc<ThreadUsage>,
    ) -> Dispatcher {
        let slice_start_ns = shared.clock.now_ns() / SLICE_NS * SLICE_NS;
        Dispatcher {
            shared,
            lanes,
            inbox,
            usage,
            lead: Lead { median_ns: 0 },
            slice_start_ns,
            finishing: false,
            aborted: false,
        }
    }

    /// Runs until there is nothing left to do and nothing more to come.
    pub(crate) fn run(mut self) -> std::io::Result<()> {
        let mut rest = Rest {
            window_start_ns: self.shared.clock.now_ns(),
            rested_ns: 0,
            was_short: false,
            contention: Contention::of_this_thread(),
        };
        loop {
            for lane in &mut self.lanes {
                lane.advance(&mut self.shared);
            }
            let now_ns = self.shared.clock.now_ns();
            self.report(now_ns);
            if self.aborted || (self.finishing && self.lanes.iter().all(Lane::is_over)) {
                self.note_usage();
                return Ok(());
            }
            let rests_until_ns = self.wait(now_ns)?;
            let after_ns = self.shared.tick();
            let rested_ns = after_ns.min(rests_until_ns).saturating_sub(now_ns);
            if let Some(behind) = rest.note(rested_ns, after_ns) {
                self.shared.behind = behind;
            }
            self.handle();
        }
    }

    /// Waits for events; returns until when there was nothing to do but wait for them.
    ///
    /// While requests wait for a connection it first looks whether anything is ready: then the time that the look takes, long when
    /// another process has the processor, was no rest.
    fn wait(&mut self, now_ns: u64) -> std::io::Result<u64> {
        let behind = self.shared.behind;
        let next = self
            .lanes
            .iter()
            .map(|lane| lane.ledger.next_wake_ns(now_ns, behind))
            .min();
        let wake_ns = next.unwrap_or(u64::MAX).min(self.slice_start_ns + SLICE_NS);
        if wake_ns <= now_ns || self.lanes.iter().any(|lane| !lane.ledger.queue.is_empty()) {
            self.shared.poller.wait(0)?;
            if wake_ns <= now_ns || self.shared.poller.ready_count() > 0 {
                return Ok(now_ns);
            }
        }
        // Too short to sleep: it would be over before the thread was woken.
        if wake_ns - now_ns <= self.lead.median_ns {
            self.shared.poller.wait(0)?;
            return Ok(wake_ns);
        }
        let awaited = self
            .lanes
            .iter()
            .any(|lane| lane.ledger.in_flight.first().is_some());
        let late_ns = self.lanes.iter().map(|lane| lane.may_read_late_ns(now_ns)).min();
        if let Some(late_ns @ 1..) = late_ns.filter(|_| awaited) {
            // One wake-up for the next request and the answers to the ones before.
            let until_ns = wake_ns.min(now_ns + late_ns);
            let asked_ns = until_ns - self.lead.median_ns.min(until_ns - now_ns);
            if self.shared.poller.wait_for_ends(asked_ns - now_ns)? {
                self.lead.note(asked_ns, self.shared.clock.now_ns());
            }
            return Ok(until_ns);
        }
        let asked_ns = wake_ns - self.lead.median_ns;
        self.shared.poller.wait(asked_ns - now_ns)?;
        if self.shared.poller.ready_count() == 0 {
            self.lead.note(asked_ns, self.shared.clock.now_ns());
        }
        Ok(wake_ns)
    }

    fn handle(&mut self) {
        self.shared.wall_ahead_ns = self.shared.clock.wall_ahead_ns();
        let mut looked_ns = self.shared.latest_ns;
        for at in 0..self.shared.poller.ready_count() {
            let Some(ready) = self.shared.poller.ready(at) else {
                self.obey();
                continue;
            };
            let (load, slot, generation) = unpack_token(ready.token);
            if let Some(lane) = self.lanes.get_mut(usize::from(load)) {
                lane.on_event(slot, generation, ready, &mut self.shared);
            }
            // A batch of many answers takes long: arrivals that come due meanwhile must not wait for its end.
            if self.shared.latest_ns - looked_ns >= LOOK_NS {
                looked_ns = self.shared.latest_ns;
                for lane in &mut self.lanes {
                    lane.advance(&mut self.shared);
                }
            }
        }
    }

    fn obey(&mut self) {
        loop {
            let now_ns = self.shared.clock.now_ns();
            match self.inbox.try_recv() {
                Ok(Command::Push(spec)) => self.lanes.iter_mut().for_each(|lane| lane.push_phase(&spec)),
                Ok(Command::End { index, at_ns }) => self
                    .lanes
                    .iter_mut()
                    .for_each(|lane| lane.end_phase(index, at_ns)),
                Ok(Command::Finish) => {
                    self.finishing = true;
                    self.lanes.iter_mut().for_each(|lane| lane.close_open_end(now_ns));
                }
                // The handle was dropped without a word: nobody wants the rest.
                Ok(Command::Abort) | Err(crossbeam_channel::TryRecvError::Disconnected) => {
                    self.aborted = true;
                    self.lanes.iter_mut().for_each(|lane| lane.abort(now_ns));
                    return;
                }
                Err(crossbeam_channel::TryRecvError::Empty) => return,
            }
        }
    }

    /// Reports slices at their boundaries and phases that are over at once.
    fn report(&mut self, now_ns: u64) {
        if now_ns >= self.slice_start_ns + SLICE_NS {
            let end_ns = now_ns / SLICE_NS * SLICE_NS;
            for lane in &mut self.lanes {
                lane.report(self.slice_start_ns, end_ns, &mut self.shared);
            }
            self.slice_start_ns = end_ns;
            self.note_usage();
        }
        for lane in &mut self.lanes {
            lane.settle(self.slice_start_ns, now_ns, &mut self.shared);
        }
    }

    fn note_usage(&self) {
        self.usage.cpu_us.store(thread_cpu_us(), Ordering::Relaxed);
        self.usage
            .reports_lost
            .store(self.shared.reports_lost, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lead_follows_how_late_the_machine_wakes_threads_and_no_further_than_a_busy_one() {
        let mut lead = Lead { median_ns: 0 };
        let mut wake = |late_us: u64| {
            lead.note(1_000_000, 1_000_000 + late_us * NS_PER_US);
            lead.median_ns / NS_PER_US
        };
        // Two of three wake-ups are 60 us late, every third a millisecond: the median is what is told of it.
        let leads: Vec<u64> = (0..600)
            .map(|number| wake(if number % 3 == 0 { 1_000 } else { 60 }))
            .collect();
        assert!(
            leads[300..].iter().all(|lead| (55..=65).contains(lead)),
            "{leads:?}"
        );
        let busy = (0..600).map(|_| wake(5_000)).last();
        assert_eq!(busy, Some(150));
        let quiet = (0..600).map(|_| wake(0)).last();
        assert_eq!(quiet, Some(0));
    }
}
