//! What came of the gate and why, what was held against what, and what the reader must know before trusting either.

use squall_model::gate::{Arm, Both, GateRecord, GateVerdict};
use squall_model::units::human;

use super::super::{valid, wording};
use crate::block::{Block, Tone};
use crate::figure;
use crate::section::Detail;

/// The most reasons and pieces of advice told; the record has all.
const MOST: usize = 6;

pub(super) fn blocks(record: &GateRecord, detail: Detail) -> Vec<Block> {
    let mut blocks = vec![word(record)];
    // On the page all of it stands beside the plot.
    if detail == Detail::Brief {
        blocks.push(Block::Lead(lead(record)));
    }
    blocks.extend(notes(record));
    if detail == Detail::Brief {
        blocks.extend(early(record).map(Block::Paragraph));
    }
    blocks
}

/// The verdict, with its one reason as what it means.
pub(in super::super) fn word(record: &GateRecord) -> Block {
    let mut reasons = wording::reasons(record);
    let meaning = reasons.remove(0);
    if reasons.len() > MOST {
        let more = reasons.len() - MOST;
        reasons.truncate(MOST);
        reasons.push(format!("and {more} more"));
    }
    Block::Verdict {
        word: wording::verdict(record.verdict),
        tone: wording::tone(record.verdict),
        meaning,
        reasons,
    }
}

/// What was held against what, for how long.
pub(in super::super) fn lead(record: &GateRecord) -> String {
    let about = |arm: Arm| {
        let about = record.arms.of(arm);
        match (about.about.as_str(), about.revision.as_str()) {
            ("", revision) => revision.to_owned(),
            (words, "" | "none") => words.to_owned(),
            // The words may name the revision, shortened or not.
            (words, revision) if words.contains(revision.get(..7).unwrap_or(revision)) => words.to_owned(),
            (words, revision) => format!("{words} ({revision})"),
        }
    };
    let arms = format!(
        "Candidate {} against base {}.",
        about(Arm::Candidate),
        about(Arm::Base)
    );
    let (all, good) = (record.blocks.len(), valid(record).count());
    if all == 0 {
        return format!("{arms} No block was run: {}.", wording::end(record));
    }
    let counted = match all - good {
        0 => wording::blocks(all),
        left_out => format!(
            "{}, of which {left_out} {} not count,",
            wording::blocks(all),
            if left_out == 1 { "does" } else { "do" }
        ),
    };
    format!(
        "{arms} {counted} in {} of {}; {}.",
        figure::duration(record.duration_us as f64),
        figure::duration(record.budget_us as f64),
        wording::end(record)
    )
}

/// What must be known before trusting the verdict, the gravest first.
pub(in super::super) fn notes(record: &GateRecord) -> Vec<Block> {
    let mut notes = Vec::new();
    let mut note = |tone: Tone, text: String| notes.push(Block::Note { tone, text });
    let broken = super::invariants::broken(record).filter(|_| record.verdict != GateVerdict::Regressed);
    if let Some(text) = broken {
        note(Tone::Bad, format!("{text}."));
    }
    if let Some(text) = super::invariants::broken_by_both(record) {
        note(Tone::Doubt, text);
    }
    for (tone, text) in unpaired(record) {
        note(tone, text);
    }
    if !record.advice.is_empty() {
        let advice: Vec<&str> = record.advice.iter().take(MOST).map(String::as_str).collect();
        let about = match record.verdict {
            GateVerdict::Inconclusive => "What would help",
            _ => "To be known",
        };
        note(Tone::Doubt, format!("{about}: {}.", joined(&advice)));
    }
    if !record.blind_spot.is_empty() {
        note(
            Tone::Plain,
            format!("What this pass can't see: {}.", wording::blind_spot(record)),
        );
    }
    if let Some(text) = super::accepted::used(record) {
        note(Tone::Doubt, text);
    }
    if record.same_binary {
        let text = "Both arms run the same binary, so there is no margin: any change that can be told from none counts.";
        note(Tone::Plain, text.to_owned());
    }
    if !record.blocks_merge {
        note(
            Tone::Plain,
            "It only advises (--advise): whatever it finds, it blocks nothing.".to_owned(),
        );
    }
    notes
}

/// Micro-benchmarks that only one arm has. That one is gone is loud: what it would have shown is not looked at any more.
fn unpaired(record: &GateRecord) -> Vec<(Tone, String)> {
    let Some(benchmarks) = &record.benchmarks else {
        return Vec::new();
    };
    let named = |names: &[String]| human::some_of(names, MOST);
    let Both { base, candidate } = &benchmarks.unpaired;
    let mut said = Vec::new();
    if !base.is_empty() {
        let text = format!(
            "The candidate no longer has {}: nothing is said of it.",
            named(base)
        );
        said.push((Tone::Doubt, text));
    }
    if !candidate.is_empty() {
        let text = format!("New, and so not gated: {}.", named(candidate));
        said.push((Tone::Plain, text));
    }
    said
}

/// What it does to the estimates that the gate ended before its last look; nothing where it did not.
pub(in super::super) fn early(record: &GateRecord) -> Option<String> {
    if !record.stopped_early {
        return None;
    }
    let after = wording::blocks(record.looked_at as usize);
    Some(format!(
        "Stopped at its look after {after}, as that was enough. Such estimates lean towards what they stopped for: the true change is \
         likely somewhat smaller. The verdict allows for the looks."
    ))
}

/// Sentences after each other, each without its full stop.
fn joined(texts: &[&str]) -> String {
    let texts: Vec<&str> = texts.iter().map(|text| text.trim_end_matches('.')).collect();
    texts.join("; ")
}
