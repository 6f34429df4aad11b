//! Writing to standard output and standard error: the one place that does.
//!
//! A reader that has gone away (`squall list | head`) is no failure worth a panic.

use std::io::{IsTerminal as _, Write as _};

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

/// Whether standard output is a terminal that wants colours.
pub fn colours() -> bool {
    std::io::stdout().is_terminal() && wants_colours()
}

/// Whether standard error is a terminal that wants colours.
pub fn error_colours() -> bool {
    std::io::stderr().is_terminal() && wants_colours()
}

/// See <https://no-color.org>.
fn wants_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The width of the terminal in columns, or a width that fits most pages.
pub fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns >= 40)
        .unwrap_or(100)
}
