//! P99 of a scenario over its runs, a line for each series, with what changed marked and named.

use std::collections::BTreeMap;

use super::series::{Change, Scenario, Series};
use super::{Index, change_point};
use crate::chart::{Chart, Horizontal, Ink, Line, Marks, Place, Shade, Shading};
use crate::figure::{self, Unit};
use crate::marks::letter;

/// The most series drawn, the newest: as many as there are inks that the colour-blind can tell apart.
const LINES: usize = 6;
/// The most runs that get a dot each; of more there is no room between them.
const DOTS: usize = 150;

/// The months as dates name them.
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The changes of a scenario with their letters, the oldest first.
pub(super) fn lettered<'s>(index: &Index, scenario: &'s Scenario) -> Vec<(String, &'s Series, &'s Change)> {
    let mut changes: Vec<(&Series, &Change)> = scenario.changes().collect();
    changes.sort_by_key(|(_, change)| &index.summary(change.between.1).started_at);
    let lettered = changes.into_iter().enumerate();
    lettered
        .map(|(at, (series, change))| (letter(at), series, change))
        .collect()
}

/// What the trend of a scenario is of, in words, where all its series are of the same.
pub(super) fn subject(scenario: &Scenario) -> Option<String> {
    let mut of = scenario.series.iter().filter_map(|series| series.of.as_ref());
    let first = of.next()?;
    of.all(|other| other == first)
        .then(|| format!("{} in {}", first.load, first.phase))
}

/// The chart; nothing where no run counts.
pub(super) fn chart(index: &Index, at: usize, scenario: &Scenario) -> Option<Chart> {
    let drawn = || {
        let counted = scenario.series.iter().enumerate();
        counted
            .filter(|(_, series)| !series.points.is_empty())
            .take(LINES)
    };
    let places = places(index, drawn().map(|(_, series)| series));
    if places.is_empty() {
        return None;
    }
    let subject = subject(scenario);
    let mut lines = Vec::new();
    for (number, series) in drawn() {
        lines.push(line(scenario, number, series, &places, subject.is_none()));
    }
    let levels = levels(drawn().map(|(_, series)| series), &places);
    lines.extend((!levels.pieces.is_empty()).then_some(levels));
    let failed = failed(index, drawn().map(|(_, series)| series), &places);
    lines.extend((!failed.pieces.is_empty()).then_some(failed));
    let shades = lettered(index, scenario)
        .into_iter()
        .filter_map(|(letter, _, change)| {
            Some(Shade {
                start_us: *places.get(&change.between.0)?,
                end_us: *places.get(&change.between.1)?,
                name: change.times(),
                letter,
                proved: true,
            })
        });
    let begun = places
        .iter()
        .map(|(run, place)| (*place, index.summary(*run).started_at.as_str()));
    let marks = Marks {
        faults: shades.collect(),
        shading: Shading::ChangePoint,
        dates: dates(begun.collect()),
        ..Marks::default()
    };
    let of = subject.map_or_else(String::new, |subject| format!(" of {subject}"));
    Some(Chart {
        id: format!("trend-{at}"),
        title: format!("P99{of}"),
        about: about(scenario, places.len()),
        x: Horizontal::Runs {
            runs: places.len() as u64,
        },
        unit: Unit::Duration,
        lines,
        marks,
        heat: None,
        place: Place::Whole,
    })
}

/// Where each run stands: its number among those that are drawn, by when they began.
fn places<'s>(index: &Index, series: impl Iterator<Item = &'s Series>) -> BTreeMap<usize, u64> {
    let mut runs: Vec<usize> = series
        .flat_map(|series| series.points.iter().map(|point| point.run))
        .collect();
    runs.sort_by_key(|run| &index.summary(*run).started_at);
    runs.into_iter().zip(1..).collect()
}

fn line(
    scenario: &Scenario,
    number: usize,
    series: &Series,
    places: &BTreeMap<usize, u64>,
    named: bool,
) -> Line {
    let points: Vec<(f64, f64)> = series
        .points
        .iter()
        .filter_map(|point| Some((*places.get(&point.run)? as f64, point.p99_us as f64)))
        .collect();
    let mut label = vec!["P99".to_owned()];
    if scenario.series.len() > 1 {
        label[0] = format!("series {}", number + 1);
        label.push(series.label.clone());
    }
    if let Some(of) = series.of.as_ref().filter(|_| named) {
        label.push(format!("{} in {}", of.load, of.phase));
    }
    let mut pieces = vec![points.clone()];
    if places.len() <= DOTS {
        // A piece of one point is drawn as a dot.
        pieces.extend(points.into_iter().map(|point| vec![point]));
    }
    Line {
        label: label.join(": "),
        ink: Ink::Series(number as u8),
        pieces,
    }
}

