//! Drawing a chart as SVG with plotters.
//!
//! From top to bottom: the phases as a band, the names of the faults over the windows that they shade, the plot, the
//! horizontal axis, a row for each thing that told of its states. Phases, faults and states are in `draw/marks.rs`. The legend is not
//! part of the drawing: the page sets it above, where it can wrap.

mod marks;

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::*;

use super::label::{LETTER, Label, TEXT, placed};
use super::scale::{Scale, quantile_ticks, time_label, time_ticks};
use super::size::{BAND, FACTOR, LABEL_ROW, Size, axis_height, tracks_height, units, with_tracks};
use super::theme::{Role, Theme, coloured};
use super::thin::thinned;
use super::{Chart, Heat, Horizontal, Ink, Line, Place};

/// How thick a line is, in CSS pixels; what is narrower can't be told apart.
const STROKE: u32 = 2;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Coordinates = Cartesian2d<Axis, Axis>;
type Context<'a, 'b> = ChartContext<'b, SVGBackend<'a>, Coordinates>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// A chart of which the vertical axis is known: to find it takes a look at every point, and a page draws a chart in several sizes.
pub(crate) struct Plot<'c> {
    chart: &'c Chart,
    vertical: Scale,
}

impl<'c> Plot<'c> {
    pub(crate) fn of(chart: &'c Chart) -> Plot<'c> {
        let in_cells = chart.heat.iter().flat_map(Heat::values);
        let on_lines = chart.lines.iter().flat_map(Line::points).map(|(_, y)| *y);
        let ticks = if chart.place == Place::Whole { 6 } else { 3 };
        Plot {
            chart,
            vertical: Scale::of(on_lines.chain(in_cells), chart.unit, ticks),
        }
    }

    /// The vertical axis, for a script: `linear` or `log`, and the lowest and the highest position on it.
    pub(crate) fn axis(&self) -> String {
        let kind = if self.vertical.log { "log" } else { "linear" };
        format!("{kind} {} {}", self.vertical.low, self.vertical.high)
    }

    /// The cells of a heat map, for a page to hold once beside its drawings, which refer to them; and the count of the fullest.
    pub(crate) fn cells(&self) -> Option<(String, u64)> {
        let cells = self.chart.heat.as_ref()?.cells(&self.vertical);
        let group = cells.drawn(Theme::Page);
        Some((
            format!("<g id=\"{}-cells\">{group}</g>", self.chart.id),
            cells.most(),
        ))
    }

    /// How many requests the fullest cell of a heat map has.
    pub(crate) fn fullest(&self) -> Option<u64> {
        Some(self.chart.heat.as_ref()?.cells(&self.vertical).most())
    }

    /// The chart as an `<svg>` element for a page, without outside references. `label` makes the ids inside unique in it.
    pub(crate) fn draw(&self, size: Size, label: &str) -> String {
        self.element(size, Theme::Page, label, "")
    }

    /// The chart `y` CSS pixels below the top of the drawing that it is part of, in colours of its own; and its height.
    pub(crate) fn alone(&self, size: Size, y: u32) -> (String, u32) {
        let Size { width, height, .. } = with_tracks(self.chart, size);
        let place = format!(" y=\"{y}\" width=\"{width}\" height=\"{height}\"");
        (self.element(size, Theme::Alone, "alone", &place), height)
    }

    fn element(&self, size: Size, theme: Theme, label: &str, place: &str) -> String {
        let size = with_tracks(self.chart, size);
        let drawing = Drawing::new(self, size);
        let part = |draw: &dyn Fn(&mut String) -> Drawn| {
            let mut svg = String::new();
            draw(&mut svg).expect("a String takes every byte, and every size is a constant");
            let body = svg.split_once('>').map_or("", |(_, body)| body);
            let body = body.rsplit_once("</svg>").map_or(body, |(body, _)| body);
            coloured(body, theme, FACTOR).replace(">\n", ">")
        };
        let (behind, before) = (part(&|svg| drawing.behind(svg)), part(&|svg| drawing.before(svg)));
        let id = format!("{}-{label}", self.chart.id);
        let (width, height) = (size.width * FACTOR, size.height * FACTOR);
        format!(
            "<svg class=\"{label}\"{place} viewBox=\"0 0 {width} {height}\" data-plot=\"{}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>{behind}{}{before}{}{}</svg>",
            drawing.plot(),
            crate::render::escaped(&self.chart.title),
            crate::render::escaped(&self.chart.about),
            drawing.cells(theme),
            drawing.names(theme),
            drawing.track_names()
        )
    }
}

/// An axis with the ticks that it was given.
struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.low) / (self.high - self.low);
        from + (share.clamp(0.0, 1.0) * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

/// One drawing: the chart, where its plot lies and what its axes are.
struct Drawing<'c> {
    chart: &'c Chart,
    size: Size,
    labels: Vec<Label>,
    end: f64,
    vertical: &'c Scale,
}

