//! What one load, phase and thread counts between two slices.

use crate::ledger::Ended;
use crate::recorder::Recorder;
use crate::report::{EXAMPLES_MAX, ErrorKind, Slice};

/// Counts and samples of one phase of one load on one thread.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The slice being filled; its samples stay empty until it's taken.
    pub(crate) counts: Slice,
    pub(crate) response: Recorder,
    pub(crate) service: Recorder,
    pub(crate) lag: Recorder,
    /// How many examples of each kind the phase has given.
    examples: Vec<(ErrorKind, usize)>,
}

impl Tally {
    /// Counts a request that ended, well or badly, with its times.
    #[inline]
    pub(crate) fn complete(&mut self, ended: &Ended) {
        self.counts.completed += 1;
        let Ended {
            request,
            started_ns,
            now_ns,
        } = ended;
        self.response
            .record_ns(now_ns.saturating_sub(request.intended_ns));
        self.service.record_ns(now_ns.saturating_sub(*started_ns));
    }

    /// Counts a failure; `example` says it in words and is only called while examples are wanted.
    pub(crate) fn fail(&mut self, kind: ErrorKind, example: impl FnOnce() -> String) {
        self.counts.failed += 1;
        match self
            .counts
            .errors
            .binary_search_by_key(&kind, |&(known, _)| known)
        {
            Ok(at) => self.counts.errors[at].1 += 1,
            Err(at) => self.counts.errors.insert(at, (kind, 1)),
        }
        let at = self
            .examples
            .iter()
            .position(|&(known, _)| known == kind)
            .unwrap_or_else(|| {
                self.examples.push((kind, 0));
                self.examples.len() - 1
            });
        let given = &mut self.examples[at].1;
        if *given < EXAMPLES_MAX {
            *given += 1;
            self.counts.examples.push((kind, example()));
        }
    }

    /// The slice so far; the next one starts empty.
    pub(crate) fn take(&mut self) -> Slice {
        Slice {
            response: self.response.take(),
            service: self.service.take(),
            lag: self.lag.take(),
            ..std::mem::take(&mut self.counts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_examples_of_a_kind_are_kept_over_all_slices_of_a_phase() {
        let mut tally = Tally::default();
        for at in 0..EXAMPLES_MAX {
            tally.fail(ErrorKind::Reset, || at.to_string());
        }
        tally.fail(ErrorKind::Status(503), || "busy".into());
        let first = tally.take();
        assert_eq!(first.errors, [(ErrorKind::Reset, 3), (ErrorKind::Status(503), 1)]);
        assert_eq!(first.examples.len(), EXAMPLES_MAX + 1);
        tally.fail(ErrorKind::Reset, || unreachable!("no more examples are wanted"));
        let second = tally.take();
        assert_eq!((second.failed, second.examples.len()), (1, 0));
    }
}
