//! A forest plot in letters.

use crate::block::Tone;
use crate::chart::{Estimate, Forest, Scale, forest_scale};
use crate::visible::{on_one_line, shortened};

/// The most letters of a name.
const LONGEST_NAME: usize = 26;
/// A plot narrower than this says nothing, and wider than that no more.
const NARROWEST: usize = 20;
const WIDEST: usize = 72;

/// The plot, a line for each estimate, each with its tone; nothing where there is no room for it.
pub(super) fn lines(forest: &Forest, width: usize) -> Vec<(String, Tone)> {
    let longest = |text: fn(&Estimate) -> String| {
        let lengths = forest.rows.iter().map(|row| text(row).chars().count());
        lengths.max().unwrap_or(0)
    };
    let (names, figures) = (longest(name), longest(|row| on_one_line(&row.figures)));
    let says = figures + 1 + longest(|row| on_one_line(&row.says));
    let room = width.saturating_sub(names + says + 4).min(WIDEST);
    if forest.rows.is_empty() || room < NARROWEST {
        return Vec::new();
    }
    let plot = Plot::new(forest, room);
    let mut lines = vec![(format!("{:names$}  {}", "", plot.axis().trim_end()), Tone::Plain)];
    for row in &forest.rows {
        let (name, row_figures, says) = (name(row), on_one_line(&row.figures), on_one_line(&row.says));
        let line = format!(
            "{name:names$}  {}  {row_figures:>figures$} {says}",
            plot.line(row)
        );
        let line = line.trim_end().to_owned();
        lines.push((line, if row.informs { Tone::Plain } else { row.tone }));
    }
    lines
}

fn name(row: &Estimate) -> String {
    shortened(&row.name, LONGEST_NAME)
}

/// The columns of a plot.
struct Plot {
    width: usize,
    scale: Scale,
    none: f64,
}

impl Plot {
    fn new(forest: &Forest, width: usize) -> Plot {
        Plot {
            width,
            scale: forest_scale(forest, width / 10),
            none: forest.none(),
        }
    }

    /// The column of a position on the axis.
    fn column(&self, at: f64) -> usize {
        let share = (at - self.scale.low) / (self.scale.high - self.scale.low);
        (share * (self.width - 1) as f64).round() as usize
    }

    /// The column of a value; nothing for one that lies beyond the axis.
    fn column_of(&self, value: f64) -> Option<usize> {
        let at = self.scale.position(value)?;
        (!self.scale.is_beyond(value)).then(|| self.column(at))
    }

    /// The labels of the ticks, as many as don't touch.
    fn axis(&self) -> String {
        let mut line = vec![' '; self.width];
        let mut free = 0;
        for tick in &self.scale.ticks {
            let label = self.scale.label(*tick);
            let letters = label.chars().count();
            let start = self.column(*tick).saturating_sub(letters / 2);
            let start = start.min(self.width.saturating_sub(letters));
            if start >= free {
                for (place, letter) in line[start..].iter_mut().zip(label.chars()) {
                    *place = letter;
                }
                free = start + letters + 1;
            }
        }
        line.into_iter().collect()
    }

    fn line(&self, row: &Estimate) -> String {
        let mut line = vec![' '; self.width];
        let mut put = |column: Option<usize>, letter: char| {
            if let Some(place) = column.and_then(|column| line.get_mut(column)) {
                *place = letter;
            }
        };
        put(self.column_of(self.none), '│');
        if !row.informs {
            put(self.column_of(self.none + row.tolerance), '┊');
        }
        let (low, high) = (row.low, row.high);
        if low.is_some() || high.is_some() {
            let from = low.and_then(|low| self.column_of(low));
            let to = high.and_then(|high| self.column_of(high));
            for column in from.unwrap_or(0)..=to.unwrap_or(self.width - 1) {
                put(Some(column), '─');
            }
            put(from.or(Some(0)), if from.is_some() { '├' } else { '◂' });
            put(to.or(Some(self.width - 1)), if to.is_some() { '┤' } else { '▸' });
        }
        let mark = if row.informs { '○' } else { '●' };
        match row.at {
            Some(at) if self.scale.is_beyond(at) && at > self.none => put(Some(self.width - 1), '▸'),
            Some(at) if self.scale.is_beyond(at) => put(Some(0), '◂'),
            at => put(at.and_then(|at| self.column_of(at)), mark),
        }
        line.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Unit;

    fn forest() -> Forest {
        let row = |name: &str, low: Option<f64>, at, high| Estimate {
            name: name.to_owned(),
            at: Some(at),
            low,
            high,
            margin: 0.02,
            tolerance: 0.05,
            figures: crate::figure::change(at),
            ..Estimate::default()
        };
        let informs = Estimate {
            informs: true,
            says: "informs".to_owned(),
            ..row("cut.recovery", None, 0.97, None)
        };
        Forest {
            id: String::new(),
            title: String::new(),
            about: String::new(),
            unit: Unit::Change,
            has_legend: true,
            rows: vec![
                row("refresh.p99", Some(1.052), 1.081, Some(1.113)),
                row("cpu", None, 0.99, Some(1.02)),
                informs,
            ],
        }
    }

    #[test]
    fn estimates_stand_on_their_intervals_over_one_axis() {
        let lines: Vec<String> = lines(&forest(), 80).into_iter().map(|(line, _)| line).collect();
        expect_test::expect![[r"
                                       0 %           +5 %           +10 %
            refresh.p99                 │              ┊├───────●────────┤    +8.1 %
            cpu           ◂──────────●────────┤        ┊                      −1.0 %
            cut.recovery       ○        │                                     −3.0 % informs"]]
        .assert_eq(&lines.join("\n"));
    }

    #[test]
    fn without_room_there_is_none() {
        assert_eq!(lines(&forest(), 40), []);
    }
}
