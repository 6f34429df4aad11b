//! Writing to standard output and standard error: the one place that does.
//!
//! A reader that has gone away (`squall list | head`) is no failure worth a panic.

use std::io::{IsTerminal as _, Write as _};
use std::sync::OnceLock;

use squall_model::record::{RunRecord, Verdict};

use crate::arguments::Color;
use crate::progress::Size;

/// What `--color` says. Set once, before anything is written.
static COLOR: OnceLock<Color> = OnceLock::new();

/// The size of a terminal that does not tell it.
const SIZE: Size = Size {
    columns: 80,
    rows: 24,
};

/// Decides for the whole command whether colours are used.
pub fn choose_colours(color: Color) {
    // Called once; a second choice would come too late for what is written already.
    let _ = COLOR.set(color);
}

/// Writes `text` to standard output.
pub fn out(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Writes a line to standard output.
pub fn line(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}");
}

/// Writes a line to standard error.
pub fn note(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "{text}");
}

/// Writes an error with its causes to standard error, each of them once: many errors name their cause themselves.
pub fn error(error: &anyhow::Error) {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    note(&format!("error: {text}"));
}

/// Writes `text` to standard error as it is.
pub fn error_out(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Writes a text to standard output, on a terminal in lines that fit it.
pub fn paragraph(text: &str) {
    if std::io::stdout().is_terminal() {
        line(&wrapped(text, width()).join("\n"));
    } else {
        line(text);
    }
}

/// Writes a text to standard error, on a terminal in lines that fit it.
pub fn note_paragraph(text: &str) {
    if std::io::stderr().is_terminal() {
        note(&wrapped(text, error_size().columns).join("\n"));
    } else {
        note(text);
    }
}

/// The words on lines of at most `room` characters, but for words that are longer.
pub fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// How a run ended, in one line, and why, in one line for each reason.
pub fn verdict(record: &RunRecord) -> String {
    let word = record.verdict.as_str().to_uppercase();
    let word = match (colours(), record.verdict) {
        (false, _) => word,
        (true, Verdict::Pass) => format!("\x1b[1;32m{word}\x1b[0m"),
        (true, Verdict::Invalid) => format!("\x1b[1;33m{word}\x1b[0m"),
        (true, Verdict::Fail) => format!("\x1b[1;31m{word}\x1b[0m"),
    };
    let reasons = record
        .reasons
        .iter()
        .map(|reason| format!("- {}\n", harmless(reason)));
    format!(
        "{word}  {}\n{}",
        harmless(&record.scenario),
        reasons.collect::<String>()
    )
}

/// A number of things in words: `1 user`, `12 users`.
pub fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// What a stranger wrote, on one line: a terminal shows its escape sequences and obeys none.
pub fn harmless(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = (!c.is_control()).then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// Whether standard output wants colours.
pub fn colours() -> bool {
    wants_colours(std::io::stdout().is_terminal())
}

/// Whether standard error wants colours.
pub fn error_colours() -> bool {
    wants_colours(std::io::stderr().is_terminal())
}

/// `--color` decides; `auto` is a terminal without `NO_COLOR`, see <https://no-color.org>.
fn wants_colours(is_terminal: bool) -> bool {
    match COLOR.get().copied().unwrap_or_default() {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// Whether standard error is a terminal on which lines can be drawn again in place.
pub fn is_live() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The size of the terminal behind standard error.
pub fn error_size() -> Size {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    let size = size.ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or(SIZE, |size| Size {
        columns: usize::from(size.ws_col),
        rows: usize::from(size.ws_row),
    })
}

/// The width of the terminal in columns, or a width that fits most pages.
pub fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns >= 40)
        .unwrap_or(100)
}
