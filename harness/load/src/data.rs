//! Data: values that differ from request to request. One feed, one file.
//!
//! What a request gets from a feed follows from the feed's seed and the request's number alone: no state, so that neither threads nor
//! what was drawn before changes it. The one exception is [`Sequence`], which counts. A feed reads no file and knows no
//! scenario; [`Values`] draws once per request, so that every placeholder of a request sees the same draw.

mod choice;
mod csv;
mod jsonl;
mod rows;
mod sequence;
mod uniform;
mod zipf;

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use squall_model::seed::Seed;

pub use choice::Choice;
pub use csv::Csv;
pub use jsonl::JsonLines;
pub use rows::{Column, Pick, Rows};
pub use sequence::Sequence;
pub use uniform::Uniform;
pub use zipf::Zipf;

/// The largest file that a feed is made of.
pub const FILE_BYTES_MAX: u64 = 256 << 20;
/// Feeds of one load.
pub const FEEDS_MAX: usize = 1_000;

/// A source of values. What it draws is a number that only the feed itself understands: a value, a rank, a row.
pub trait Feed: Debug + Send + Sync {
    /// What request `number` gets. `count` belongs to the feed and is shared by all threads of a run.
    fn draw(&self, number: u64, count: &AtomicU64) -> u64;

    /// Appends `field` of what was drawn.
    fn write(&self, drawn: u64, field: u16, out: &mut Vec<u8>);
}

/// The seed of the feed `name` of a load, given the load's.
pub fn feed_seed(load: Seed, name: &str) -> Seed {
    load.child("data").child(name)
}

