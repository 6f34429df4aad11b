//! What speaks against the comparison, and what it found, in a few sentences.

use super::super::change::{Change, too_few};
use super::super::measure::{By, Metric, Of, Row};
use super::super::rank_sum::is_enough;
use super::super::{Comparison, runs, trust};
use crate::block::{Block, Tone};
use crate::section::Detail;

/// The most changes that are named.
const NAMED: usize = 3;

/// What is said where there is nothing to tell a change from noise by.
const ONE_RUN_EACH: &str = "One run each: cannot separate a change from run-to-run variation.";

pub(super) fn blocks(comparison: &Comparison, _: Detail) -> Vec<Block> {
    let mut blocks: Vec<Block> = trust::doubts(comparison)
        .into_iter()
        .map(|(tone, text)| Block::Note { tone, text })
        .collect();
    if comparison.one_run_each() {
        blocks.push(Block::Note {
            tone: Tone::Plain,
            text: format!(
                "{ONE_RUN_EACH} For intervals, make repeats with squall run SCENARIO --runs 5 on each side and compare the two folders."
            ),
        });
    }
    if comparison.rows.is_empty() {
        blocks.push(Block::Note {
            tone: Tone::Bad,
            text: "The runs have no phase and load in common: there is nothing to hold against each other."
                .to_owned(),
        });
        return blocks;
    }
    blocks.extend(
        comparison
            .others()
            .map(|other| Block::Lead(found(comparison, other))),
    );
    blocks
}

/// What is worth a sentence: what a load felt, and what it cost.
fn headlines(comparison: &Comparison, other: usize) -> Vec<(&Row, &Change)> {
    let rows = comparison
        .rows
        .iter()
        .filter(|row| !matches!(row.of, Of::Service(_)));
    rows.map(|row| (row, row.change(other))).collect()
}

fn found(comparison: &Comparison, other: usize) -> String {
    let (before, after) = (&comparison.sides[0], &comparison.sides[other]);
    let (base, name) = (&comparison.names[0], &comparison.names[other]);
    let changes = headlines(comparison, other);
    let largest = match largest(&changes) {
        none if none.is_empty() => "no latency, rate or cost differs by more than 5 %".to_owned(),
        some => format!("the largest differences: {}", some.join("; ")),
    };
    if before.runs.len() == 1 && after.runs.len() == 1 {
        return format!("{name} against {base}, {largest}.");
    }
    let counts = format!(
        "{name} ({}) against {base} ({})",
        runs(after.runs.len()),
        runs(before.runs.len())
    );
    if !is_enough(before.runs.len(), after.runs.len()) {
        let why = too_few(before.runs.len(), after.runs.len());
        return format!("{counts}: {why}; {largest}.");
    }
    let tested = changes
        .iter()
        .filter(|(_, change)| change.interval.is_some())
        .count();
    let (worse, better) = (borne_out(&changes, true), borne_out(&changes, false));
    let by_chance = format!(
        "Of {tested} numbers with an interval at 95 %, one in twenty stands out by chance; nothing here corrects for that."
    );
    if worse.0 + better.0 == 0 {
        return format!("{counts}: nothing changed beyond what the runs vary by. {by_chance}");
    }
    let lists: Vec<String> = [("Worse", worse), ("Better", better)]
        .into_iter()
        .filter_map(|(what, found)| listed(what, found))
        .collect();
    format!("{counts}. {} {by_chance}", lists.join(" "))
}

/// `Worse: ...; and 3 more.`; nothing for none.
fn listed(what: &str, (count, names): (usize, Vec<String>)) -> Option<String> {
    let more = match count.saturating_sub(names.len()) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    (count > 0).then(|| format!("{what}: {}{more}.", names.join("; ")))
}

/// How many changes the runs bear out in one direction, and the largest of them.
fn borne_out(changes: &[(&Row, &Change)], worse: bool) -> (usize, Vec<String>) {
    let mut found: Vec<&(&Row, &Change)> = changes
        .iter()
        .filter(|(row, change)| {
            let metric = row.metric;
            change.is_borne_out(metric.by()) && change.is_worse(metric.by(), metric.better()) == Some(worse)
        })
        .collect();
    sort(&mut found);
    (found.len(), found.into_iter().take(NAMED).map(named).collect())
}

/// The largest differences of single runs. The far tail and single pauses differ from run to run anyhow, and are left to the
/// tables.
fn largest(changes: &[(&Row, &Change)]) -> Vec<String> {
    let mut found: Vec<&(&Row, &Change)> = changes
        .iter()
        .filter(|(row, change)| {
            let least = match row.metric.by() {
                By::Ratio => 0.05,
                By::Difference => 0.001,
            };
            ![Metric::P999, Metric::PauseMax].contains(&row.metric)
                && !change.spoilt
                && change.size(row.metric.by()) > least
        })
        .collect();
    sort(&mut found);
    found.into_iter().take(NAMED).map(named).collect()
}

fn sort(changes: &mut [&(&Row, &Change)]) {
    changes.sort_by(|(a, one), (b, two)| two.size(b.metric.by()).total_cmp(&one.size(a.metric.by())));
}

/// `P99 of next_id in steady ×1.24 (1.10 to 1.31)`.
fn named((row, change): &(&Row, &Change)) -> String {
    let what = match &row.of {
        Of::Load(load) => format!("{} of {load}", row.metric.name()),
        Of::All | Of::Service(_) => row.metric.name().to_owned(),
    };
    let by = row.metric.by();
    let beside = match change.interval_text(by) {
        Some(interval) => interval,
        None => change.values_text(row.metric.unit()),
    };
    format!("{what} in {} {} ({beside})", row.phase, change.text(by))
}
