//! A forest plot: of several things an estimate each with its interval, on one axis, over the zones that it is judged by.
//!
//! Named so in meta-analysis, where the lines look like trees. Texts stand beside the plot, on a narrow drawing above it.

use std::fmt::Write as _;

use super::label::{LETTER, TEXT};
use super::scale::Scale;
use crate::block::Tone;
use crate::figure::Unit;
use crate::render::escaped;
use crate::visible::shortened;

/// A forest plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    /// Names it inside the page: letters, digits and dashes.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What it shows, for readers that can't see and as a subtitle.
    pub about: String,
    /// What its axis measures: [`Unit::Change`] or [`Unit::Points`]. More is worse.
    pub unit: Unit,
    /// Whether its zones are explained; of several plots the first does.
    pub has_legend: bool,
    /// The estimates, from top to bottom.
    pub rows: Vec<Estimate>,
}

/// One estimate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// What it is of.
    pub name: String,
    /// What is to be said of it, in small letters.
    pub about: String,
    /// The estimate, in the unit of the axis.
    pub at: Option<f64>,
    /// Where its interval begins; open where there is none.
    pub low: Option<f64>,
    /// Where its interval ends; open where there is none.
    pub high: Option<f64>,
    /// A change below which is of no interest: 0.02 is 2 % or 2 points.
    pub margin: f64,
    /// A change above which must not stay hidden.
    pub tolerance: f64,
    /// What it comes to, in a word or two.
    pub says: String,
    /// The estimate in figures.
    pub figures: String,
    /// How good or bad it is.
    pub tone: Tone,
    /// Whether it only informs: such have no zones, and stay behind.
    pub informs: bool,
}

impl Forest {
    /// The value that says that nothing changed.
    pub(crate) fn none(&self) -> f64 {
        if self.unit == Unit::Change { 1.0 } else { 0.0 }
    }
}

/// What an estimate is judged by, from the left; names for a legend, and the classes of the page.
pub(crate) const ZONES: [(&str, &str); 4] = [
    ("better", "zone good"),
    ("within the margin", "zone same"),
    ("beyond the margin", "zone some"),
    ("beyond the tolerance", "zone bad"),
];

/// Where the texts of a drawing stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Beside the plot.
    Wide,
    /// Above each line of it, as on a phone.
    Narrow,
}

impl Form {
    /// The class of the page that shows it where it fits.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Form::Wide => "wide",
            Form::Narrow => "narrow",
        }
    }

    fn width(self) -> f64 {
        match self {
            Form::Wide => 660.0,
            Form::Narrow => 340.0,
        }
    }

    /// Where the plot begins and ends: beside the longest name that there is room for.
    fn plot(self, forest: &Forest) -> (f64, f64) {
        let letters = forest.rows.iter().map(|row| row.name.chars().count()).max();
        match self {
            Form::Wide => (
                (letters.unwrap_or(0) as f64 * LETTER + 14.0).clamp(120.0, 236.0),
                506.0,
            ),
            Form::Narrow => (2.0, 338.0),
        }
    }

    /// About how many ticks there is room for.
    fn ticks(self) -> usize {
        match self {
            Form::Wide => 7,
            Form::Narrow => 6,
        }
    }

    /// From the top of a row to its plot, and from there to the end of the plot.
    fn row(self) -> (f64, f64) {
        match self {
            Form::Wide => (0.0, 28.0),
            Form::Narrow => (20.0, 18.0),
        }
    }
}

/// Height of the axis, and of a line of small text below a row.
const AXIS: f64 = 22.0;
const ABOUT: f64 = 15.0;
/// What is left free between rows that inform.
const GAP: f64 = 3.0;
/// Height of small text.
const SMALL: u32 = 11;

/// The axis on which all of `forest` is drawn.
pub(crate) fn scale(forest: &Forest, ticks: usize) -> Scale {
    let none = forest.none();
    let some_decide = forest.rows.iter().any(|row| !row.informs);
    let values = forest.rows.iter().flat_map(|row| {
        let tolerated = [none + 1.2 * row.tolerance, none - 0.8 * row.tolerance];
        let judged = [row.low, row.high].into_iter().chain(tolerated.map(Some));
        let judged = judged.filter(|_| !row.informs).flatten();
        // What only informs must not push what decides together.
        judged.chain(row.at.filter(|_| !row.informs || !some_decide))
    });
    Scale::of(values, forest.unit, ticks)
}

