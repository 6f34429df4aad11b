//! Charts as data, and the drawing of them. Knows no run: numbers and names in, SVG out.
//!
//! A page draws a chart in three widths, because text in a scaled-down drawing can't be read on a phone, and shows the
//! one that fits. Colours are roles until the end, so that a page can give them its theme.

mod draw;
mod forest;
mod heat;
mod label;
mod scale;
mod size;
mod theme;
mod thin;

pub(crate) use draw::Plot;
pub use forest::{Estimate, Forest};
pub(crate) use forest::{Form, ZONES, draw_forest, scale as forest_scale};
pub use heat::Heat;
pub(crate) use heat::cells_shown;
pub(crate) use label::{LETTER, TEXT};
pub(crate) use scale::Scale;
pub use size::{MEDIUM, NARROW, NARROW_PANEL, PANEL, Size, WIDE};
pub use theme::Theme;
pub(crate) use theme::{legend_line, legend_shades, shades, swatch};

/// One chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Names it inside the page: letters, digits and dashes.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What it shows and what is to be seen in it, for readers that can't see and as a subtitle.
    pub about: String,
    /// What the horizontal axis measures.
    pub x: Horizontal,
    /// What the vertical axis measures.
    pub unit: crate::figure::Unit,
    /// The lines, in the order of the legend.
    pub lines: Vec<Line>,
    /// Cells that lie behind the lines, where the chart is a heat map.
    pub heat: Option<Heat>,
    /// What lies behind the lines.
    pub marks: Marks,
    /// Whether it stands alone.
    pub place: Place,
}

/// Where a chart stands in a stack of charts on one axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// It stands alone.
    #[default]
    Whole,
    /// Above the others, with the names of phases and faults.
    Top,
    /// Between others, with nothing but its lines.
    Middle,
    /// Below the others, with the axis and the states.
    Bottom,
}

impl Place {
    pub(crate) fn has_head(self) -> bool {
        matches!(self, Place::Whole | Place::Top)
    }

    pub(crate) fn has_axis(self) -> bool {
        matches!(self, Place::Whole | Place::Bottom)
    }
}

/// Gives each chart of a stack its place in it.
pub(crate) fn stacked(charts: &mut [Chart]) {
    let last = charts.len().saturating_sub(1);
    for (at, chart) in charts.iter_mut().enumerate() {
        chart.place = match (at, last) {
            (0, 0) => Place::Whole,
            (0, _) => Place::Top,
            (at, last) if at == last => Place::Bottom,
            _ => Place::Middle,
        };
    }
}

impl Chart {
    /// The chart as it is without the rest of its stack.
    pub(crate) fn on_its_own(self) -> Chart {
        Chart {
            place: Place::Whole,
            ..self
        }
    }
}

/// A horizontal axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Horizontal {
    /// Microseconds from zero to `end_us`.
    Time {
        /// Where it ends.
        end_us: u64,
    },
    /// Quantiles on the scale of `HdrHistogram`: a point's `x` is 1 / (1 - q), drawn logarithmically.
    Quantile,
    /// Runs in their order, from 1 to `runs`, with the dates of the marks; moments of marks are such places too.
    Runs {
        /// How many.
        runs: u64,
    },
}

/// One line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its name in the legend.
    pub label: String,
    /// Which colour and dashes, see [`Ink`].
    pub ink: Ink,
    /// Its points, in pieces: between two pieces nothing is known.
    pub pieces: Vec<Vec<(f64, f64)>>,
}

impl Line {
    /// Its points, in order.
    pub fn points(&self) -> impl Iterator<Item = &(f64, f64)> {
        self.pieces.iter().flatten()
    }
}

/// Colour and dashes of a line, by meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// One of seven colours; a higher number starts again from the first.
    Series(u8),
    /// What was asked for.
    Target,
    /// What went wrong.
    Bad,
    /// Something else that went wrong.
    Doubt,
    /// The extreme.
    Extreme,
}

/// What lies behind the lines of a chart on the time axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Marks {
    /// The phases, in order.
    pub phases: Vec<Band>,
    /// Windows that are shaded.
    pub faults: Vec<Shade>,
    /// What these windows are of.
    pub shading: Shading,
    /// What was in which state, a row each below the plot.
    pub tracks: Vec<Track>,
    /// On an axis of runs: where a date begins, and which.
    pub dates: Vec<(u64, String)>,
}

/// What a shaded window is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shading {
    /// A fault.
    #[default]
    Fault,
    /// Where a level changed.
    ChangePoint,
    /// A block that does not count.
    InvalidBlock,
}

impl Shading {
    /// What a legend calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Shading::Fault => "fault",
            Shading::ChangePoint => "change point",
            Shading::InvalidBlock => "block that does not count",
        }
    }
}

/// One thing and the states in which it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// Its name.
    pub name: String,
    /// In order; between two of them nothing is known.
    pub stretches: Vec<Stretch>,
}

/// A time in one state.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    /// Its begin.
    pub start_us: u64,
    /// Its end.
    pub end_us: u64,
    /// The state.
    pub name: String,
    /// The number of the state, by which it keeps its colour in a track; 0 is the one it began in.
    pub shade: usize,
}

/// A phase on the time axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// Its begin.
    pub start_us: u64,
    /// Its end.
    pub end_us: u64,
    /// The number that names it in tables too, and here where its name has no room.
    pub number: usize,
    /// Its name.
    pub name: String,
}

/// The window of a fault on the time axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Shade {
    /// Its begin.
    pub start_us: u64,
    /// Its end.
    pub end_us: u64,
    /// The letter that names it in tables too.
    pub letter: String,
    /// Its name.
    pub name: String,
    /// Whether it was shown to have taken effect.
    pub proved: bool,
}
