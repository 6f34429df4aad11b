//! A stored baseline told to people: the newest values, the trend of each over the entries with its change points, and how weak all that is.
//!
//! As in an index, each file in `section/` turns it into blocks, and the same renderers turn blocks into a format. `trend.rs` holds the
//! numbers; changes are found by the index's [`change_point`](crate::index::change_point). `weakness.rs` says in a run's report
//! what an expectation against a stored value is worth.

mod chart;
mod json;
mod section;
mod trend;
mod weakness;

use squall_model::baseline::Baseline;

use crate::figure;
use crate::render::{Frame, Part};
use crate::section::Detail;
use crate::visible::on_one_line;

use trend::Trend;
pub use trend::since_change;
pub(crate) use weakness::{text as weakness, texts as weaknesses};

/// A baseline as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    baseline: Baseline,
    machine: String,
    is_this_machine: bool,
    /// Of the metrics that are asked for, in the order of their keys.
    trends: Vec<Trend>,
    /// Whether only some metrics are asked for.
    is_filtered: bool,
}

/// No metric has the name that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("nothing in the newest entry is called `{asked}`; there are {known}")]
pub struct NoMetric {
    asked: String,
    known: String,
}

impl Shown {
    /// What is shown of a baseline that holds an entry: of all its metrics, or of those called `metric`, as in `refresh.p99`, or `p99` of
    /// whatever has one.
    ///
    /// # Errors
    ///
    /// That there is none of that name.
    pub fn new(baseline: Baseline, is_this_machine: bool, metric: Option<&str>) -> Result<Shown, NoMetric> {
        let mut trends = trend::all(&baseline);
        if let Some(asked) = metric {
            let mut known: Vec<String> = trends.iter().map(|trend| trend.key.path()).collect();
            trends.retain(|trend| trend.key.path() == asked || trend.key.metric == asked);
            if trends.is_empty() {
                known.sort();
                known.dedup();
                let known = known.iter().map(|name| on_one_line(name)).collect::<Vec<_>>();
                return Err(NoMetric {
                    asked: asked.to_owned(),
                    known: known.join(", "),
                });
            }
        }
        Ok(Shown {
            machine: baseline.fingerprint(),
            baseline,
            is_this_machine,
            trends,
            is_filtered: metric.is_some(),
        })
    }

    fn parts(&self, detail: Detail) -> Vec<Part> {
        let parts = section::SECTIONS.iter().filter_map(|part| part(self, detail));
        parts.filter(|part| !part.blocks.is_empty()).collect()
    }

    fn title(&self) -> String {
        format!("Baseline of {}", self.baseline.scenario)
    }

    fn frame(&self) -> Frame {
        let newest = self.baseline.newest();
        Frame {
            title: self.title(),
            heading: self.title(),
            about: String::new(),
            origin: newest.map_or_else(String::new, |entry| {
                format!("{}, saved {}", self.machine, figure::wall_time(&entry.saved_at))
            }),
            skip: "Skip to the values",
            script: "",
        }
    }
}

/// The baseline as one page.
pub fn html(shown: &Shown) -> String {
    crate::render::page(&shown.frame(), &shown.parts(Detail::Full))
}

/// The baseline in short as Markdown.
pub fn markdown(shown: &Shown) -> String {
    crate::render::document(&shown.title(), &shown.parts(Detail::Brief))
}

/// The baseline in short for a screen `width` characters wide, with ANSI colours if `colour`.
pub fn terminal(shown: &Shown, width: usize, colour: bool) -> String {
    let title = shown.title();
    let (bold, plain) = if colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let heading = format!("{bold}{}{plain}\n\n", on_one_line(&title));
    heading + &crate::render::screen(&title, &shown.parts(Detail::Brief), width, colour)
}

/// All of the baseline as JSON, as docs/baselines.md describes it.
pub fn json(shown: &Shown) -> String {
    json::text(shown)
}

#[cfg(test)]
mod tests;
