//! What lies behind the lines of a chart: the windows of faults, the phases and the states, and their names.
//!
//! A script that shows a part of the time moves all of it: shapes know by `data-k` that they move, and names in it the stretch that they
//! are of, in units of the drawing.

use std::fmt::Write as _;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::label::{LETTER, TEXT};
use super::super::size::{BAND, FACTOR, LABEL_ROW, TRACK, TRACK_GAP, axis_height, tracks_height, units};
use super::super::theme::{Role, Theme};
use super::super::{Band, Stretch, Track};
use super::{Area, Drawing, Drawn, style};
use crate::render::escaped;
use crate::visible::shortened;

/// What is too short to be seen is drawn so wide all the same, in CSS pixels.
const NARROWEST_FAULT: f64 = 2.0;
const NARROWEST_STATE: f64 = 1.5;

/// Between where a fault begins and its name, in CSS pixels.
const GAP: f64 = 3.0;

impl Drawing<'_> {
    pub(super) fn shade_faults(&self, root: &Area<'_>) -> Drawn {
        let top = f64::from(self.below_band());
        let bottom = f64::from(self.size.height - axis_height(self.chart) - tracks_height(self.chart));
        for fault in &self.chart.marks.faults {
            let role = if fault.proved {
                Role::Fault
            } else {
                Role::FaultUnproved
            };
            let (from, to) = self.stretch(fault.start_us, fault.end_us, NARROWEST_FAULT);
            rectangle(root, (from, to), (top, bottom), role)?;
            let edge = Role::FaultText.stand_in().mix(0.6).stroke_width(FACTOR);
            let x = units(from);
            root.draw(&PathElement::new([(x, units(top)), (x, units(bottom))], edge))?;
        }
        Ok(())
    }

    /// The phases, in turn in two colours.
    pub(super) fn band(&self, root: &Area<'_>) -> Drawn {
        for (at, phase) in self.phases().iter().enumerate() {
            let role = if at % 2 == 0 {
                Role::PhaseEven
            } else {
                Role::PhaseOdd
            };
            let across = self.stretch(phase.start_us, phase.end_us, 0.0);
            rectangle(root, across, (0.0, f64::from(BAND)), role)?;
        }
        Ok(())
    }

    /// The states, a row for each thing that has some: its name in the left margin.
    pub(super) fn tracks(&self, root: &Area<'_>) -> Drawn {
        let beside = style(Role::Muted).pos(Pos::new(HPos::Right, VPos::Center));
        for (row, track) in self.rows() {
            let place = (units(self.left() - 6.0), units(f64::midpoint(row.0, row.1)));
            root.draw(&Text::new(self.beside_track(&track.name), place, beside.clone()))?;
            for stretch in &track.stretches {
                let across = self.stretch(stretch.start_us, stretch.end_us, NARROWEST_STATE);
                rectangle(root, across, row, Role::state(stretch.shade))?;
            }
        }
        Ok(())
    }

    /// The names of phases, faults and states, where there is room for them.
    pub(super) fn names(&self, theme: Theme) -> String {
        let mut names = String::new();
        for phase in self.phases() {
            let across = self.stretch(phase.start_us, phase.end_us, 0.0);
            if let Some(text) = name_of(phase, room(across)) {
                let (x, y) = (f64::midpoint(across.0, across.1), f64::from(BAND) / 2.0);
                name(
                    &mut names,
                    "middle",
                    (x, y),
                    across,
                    Role::Text.colour(theme),
                    &text,
                );
            }
        }
        for label in &self.labels {
            let y = f64::from(self.below_band()) + (label.row as f64 + 0.5) * f64::from(LABEL_ROW);
            let across = self.stretch(label.start_us, label.end_us, NARROWEST_FAULT);
            let place = (label.x + GAP, y);
            let colour = Role::FaultText.colour(theme);
            name(&mut names, "start", place, across, colour, &label.text);
        }
        for (row, track) in self.rows() {
            for Stretch {
                start_us,
                end_us,
                name: state,
                ..
            } in &track.stretches
            {
                let across = self.stretch(*start_us, *end_us, NARROWEST_STATE);
                if state.chars().count() <= room(across) {
                    let place = (f64::midpoint(across.0, across.1), f64::midpoint(row.0, row.1));
                    name(
                        &mut names,
                        "middle",
                        place,
                        across,
                        Role::Text.colour(theme),
                        state,
                    );
                }
            }
        }
        names
    }

    /// Over the name of each track that had to be shortened, the whole of it, for a pointer that rests there.
    pub(super) fn track_names(&self) -> String {
        let cut = self
            .rows()
            .filter(|(_, track)| self.beside_track(&track.name) != track.name);
        let mut names = String::new();
        for ((top, _), track) in cut {
            let (top, width) = (units(top - f64::from(TRACK_GAP)), units(self.left()));
            let height = TRACK * FACTOR;
            // Writing to a String cannot fail.
            let _ = write!(
                names,
                "<rect class=\"name\" x=\"0\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"transparent\">\
                 <title>{}</title></rect>",
                escaped(&track.name)
            );
        }
        names
    }

    /// The phases that the chart has in its band.
    fn phases(&self) -> &[Band] {
        if self.has_phases() {
            &self.chart.marks.phases
        } else {
            &[]
        }
    }

    /// Where the band of the phases ends, in CSS pixels.
    fn below_band(&self) -> u32 {
        if self.has_phases() { BAND + 2 } else { 0 }
    }

    /// The tracks that the chart has, each with the top and the bottom of its row in CSS pixels.
    fn rows(&self) -> impl Iterator<Item = ((f64, f64), &Track)> {
        let first = self.size.height - tracks_height(self.chart);
        let tracks = if self.chart.place.has_axis() {
            &self.chart.marks.tracks[..]
        } else {
            &[]
        };
        (0_u32..).zip(tracks).map(move |(row, track)| {
            let top = first + row * TRACK;
            ((f64::from(top + TRACK_GAP), f64::from(top + TRACK)), track)
        })
    }

    /// From where to where a stretch of time lies, in CSS pixels, at least so wide.
    fn stretch(&self, start_us: u64, end_us: u64, narrowest: f64) -> (f64, f64) {
        let (from, to) = (self.pixel(start_us), self.pixel(end_us));
        (from, to.max(from + narrowest))
    }

    /// The name of a track as far as the margin holds it.
    fn beside_track(&self, name: &str) -> String {
        let room = ((self.left() - 8.0) / LETTER) as usize;
        shortened(name, room.saturating_sub(1))
    }
}

