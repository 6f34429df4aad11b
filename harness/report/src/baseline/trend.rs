//! The values of one metric over the entries, and where their level changed.

use squall_model::baseline::{Baseline, Entry, Key, Spread};

use crate::figure::{self, Unit};
use crate::index::change_point::{FEWEST, MOST, change_points};

/// One metric over the entries that can be compared with the newest.
#[derive(Clone, Debug)]
pub(super) struct Trend {
    pub(super) key: Key,
    pub(super) unit: Unit,
    /// The entries that have it, by their places among all entries, and its value there; the newest is always among them.
    pub(super) points: Vec<(usize, f64)>,
    /// In order.
    pub(super) changes: Vec<Change>,
}

/// A change of level between two points of a trend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Change {
    /// The first point after it, by its place among the points.
    pub(super) at: usize,
    /// The median from the change before to this one, and from this one to the next.
    pub(super) medians: (f64, f64),
    pub(super) p_value: f64,
}

impl Change {
    /// `×1.42`; nothing where one side has no size.
    pub(super) fn times(&self) -> Option<String> {
        let (before, after) = self.medians;
        (before > 0.0 && after > 0.0).then(|| format!("×{}", figure::three(after / before)))
    }
}

impl Trend {
    /// The newest value.
    pub(super) fn newest(&self) -> f64 {
        self.points.last().map_or(f64::NAN, |(_, value)| *value)
    }

    /// Whether there are enough values to look for changes.
    pub(super) fn is_tested(&self) -> bool {
        self.points.len() >= FEWEST
    }

    /// The stretches between changes: from and to which point, and the median there.
    pub(super) fn levels(&self) -> Vec<(usize, usize, f64)> {
        let mut edges = vec![self.points.len().saturating_sub(MOST)];
        edges.extend(self.changes.iter().map(|change| change.at));
        edges.push(self.points.len());
        let stretches = edges.windows(2).filter(|edges| edges[0] < edges[1]);
        stretches
            .map(|edges| (edges[0], edges[1], median(&self.values()[edges[0]..edges[1]])))
            .collect()
    }

    /// How the values lie since the last change.
    pub(super) fn spread(&self) -> Spread {
        let values = self.values();
        let level = &values[self.changes.last().map_or(0, |change| change.at)..];
        Spread {
            entries: level.len() as u64,
            min: level.iter().copied().fold(f64::INFINITY, f64::min),
            max: level.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    fn values(&self) -> Vec<f64> {
        self.points.iter().map(|(_, value)| *value).collect()
    }
}

/// The trend of every metric of the newest entry.
pub(super) fn all(baseline: &Baseline) -> Vec<Trend> {
    let Some(newest) = baseline.newest() else {
        return Vec::new();
    };
    let comparable = baseline.comparable();
    let first = baseline.entries.len() - comparable.len();
    newest
        .values
        .iter()
        .map(|(key, _)| trend(comparable, first, key))
        .collect()
}

fn trend(comparable: &[Entry], first: usize, key: Key) -> Trend {
    let entries = comparable.iter().enumerate();
    let points: Vec<(usize, f64)> = entries
        .filter_map(|(at, entry)| Some((first + at, entry.values.get(&key)?)))
        .collect();
    let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    let found = found(&values);
    let edge = |number: usize| found.get(number).map_or(values.len(), |(at, _)| *at);
    let changes = found.iter().enumerate().map(|(number, (at, p_value))| {
        let before = number.checked_sub(1).map_or(0, edge);
        Change {
            at: *at,
            medians: (
                median(&values[before..*at]),
                median(&values[*at..edge(number + 1)]),
            ),
            p_value: *p_value,
        }
    });
    let changes = changes.collect();
    Trend {
        unit: Unit::of(key.dimension()),
        key,
        points,
        changes,
    }
}

/// Where the level of the values changed: the first value after each change, and how often chance would have done as well.
fn found(values: &[f64]) -> Vec<(usize, f64)> {
    let skipped = values.len().saturating_sub(MOST);
    let recent = &values[skipped..];
    // A factor counts the same up and down, and whatever the level; what may be zero has no factors.
    let scaled: Vec<f64> = if recent.iter().all(|value| *value > 0.0) {
        recent.iter().map(|value| value.ln()).collect()
    } else {
        recent.to_vec()
    };
    let changes = change_points(&scaled).into_iter();
    changes
        .map(|change| (skipped + change.at, change.p_value))
        .collect()
}

/// How many of the newest values have one level: from the last change point on.
pub fn since_change(values: &[f64]) -> usize {
    values.len() - found(values).last().map_or(0, |(at, _)| *at)
}

/// The median of at least one value.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}
