//! `monotonic`: values grow in real time. If a request was sent after a response had come back, each of its values
//! is greater than each of that response's; within one response, each is greater than the one before.
//!
//! `nondecreasing` is the same for what may stand still: a value may also equal those before it, as the version of
//! something that is read again.
//!
//! Requests that overlap in time are in no order, and neither are equal times. Integers are compared as numbers
//! and texts byte by byte (as ULID, `UUIDv7` and KSUID promise to sort); one never with the other. A violation is
//! a value not greater than the one before it in its response, or a response whose least value isn't greater than
//! the greatest received before it was sent.
//!
//! Generator threads hand their batches over one after another, so responses wait here until those up to
//! [`Settings::reorder_max_us`] later have come, and are then judged in the order in which they were received.
//! What was received more than [`Settings::request_max_us`] ago can't matter any more except for its greatest
//! value. A response that broke one of these bounds leaves the verdict unknown where it could have hidden a
//! violation.

use std::collections::BTreeMap;

use squall_model::observation::ObservedBatch;

use super::timeline::{Extent, Judgement, Step, Timeline};
use super::{Findings, Invariant, Moment, Outcome, Settings, Violation, load_name, shortened};

/// Responses that may wait at a time; past it the oldest are judged early. 40 bytes each for integers.
const WAITING_MAX: usize = 2 << 20;

/// Slices of time that what waits is sorted into.
const SLICES: u64 = 64;

/// Steps that a timeline keeps; past it, it forgets sooner than it should. 24 bytes each for integers. One less
/// than a power of two, as one more is there for a moment and memory is taken by doubling.
const STEPS_MAX: usize = (8 << 20) - 1;

/// Time remembered beyond the longest request, as a timeout fires a little late.
const REQUEST_SLACK_US: u64 = 1_000_000;

/// Whether a value may equal one that came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ties {
    Allowed,
    Refused,
}

/// The checker; see the module.
#[derive(Debug)]
pub struct Monotonic {
    loads: Vec<String>,
    integers: Sequence<u64>,
    texts: Sequence<Box<str>>,
    checked: u64,
    findings: Findings,
}

impl Monotonic {
    /// A checker that has seen nothing; values must grow.
    pub fn new(settings: Settings) -> Self {
        Self::with(settings, Ties::Refused)
    }

    /// Likewise; values may stand still.
    pub fn nondecreasing(settings: Settings) -> Self {
        Self::with(settings, Ties::Allowed)
    }

    fn with(settings: Settings, ties: Ties) -> Self {
        Self {
            integers: Sequence::new(&settings, ties),
            texts: Sequence::new(&settings, ties),
            loads: settings.loads,
            checked: 0,
            findings: Findings::default(),
        }
    }

    fn doubt(&self) -> Option<String> {
        let sum = |field: fn(&Doubts) -> u64| field(&self.integers.doubts) + field(&self.texts.doubts);
        let (compared, late, forgotten) = (sum(|d| d.compared), sum(|d| d.late), sum(|d| d.forgotten));
        if self.checked == 0 {
            return Some("no value was seen".to_owned());
        }
        if late > 0 {
            return Some(format!(
                "{late} responses came to the checker later than {} after newer ones; what was judged before \
                 them may have missed a violation",
                Moment(self.integers.reorder_max_us)
            ));
        }
        if forgotten > 0 {
            return Some(format!(
                "{forgotten} responses belong to requests sent longer ago than is remembered, {}",
                Moment(self.integers.request_max_us)
            ));
        }
        (compared == 0).then(|| {
            format!(
                "none of the {} values has to be greater than another",
                self.checked
            )
        })
    }
}

impl Invariant for Monotonic {
    fn observe(&mut self, batch: &ObservedBatch) -> Vec<Violation> {
        let mut reporter = Reporter {
            loads: &self.loads,
            findings: &mut self.findings,
        };
        for response in batch.responses() {
            self.checked += (response.integers.len() + response.texts.len()) as u64;
            let times = (response.sent_us, response.received_us, batch.load);
            self.integers
                .take(times, response.integers.iter().copied(), &mut reporter);
            if response.texts.len() > 0 {
                self.texts
                    .take(times, response.texts.map(Box::from), &mut reporter);
            }
        }
        self.findings.take_reported()
    }

    fn finish(&mut self) -> Outcome {
        let mut reporter = Reporter {
            loads: &self.loads,
            findings: &mut self.findings,
        };
        self.integers.settle_all(&mut reporter);
        self.texts.settle_all(&mut reporter);
        let doubt = self.doubt();
        self.findings.outcome(self.checked, doubt)
    }
}

/// A value that can be ordered and shown.
trait Ordered: Ord + Clone {
    fn shown(&self) -> String;
}

impl Ordered for u64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Ordered for Box<str> {
    fn shown(&self) -> String {
        shortened(self)
    }
}

/// Values of one kind: a timeline, and the responses that wait to enter it.
#[derive(Debug)]
struct Sequence<V> {
    /// By the slice of time in which they were received; each is sorted when its turn comes.
    waiting: BTreeMap<u64, Vec<Extent<V>>>,
    waiting_count: usize,
    slice_us: u64,
    timeline: Timeline<V>,
    newest_us: u64,
    reorder_max_us: u64,
    request_max_us: u64,
    waiting_max: usize,
    ties: Ties,
    doubts: Doubts,
}

