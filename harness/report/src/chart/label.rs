//! Where the names of faults stand over their windows, without one covering another.

use super::Shade;
use crate::visible::shortened;

/// Height of text, in CSS pixels.
pub(crate) const TEXT: u32 = 12;

/// Width of a letter on average, in CSS pixels; there is no font to ask.
pub(crate) const LETTER: f64 = 0.58 * TEXT as f64;

/// The most rows of names over a plot.
const MAX_ROWS: usize = 3;

/// The most characters of a name.
const LONGEST: usize = 28;

/// A placed name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Label {
    /// Which row, from the top.
    pub(crate) row: usize,
    /// Its left end, in CSS pixels.
    pub(crate) x: f64,
    /// The letter of the fault, and its name where there is room.
    pub(crate) text: String,
    /// When the fault held.
    pub(crate) start_us: u64,
    pub(crate) end_us: u64,
}

impl Label {
    fn width(text: &str) -> f64 {
        text.chars().count() as f64 * LETTER + 6.0
    }
}

/// Names over the windows, in as few rows as keep them apart; letters alone where `names` is false or there is no room
/// for all names. `pixel` says where a moment lies, `limit` where the plot ends.
pub(crate) fn placed(faults: &[Shade], names: bool, limit: f64, pixel: impl Fn(u64) -> f64) -> Vec<Label> {
    // One that comes again is named where it comes first.
    let mut firsts: Vec<&Shade> = Vec::new();
    for fault in faults {
        if !firsts.iter().any(|first| first.letter == fault.letter) {
            firsts.push(fault);
        }
    }
    let faults = firsts.as_slice();
    if names {
        let named = faults
            .iter()
            .map(|fault| format!("{} {}", fault.letter, shortened(&fault.name, LONGEST)));
        let labels = in_rows(faults, named, limit, &pixel);
        if labels.len() == faults.len() {
            return labels;
        }
    }
    in_rows(
        faults,
        faults.iter().map(|fault| fault.letter.clone()),
        limit,
        &pixel,
    )
}

/// Texts, one per fault, each in the first row that has room; those without room in any are left out.
fn in_rows(
    faults: &[&Shade],
    texts: impl Iterator<Item = String>,
    limit: f64,
    pixel: impl Fn(u64) -> f64,
) -> Vec<Label> {
    let mut ends = [f64::NEG_INFINITY; MAX_ROWS];
    let mut labels = Vec::new();
    for (fault, text) in faults.iter().zip(texts) {
        let width = Label::width(&text);
        let x = pixel(fault.start_us).min(limit - width);
        if let Some(row) = ends.iter().position(|end| *end + 4.0 <= x) {
            ends[row] = x + width;
            labels.push(Label {
                row,
                x,
                text,
                start_us: fault.start_us,
                end_us: fault.end_us,
            });
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels of `count` faults, one every `apart` pixels of 900.
    fn labels(count: u64, apart: u64) -> Vec<Label> {
        let fault = |at: u64| Shade {
            start_us: at * apart,
            end_us: (at + 1) * apart,
            letter: crate::marks::letter(at as usize),
            name: "a rather long name".into(),
            proved: true,
        };
        let faults: Vec<Shade> = (0..count).map(fault).collect();
        let labels = placed(&faults, true, 900.0, |at_us| at_us as f64);
        for (at, label) in labels.iter().enumerate() {
            let next = labels[at + 1..].iter().find(|other| other.row == label.row);
            assert!(
                next.is_none_or(|next| label.x + Label::width(&label.text) <= next.x),
                "{labels:?}"
            );
        }
        labels
    }

    #[test]
    fn names_that_would_collide_take_another_row() {
        assert!(
            labels(4, 220)
                .iter()
                .all(|label| label.row == 0 && label.text.len() > 1)
        );
        assert!(
            labels(8, 75)
                .iter()
                .any(|label| label.row > 0 && label.text.len() > 1)
        );
    }

    #[test]
    fn all_shrink_to_letters_where_rows_are_not_enough() {
        let letters = labels(12, 8);
        assert!(
            letters.len() == 12 && letters.iter().all(|label| label.text.len() == 1),
            "{letters:?}"
        );
    }
}