/// The plot as an `<svg>` element of a page.
pub(crate) fn draw_forest(forest: &Forest, form: Form) -> String {
    let scale = scale(forest, form.ticks());
    let mut drawing = Drawing {
        form,
        plot: form.plot(forest),
        scale,
        unit: forest.unit,
        y: 6.0,
        out: String::new(),
    };
    for row in &forest.rows {
        drawing.row(row);
    }
    drawing.axis();
    let id = format!("{}-{}", forest.id, form.class());
    format!(
        "<svg class=\"{}\" viewBox=\"0 0 {} {:.0}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>{}</svg>",
        form.class(),
        form.width(),
        drawing.y,
        escaped(&forest.title),
        escaped(&forest.about),
        drawing.out,
    )
}

/// A drawing that grows downwards.
struct Drawing {
    form: Form,
    /// Where the plot begins and ends.
    plot: (f64, f64),
    scale: Scale,
    unit: Unit,
    /// How far down it is.
    y: f64,
    out: String,
}

impl Drawing {
    /// Where a value is drawn, and whether that is where it lies.
    fn x(&self, value: f64) -> Option<(f64, bool)> {
        let at = self.scale.position(value)?;
        let (left, right) = self.plot;
        let share = (at - self.scale.low) / (self.scale.high - self.scale.low);
        Some((left + share * (right - left), !self.scale.is_beyond(value)))
    }

    fn row(&mut self, row: &Estimate) {
        let (above, height) = self.form.row();
        let top = self.y + above;
        if !row.informs {
            self.zones(row, top, height);
        }
        self.grid(top, height);
        self.estimate(row, top + height / 2.0);
        self.texts(row, top, height);
        self.y = top + height;
        if !row.about.is_empty() {
            let room = self.form.width() - 8.0;
            self.small(&row.about, (0.0, self.y + ABOUT / 2.0), room);
            self.y += ABOUT;
        }
        if row.informs || self.form == Form::Narrow || !row.about.is_empty() {
            self.y += GAP;
        }
    }

    /// Shades the row by what its estimate is judged by.
    fn zones(&mut self, row: &Estimate, top: f64, height: f64) {
        let (left, right) = self.plot;
        let limits = match self.unit {
            Unit::Change => [1.0 / (1.0 + row.margin), 1.0 + row.margin, 1.0 + row.tolerance],
            _ => [-row.margin, row.margin, row.tolerance],
        };
        let mut from = left;
        let ends = limits.into_iter().map(Some).chain([None]);
        for (end, (_, class)) in ends.zip(ZONES) {
            let to = end
                .map_or(Some(right), |end| self.x(end).map(|(x, _)| x))
                .unwrap_or(from);
            if to > from {
                let width = to - from;
                let _ = write!(
                    self.out,
                    "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
                );
            }
            from = to;
        }
    }

    fn grid(&mut self, top: f64, height: f64) {
        let bottom = top + height;
        for tick in self.scale.ticks.clone() {
            let (left, right) = self.plot;
            let share = (tick - self.scale.low) / (self.scale.high - self.scale.low);
            let x = left + share * (right - left);
            let class = if tick.abs() < 1e-12 { "none" } else { "grid" };
            let _ = write!(
                self.out,
                "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>"
            );
        }
    }

