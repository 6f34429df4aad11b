//! What a lane tells: slices, values, and the ends of phases.

use super::Lane;
use crate::clock::NS_PER_US;
use crate::dispatcher::Shared;
use crate::readings::Readings;
use crate::report::Report;

impl Lane {
    /// Reports what each live phase counted from `start_ns` to `end_ns`, and the values read.
    pub(crate) fn report(&mut self, start_ns: u64, end_ns: u64, shared: &mut Shared) {
        for at in self.ledger.live(end_ns.saturating_sub(1)) {
            self.report_phase(at, start_ns, end_ns, shared);
        }
        self.report_values(shared);
    }

    fn report_phase(&mut self, at: usize, start_ns: u64, end_ns: u64, shared: &mut Shared) {
        let (start_us, end_us) = (start_ns / NS_PER_US, end_ns / NS_PER_US);
        let slice = self.ledger.phases[at].take_slice(self.load, shared.thread, start_us, end_us);
        shared.send(Report::Slice(slice));
    }

    fn report_values(&mut self, shared: &mut Shared) {
        if let Some(readings) = &mut self.ledger.readings {
            readings.hand_on(|values| shared.send(Report::Values(values)));
        }
    }

    /// Reports a full batch of values, and the phases that are over; `start_ns` is where the present slice began.
    pub(crate) fn settle(&mut self, start_ns: u64, now_ns: u64, shared: &mut Shared) {
        if self.ledger.readings.as_ref().is_some_and(Readings::is_full) {
            self.report_values(shared);
        }
        while let Some(phase) = self.ledger.phases.get(self.ledger.first_live)
            && phase.start_ns <= now_ns
            && phase.is_over(now_ns)
        {
            let at = self.ledger.first_live;
            self.report_values(shared);
            self.report_phase(at, start_ns.min(now_ns), now_ns, shared);
            let phase = &mut self.ledger.phases[at];
            phase.retire();
            let ended = Report::PhaseEnded {
                load: self.load,
                phase: phase.index,
                thread: shared.thread,
            };
            shared.send(ended);
            self.ledger.first_live += 1;
            self.shed(now_ns);
        }
    }
}
