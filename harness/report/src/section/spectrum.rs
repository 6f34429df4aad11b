//! The whole distribution of response time per phase, on the scale of `HdrHistogram`: each step to the right is one
//! more nine.

use squall_model::histogram::{Histogram, SAMPLES_BEYOND};
use squall_model::record::LoadMode;

use super::Detail;
use crate::block::Block;
use crate::chart::{Chart, Horizontal, Ink, Line, Marks, Place};
use crate::figure::Unit;
use crate::over_time::CHARTS;
use crate::recording::Recording;

/// The most phases in one chart, the first ones.
const LINES: usize = 7;
/// Points per nine.
const PER_DECADE: u32 = 40;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    let loads = recording.loads();
    let charts: Vec<Chart> = loads
        .iter()
        .take(CHARTS)
        .enumerate()
        .filter_map(|(at, load)| chart(recording, at, load))
        .collect();
    let mut blocks = Vec::new();
    if !charts.is_empty() {
        let text = "How slow the slowest are: at 99 % one request in a hundred was slower than the line, at 99.9 % one in a \
                    thousand. A line ends where fewer than 10 requests lie beyond.";
        blocks.push(Block::Paragraph(text.to_owned()));
    }
    blocks.extend(charts.into_iter().map(|chart| Block::Chart(Box::new(chart))));
    blocks
}

fn chart(recording: &Recording, at: usize, load: &str) -> Option<Chart> {
    let phases = recording
        .record
        .phases
        .iter()
        .filter(|phase| phase.measure || recording.record.phases.len() == 1);
    let parts = phases.filter_map(|phase| Some((&phase.name, phase.load.get(load)?)));
    let measured: Vec<(&String, Histogram)> = parts
        .filter(|(_, part)| part.mode != LoadMode::Off && part.response.count > 0)
        .filter_map(|(name, part)| Some((name, part.response.histogram().ok()?)))
        .collect();
    let more = measured.len().saturating_sub(LINES);
    let lines: Vec<Line> = measured
        .iter()
        .take(LINES)
        .enumerate()
        .map(|(ink, (name, histogram))| Line {
            label: (*name).clone(),
            ink: Ink::Series(ink as u8),
            pieces: vec![points(histogram)],
        })
        .filter(|line| line.points().next().is_some())
        .collect();
    let about = match more {
        0 => "Response time by percentile, a line per phase.".to_owned(),
        n => format!("Response time by percentile, a line per phase; {n} more phases are not drawn."),
    };
    spectrum(at, load, about, lines)
}

/// The chart of spectra numbered `at`, of what `of` names; nothing where no line has a point.
pub(crate) fn spectrum(at: usize, of: &str, about: String, lines: Vec<Line>) -> Option<Chart> {
    let is_drawn = lines.iter().any(|line| line.points().next().is_some());
    is_drawn.then(|| Chart {
        id: format!("spectrum-{at}"),
        title: format!("{of}: response time by percentile"),
        about,
        x: Horizontal::Quantile,
        unit: Unit::Duration,
        lines,
        marks: Marks::default(),
        heat: None,
        place: Place::Whole,
    })
}

/// From the median's left to where ten samples lie beyond: (1 / (1 - q), value).
pub(crate) fn points(histogram: &Histogram) -> Vec<(f64, f64)> {
    let last = (histogram.len() as f64 / SAMPLES_BEYOND).log10();
    if last < 0.0 {
        return Vec::new();
    }
    let steps = (last * f64::from(PER_DECADE)).floor() as u32;
    let decades = (0..=steps)
        .map(|step| f64::from(step) / f64::from(PER_DECADE))
        .chain([last]);
    decades
        .map(|decade| {
            let inverse = 10f64.powf(decade);
            (inverse, histogram.value_at_quantile(1.0 - 1.0 / inverse) as f64)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use squall_model::histogram::empty;

    use super::*;

    #[test]
    fn the_line_ends_where_ten_samples_lie_beyond() {
        let mut histogram = empty();
        (1..=10_000).for_each(|us| histogram.saturating_record(us));
        let points = points(&histogram);
        let (inverse, value) = points[points.len() - 1];
        assert!(
            (inverse - 1_000.0).abs() < 1e-6 && (9_980.0..=9_999.0).contains(&value),
            "{inverse} {value}"
        );
        assert!(
            points
                .windows(2)
                .all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1)
        );
    }

    #[test]
    fn nine_samples_make_no_line() {
        let mut histogram = empty();
        histogram.record_n(5, 9).unwrap();
        assert_eq!(points(&histogram), []);
    }
}