/// The median of each stretch between changes, of series that were looked at.
fn levels<'s>(series: impl Iterator<Item = &'s Series>, places: &BTreeMap<usize, u64>) -> Line {
    let mut pieces = Vec::new();
    for series in series.filter(|series| !series.changes.is_empty()) {
        for (from, to, median_us) in series.levels() {
            let place = |at: usize| places.get(&series.points[at].run).map(|place| *place as f64);
            if let (Some(from), Some(to)) = (place(from), place(to - 1)) {
                pieces.push(vec![(from, median_us), (to, median_us)]);
            }
        }
    }
    Line {
        label: "median between change points".to_owned(),
        ink: Ink::Target,
        pieces,
    }
}

fn failed<'s>(
    index: &Index,
    series: impl Iterator<Item = &'s Series>,
    places: &BTreeMap<usize, u64>,
) -> Line {
    let points = series.flat_map(|series| &series.points);
    let failed =
        points.filter(|point| index.summary(point.run).verdict == squall_model::record::Verdict::Fail);
    Line {
        label: "run that failed".to_owned(),
        ink: Ink::Bad,
        pieces: failed
            .filter_map(|point| Some(vec![(*places.get(&point.run)? as f64, point.p99_us as f64)]))
            .collect(),
    }
}

/// Where a day begins, and which; where all is of one day, the times. Of places and when what stands there began.
pub(crate) fn dates(mut runs: Vec<(u64, &str)>) -> Vec<(u64, String)> {
    runs.sort_unstable();
    let day = |started: &str| started.get(..10).unwrap_or_default().to_owned();
    let one_day = runs.windows(2).all(|pair| day(pair[0].1) == day(pair[1].1));
    if one_day {
        let times = runs.into_iter();
        return times
            .map(|(place, started)| (place, started.get(11..16).unwrap_or_default().to_owned()))
            .collect();
    }
    let year = |started: &str| started.get(..4).unwrap_or_default().to_owned();
    let one_year = runs.windows(2).all(|pair| year(pair[0].1) == year(pair[1].1));
    let mut dates: Vec<(u64, String)> = Vec::new();
    let mut last = String::new();
    for (place, started) in runs {
        if day(started) != last {
            dates.push((place, date(started, !one_year)));
            last = day(started);
        }
    }
    dates
}

/// `15 Jan` of an RFC 3339 time, or `15 Jan 26`.
fn date(started: &str, with_year: bool) -> String {
    let number = |from: usize| {
        started
            .get(from..from + 2)
            .and_then(|two| two.parse::<usize>().ok())
    };
    let month = number(5).and_then(|month| MONTHS.get(month.checked_sub(1)?));
    match (number(8), month) {
        (Some(day), Some(month)) if with_year => {
            format!("{day} {month} {}", started.get(2..4).unwrap_or_default())
        }
        (Some(day), Some(month)) => format!("{day} {month}"),
        _ => started.chars().take(10).collect(),
    }
}

/// What is to be seen, in words: this is all that a reader who can't see gets of it.
fn about(scenario: &Scenario, drawn: usize) -> String {
    let runs = match drawn {
        1 => "1 run.".to_owned(),
        n => format!("{} runs in the order in which they ran.", figure::count(n as u64)),
    };
    let changes = scenario.changes().count();
    let tested: Vec<&Series> = scenario
        .series
        .iter()
        .filter(|series| series.is_tested())
        .collect();
    let found = match (tested.is_empty(), changes) {
        (true, _) => format!(
            "Too few runs of a kind to tell a change: {} are the least.",
            change_point::FEWEST
        ),
        (false, 0) => "No change point.".to_owned(),
        (false, 1) => "1 change point.".to_owned(),
        (false, n) => format!("{n} change points."),
    };
    let left_out = scenario
        .series
        .iter()
        .filter(|series| !series.points.is_empty())
        .count()
        .saturating_sub(LINES);
    let left_out = match left_out {
        0 => String::new(),
        n => format!(" {n} older series are not drawn."),
    };
    let longest = tested.iter().map(|series| series.points.len()).max();
    let looked_at = if longest > Some(change_point::MOST) {
        format!(" Changes are looked for in the newest {}.", change_point::MOST)
    } else {
        String::new()
    };
    format!("{runs} {found}{looked_at}{left_out}")
}
