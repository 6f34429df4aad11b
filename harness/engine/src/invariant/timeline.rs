//! The greatest value received before any moment, as a staircase: the order that one monotonic sequence must keep.
//!
//! Responses must come sorted by the time they were received; a late one is taken all the same, and the answer
//! says whether it may have escaped a response judged before it. One timeline is one sequence: a checker with keys
//! keeps one a key.

use std::collections::VecDeque;

/// What a timeline keeps of a response: its times, and its least and greatest value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extent<V> {
    pub(super) sent_us: u64,
    pub(super) received_us: u64,
    pub(super) load: u16,
    pub(super) least: V,
    pub(super) greatest: V,
}

/// From `received_us` on, exclusive, the greatest value received is `value`.
#[derive(Clone, Debug)]
pub(super) struct Step<V> {
    pub(super) received_us: u64,
    pub(super) value: V,
    pub(super) load: u16,
}

/// How a response relates to those received before it was sent.
#[derive(Clone, Debug)]
pub(super) enum Judgement<V> {
    /// Nothing had been received when it was sent.
    First,
    /// All its values are greater than all received before it was sent.
    Greater,
    /// Its least value isn't greater than this one.
    NotGreater(Step<V>),
    /// It was sent before all that is still remembered.
    Forgotten,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Timeline<V> {
    /// Rising in time and in value. The first stands for all that was forgotten too.
    steps: VecDeque<Step<V>>,
    forgot: bool,
    /// When the newest response taken in was received.
    newest_us: u64,
    keep_us: u64,
    steps_max: usize,
}

impl<V: Ord + Clone> Timeline<V> {
    /// Remembers `keep_us` back from the newest response, in at most `steps_max` steps.
    pub(super) fn new(keep_us: u64, steps_max: usize) -> Self {
        Self {
            steps: VecDeque::new(),
            forgot: false,
            newest_us: 0,
            keep_us,
            steps_max: steps_max.max(1),
        }
    }

    /// Compares a response with those received before it was sent; equal times count as at once.
    pub(super) fn judge(&self, extent: &Extent<V>) -> Judgement<V> {
        let before = self
            .steps
            .partition_point(|step| step.received_us < extent.sent_us);
        match before.checked_sub(1).map(|last| &self.steps[last]) {
            Some(step) if extent.least <= step.value => Judgement::NotGreater(step.clone()),
            Some(_) => Judgement::Greater,
            None if self.forgot => Judgement::Forgotten,
            None => Judgement::First,
        }
    }

    /// Takes a response into the staircase. False if it's late and greater than what was known of its time: then a
    /// response judged already may have had to be greater than it.
    pub(super) fn add(&mut self, extent: &Extent<V>) -> bool {
        let Extent {
            received_us, load, ..
        } = *extent;
        let in_time = received_us >= self.newest_us;
        self.newest_us = self.newest_us.max(received_us);
        let at = self.count_while(|step| step.received_us <= received_us);
        let known = at.checked_sub(1).map(|before| &self.steps[before].value);
        if known.is_some_and(|value| *value >= extent.greatest) {
            return true;
        }
        // Later steps that this one reaches are steps no more; an earlier one of the same time is replaced.
        let start = at - usize::from(at > 0 && self.steps[at - 1].received_us == received_us);
        let end = at
            + self
                .steps
                .range(at..)
                .take_while(|step| step.value <= extent.greatest)
                .count();
        let step = Step {
            received_us,
            value: extent.greatest.clone(),
            load,
        };
        if end == self.steps.len() {
            self.steps.truncate(start);
            self.steps.push_back(step);
        } else {
            self.steps.drain(start..end);
            self.steps.insert(start, step);
        }
        self.forget();
        in_time
    }

    /// How many steps from the first on hold `before`, which is true up to some step and false from there. Looks
    /// from the newest backwards, at ever greater distances: what is asked for is nearly always among the newest,
    /// and there can be millions.
    fn count_while(&self, before: impl Fn(&Step<V>) -> bool) -> usize {
        let (mut low, mut high, mut stride) = (self.steps.len(), self.steps.len(), 1);
        while low > 0 && !before(&self.steps[low - 1]) {
            high = low - 1;
            low = low.saturating_sub(stride);
            stride *= 2;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if before(&self.steps[middle]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn forget(&mut self) {
        let low_us = self.newest_us.saturating_sub(self.keep_us);
        while self.steps.len() > self.steps_max
            || self.steps.get(1).is_some_and(|step| step.received_us < low_us)
        {
            self.steps.pop_front();
            self.forgot = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(sent_us: u64, received_us: u64, value: u64) -> Extent<u64> {
        Extent {
            sent_us,
            received_us,
            load: 0,
            least: value,
            greatest: value,
        }
    }

    fn judged(timeline: &Timeline<u64>, sent_us: u64, value: u64) -> &'static str {
        match timeline.judge(&extent(sent_us, sent_us, value)) {
            Judgement::First => "first",
            Judgement::Greater => "greater",
            Judgement::NotGreater(_) => "not greater",
            Judgement::Forgotten => "forgotten",
        }
    }

    fn steps(timeline: &Timeline<u64>) -> Vec<(u64, u64)> {
        timeline
            .steps
            .iter()
            .map(|step| (step.received_us, step.value))
            .collect()
    }

    #[test]
    fn a_late_response_is_taken_where_it_belongs() {
        let mut timeline = Timeline::new(1000, 100);
        for (received_us, value) in [(10, 1), (20, 5), (20, 6), (30, 4), (40, 9)] {
            assert!(timeline.add(&extent(0, received_us, value)));
        }
        assert_eq!(steps(&timeline), [(10, 1), (20, 6), (40, 9)]);
        assert!(timeline.add(&extent(0, 25, 6)), "nothing new");
        assert!(!timeline.add(&extent(0, 25, 7)));
        assert!(!timeline.add(&extent(0, 15, 8)));
        assert_eq!(steps(&timeline), [(10, 1), (15, 8), (40, 9)]);
        assert!(!timeline.add(&extent(0, 5, 50)));
        assert_eq!(steps(&timeline), [(5, 50)]);
    }

    #[test]
    fn a_response_that_raised_nothing_still_makes_earlier_ones_late() {
        let mut timeline = Timeline::new(1000, 100);
        assert!(timeline.add(&extent(0, 10, 5)));
        assert!(timeline.add(&extent(20, 30, 5)));
        assert!(
            !timeline.add(&extent(0, 15, 7)),
            "the one sent at 20 was not compared with this"
        );
    }

    #[test]
    fn what_is_too_old_is_forgotten_and_said_to_be() {
        let mut timeline = Timeline::new(100, 3);
        assert_eq!(judged(&timeline, 5, 1), "first");
        for at in 1..=3 {
            timeline.add(&extent(0, at * 100, at));
        }
        assert_eq!(steps(&timeline), [(100, 1), (200, 2), (300, 3)]);
        timeline.add(&extent(0, 301, 4));
        assert_eq!(
            steps(&timeline),
            [(200, 2), (300, 3), (301, 4)],
            "at most three, by count"
        );
        timeline.add(&extent(0, 450, 5));
        assert_eq!(
            steps(&timeline),
            [(301, 4), (450, 5)],
            "at most 100 us before the newest, by time"
        );
        assert_eq!(judged(&timeline, 301, 9), "forgotten");
        assert_eq!(judged(&timeline, 302, 9), "greater");
        assert_eq!(judged(&timeline, 302, 4), "not greater");
    }
}
