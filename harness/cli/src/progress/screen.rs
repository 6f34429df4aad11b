//! Lines at the foot of a terminal that are drawn again in place. Makes texts and writes nothing itself.
//!
//! The cursor rests in the first column below the lines, so that whatever a terminal echoes, such as the `^C` of a
//! Ctrl-C, falls on a row that the next drawing clears anyway.

/// To the end of the line, and to the end of the screen.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// The lines that stand on a terminal.
#[derive(Debug, Default)]
pub struct Screen {
    /// In characters, each one column wide.
    lines: Vec<String>,
}

impl Screen {
    /// What replaces the lines that stand by `lines`, on a terminal that is now `columns` wide. A line that is too long
    /// is cut: one that wrapped would leave rows behind.
    pub fn draw(&mut self, lines: Vec<String>, columns: usize) -> String {
        let mut text = self.home(columns);
        let room = columns.saturating_sub(1).max(1);
        self.lines = lines.into_iter().map(|line| cut(line, room)).collect();
        for line in &self.lines {
            text.push_str(CLEAR_LINE);
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(CLEAR_BELOW);
        text
    }

    /// What puts `text` for good above the lines that stand.
    pub fn above(&mut self, text: &str, columns: usize) -> String {
        let mut out = self.home(columns);
        out.push_str(CLEAR_BELOW);
        out.push_str(text);
        out.push('\n');
        let lines = std::mem::take(&mut self.lines);
        out.push_str(&self.draw(lines, columns));
        out
    }

    /// What takes the lines away.
    pub fn clear(&mut self, columns: usize) -> String {
        let out = self.home(columns);
        self.lines.clear();
        out + CLEAR_BELOW
    }

    /// To the first column of the first line. A terminal that became narrower since has wrapped the lines.
    fn home(&self, columns: usize) -> String {
        let rows_of = |line: &String| line.chars().count().div_ceil(columns.max(1)).max(1);
        match self.lines.iter().map(rows_of).sum::<usize>() {
            0 => "\r".to_owned(),
            rows => format!("\r\x1b[{rows}A"),
        }
    }
}

/// The line, or as much of it as fits, and a sign that something is missing.
fn cut(line: String, room: usize) -> String {
    if line.chars().count() <= room {
        return line;
    }
    let mut kept: String = line.chars().take(room - 1).collect();
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: u16 = 12;
    const COLUMNS: u16 = 20;

    struct Terminal {
        parser: vt100::Parser,
        screen: Screen,
    }

    impl Terminal {
        fn new() -> Terminal {
            Terminal {
                parser: vt100::Parser::new(ROWS, COLUMNS, 0),
                screen: Screen::default(),
            }
        }

        /// As a terminal driver hands it on: each end of a line returns to the first column.
        fn write(&mut self, text: &str) {
            self.parser.process(text.replace('\n', "\r\n").as_bytes());
        }

        fn draw(&mut self, lines: &[&str]) {
            let lines = lines.iter().map(|line| (*line).to_owned()).collect();
            let text = self.screen.draw(lines, usize::from(COLUMNS));
            self.write(&text);
        }

        fn above(&mut self, text: &str) {
            let text = self.screen.above(text, usize::from(COLUMNS));
            self.write(&text);
        }

        fn shows(&self) -> String {
            self.parser.screen().contents().trim_end().to_owned()
        }
    }

    #[test]
    fn lines_are_replaced_where_they_stand_whether_more_or_fewer() {
        let mut terminal = Terminal::new();
        for lines in [&["a", "b", "c"][..], &["dd"], &["e", "f"], &["g", "h"]] {
            terminal.draw(lines);
            assert_eq!(terminal.shows(), lines.join("\n"));
        }
    }

    #[test]
    fn what_is_said_stays_above_and_may_be_longer_than_a_row() {
        let mut terminal = Terminal::new();
        terminal.above("first");
        terminal.draw(&["live", "lines"]);
        terminal.above("a long one that needs two rows");
        terminal.draw(&["live", "again"]);
        assert_eq!(
            terminal.shows(),
            "first\na long one that needs two rows\nlive\nagain"
        );
        let gone = terminal.screen.clear(usize::from(COLUMNS));
        terminal.write(&gone);
        assert_eq!(terminal.shows(), "first\na long one that needs two rows");
        assert_eq!(terminal.parser.screen().cursor_position(), (3, 0));
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_leaves_no_row_behind() {
        let mut terminal = Terminal::new();
        let long = "x".repeat(50);
        for _ in 0..5 {
            terminal.draw(&[&long, "below"]);
        }
        assert_eq!(terminal.shows(), format!("{}…\nbelow", "x".repeat(18)));
    }

    #[test]
    fn what_a_ctrl_c_echoes_is_gone_with_the_next_drawing() {
        let mut terminal = Terminal::new();
        terminal.draw(&["one", "two"]);
        terminal.write("^C");
        terminal.above("SIGINT: stopping");
        assert_eq!(terminal.shows(), "SIGINT: stopping\none\ntwo");
    }

    #[test]
    fn a_terminal_that_became_narrower_keeps_no_rest() {
        let mut screen = Screen::default();
        screen.draw(vec!["x".repeat(30), "y".to_owned()], 40);
        // Thirty characters are two rows of twenty, and the short line is a third.
        assert!(screen.draw(vec!["z".to_owned()], 20).starts_with("\r\x1b[3A"));
    }
}