    /// The interval with its ends, arrows where it goes on beyond, and the estimate.
    fn estimate(&mut self, row: &Estimate, y: f64) {
        let class = class(row);
        let Some((at, at_inside)) = row.at.and_then(|at| self.x(at)) else {
            return;
        };
        let (left, right) = self.plot;
        if row.low.is_some() || row.high.is_some() {
            let end = |value: Option<f64>, edge: f64| {
                let placed = value.and_then(|value| self.x(value));
                placed
                    .filter(|(_, inside)| *inside)
                    .map_or((edge, true), |(x, _)| (x, false))
            };
            let (from, to) = (end(row.low, left + 1.0), end(row.high, right - 1.0));
            let mut path = format!("M{:.1} {y:.1}H{:.1}", from.0, to.0);
            for ((x, is_open), inwards) in [(from, 6.0), (to, -6.0)] {
                let _ = if is_open {
                    write!(
                        path,
                        "M{:.1} {:.1}L{x:.1} {y:.1}L{:.1} {:.1}",
                        x + inwards,
                        y - 5.0,
                        x + inwards,
                        y + 5.0
                    )
                } else {
                    write!(path, "M{x:.1} {:.1}V{:.1}", y - 5.0, y + 5.0)
                };
            }
            let _ = write!(self.out, "<path class=\"{class}\" d=\"{path}\"/>");
        }
        let _ = match (row.informs, at_inside) {
            (true, true) => write!(
                self.out,
                "<circle class=\"{class}\" cx=\"{at:.1}\" cy=\"{y:.1}\" r=\"4\"/>"
            ),
            (false, true) => write!(
                self.out,
                "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"8\" height=\"8\"/>",
                at - 4.0,
                y - 4.0
            ),
            // It lies beyond the edge: an arrow head that points there.
            (_, false) => {
                let out = if at > f64::midpoint(left, right) {
                    7.0
                } else {
                    -7.0
                };
                write!(
                    self.out,
                    "<path class=\"{class}\" d=\"M{:.1} {:.1}L{at:.1} {y:.1}L{:.1} {:.1}\"/>",
                    at - out,
                    y - 5.0,
                    at - out,
                    y + 5.0
                )
            }
        };
    }

    fn texts(&mut self, row: &Estimate, top: f64, height: f64) {
        let tone = if row.informs { "informs" } else { tone(row.tone) };
        let width = self.form.width();
        let (name_y, says_y, left, right) = match self.form {
            Form::Wide => (top + height / 2.0, top + height / 2.0, 0.0, self.plot.1 + 10.0),
            Form::Narrow => (top - 10.0, top - 10.0, 0.0, width),
        };
        let says = match (row.figures.as_str(), row.says.as_str()) {
            (figures, "") => figures.to_owned(),
            (figures, says) => format!("{figures} {says}"),
        };
        let room = match self.form {
            Form::Wide => self.plot.0 - 8.0,
            Form::Narrow => width - 10.0 - says.chars().count() as f64 * LETTER,
        };
        let weight = if row.informs { "informs" } else { "name" };
        self.text(&row.name, (left, name_y), "start", (weight, TEXT), room);
        let (anchor, room) = match self.form {
            Form::Wide => ("start", width - right),
            Form::Narrow => ("end", width),
        };
        self.text(&says, (right, says_y), anchor, (tone, TEXT), room);
    }

    fn axis(&mut self) {
        let y = self.y + 10.0;
        let (left, right) = self.plot;
        for tick in self.scale.ticks.clone() {
            let share = (tick - self.scale.low) / (self.scale.high - self.scale.low);
            let x = left + share * (right - left);
            let label = self.scale.label(tick);
            let half = (label.chars().count() as f64 + 1.0) * LETTER / 2.0;
            let inside = x.clamp(half, self.form.width() - half);
            // A label that would have to move far from its tick is left out.
            if (inside - x).abs() > LETTER {
                continue;
            }
            let x = inside;
            self.text(&label, (x, y), "middle", ("informs", TEXT), f64::INFINITY);
        }
        self.y += AXIS;
    }

    fn small(&mut self, text: &str, at: (f64, f64), room: f64) {
        self.text(text, at, "start", ("informs", SMALL), room);
    }

    /// A text as far as there is room for it; the whole of what was cut for a pointer that rests there.
    fn text(&mut self, text: &str, (x, y): (f64, f64), anchor: &str, (class, size): (&str, u32), room: f64) {
        let letters = if room.is_finite() {
            (room / (LETTER * f64::from(size) / f64::from(TEXT))) as usize
        } else {
            usize::MAX
        };
        let shown = shortened(text, letters.max(1));
        let whole = if shown.ends_with('…') {
            format!("<title>{}</title>", escaped(text))
        } else {
            String::new()
        };
        let _ = write!(
            self.out,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" dy=\"0.35em\" text-anchor=\"{anchor}\" font-size=\"{size}\">{}{whole}</text>",
            escaped(&shown)
        );
    }
}

