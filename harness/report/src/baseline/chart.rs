//! One metric over the entries, drawn as the index draws P99 over runs.

use super::Shown;
use super::trend::Trend;
use crate::chart::{Chart, Horizontal, Ink, Line, Marks, Place, Shade, Shading};
use crate::figure;
use crate::index::{change_point, dates};
use crate::marks::letter;

/// The chart of the `at`-th trend that is drawn.
pub(super) fn chart(shown: &Shown, at: usize, trend: &Trend) -> Chart {
    // Places count from 1.
    let place = |point: usize| (point + 1) as f64;
    let points: Vec<(f64, f64)> = trend
        .points
        .iter()
        .enumerate()
        .map(|(at, (_, value))| (place(at), *value))
        .collect();
    let mut pieces = vec![points.clone()];
    // A piece of one point is drawn as a dot.
    pieces.extend(points.into_iter().map(|point| vec![point]));
    let mut lines = vec![Line {
        label: trend.key.path(),
        ink: Ink::Series(0),
        pieces,
    }];
    if !trend.changes.is_empty() {
        let levels = trend.levels().into_iter();
        lines.push(Line {
            label: "median between change points".to_owned(),
            ink: Ink::Target,
            pieces: levels
                .map(|(from, to, median)| vec![(place(from), median), (place(to - 1), median)])
                .collect(),
        });
    }
    let shades = trend.changes.iter().enumerate().map(|(number, change)| Shade {
        // Between the last point before and the first after.
        start_us: change.at as u64,
        end_us: change.at as u64 + 1,
        letter: letter(number),
        name: change.times().unwrap_or_else(|| "change".to_owned()),
        proved: true,
    });
    let measured = trend.points.iter().zip(1..);
    let measured =
        measured.map(|((entry, _), place)| (place, shown.baseline.entries[*entry].measured_at.as_str()));
    Chart {
        id: format!("trend-{at}"),
        title: format!("{} in {}", trend.key.path(), trend.key.scope),
        about: about(trend),
        x: Horizontal::Runs {
            runs: trend.points.len() as u64,
        },
        unit: trend.unit,
        lines,
        marks: Marks {
            faults: shades.collect(),
            shading: Shading::ChangePoint,
            dates: dates(measured.collect()),
            ..Marks::default()
        },
        heat: None,
        place: Place::Whole,
    }
}

/// What is to be seen, in words.
fn about(trend: &Trend) -> String {
    let entries = match trend.points.len() {
        1 => "1 entry.".to_owned(),
        n => format!(
            "{} entries in the order in which they were saved.",
            figure::count(n as u64)
        ),
    };
    let found = match (trend.is_tested(), trend.changes.len()) {
        (false, _) => format!(
            "Too few to tell a change: {} are the least.",
            change_point::FEWEST
        ),
        (true, 0) => "No change point.".to_owned(),
        (true, 1) => "1 change point.".to_owned(),
        (true, n) => format!("{n} change points."),
    };
    format!("{entries} {found}")
}
