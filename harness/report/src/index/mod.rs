//! All runs of a folder on one page: how each ended, and per scenario whether P99 changed its level.
//!
//! Nothing that was found is left out: what can't be read, or can't be trusted, is listed with the reason, and only kept out of the
//! trend. The trend is of like with like: runs on another machine, of another text of the scenario, with other `--set` or with `--quick` are
//! another series, never one line.
//!
//! As in a report, each file in `section/` turns the index into blocks, and the same renderers turn blocks into a format.
//! `json.rs` writes the same for programs. `change_point.rs` finds the changes, and knows no run.

pub mod change_point;
mod chart;
mod json;
mod section;
mod series;
mod summary;

use std::collections::BTreeMap;

use crate::block::{Cell, Link};
use crate::figure;
use crate::render::{Frame, Part};
use crate::section::Detail;
use crate::visible::on_one_line;

pub(crate) use chart::dates;
use series::Scenario;
pub use summary::Summary;

/// What a reader can do with the list; the page is whole without it.
const SCRIPT: &str = include_str!("index.js");

/// A run that was found, whatever became of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its folder, as the reader would name it.
    pub folder: String,
    /// The same as a word of a command line.
    pub argument: String,
    /// Its report as seen from where the page lies; nothing where there is none.
    pub report: Option<Link>,
    /// What it was, or why it can't be read.
    pub summary: Result<Summary, String>,
}

impl Entry {
    /// The last part of its folder.
    fn name(&self) -> &str {
        let path = self.folder.trim_end_matches('/');
        path.rsplit('/').next().unwrap_or(path)
    }

    /// A cell that leads to its report, and names it in command lines.
    fn cell(&self, text: &str) -> Cell {
        let link = self.report.clone().unwrap_or_else(Link::nowhere);
        Cell::plain(text).linked(link.naming(&self.argument))
    }
}

/// A page of a comparison that lies there.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Its file's name.
    pub name: String,
    /// The file as seen from where the page lies.
    pub page: Link,
    /// The runs that its name names, by their place among the entries; none where it is not known.
    pub runs: Vec<usize>,
}

/// All that was found in a folder.
#[derive(Clone, Debug)]
pub struct Index {
    folder: String,
    entries: Vec<Entry>,
    compared: Vec<Compared>,
    notes: Vec<String>,
    /// Those that can be read, by scenario, the one that ran last first.
    scenarios: Vec<Scenario>,
}

impl Index {
    /// The index of `folder`, as the reader names it, with the runs and comparisons in it, and what else is to be said.
    pub fn new(folder: String, entries: Vec<Entry>, compared: Vec<Compared>, notes: Vec<String>) -> Index {
        let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, entry) in entries.iter().enumerate() {
            if let Ok(summary) = &entry.summary {
                by_name.entry(&summary.scenario).or_default().push(at);
            }
        }
        let mut scenarios: Vec<Scenario> = by_name
            .into_values()
            .map(|runs| Scenario::new(&entries, runs))
            .collect();
        let newest = |scenario: &Scenario| summary(&entries, scenario.runs[0]).started_at.clone();
        scenarios.sort_by_key(|scenario| std::cmp::Reverse(newest(scenario)));
        Index {
            folder,
            entries,
            compared,
            notes,
            scenarios,
        }
    }

    fn summary(&self, run: usize) -> &Summary {
        summary(&self.entries, run)
    }

    /// All runs that can be read, the newest first, each with its scenario.
    fn newest_first(&self) -> Vec<(usize, &Scenario)> {
        let scenarios = self.scenarios.iter();
        let mut runs: Vec<(usize, &Scenario)> = scenarios
            .flat_map(|scenario| scenario.runs.iter().map(move |run| (*run, scenario)))
            .collect();
        runs.sort_by(|(a, _), (b, _)| self.summary(*b).started_at.cmp(&self.summary(*a).started_at));
        runs
    }

    /// Those that can't be read, with the reason.
    fn unread(&self) -> impl Iterator<Item = (&Entry, &str)> {
        let entries = self.entries.iter();
        entries.filter_map(|entry| Some((entry, entry.summary.as_ref().err()?.as_str())))
    }

    fn parts(&self, detail: Detail) -> Vec<Part> {
        let parts = section::SECTIONS.iter().flat_map(|parts| parts(self, detail));
        parts.filter(|part| !part.blocks.is_empty()).collect()
    }

    fn title(&self) -> String {
        format!("Runs in {}", self.folder)
    }

    fn frame(&self) -> Frame {
        let newest = self.newest_first();
        let when = newest.first().map_or_else(String::new, |(run, _)| {
            format!("newest run {}", figure::wall_time(&self.summary(*run).started_at))
        });
        Frame {
            title: self.title(),
            heading: self.title(),
            about: String::new(),
            origin: when,
            skip: "Skip to the runs",
            script: SCRIPT,
        }
    }
}

/// The summary of an entry that can be read.
fn summary(entries: &[Entry], run: usize) -> &Summary {
    let summary = entries[run].summary.as_ref();
    summary.expect("only runs that can be read are in a scenario")
}

/// The index as one page.
pub fn html(index: &Index) -> String {
    crate::render::page(&index.frame(), &index.parts(Detail::Full))
}

/// The index in short as Markdown.
pub fn markdown(index: &Index) -> String {
    crate::render::document(&index.title(), &index.parts(Detail::Brief))
}

/// The index in short for a screen `width` characters wide, with ANSI colours if `colour`.
pub fn terminal(index: &Index, width: usize, colour: bool) -> String {
    let title = index.title();
    let (bold, plain) = if colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let heading = format!("{bold}{}{plain}\n\n", on_one_line(&title));
    heading + &crate::render::screen(&title, &index.parts(Detail::Brief), width, colour)
}

/// All of the index as JSON, as docs/index.md describes it.
pub fn json(index: &Index) -> String {
    json::text(index)
}