/// What the page calls the tone of a drawn thing.
fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "plain",
        Tone::Good => "good",
        Tone::Doubt => "doubt",
        Tone::Bad => "bad",
    }
}

fn class(row: &Estimate) -> &'static str {
    match (row.informs, row.tone) {
        (true, _) => "mark informs",
        (false, Tone::Plain) => "mark plain",
        (false, Tone::Good) => "mark good",
        (false, Tone::Doubt) => "mark doubt",
        (false, Tone::Bad) => "mark bad",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forest(rows: Vec<Estimate>) -> Forest {
        Forest {
            id: "f".to_owned(),
            title: "T".to_owned(),
            about: "A".to_owned(),
            unit: Unit::Change,
            has_legend: true,
            rows,
        }
    }

    fn estimate(low: f64, at: f64, high: f64) -> Estimate {
        Estimate {
            name: "refresh.p99".to_owned(),
            at: Some(at),
            low: Some(low),
            high: Some(high),
            margin: 0.02,
            tolerance: 0.05,
            ..Estimate::default()
        }
    }

    /// Where the marks of the estimates begin.
    fn marks(svg: &str) -> Vec<f64> {
        let marks = svg.split("<rect class=\"mark").skip(1);
        let x = |mark: &str| {
            mark.split(" x=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .parse()
                .unwrap()
        };
        marks.map(x).collect()
    }

    #[test]
    fn what_is_worse_stands_further_right_and_half_is_as_far_as_twice() {
        let rows = [0.5, 1.0, 2.0]
            .map(|at| estimate(at * 0.9, at, at * 1.1))
            .to_vec();
        for form in [Form::Wide, Form::Narrow] {
            let at = marks(&draw_forest(&forest(rows.clone()), form));
            assert!(at[0] < at[1] && at[1] < at[2], "{at:?}");
            assert!((at[1] - at[0] - (at[2] - at[1])).abs() < 0.3, "{at:?}");
        }
    }

    #[test]
    fn what_only_informs_has_no_zones_and_does_not_push_the_others_together() {
        let alone = draw_forest(&forest(vec![estimate(1.0, 1.05, 1.1)]), Form::Wide);
        let informs = Estimate {
            informs: true,
            ..estimate(1.0, 8.0, 9.0)
        };
        let both = draw_forest(&forest(vec![estimate(1.0, 1.05, 1.1), informs]), Form::Wide);
        assert_eq!(alone.matches("class=\"zone").count(), 4);
        assert_eq!(both.matches("class=\"zone").count(), 4);
        assert_eq!(marks(&alone), marks(&both));
    }

    #[test]
    fn an_open_end_is_an_arrow_at_the_edge() {
        let open = Estimate {
            high: None,
            ..estimate(1.0, 1.05, 1.1)
        };
        let path = |row: Estimate| {
            let svg = draw_forest(&forest(vec![row]), Form::Wide);
            svg.split(" d=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .to_owned()
        };
        assert!(path(open).contains("H505.0") && !path(estimate(1.0, 1.05, 1.1)).contains("H505.0"));
    }

    #[test]
    fn odd_numbers_and_hostile_names_make_a_drawing_all_the_same() {
        let odd = [f64::NAN, f64::INFINITY, 0.0, -1.0, 1e300]
            .map(|at| estimate(at, at, at))
            .to_vec();
        let hostile = Estimate {
            name: "</svg><script>".to_owned(),
            about: "<b>".repeat(40),
            ..Estimate::default()
        };
        for unit in [Unit::Change, Unit::Points] {
            for form in [Form::Wide, Form::Narrow] {
                let rows = odd.iter().cloned().chain([hostile.clone()]).collect();
                let svg = draw_forest(&Forest { unit, ..forest(rows) }, form);
                assert!(
                    !svg.contains("<script") && !svg.contains("NaN") && !svg.contains("inf\""),
                    "{svg}"
                );
                assert_eq!(svg.matches("</svg>").count(), 1);
            }
        }
    }
}
