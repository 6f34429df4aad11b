//! The summary that a run prints at its end.
//!
//! Texts of a run may hold escape sequences; they are shown, not obeyed. Colour is only ever an addition: the words say
//! the same without it.

mod forest;

use crate::block::{Align, Block, Cell, Table, Tone};
use crate::recording::Recording;
use crate::render::{Part, parts};
use crate::section::Detail;
use crate::visible::{bound, on_one_line, shortened, visible};

/// The narrowest screen that is laid out for.
const NARROWEST: usize = 40;
/// The longest cell of running text.
const LONGEST_CELL: usize = 60;

/// The summary for a screen `width` characters wide, with ANSI colours if `colour`.
pub fn terminal(recording: &Recording, width: usize, colour: bool) -> String {
    screen(
        &recording.record.scenario,
        &parts(recording, Detail::Brief),
        width,
        colour,
    )
}

/// `parts`, which are about `name`, for a screen.
pub(crate) fn screen(name: &str, parts: &[Part], width: usize, colour: bool) -> String {
    let mut screen = Screen {
        out: String::new(),
        width: width.max(NARROWEST),
        colour,
    };
    for part in parts {
        if !part.title.is_empty() {
            let title = screen.bold(&on_one_line(&part.title));
            screen.line(&title);
        }
        for block in &part.blocks {
            screen.block(name, block);
        }
    }
    screen.out
}

struct Screen {
    out: String,
    width: usize,
    colour: bool,
}