impl<'c> Drawing<'c> {
    fn new(Plot { chart, vertical }: &'c Plot<'c>, size: Size) -> Drawing<'c> {
        let points = || chart.lines.iter().flat_map(Line::points);
        let end = match chart.x {
            Horizontal::Time { end_us } => end_us.max(1) as f64,
            Horizontal::Runs { runs } => (runs + 1) as f64,
            Horizontal::Quantile => points()
                .map(|(x, _)| x.log10())
                .filter(|x| x.is_finite())
                .fold(1.0, f64::max),
        };
        let mut drawing = Drawing {
            chart,
            size,
            labels: Vec::new(),
            end,
            vertical,
        };
        let limit = drawing.left() + drawing.plot_width();
        if !chart.place.has_head() {
            return drawing;
        }
        drawing.labels = placed(&chart.marks.faults, size.names, limit, |at_us| {
            drawing.pixel(at_us)
        });
        drawing
    }

    fn left(&self) -> f64 {
        if self.size.names { 64.0 } else { 50.0 }
    }

    fn right(&self) -> f64 {
        if self.size.names { 22.0 } else { 16.0 }
    }

    fn plot_width(&self) -> f64 {
        f64::from(self.size.width) - self.left() - self.right()
    }

    /// Where a moment lies, in CSS pixels from the left of the drawing.
    fn pixel(&self, at_us: u64) -> f64 {
        self.left() + (at_us as f64 / self.end).clamp(0.0, 1.0) * self.plot_width()
    }

    /// Where the plot lies, for a script: left, top, right and bottom in units of the drawing, and how many of them are a pixel.
    fn plot(&self) -> String {
        let [left, top, right, bottom] = self.edges();
        format!("{left} {top} {right} {bottom} {FACTOR}")
    }

    /// The plot's left, top, right and bottom in units of the drawing.
    fn edges(&self) -> [i32; 4] {
        let right = self.left() + self.plot_width();
        let bottom = f64::from(self.size.height - axis_height(self.chart) - tracks_height(self.chart));
        [self.left(), f64::from(self.top()), right, bottom].map(units)
    }

    fn has_phases(&self) -> bool {
        self.chart.place.has_head() && !self.chart.marks.phases.is_empty()
    }

    fn label_rows(&self) -> u32 {
        self.labels
            .iter()
            .map(|label| label.row as u32 + 1)
            .max()
            .unwrap_or(0)
    }

    fn top(&self) -> u32 {
        let band = if self.has_phases() { BAND + 2 } else { 8 };
        band + self.label_rows() * LABEL_ROW
    }

    fn root<'a>(&self, svg: &'a mut String) -> Area<'a> {
        SVGBackend::with_string(svg, (self.size.width * FACTOR, self.size.height * FACTOR))
            .into_drawing_area()
    }

    /// What lies behind the cells of a heat map.
    fn behind(&self, svg: &mut String) -> Drawn {
        let root = self.root(svg);
        self.shade_faults(&root)?;
        root.present()
    }

    /// The cells, which move with the axis of time; empty where there are none. A page holds them beside its drawings.
    fn cells(&self, theme: Theme) -> String {
        let Some(heat) = &self.chart.heat else {
            return String::new();
        };
        let [left, top, right, bottom] = self.edges();
        let stretched = format!("matrix({} 0 0 {} {left} {top})", right - left, bottom - top);
        match theme {
            Theme::Page => format!(
                "<use data-k=\"\" href=\"#{}-cells\" transform=\"{stretched}\"/>",
                self.chart.id
            ),
            Theme::Alone => {
                let cells = heat.cells(self.vertical).drawn(theme);
                format!("<g transform=\"{stretched}\">{cells}</g>")
            }
        }
    }

    /// What lies before the cells.
    fn before(&self, svg: &mut String) -> Drawn {
        let root = self.root(svg);
        let mut context = self.axes(&root)?;
        self.mesh(&mut context)?;
        for (number, line) in self.chart.lines.iter().enumerate() {
            self.line(&mut context, number.min(255) as u8, line)?;
        }
        self.band(&root)?;
        self.tracks(&root)?;
        root.present()
    }

    fn axes<'a, 'b>(
        &self,
        root: &'b Area<'a>,
    ) -> Result<Context<'a, 'b>, DrawingAreaErrorKind<std::io::Error>> {
        let most = if self.size.names { 10 } else { 5 };
        let ticks: Vec<f64> = match self.chart.x {
            Horizontal::Time { end_us } => time_ticks(end_us as f64, most),
            Horizontal::Runs { .. } => self.dates().into_iter().map(|(at, _)| at).collect(),
            Horizontal::Quantile => self.quantile_ticks().into_iter().map(|(at, _)| at).collect(),
        };
        ChartBuilder::on(root)
            .margin_top(self.top() * FACTOR)
            .margin_right(self.right() as u32 * FACTOR)
            .margin_bottom(tracks_height(self.chart) * FACTOR)
            .x_label_area_size(axis_height(self.chart) * FACTOR)
            .y_label_area_size(self.left() as u32 * FACTOR)
            .build_cartesian_2d(
                Axis {
                    low: 0.0,
                    high: self.end,
                    ticks,
                },
                Axis {
                    low: self.vertical.low,
                    high: self.vertical.high,
                    ticks: self.vertical.ticks.clone(),
                },
            )
    }

    /// Quantile ticks; on a phone there is no room for both ends of the crowded left side.
    fn quantile_ticks(&self) -> Vec<(f64, String)> {
        let mut ticks = quantile_ticks(self.end);
        if !self.size.names {
            ticks.remove(1);
        }
        ticks
    }

    /// The dates for which there is room.
    fn dates(&self) -> Vec<(f64, &str)> {
        let mut kept: Vec<(f64, &str)> = Vec::new();
        let mut free = 0.0;
        for (at, name) in &self.chart.marks.dates {
            let half = name.chars().count() as f64 * LETTER / 2.0;
            let place = self.pixel(*at);
            if place - half >= free {
                kept.push((*at as f64, name));
                free = place + half + LETTER;
            }
        }
        kept
    }

    fn mesh(&self, context: &mut Context<'_, '_>) -> Drawn {
        let names: Vec<(f64, String)> = match self.chart.x {
            Horizontal::Runs { .. } => {
                let dates = self.dates().into_iter();
                dates.map(|(at, name)| (at, name.to_owned())).collect()
            }
            Horizontal::Time { .. } | Horizontal::Quantile => self.quantile_ticks(),
        };
        let x_label = |x: &f64| match self.chart.x {
            Horizontal::Time { .. } if !self.chart.place.has_axis() => String::new(),
            Horizontal::Time { .. } => time_label(*x, self.end),
            Horizontal::Quantile | Horizontal::Runs { .. } => names
                .iter()
                .find(|(at, _)| (at - x).abs() < 1e-9)
                .map_or_else(String::new, |(_, name)| name.clone()),
        };
        context
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(Role::Grid.stand_in().stroke_width(FACTOR))
            .axis_style(Role::Axis.stand_in().stroke_width(FACTOR))
            .set_all_tick_mark_size(4 * FACTOR)
            .label_style(style(Role::Muted))
            .x_label_style(style(Role::Tick))
            .x_label_formatter(&x_label)
            .y_label_formatter(&|y| self.vertical.label(*y))
            .draw()
    }

    fn line(&self, context: &mut Context<'_, '_>, number: u8, line: &Line) -> Drawn {
        let width = if line.ink == Ink::Extreme {
            FACTOR
        } else {
            FACTOR * STROKE
        };
        let stroke = Role::Line(number, line.ink).stand_in().stroke_width(width);
        let dot = Role::Line(number, line.ink).stand_in().filled();
        for piece in &line.pieces {
            let placed = piece.iter().filter_map(|(x, y)| Some((self.across(*x)?, *y)));
            let placed = placed.filter(|(_, y)| self.vertical.has_place(*y));
            let seen = thinned(placed, self.end, self.size.width / STROKE).into_iter();
            let points = seen.filter_map(|(x, y)| Some((x, self.vertical.position(y)?)));
            let points: Vec<(f64, f64)> = points.collect();
            match points[..] {
                [] => {}
                [point] => {
                    context.draw_series([Circle::new(point, 3 * FACTOR, dot)])?;
                }
                _ => {
                    context.draw_series([PathElement::new(points, stroke)])?;
                }
            }
        }
        Ok(())
    }

    /// Where `x` is drawn from left to right.
    fn across(&self, x: f64) -> Option<f64> {
        let x = match self.chart.x {
            Horizontal::Time { .. } | Horizontal::Runs { .. } => x,
            Horizontal::Quantile => x.log10(),
        };
        x.is_finite().then(|| x.clamp(0.0, self.end))
    }
}

