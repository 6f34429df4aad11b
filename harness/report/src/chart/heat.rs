//! A heat map: how many requests took how long, as shades behind the grid of a chart.
//!
//! The cells are the same in every size of a drawing, only stretched, so a page holds them once.

use std::fmt::Write as _;

use super::scale::Scale;
use super::theme::{SHADES, Theme, shade};
use crate::figure;

/// How many rows of cells a plot has.
const ROWS: usize = 32;

/// Counts over time, in columns that are all as wide.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heat {
    /// How much of the horizontal axis a column takes; the last one may begin on it and end beyond.
    pub wide: f64,
    /// In order from the axis's begin to its end: values, and how often each was seen.
    pub columns: Vec<Vec<(u64, u64)>>,
}

/// The cells on a vertical axis.
pub(super) struct Cells {
    /// By column and row, the topmost row first.
    counts: Vec<[u64; ROWS]>,
    most: u64,
    /// As in [`Heat`].
    wide: f64,
}

impl Heat {
    /// All values.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        self.columns.iter().flatten().map(|(value, _)| *value as f64)
    }

    pub(super) fn cells(&self, vertical: &Scale) -> Cells {
        let row = |value: u64| {
            let position = vertical.position(value as f64)?;
            let share = (vertical.high - position) / (vertical.high - vertical.low);
            Some(((share * ROWS as f64) as usize).min(ROWS - 1))
        };
        let columns = self.columns.iter().map(|column| {
            let mut counts = [0_u64; ROWS];
            for (value, count) in column {
                if let Some(row) = row(*value) {
                    counts[row] = counts[row].saturating_add(*count);
                }
            }
            counts
        });
        let counts: Vec<[u64; ROWS]> = columns.collect();
        let most = counts.iter().flatten().copied().max().unwrap_or(0);
        Cells {
            counts,
            most,
            wide: self.wide,
        }
    }
}

impl Cells {
    /// The count of the fullest cell.
    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// The cells as a group of paths, one for each shade, in a square of one unit: strokes as thick as a row is high.
    pub(super) fn drawn(&self, theme: Theme) -> String {
        let mut paths: [String; SHADES] = Default::default();
        // Nothing lies beyond the axis.
        let columns = self.counts.len() as f64;
        let end = (columns.min(1.0 / self.wide) * 1e3).round() / 1e3;
        for row in 0..ROWS {
            let mut at = 0;
            while at < self.counts.len() {
                let level = self.level(at, row);
                let from = at;
                while at < self.counts.len() && self.level(at, row) == level {
                    at += 1;
                }
                if let Some(level) = level {
                    let width = if at == self.counts.len() { end } else { at as f64 } - from as f64;
                    write!(paths[level], "M{from} {row}h{width}").expect("a String takes every text");
                }
            }
        }
        let mut group = format!(
            "<g fill=\"none\" transform=\"scale({:.9} {}) translate(0 .5)\">",
            self.wide,
            1.0 / ROWS as f64
        );
        for (level, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
            let colour = shade(level, theme);
            write!(group, "<path stroke=\"{colour}\" d=\"{path}\"/>").expect("a String takes every text");
        }
        group + "</g>"
    }

    /// Which shade a cell has: equal steps of the logarithm, so that one request among thousands is still seen.
    fn level(&self, column: usize, row: usize) -> Option<usize> {
        let count = self.counts[column][row];
        let share = (count as f64).ln_1p() / (self.most as f64).ln_1p();
        (count > 0).then(|| ((share * SHADES as f64).ceil() as usize).clamp(1, SHADES) - 1)
    }
}

/// What a legend says of the shades, where `most` is the count of the fullest cell.
pub(crate) fn cells_shown(most: u64) -> String {
    match most {
        0 | 1 => "1 request in a cell".to_owned(),
        most => format!("1 to {} requests in a cell", figure::count(most)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Unit;

    fn heat(columns: &[&[(u64, u64)]]) -> Heat {
        Heat {
            wide: 1.0 / columns.len() as f64,
            columns: columns.iter().map(|column| column.to_vec()).collect(),
        }
    }

    fn cells(heat: &Heat) -> Cells {
        heat.cells(&Scale::of(heat.values(), Unit::Duration, 6))
    }

    #[test]
    fn no_request_is_lost_between_the_cells() {
        let heat = heat(&[&[(1, 3), (90, 4), (100_000, 1)], &[], &[(7_000, 5)]]);
        let cells = cells(&heat);
        let sums: Vec<u64> = cells.counts.iter().map(|column| column.iter().sum()).collect();
        assert_eq!((sums, cells.most()), (vec![8, 0, 5], 5));
    }

    #[test]
    fn slow_requests_lie_above_fast_ones_and_time_goes_to_the_right() {
        let cells = cells(&heat(&[&[(100, 1)], &[(100_000, 1)]]));
        let row = |column: usize| cells.counts[column].iter().position(|count| *count > 0);
        assert!(row(1) < row(0));
    }

    #[test]
    fn neighbours_of_one_shade_are_one_piece_and_a_single_request_is_seen_among_many() {
        let full = [(1_000, 100_000), (50_000, 1)];
        let drawn = cells(&heat(&[&full, &full, &full[..1]])).drawn(Theme::Alone);
        assert_eq!(drawn.matches("<path ").count(), 2, "{drawn}");
        assert_eq!(drawn.matches("h3\"").count(), 1, "{drawn}");
        assert_eq!(drawn.matches("h2\"").count(), 1, "{drawn}");
    }

    #[test]
    fn a_column_that_the_axis_cuts_ends_with_it() {
        let mut heat = heat(&[&[(1_000, 1)], &[(1_000, 1)]]);
        heat.wide = 1.0 / 1.6;
        let drawn = cells(&heat).drawn(Theme::Alone);
        assert!(
            drawn.contains("h1.6\"") && drawn.contains("scale(0.625000000 "),
            "{drawn}"
        );
    }

    #[test]
    fn the_fullest_cell_has_the_last_shade_and_a_single_request_among_many_the_first() {
        let levels = |most: u64| {
            let mut counts = [0; ROWS];
            (counts[0], counts[1]) = (most, 1);
            let cells = Cells {
                counts: vec![counts],
                most,
                wide: 1.0,
            };
            [0, 1, 2].map(|row| cells.level(0, row))
        };
        for most in [100, 12_345, u64::MAX] {
            assert_eq!(levels(most), [Some(SHADES - 1), Some(0), None], "{most}");
        }
        assert_eq!(levels(7), [Some(5), Some(1), None], "ln 2 is a third of ln 8");
        assert_eq!(levels(1), [Some(5), Some(5), None]);
    }
}