impl Screen {
    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn bold(&self, text: &str) -> String {
        if self.colour {
            format!("\x1b[1m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn toned(&self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => 32,
            Tone::Doubt => 33,
            Tone::Bad => 31,
        };
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn block(&mut self, scenario: &str, block: &Block) {
        match block {
            Block::Verdict {
                word,
                tone,
                meaning,
                reasons,
            } => {
                let word = self.bold(&self.toned(&word.to_uppercase(), *tone));
                self.line(&format!("{word}  {}", on_one_line(scenario)));
                self.wrapped("", meaning, Tone::Plain);
                for reason in reasons {
                    self.wrapped("- ", reason, *tone);
                }
            }
            Block::Lead(text) | Block::Paragraph(text) => self.wrapped("", text, Tone::Plain),
            Block::Note { tone, text } => self.wrapped("! ", text, *tone),
            Block::Definitions(rows) => {
                for (name, cell) in rows {
                    self.wrapped("", &format!("{name}: {}", cell.text), cell.tone);
                }
            }
            Block::Figures(figures) => {
                for figure in figures {
                    self.wrapped(
                        "",
                        &format!("{}: {} ({})", figure.name, figure.value, figure.beside),
                        Tone::Plain,
                    );
                }
            }
            Block::Table(table) => self.table(table),
            // A drawing of several says nothing in words.
            Block::Stack(_) => {}
            Block::Forest(forest) => {
                let lines = forest::lines(forest, self.width);
                for (line, tone) in lines {
                    let line = self.toned(&line, tone);
                    self.line(&line);
                }
            }
            Block::Beside { main, side } => main
                .iter()
                .chain(side)
                .for_each(|block| self.block(scenario, block)),
            Block::Chart(chart) => {
                self.wrapped("", &format!("{}: {}", chart.title, chart.about), Tone::Plain);
            }
            Block::Code { text, .. } => {
                for line in visible(text).lines() {
                    self.line(&format!("  {line}"));
                }
            }
        }
        self.out.push('\n');
    }

    fn wrapped(&mut self, lead: &str, text: &str, tone: Tone) {
        let room = self.width.saturating_sub(lead.chars().count()).max(10);
        for (at, line) in wrap(&bound(&on_one_line(text)), room).into_iter().enumerate() {
            let lead = if at == 0 {
                lead.to_owned()
            } else {
                " ".repeat(lead.chars().count())
            };
            let line = self.toned(&line, tone);
            self.line(&format!("{lead}{line}"));
        }
    }

    fn table(&mut self, table: &Table) {
        let table = &table.without_empty_columns();
        let rows: Vec<&Vec<Cell>> = table.groups.iter().flat_map(|group| &group.rows).collect();
        let columns = fitting(table, &rows, self.width);
        let cells = columns.iter().map(|(at, width)| {
            let column = &table.columns[*at];
            pad(&column.head, *width, column.align)
        });
        let head = cells.collect::<Vec<_>>().join("  ");
        self.line(&head);
        for group in &table.groups {
            if !group.title.is_empty() {
                let title = self.bold(&on_one_line(&group.title));
                self.line(&format!("{title}  {}", on_one_line(&group.about)));
            }
            for row in &group.rows {
                let cells = columns.iter().map(|(at, width)| {
                    let text = pad(
                        &shortened(&shown(&row[*at]), *width),
                        *width,
                        table.columns[*at].align,
                    );
                    self.toned(&text, row[*at].tone)
                });
                let line = cells.collect::<Vec<_>>().join("  ");
                self.line(&line);
            }
        }
    }
}

/// A cell on one line.
fn shown(cell: &Cell) -> String {
    on_one_line(&cell.text.replace('\n', ": "))
}

/// The columns that fit, by index and width: running text gives way first, then the highest ranks.
fn fitting(table: &Table, rows: &[&Vec<Cell>], room: usize) -> Vec<(usize, usize)> {
    let width = |at: usize| {
        let cells = rows
            .iter()
            .map(|row| shown(&row[at]).chars().count())
            .max()
            .unwrap_or(0);
        cells
            .max(table.columns[at].head.chars().count())
            .min(LONGEST_CELL)
    };
    let mut columns: Vec<(usize, usize)> = (0..table.columns.len()).map(|at| (at, width(at))).collect();
    let total = |columns: &[(usize, usize)]| {
        columns
            .iter()
            .map(|(_, width)| width + 2)
            .sum::<usize>()
            .saturating_sub(2)
    };
    while total(&columns) > room {
        let over = total(&columns) - room;
        let running = columns
            .iter_mut()
            .filter(|(at, _)| table.columns[*at].align == Align::Wide);
        // Running text gives way to 24 characters before a column is lost.
        if let Some((_, width)) = running
            .filter(|(_, width)| *width > 24)
            .max_by_key(|(_, width)| *width)
        {
            *width = width.saturating_sub(over).max(24);
            continue;
        }
        let weakest = columns
            .iter()
            .map(|(at, _)| table.columns[*at].rank)
            .max()
            .unwrap_or(0);
        match columns
            .iter()
            .rposition(|(at, _)| weakest > 0 && table.columns[*at].rank == weakest)
        {
            Some(at) => {
                columns.remove(at);
                for (at, full) in &mut columns {
                    *full = width(*at);
                }
            }
            None => break,
        }
    }
    columns
}

fn pad(text: &str, width: usize, align: Align) -> String {
    match align {
        Align::Right => format!("{text:>width$}"),
        Align::Left | Align::Wide => format!("{text:<width$}"),
    }
}

/// Words into lines of at most `width` characters; a longer word stands alone.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    // The bound spaces have done their work; what is copied from a terminal holds plain ones.
    lines
        .into_iter()
        .map(|line| line.replace('\u{a0}', " "))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Column;

    #[test]
    fn the_weakest_columns_leave_a_narrow_screen_first() {
        let columns = vec![
            Column::left("name", 0),
            Column::right("rare", 3),
            Column::wide("words", 1),
        ];
        let long = "a long story that goes on and on and on";
        let table = Table::of("", columns, vec![vec!["abcdef".into(), "1".into(), long.into()]]);
        let lines = |width| {
            let mut screen = Screen {
                out: String::new(),
                width,
                colour: false,
            };
            screen.table(&table);
            screen.out
        };
        assert_eq!(lines(80), format!("name    rare  words\nabcdef     1  {long}\n"));
        assert_eq!(
            lines(38),
            "name    rare  words\nabcdef     1  a long story that goes…\n"
        );
        assert_eq!(
            lines(34),
            "name    words\nabcdef  a long story that goes on…\n".to_owned()
        );
        assert_eq!(lines(20), "name\nabcdef\n");
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrap("one two three four", 9), ["one two", "three", "four"]);
        assert_eq!(wrap("incomprehensible", 5), ["incomprehensible"]);
    }
}