/// The name of a phase or, where that has no room, its number: a name cut short may read like the next one; a number can't.
fn name_of(phase: &Band, room: usize) -> Option<String> {
    [shortened(&phase.name, 60), phase.number.to_string()]
        .into_iter()
        .find(|text| text.chars().count() <= room)
}

/// How many letters fit between these.
fn room((from, to): (f64, f64)) -> usize {
    ((to - from - 6.0) / LETTER).max(0.0) as usize
}

fn rectangle(root: &Area<'_>, across: (f64, f64), down: (f64, f64), role: Role) -> Drawn {
    root.draw(&Rectangle::new(
        [(units(across.0), units(down.0)), (units(across.1), units(down.1))],
        role.stand_in().filled(),
    ))
}

/// A name of a stretch, set as plotters sets texts. Not by plotters, whose texts can carry nothing but their looks.
fn name(out: &mut String, anchor: &str, place: (f64, f64), across: (f64, f64), colour: &str, text: &str) {
    let [x, y, from, to] = [place.0, place.1, across.0, across.1].map(units);
    let size = TEXT * FACTOR;
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<text x=\"{x}\" y=\"{y}\" dy=\"0.5ex\" text-anchor=\"{anchor}\" font-family=\"sans-serif\" font-size=\"{size}\" fill=\"{colour}\" \
         data-k=\"{from} {to}\">{}</text>",
        escaped(text)
    );
}
