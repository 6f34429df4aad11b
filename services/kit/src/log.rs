//! The only place that writes to standard output and standard error.
//!
//! Standard output carries the ready line and nothing else. Standard error carries one line per entry:
//! `SECONDS LEVEL TEXT`, the seconds those of `CLOCK_MONOTONIC`, as in `/events`. A reader that went away must never
//! stop the service, so failures to write an entry are dropped.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::net::SocketAddr;

use crate::clock;

/// Writes an entry that tells what the service is doing.
pub fn info(text: impl Display) {
    write("info", &text);
}

/// Writes an entry about something an operator should know.
pub fn warn(text: impl Display) {
    write("warn", &text);
}

/// Writes an entry about something that failed.
pub fn error(text: impl Display) {
    write("error", &text);
}

/// Prints the line that says the service is serving, and on which addresses.
pub(crate) fn ready(listen: SocketAddr, admin: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(ready_line(listen, admin).as_bytes())?;
    stdout.flush()
}

fn ready_line(listen: SocketAddr, admin: SocketAddr) -> String {
    format!("ready listen={listen} admin={admin}\n")
}

fn write(level: &str, text: &dyn Display) {
    let line = entry(clock::monotonic_us(), level, &text.to_string());
    // One call, so that entries of several threads do not mix within a line.
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

fn entry(at_us: u64, level: &str, text: &str) -> String {
    let text = text.replace('\n', " | ");
    format!(
        "{}.{:06} {level:5} {text}\n",
        at_us / 1_000_000,
        at_us % 1_000_000
    )
}

#[cfg(test)]
mod tests {
    use super::{entry, ready_line};

    #[test]
    fn the_ready_line_names_both_addresses() {
        let line = ready_line("127.0.0.1:8080".parse().unwrap(), "[::1]:9090".parse().unwrap());
        assert_eq!(line, "ready listen=127.0.0.1:8080 admin=[::1]:9090\n");
    }

    #[test]
    fn an_entry_stays_on_one_line() {
        assert_eq!(
            entry(12_000_034, "warn", "one\ntwo"),
            "12.000034 warn  one | two\n"
        );
    }
}
