//! How large drawings and their parts are.

use super::{Chart, Place};

/// How large a drawing is, in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// Whether there is room for the names of faults beside their letters.
    pub names: bool,
}

/// For a screen.
pub const WIDE: Size = Size {
    width: 960,
    height: 300,
    names: true,
};

/// For a tablet or half a screen.
pub const MEDIUM: Size = Size {
    width: 680,
    height: 280,
    names: true,
};

/// For a phone.
pub const NARROW: Size = Size {
    width: 340,
    height: 250,
    names: false,
};

/// A chart of a stack, beside other things on a screen.
pub const PANEL: Size = Size {
    width: 660,
    height: 88,
    names: true,
};
/// The same on a phone.
pub const NARROW_PANEL: Size = Size {
    width: 340,
    height: 88,
    names: false,
};

/// Drawing units per CSS pixel. plotters rounds to whole units; a script reads values from the lines, to about a thousandth of the
/// axis.
pub(super) const FACTOR: u32 = 5;

/// Height of the phases' band, of a row of labels and of the horizontal axis, in CSS pixels.
pub(super) const BAND: u32 = 20;
pub(super) const LABEL_ROW: u32 = 17;
pub(super) const X_LABELS: u32 = 24;
/// What is left under a plot whose axis is that of the last in its stack.
pub(super) const FOOT: u32 = 7;
/// Height of a row of states, with its gap.
pub(super) const TRACK: u32 = 19;
pub(super) const TRACK_GAP: u32 = 3;

/// A size with room for the states below.
pub(super) fn with_tracks(chart: &Chart, size: Size) -> Size {
    // The plots of a stack are all as high: what only some of them have comes on top.
    let besides = match chart.place {
        Place::Whole | Place::Middle => 0,
        Place::Top => BAND + LABEL_ROW,
        Place::Bottom => X_LABELS - FOOT,
    };
    Size {
        height: size.height + tracks_height(chart) + besides,
        ..size
    }
}

pub(super) fn tracks_height(chart: &Chart) -> u32 {
    if chart.place.has_axis() {
        chart.marks.tracks.len() as u32 * TRACK
    } else {
        0
    }
}

/// The height of the horizontal axis; a chart in a stack leaves it to the last.
pub(super) fn axis_height(chart: &Chart) -> u32 {
    if chart.place.has_axis() { X_LABELS } else { FOOT }
}

/// CSS pixels to drawing units.
pub(super) fn units(pixels: f64) -> i32 {
    (pixels * f64::from(FACTOR)).round() as i32
}