/// Why a feed cannot be made of what was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// The parameters of a distribution are no such.
    #[error("{0}")]
    Parameters(String),
    /// Something is wrong in a line of a file; lines count from 1.
    #[error("line {line}: {problem}")]
    Line {
        /// Which line.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// There is nothing in a file.
    #[error("{0}")]
    Empty(&'static str),
}

/// The feeds of a load, in the order in which [`Slot`](crate::text::Slot)s number them. Plain data: counting begins with
/// [`open`](Feeds::open).
#[derive(Clone, Debug, Default)]
pub struct Feeds(Vec<Arc<dyn Feed>>);

impl Feeds {
    /// These feeds.
    pub fn new(feeds: Vec<Arc<dyn Feed>>) -> Feeds {
        Feeds(feeds)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Begins to draw; clones of what is returned count together.
    pub fn open(&self) -> Values {
        Values {
            feeds: self.0.as_slice().into(),
            counts: self.0.iter().map(|_| AtomicU64::new(0)).collect(),
            drawn: vec![0; self.0.len()],
            taken: Vec::new(),
        }
    }
}

/// What the placeholders of one request stand for: draws from feeds, and values taken from earlier answers.
#[derive(Clone, Debug)]
pub struct Values {
    feeds: Arc<[Arc<dyn Feed>]>,
    counts: Arc<[AtomicU64]>,
    drawn: Vec<u64>,
    taken: Vec<Option<Vec<u8>>>,
}

impl Values {
    /// Draws anew from every feed, for request `number`.
    pub fn draw(&mut self, number: u64) {
        for ((feed, count), drawn) in self.feeds.iter().zip(&*self.counts).zip(&mut self.drawn) {
            *drawn = feed.draw(number, count);
        }
    }

    /// Keeps a value from an answer as number `at`, for later requests.
    pub fn keep(&mut self, at: u16, value: Vec<u8>) {
        let at = usize::from(at);
        if self.taken.len() <= at {
            self.taken.resize(at + 1, None);
        }
        self.taken[at] = Some(value);
    }

    /// Forgets what was kept from answers, for a user who begins anew.
    pub fn forget(&mut self) {
        self.taken.clear();
    }

    /// Appends `field` of what feed number `feed` drew.
    pub(crate) fn write_drawn(&self, feed: u16, field: u16, out: &mut Vec<u8>) {
        let feed = usize::from(feed);
        if let (Some(source), Some(drawn)) = (self.feeds.get(feed), self.drawn.get(feed)) {
            source.write(*drawn, field, out);
        }
    }

    /// The value kept as number `at`.
    pub(crate) fn kept(&self, at: u16) -> Option<&[u8]> {
        self.taken.get(usize::from(at))?.as_deref()
    }
}

/// Holds how often values came up to how often they should have, for the tests of the feeds: Pearson's chi-square, which has
/// as many degrees of freedom as there are values less one. Its 99.99th percentile is below `n + 3.8 sqrt(2 n) + 10`
/// (Wilson and Hilferty, 1931); the seeds are fixed, so a test that passes always does.
#[cfg(test)]
fn assert_distributed(counts: &[u64], expected: &[f64]) {
    assert_eq!(counts.len(), expected.len());
    let squares = counts
        .iter()
        .zip(expected)
        .map(|(&count, &expected)| (count as f64 - expected).powi(2) / expected);
    let chi_square: f64 = squares.sum();
    let freedom = (counts.len() - 1) as f64;
    let limit = freedom + 3.8 * (2.0 * freedom).sqrt() + 10.0;
    assert!(chi_square < limit, "{chi_square} is above {limit}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw_all(feed: &dyn Feed, numbers: impl Iterator<Item = u64>) -> Vec<(u64, String)> {
        let count = AtomicU64::new(0);
        let mut all: Vec<(u64, String)> = numbers
            .map(|number| {
                let mut out = Vec::new();
                feed.write(feed.draw(number, &count), 0, &mut out);
                (number, String::from_utf8(out).unwrap())
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn what_a_request_gets_does_not_depend_on_who_asked_before() {
        let seed = feed_seed(Seed::new(7), "user");
        let csv = Csv::parse(b"a\n1\n2\n3\n4\n5\n").unwrap();
        let feeds: [Box<dyn Feed>; 5] = [
            Box::new(Uniform::new(1, 1_000_000, seed).unwrap()),
            Box::new(Zipf::new(1_000_000, 1.1, seed).unwrap()),
            Box::new(Choice::new(vec![("a".into(), 1), ("b".into(), 2), ("c".into(), 3)], seed).unwrap()),
            Box::new(csv.rows(Pick::Random, seed)),
            Box::new(csv.rows(Pick::InOrder, seed)),
        ];
        for feed in &feeds {
            let one_by_one = draw_all(feed.as_ref(), 0..300);
            // Two threads that take turns, one of them late, and in the other order.
            let shared = draw_all(
                feed.as_ref(),
                (0..300)
                    .rev()
                    .filter(|n| n % 2 == 0)
                    .chain((0..300).filter(|n| n % 2 == 1)),
            );
            assert_eq!(one_by_one, shared, "{feed:?}");
            let distinct: std::collections::BTreeSet<_> = one_by_one.iter().map(|(_, value)| value).collect();
            assert!(distinct.len() >= 3, "{feed:?}");
        }
    }

    #[test]
    fn feeds_of_other_names_draw_other_numbers() {
        let of = |name: &str| {
            let feed = Uniform::new(0, 1_000_000, feed_seed(Seed::new(7), name)).unwrap();
            draw_all(&feed, 0..50)
        };
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
    }

    #[test]
    fn all_placeholders_of_a_request_see_one_draw_and_threads_count_together() {
        let feeds = Feeds::new(vec![Arc::new(Sequence::new(5))]);
        let mut one = feeds.open();
        let mut other = one.clone();
        let seen = |values: &Values| {
            let (mut first, mut second) = (Vec::new(), Vec::new());
            values.write_drawn(0, 0, &mut first);
            values.write_drawn(0, 0, &mut second);
            assert_eq!(first, second);
            String::from_utf8(first).unwrap()
        };
        let mut all = Vec::new();
        for number in 0..3 {
            one.draw(number);
            other.draw(number);
            all.extend([seen(&one), seen(&other)]);
        }
        assert_eq!(all, ["5", "6", "7", "8", "9", "10"]);
        let mut anew = feeds.open();
        anew.draw(0);
        assert_eq!(seen(&anew), "5", "another run counts from the beginning");
    }
}
