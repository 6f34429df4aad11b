//! What is read out of the answers to one load on one thread: a batch of values for each thing that is read.
//!
//! An answer counts whole or not at all: where one of the things isn't there, none is kept of it. Messages that come of their own accord
//! may be of several kinds, so of them each thing is read where it is.

use squall_model::observation::ObservedBatch;

use crate::extract::{Extraction, extract};
use crate::fields::Fields;
use crate::protocol::{Answer, KEPT_BODY_BYTES_MAX};

/// See the module.
pub(crate) struct Readings {
    extractions: Vec<Extraction>,
    /// One for each of `extractions`.
    batches: Vec<ObservedBatch>,
}

impl Readings {
    pub(crate) fn new(load: u16, extractions: Vec<Extraction>) -> Readings {
        let batches = (0..extractions.len()).map(|reading| ObservedBatch::of(load, reading as u16));
        Readings {
            batches: batches.collect(),
            extractions,
        }
    }

    /// Reads an answer that was sent for and came at these microseconds; the error says in words what was missing.
    pub(crate) fn read(&mut self, answer: &Answer<'_>, sent_us: u64, received_us: u64) -> Result<(), String> {
        // What is an error elsewhere has no values, also where it was asked for.
        if answer.status >= 400 {
            return Ok(());
        }
        if !answer.whole && self.extractions.iter().any(|one| one.keep().body) {
            return Err(format!("the body is longer than {KEPT_BODY_BYTES_MAX} bytes"));
        }
        self.take(answer, sent_us, received_us)
    }

    /// Reads a message that came of its own accord.
    pub(crate) fn read_message(&mut self, message: &[u8], at_us: u64) {
        for (extraction, batch) in self.extractions.iter().zip(&mut self.batches) {
            // One without what is looked for is one of another kind.
            match extract(extraction, Fields::NONE, message, batch) {
                Ok(()) => batch.close_response(at_us, at_us),
                Err(_) => batch.discard_open(),
            }
        }
    }

    fn take(&mut self, answer: &Answer<'_>, sent_us: u64, received_us: u64) -> Result<(), String> {
        let mut readings = self.extractions.iter().zip(&mut self.batches);
        let read = readings
            .try_for_each(|(extraction, batch)| extract(extraction, answer.fields, answer.body, batch));
        for batch in &mut self.batches {
            match read {
                Ok(()) => batch.close_response(sent_us, received_us),
                Err(_) => batch.discard_open(),
            }
        }
        read
    }

    /// Whether it's time to hand values on.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.batches.iter().any(ObservedBatch::is_full)
    }

    /// Hands on what was read so far.
    pub(crate) fn hand_on(&mut self, mut to: impl FnMut(ObservedBatch)) {
        for batch in &mut self.batches {
            if !batch.is_empty() {
                let empty = ObservedBatch::of(batch.load, batch.reading);
                to(std::mem::replace(batch, empty));
            }
        }
    }
}
