//! How the run ended, why, and what happened in it, in a sentence.

use squall_model::histogram::{quantile, sum as sum_of};
use squall_model::record::{How, LoadMode, LoadRecord, RunRecord, Verdict};

use super::Detail;
use crate::block::{Block, Figure, Tone};
use crate::figure;
use crate::recording::Recording;
use crate::story::story;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    let record = &recording.record;
    let mut blocks = Vec::new();
    if let Some(how) = recording.interruption() {
        blocks.push(Block::Note {
            tone: Tone::Doubt,
            text: interrupted(recording, &how),
        });
    }
    blocks.push(Block::Verdict {
        word: record.verdict.as_str(),
        tone: record.verdict.into(),
        meaning: meaning(record).to_owned(),
        reasons: record.reasons.clone(),
    });
    let story = story(recording);
    if !story.is_empty() {
        blocks.push(Block::Lead(story));
    }
    if detail == Detail::Full {
        blocks.extend(figures(recording));
    }
    blocks.extend(made_of(record).map(|text| Block::Note {
        tone: Tone::Plain,
        text,
    }));
    if record.quick {
        let text = "Made with --quick: phases longer than two seconds were cut to two, so percentiles far out may be missing.";
        blocks.push(Block::Note {
            tone: Tone::Doubt,
            text: text.to_owned(),
        });
    }
    for text in &recording.reading_notes {
        blocks.push(Block::Note {
            tone: Tone::Doubt,
            text: text.clone(),
        });
    }
    blocks
}

/// That this was several runs; nothing where it was one.
fn made_of(record: &RunRecord) -> Option<String> {
    let merged = record.merged.as_ref()?;
    let runs = merged.runs.len();
    let what = match merged.how {
        How::Repeats => {
            format!(
                "Merged from {runs} runs of the same timeline: counts are those of all of them, rates those of one."
            )
        }
        How::Shares => {
            format!("Merged from {runs} shares of one load: counts and rates are those of all together.")
        }
    };
    let differ = if merged.differ.is_empty() {
        String::new()
    } else {
        format!(" They differed in {}.", merged.differ.join("; in "))
    };
    Some(what + &differ)
}

fn meaning(record: &RunRecord) -> &'static str {
    let checks = record.expectations.len() + record.invariants.len();
    match record.verdict {
        Verdict::Pass if checks == 0 => "Nothing was expected of this run, and nothing spoiled its numbers.",
        Verdict::Pass => "Everything that was expected held, and everything needed to say so was seen.",
        Verdict::Fail => "Something that was expected did not hold.",
        Verdict::Invalid => {
            "It can't be said whether what was expected held: something needed to say so is missing or spoiled."
        }
    }
}

fn interrupted(recording: &Recording, how: &str) -> String {
    let at = figure::duration(recording.record.duration_us as f64);
    let mut text = format!(
        "This run did not finish: it was {how} after {at}. What had been written until then is shown"
    );
    if !recording.approximate.is_empty() {
        let phases: Vec<&str> = recording.approximate.iter().map(String::as_str).collect();
        let phases = phases.join(", ");
        text.extend([
            "; the numbers of ",
            &phases,
            " are approximate, because they were put together from the time series",
        ]);
    }
    text.push('.');
    text
}

/// A few large figures over the phases that count; only for a run of one load, since loads can't be added up.
fn figures(recording: &Recording) -> Option<Block> {
    let loads = recording.loads();
    let [load] = loads[..] else { return None };
    let phases = recording.record.phases.iter().filter(|phase| phase.measure);
    let parts: Vec<&LoadRecord> = phases
        .filter_map(|phase| phase.load.get(load))
        .filter(|part| part.mode != LoadMode::Off)
        .collect();
    let sum = |of: fn(&LoadRecord) -> u64| parts.iter().map(|part| of(part)).sum::<u64>();
    let (intended, completed, failed) = (sum(|p| p.intended), sum(|p| p.completed), sum(|p| p.failed));
    if completed == 0 {
        return None;
    }
    let response = sum_of(parts.iter().filter_map(|part| part.response.histogram().ok()));
    let percentile = |name: &str, q: f64| Figure {
        name: name.to_owned(),
        value: figure::or_absent(quantile(&response, q), |us| figure::duration(us as f64)),
        beside: "response time".to_owned(),
    };
    let achieved = if intended > 0 {
        completed as f64 / intended as f64
    } else {
        0.0
    };
    let errors = failed as f64 / completed as f64;
    Some(Block::Figures(vec![
        Figure {
            name: "Requests completed".into(),
            value: figure::count(completed),
            beside: if recording.approximate.is_empty() {
                format!("{} of intended", figure::ratio(achieved))
            } else {
                "about, before it was cut off".to_owned()
            },
        },
        Figure {
            name: "Errors".into(),
            value: figure::ratio(errors),
            beside: format!("{} failed", figure::count(failed)),
        },
        percentile("P50", 0.5),
        percentile("P99", 0.99),
        percentile("P99.9", 0.999),
        Figure {
            name: "Slowest".into(),
            value: if response.is_empty() {
                figure::ABSENT.into()
            } else {
                figure::duration(response.max() as f64)
            },
            beside: "response time".into(),
        },
    ]))
}