/// What speaks for or against the absence of violations.
#[derive(Debug, Default)]
struct Doubts {
    /// Comparisons made.
    compared: u64,
    /// Responses later than the bound that may have hidden a violation.
    late: u64,
    /// Responses sent before all that is remembered.
    forgotten: u64,
}

impl<V: Ordered> Sequence<V> {
    fn new(settings: &Settings, ties: Ties) -> Self {
        Self {
            waiting: BTreeMap::new(),
            waiting_count: 0,
            slice_us: (settings.reorder_max_us / SLICES).max(1),
            timeline: Timeline::new(
                settings.request_max_us.saturating_add(REQUEST_SLACK_US),
                STEPS_MAX,
            ),
            newest_us: 0,
            reorder_max_us: settings.reorder_max_us,
            request_max_us: settings.request_max_us,
            waiting_max: WAITING_MAX,
            ties,
            doubts: Doubts::default(),
        }
    }

    /// Checks the order within one response and lets it wait for its turn.
    fn take(
        &mut self,
        (sent_us, received_us, load): (u64, u64, u16),
        mut values: impl Iterator<Item = V>,
        reporter: &mut Reporter<'_>,
    ) {
        let Some(first) = values.next() else { return };
        let (mut least, mut greatest, mut before) = (first.clone(), first.clone(), first);
        for value in values {
            self.doubts.compared += 1;
            if value < before || (value == before && self.ties == Ties::Refused) {
                reporter.within_response(&before, &value, received_us, load);
            }
            if value > greatest {
                greatest.clone_from(&value);
            } else if value < least {
                least.clone_from(&value);
            }
            before = value;
        }
        // A response can't have come before its request; were it so, it would be judged against what isn't
        // settled.
        let sent_us = sent_us.min(received_us);
        let extent = Extent {
            sent_us,
            received_us,
            load,
            least,
            greatest,
        };
        self.waiting
            .entry(received_us / self.slice_us)
            .or_default()
            .push(extent);
        self.waiting_count += 1;
        self.newest_us = self.newest_us.max(received_us);
        self.settle(reporter);
    }

    /// Judges, in order, the responses received at least `reorder_max_us`, in whole slices, before the newest.
    fn settle(&mut self, reporter: &mut Reporter<'_>) {
        let due_us = self.newest_us.saturating_sub(self.reorder_max_us);
        while let Some(oldest) = self.waiting.first_entry()
            && ((*oldest.key() + 1).saturating_mul(self.slice_us) <= due_us
                || self.waiting_count > self.waiting_max)
        {
            let mut extents = oldest.remove();
            self.waiting_count -= extents.len();
            extents.sort_by_key(|extent| extent.received_us);
            for extent in &extents {
                self.judge(extent, reporter);
                self.doubts.late += u64::from(!self.timeline.add(extent));
            }
        }
    }

    /// Judges all that still wait, in order.
    fn settle_all(&mut self, reporter: &mut Reporter<'_>) {
        self.waiting_max = 0;
        self.settle(reporter);
    }

    fn judge(&mut self, extent: &Extent<V>, reporter: &mut Reporter<'_>) {
        match self.timeline.judge(extent) {
            Judgement::First => {}
            Judgement::Forgotten => self.doubts.forgotten += 1,
            Judgement::Greater => self.doubts.compared += 1,
            // The step is the greatest of what came before, so nothing before it is greater either.
            Judgement::NotGreater(step) if self.ties == Ties::Allowed && step.value == extent.least => {
                self.doubts.compared += 1;
            }
            Judgement::NotGreater(step) => {
                self.doubts.compared += 1;
                reporter.across_responses(&step, extent);
            }
        }
    }
}

/// Counts violations and words those that the call has room for.
struct Reporter<'a> {
    loads: &'a [String],
    findings: &'a mut Findings,
}

impl Reporter<'_> {
    fn within_response<V: Ordered>(&mut self, before: &V, value: &V, received_us: u64, load: u16) {
        self.add(received_us, |loads| {
            format!(
                "{} came after {} in one response, at {} by {}",
                value.shown(),
                before.shown(),
                Moment(received_us),
                load_name(loads, load)
            )
        });
    }

    fn across_responses<V: Ordered>(&mut self, step: &Step<V>, extent: &Extent<V>) {
        self.add(extent.received_us, |loads| {
            format!(
                "{} came at {} by {} to a request sent at {}, after {} had come at {} by {}",
                extent.least.shown(),
                Moment(extent.received_us),
                load_name(loads, extent.load),
                Moment(extent.sent_us),
                step.value.shown(),
                Moment(step.received_us),
                load_name(loads, step.load)
            )
        });
    }

    fn add(&mut self, at_us: u64, text: impl FnOnce(&[String]) -> String) {
        self.findings.count(1);
        if self.findings.has_room() {
            self.findings.report(Violation {
                text: text(self.loads),
                at_us,
            });
        }
    }
}