fn style(role: Role) -> TextStyle<'static> {
    // plotters writes a font size of 1 / 1.24 of what it is given.
    let size = f64::from(TEXT * FACTOR) * 1.24;
    TextStyle {
        color: role.stand_in().to_backend_color(),
        ..TextStyle::from(("sans-serif", size).into_font())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{Band, MEDIUM, Marks, NARROW, Shade, WIDE};
    use crate::figure::Unit;

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        Chart {
            id: "c".into(),
            title: "T <b>".into(),
            about: "D & \"d\"".into(),
            x: Horizontal::Time { end_us: 60_000_000 },
            unit: Unit::Duration,
            lines: vec![Line {
                label: "L".into(),
                ink: Ink::Series(1),
                pieces: vec![points],
            }],
            marks: Marks::default(),
            heat: None,
            place: Place::Whole,
        }
    }

    /// Every number in every coordinate attribute.
    fn coordinates(svg: &str) -> Vec<f64> {
        let names = [
            "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "width", "height", "points",
        ];
        let values = names.iter().flat_map(|name| {
            let key = format!(" {name}=\"");
            svg.match_indices(&key)
                .map(|(at, key)| svg[at + key.len()..].split('"').next().unwrap())
                .collect::<Vec<_>>()
        });
        values
            .flat_map(|value| {
                value
                    .split([' ', ','])
                    .filter(|n| !n.is_empty())
                    .map(|n| n.parse().unwrap())
            })
            .collect()
    }

    #[test]
    fn coordinates_lie_in_the_drawing_whatever_the_data() {
        let huge = (0..5_000)
            .map(|x| (f64::from(x) * 1e6, f64::from(x) * 1e300))
            .collect();
        let odd = vec![(f64::NAN, 1.0), (1.0, f64::INFINITY), (-5.0, -5.0), (1e300, 0.0)];
        for points in [vec![], vec![(1e6, 5.0)], vec![(1e6, 5.0); 3], huge, odd] {
            for x in [
                Horizontal::Time { end_us: 60_000_000 },
                Horizontal::Time { end_us: 0 },
                Horizontal::Quantile,
            ] {
                for size in [WIDE, MEDIUM, NARROW] {
                    let svg = Plot::of(&Chart {
                        x,
                        ..chart(points.clone())
                    })
                    .draw(size, "w");
                    let most = f64::from(size.width * FACTOR);
                    for n in coordinates(&svg) {
                        assert!((-10.0..=most).contains(&n), "{n} in {svg}");
                    }
                }
            }
        }
    }

    #[test]
    fn names_are_escaped_and_nothing_points_outside() {
        let mut hostile = chart(vec![(0.0, 1.0), (2e7, 900.0)]);
        let name = "<script>\"x\"'</svg>".to_owned();
        hostile.marks.phases = vec![Band {
            start_us: 0,
            end_us: 60_000_000,
            number: 1,
            name: name.clone(),
        }];
        hostile.marks.tracks = vec![crate::chart::Track {
            name: name.clone(),
            stretches: vec![crate::chart::Stretch {
                start_us: 0,
                end_us: 50_000_000,
                name: name.clone(),
                shade: 0,
            }],
        }];
        hostile.marks.faults = vec![Shade {
            start_us: 1,
            end_us: 9_000_000,
            letter: "A".into(),
            name,
            proved: true,
        }];
        let svg = Plot::of(&hostile).draw(WIDE, "w");
        assert!(
            !svg.contains("<script") && !svg.contains("<b>") && svg.matches("</svg>").count() == 1,
            "{svg}"
        );
        assert!(svg.contains("&lt;script&gt;") && !svg.contains("http"), "{svg}");
    }
}
