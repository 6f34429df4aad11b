//! What is stored, and how far that can be trusted.

use squall_model::baseline::{ENTRIES_MAX, Entry};

use super::super::Shown;
use crate::block::{Block, Figure, Tone};
use crate::figure;
use crate::index::change_point;
use crate::render::Part;
use crate::section::Detail;

pub(super) fn part(shown: &Shown, _: Detail) -> Option<Part> {
    let newest = shown.baseline.newest()?;
    let mut blocks = vec![figures(shown, newest), Block::Lead(lead(shown, newest))];
    blocks.extend(notes(shown, newest).into_iter().map(|text| Block::Note {
        tone: Tone::Doubt,
        text,
    }));
    Some(Part::new("summary", "", blocks))
}

fn figures(shown: &Shown, newest: &Entry) -> Block {
    let figure = |name: &str, value: String, beside: String| Figure {
        name: name.to_owned(),
        value,
        beside,
    };
    let entries = shown.baseline.entries.len();
    let changed = shown.trends.iter().filter(|trend| !trend.changes.is_empty());
    let tested = shown.trends.iter().filter(|trend| trend.is_tested());
    Block::Figures(vec![
        figure(
            "Entries",
            figure::count(entries as u64),
            format!("at most {ENTRIES_MAX} are kept"),
        ),
        figure(
            "Runs in the newest",
            figure::count(newest.runs.len() as u64),
            format!("revision {}", newest.revision),
        ),
        figure(
            "Metrics",
            figure::count(shown.trends.len() as u64),
            if shown.is_filtered {
                "of that name".to_owned()
            } else {
                "in it".to_owned()
            },
        ),
        figure(
            "With change points",
            figure::count(changed.count() as u64),
            format!("of {} with entries enough", figure::count(tested.count() as u64)),
        ),
    ])
}

fn lead(shown: &Shown, newest: &Entry) -> String {
    let whose = if shown.is_this_machine {
        "this machine"
    } else {
        "another machine than this"
    };
    let of = match newest.runs.len() {
        1 => "1 run".to_owned(),
        n => format!("the medians of {n} runs"),
    };
    format!(
        "The newest entry, of {}, holds {of} of revision {} on {whose}, {}.",
        figure::wall_time(&newest.saved_at),
        newest.revision,
        shown.machine
    )
}

fn notes(shown: &Shown, newest: &Entry) -> Vec<String> {
    let mut notes = Vec::new();
    if newest.runs.len() == 1 {
        notes.push(
            "The newest entry is one run: how far runs of the same code lie apart is not in it. Save several runs as one entry, and let \
             `squall gate` decide on changes."
                .to_owned(),
        );
    }
    let all = shown.baseline.entries.len();
    let comparable = shown.baseline.comparable().len();
    if comparable < all {
        notes.push(format!(
            "What the scenario does has changed: {} older {} in no trend.",
            all - comparable,
            if all - comparable == 1 {
                "entry is"
            } else {
                "entries are"
            }
        ));
    }
    if comparable < change_point::FEWEST {
        notes.push(format!(
            "No change points are told: that takes {} entries of the same scenario, and there {}.",
            change_point::FEWEST,
            match comparable {
                1 => "is 1".to_owned(),
                n => format!("are {n}"),
            }
        ));
    }
    notes
}
