//! Several runs held against each other: what changed, and how sure that is.
//!
//! A comparison has sides; the first is what the others are held against. A side is one run, or repeats of one run.
//! Seconds within one run are not independent, so intervals come only from repeats (`rank_sum.rs`); without them the
//! comparison says that it can't separate a change from what runs vary by anyhow. It informs and never decides.
//!
//! As in a report, each file in `section/` turns the comparison into blocks, and the same renderers turn blocks into a
//! format. `json.rs` writes the same numbers for programs.

mod align;
mod change;
mod diff;
mod json;
mod measure;
mod naming;
pub(crate) mod rank_sum;
mod section;
pub(crate) mod trust;

use crate::block::Block;
use crate::figure;
use crate::recording::Recording;
use crate::render::{Frame, Part};
use crate::section::Detail;
use crate::visible::on_one_line;

pub(crate) use change::median;
pub use rank_sum::MOST_RUNS;

/// A run that is compared.
#[derive(Clone, Debug)]
pub struct Run {
    /// What it is called: the path of its folder as it was given.
    pub name: String,
    /// What was recorded of it.
    pub recording: Recording,
}

/// One side: a run, or repeats of it.
#[derive(Clone, Debug)]
pub struct Side {
    /// What the reader calls it; empty for a single run, which is then named by what tells it from the others.
    pub name: String,
    /// Its runs, the oldest first; at least one.
    pub runs: Vec<Run>,
}

/// Sides of one scenario.
#[derive(Clone, Debug)]
pub struct Comparison {
    sides: Vec<Side>,
    names: Vec<String>,
    rows: Vec<measure::Row>,
}

impl Comparison {
    /// The comparison of `sides`, the first of which is what the others are held against; nothing where there are
    /// fewer than two, or one without a run.
    pub fn new(sides: Vec<Side>) -> Option<Comparison> {
        if sides.len() < 2 || sides.iter().any(|side| side.runs.is_empty()) {
            return None;
        }
        Some(Comparison {
            names: naming::names(&sides),
            rows: measure::rows(&sides),
            sides,
        })
    }

    /// What it is of: the scenario of the first side.
    pub fn scenario(&self) -> &str {
        &self.base().record.scenario
    }

    /// The newest run of the first side.
    fn base(&self) -> &Recording {
        newest(&self.sides[0])
    }

    /// The sides that are held against the first, with their number.
    fn others(&self) -> impl Iterator<Item = usize> + use<> {
        1..self.sides.len()
    }

    /// Whether no side has more than one run.
    fn one_run_each(&self) -> bool {
        self.sides.iter().all(|side| side.runs.len() == 1)
    }
}

/// The newest run of a side.
fn newest(side: &Side) -> &Recording {
    let newest = side
        .runs
        .iter()
        .max_by(|a, b| a.recording.record.started_at.cmp(&b.recording.record.started_at));
    &newest.expect("a side has a run").recording
}

/// Comparisons of several scenarios on one page.
#[derive(Clone, Debug, Default)]
pub struct Comparisons {
    /// One for each scenario, at least one.
    pub of: Vec<Comparison>,
    /// What was left out, in sentences.
    pub notes: Vec<String>,
}

impl Comparisons {
    fn title(&self) -> String {
        match &self.of[..] {
            [] => "Nothing compared".to_owned(),
            [one] => one.scenario().to_owned(),
            many => format!("{} scenarios", many.len()),
        }
    }

    fn parts(&self, detail: Detail) -> Vec<Part> {
        let mut parts = Vec::new();
        if !self.notes.is_empty() {
            parts.push(Part {
                id: "notes".to_owned(),
                title: String::new(),
                in_navigation: false,
                bare: true,
                blocks: self.notes.iter().map(|text| note(text)).collect(),
            });
        }
        for (at, comparison) in self.of.iter().enumerate() {
            parts.extend(section::SECTIONS.iter().filter_map(|section| {
                let blocks = (section.blocks)(comparison, detail);
                (!blocks.is_empty()).then(|| self.part(at, section, blocks))
            }));
        }
        parts
    }

    /// A section of the comparison of this number. Of several on one page each has its name in every heading, and the navigation
    /// leads to where each begins.
    fn part(&self, at: usize, section: &section::Section, mut blocks: Vec<Block>) -> Part {
        let bare = section.title.is_empty();
        if self.of.len() == 1 {
            return Part {
                id: section.id.to_owned(),
                title: section.title.to_owned(),
                in_navigation: !bare,
                bare,
                blocks,
            };
        }
        for block in &mut blocks {
            prefix(block, at);
        }
        let scenario = self.of[at].scenario();
        let begins = section.id == section::SECTIONS[0].id;
        let title = match section.title {
            "" if begins => scenario.to_owned(),
            "" => String::new(),
            title => format!("{title} – {scenario}"),
        };
        Part {
            id: format!("c{at}-{}", section.id),
            title,
            in_navigation: begins,
            bare,
            blocks,
        }
    }

    fn frame(&self) -> Frame {
        let title = self.title();
        let about = self.of.first().map_or("", |one| one.base().record.about.as_str());
        Frame {
            title: format!("{title} – compared"),
            heading: format!("Compared: {title}"),
            about: if self.of.len() == 1 {
                about.to_owned()
            } else {
                String::new()
            },
            origin: self.of.first().map_or_else(String::new, |one| {
                format!("{} against {}", one.names[1..].join(", "), one.names[0])
            }),
            skip: "Skip to the comparison",
            script: "",
        }
    }
}

fn note(text: &str) -> Block {
    Block::Note {
        tone: crate::block::Tone::Plain,
        text: text.to_owned(),
    }
}

/// Makes the ids of charts differ between the comparisons of one page.
fn prefix(block: &mut Block, at: usize) {
    match block {
        Block::Chart(chart) => chart.id = format!("c{at}-{}", chart.id),
        Block::Stack(charts) => charts
            .iter_mut()
            .for_each(|chart| chart.id = format!("c{at}-{}", chart.id)),
        Block::Beside { main, side } => main.iter_mut().chain(side).for_each(|block| prefix(block, at)),
        _ => {}
    }
}

/// The comparison as one page.
pub fn html(comparisons: &Comparisons) -> String {
    crate::render::page(&comparisons.frame(), &comparisons.parts(Detail::Full))
}

/// The comparison as Markdown, for a pull request.
pub fn markdown(comparisons: &Comparisons) -> String {
    let heading = format!("Compared: {}", comparisons.title());
    crate::render::document(&heading, &comparisons.parts(Detail::Brief))
}

/// The comparison for a screen `width` characters wide, with ANSI colours if `colour`.
pub fn terminal(comparisons: &Comparisons, width: usize, colour: bool) -> String {
    let title = comparisons.title();
    let (bold, plain) = if colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let heading = format!("{bold}Compared: {}{plain}\n\n", on_one_line(&title));
    heading + &crate::render::screen(&title, &comparisons.parts(Detail::Brief), width, colour)
}

/// The numbers of the comparison as JSON, as docs/compare.md describes them.
pub fn json(comparisons: &Comparisons) -> String {
    json::text(comparisons)
}

/// A number of runs in words.
fn runs(n: usize) -> String {
    match n {
        1 => "1 run".to_owned(),
        n => format!("{} runs", figure::count(n as u64)),
    }
}
