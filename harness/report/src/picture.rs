//! Charts of a report as pictures that stand alone: what the page sets around a drawing, title and legend, is part of it.
//!
//! SVG always; with the feature `png` also as PNG, see [`png()`].

#[cfg(feature = "png")]
mod png;

use std::fmt::Write as _;

use crate::block::Block;
use crate::chart::{Chart, LETTER, Line, Plot, Size, TEXT, cells_shown, legend_line, legend_shades};
use crate::recording::Recording;
use crate::render::escaped;
use crate::section::{Detail, SECTIONS};
use crate::visible::shortened;

#[cfg(feature = "png")]
pub use png::{PngError, png};

/// How wide a picture is, in CSS pixels.
const WIDTH: u32 = 960;

/// How high a drawing in it is, alone and in a stack.
const HEIGHT: u32 = 300;
const STACKED: u32 = 110;

/// What is left free around and between the charts.
const MARGIN: u32 = 16;

/// Heights of the title, and of a line of text or of the legend.
const TITLE: u32 = 22;
const ROW: u32 = 18;

/// The most letters of a title, which are larger than the rest.
const TITLE_LENGTH: usize = 90;

/// The length of a line's piece in the legend, with the gap behind it.
const SWATCH: u32 = 34;

/// The most lines that are spent on what a chart shows.
const ABOUT_ROWS: usize = 3;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// There is no chart of that name.
    #[error("there is no chart called `{name}` in this report; there are\n{}", listed(.known))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is: names and titles.
        known: Vec<(String, String)>,
    },
    /// There is no chart at all.
    #[error("this report has no charts: nothing was measured over time")]
    Empty,
}

fn listed(known: &[(String, String)]) -> String {
    let named = known.iter().map(|(name, title)| format!("  {name:<16} {title}"));
    named.collect::<Vec<_>>().join("\n")
}

/// A chart, and whether others of its section share its axis of time.
struct Found {
    chart: Chart,
    is_stacked: bool,
}

/// The charts called `name` as one SVG document on white: those of a section, one above the other, or one by its own name.
pub fn picture(recording: &Recording, name: &str) -> Result<String, PictureError> {
    let sections: Vec<(&str, &str, Vec<Found>)> = SECTIONS
        .iter()
        .map(|section| {
            let blocks = (section.blocks)(recording, Detail::Full);
            (section.id, section.title, charts(blocks))
        })
        .filter(|(.., charts)| !charts.is_empty())
        .collect();
    if sections.is_empty() {
        return Err(PictureError::Empty);
    }
    let mut known = Vec::new();
    for (id, title, charts) in &sections {
        let title = if title.is_empty() {
            "the first screen"
        } else {
            title
        };
        known.push(((*id).to_owned(), format!("all of {title}")));
        known.extend(
            charts
                .iter()
                .filter(|found| found.chart.id != *id)
                .map(|found| (found.chart.id.clone(), shortened(&found.chart.title, 60))),
        );
    }
    for (id, _, charts) in sections {
        if id == name {
            return Ok(drawn(&charts));
        }
        if let Some(found) = charts.into_iter().find(|found| found.chart.id == name) {
            let alone = Found {
                chart: found.chart.on_its_own(),
                is_stacked: false,
            };
            return Ok(drawn(&[alone]));
        }
    }
    Err(PictureError::Unknown {
        name: name.to_owned(),
        known,
    })
}

fn charts(blocks: Vec<Block>) -> Vec<Found> {
    let of = |chart, is_stacked| Found { chart, is_stacked };
    let found = blocks.into_iter().map(|block| match block {
        Block::Chart(chart) => vec![of(*chart, false)],
        Block::Stack(stack) => stack.into_iter().map(|chart| of(chart, true)).collect(),
        Block::Beside { main, side } => [charts(main), charts(side)].into_iter().flatten().collect(),
        _ => Vec::new(),
    });
    found.flatten().collect()
}

fn drawn(charts: &[Found]) -> String {
    let mut body = String::new();
    let mut y = MARGIN;
    for found in charts {
        let plot = Plot::of(&found.chart);
        y = head(&found.chart, plot.fullest(), &mut body, y);
        let size = Size {
            width: WIDTH,
            height: if found.is_stacked { STACKED } else { HEIGHT },
            names: true,
        };
        let (svg, height) = plot.alone(size, y);
        body.push_str(&svg);
        y += height + MARGIN;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" viewBox=\"0 0 {WIDTH} {y}\" \
         font-family=\"sans-serif\" font-size=\"{TEXT}\">\n<rect width=\"{WIDTH}\" height=\"{y}\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

/// Title, what is to be seen, and the legend, which tells of the fullest cell; where the drawing begins.
fn head(chart: &Chart, fullest: Option<u64>, body: &mut String, top: u32) -> u32 {
    let mut y = top + TITLE;
    text(
        body,
        (MARGIN, y - 6),
        TEXT + 3,
        "font-weight=\"bold\" fill=\"#1c2330\"",
        &shortened(&chart.title, TITLE_LENGTH),
    );
    for line in wrapped(&chart.about) {
        y += ROW;
        text(body, (MARGIN, y - 5), TEXT, "fill=\"#5b6472\"", &line);
    }
    let mut x = MARGIN;
    y += ROW;
    for Line { label, ink, .. } in &chart.lines {
        let label = shortened(label, 40);
        let width = SWATCH + (label.chars().count() as f64 * LETTER) as u32 + MARGIN;
        if x > MARGIN && x + width > WIDTH - MARGIN {
            (x, y) = (MARGIN, y + ROW);
        }
        body.push_str(&legend_line(*ink, (x, y - 9)));
        text(body, (x + SWATCH, y - 5), TEXT, "fill=\"#1c2330\"", &label);
        x += width;
    }
    if let Some(most) = fullest {
        body.push_str(&legend_shades((x, y - 14)));
        text(
            body,
            (x + 92, y - 5),
            TEXT,
            "fill=\"#1c2330\"",
            &cells_shown(most),
        );
    }
    y + 4
}

fn text(body: &mut String, (x, y): (u32, u32), size: u32, more: &str, text: &str) {
    let text = escaped(text);
    writeln!(
        body,
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" {more}>{text}</text>"
    )
    .expect("a String takes every text");
}

/// `text` in lines as long as the picture is wide, as far as there is no font to ask; of more than a few the rest is left out.
fn wrapped(text: &str) -> Vec<String> {
    let most = (f64::from(WIDTH - 2 * MARGIN) / LETTER) as usize;
    let mut lines: Vec<String> = Vec::new();
    for word in shortened(text, most * ABOUT_ROWS)
        .split(' ')
        .filter(|word| !word.is_empty())
    {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(shortened(word, most)),
        }
    }
    lines.truncate(ABOUT_ROWS);
    lines
}
