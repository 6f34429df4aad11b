//! The pauses of a garbage collector, which only the program itself can tell: from the lines that it prints.
//!
//! A runtime whose lines can be read is one file and one line in [`READERS`]. A pause ends when its line is seen to arrive, which
//! is up to a poll of the log later than it did; the line's own time stamps are of clocks that the run doesn't know, so they are
//! passed over. A kind counts as visible once a line has shown that the program tells of it.

use squall_model::record::Each;

use super::{Kind, gctrace, jvm};

/// Pauses for collecting garbage.
pub const GC: Kind = Kind {
    name: "gc",
    about: "the world stopped for a garbage collector, as Go's gctrace or the JVM's unified log tells it",
    each: Each::Pause,
};

/// What else stops the threads of a JVM.
pub const SAFEPOINT: Kind = Kind {
    name: "safepoint",
    about: "the world stopped by a JVM for anything but the collector's own pauses, which count as gc",
    each: Each::Pause,
};

/// What a line told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The program tells of this kind of pause, whether or not it has had one.
    Of(&'static Kind),
    /// A pause ended, so long in nanoseconds.
    Pause(&'static Kind, u64),
    /// A program of this sort could tell of this kind too; until it does, that kind is worth missing.
    Lacks(&'static Kind),
}

/// Reads the lines that a program prints. What it doesn't know, and what is torn, it passes over.
pub trait Reader: Send + std::fmt::Debug {
    /// Takes in a line, and tells what it says.
    fn line(&mut self, line: &str, tell: &mut dyn FnMut(Told));
}

/// All readers. A line is shown to each; no line is meant for two.
pub static READERS: [fn() -> Box<dyn Reader>; 2] = [gctrace::reader, jvm::reader];

/// Nanoseconds of a decimal number in a unit of `unit_ns`, and those of one in its last digit; nothing if it is no number. Kept
/// short of a hundred years, so that a torn line can't overflow a sum.
pub(super) fn decimal_ns(text: &str, unit_ns: f64) -> Option<(u64, f64)> {
    const LONGEST_NS: f64 = 3.2e18;
    let plain =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value: f64 = plain(text).then(|| text.parse().ok()).flatten()?;
    let decimals = text.split_once('.').map_or(0, |(_, after)| after.len());
    let ns = value * unit_ns;
    (ns <= LONGEST_NS).then(|| (ns.round() as u64, unit_ns / 10f64.powi(decimals.min(30) as i32)))
}

#[cfg(test)]
pub(super) fn told(reader: &mut dyn Reader, text: &str) -> Vec<Told> {
    let mut all = Vec::new();
    for line in text.lines() {
        reader.line(line, &mut |told| all.push(told));
    }
    all
}

/// The lengths of the pauses of one kind, microseconds.
#[cfg(test)]
pub(super) fn lengths_us(told: &[Told], of: &Kind) -> Vec<u64> {
    let length = |told: &Told| match told {
        Told::Pause(kind, ns) if *kind == of => Some(ns / 1_000),
        _ => None,
    };
    told.iter().filter_map(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_decimal_says_how_finely_it_was_written() {
        assert_eq!(decimal_ns("12", 1e6), Some((12_000_000, 1e6)));
        assert_eq!(decimal_ns("0.015", 1e6), Some((15_000, 1e3)));
        for wrong in [
            "",
            ".",
            "1.2.3",
            "-1",
            "1e9",
            "inf",
            "NaN",
            "99999999999999999999",
            "0x1",
        ] {
            assert_eq!(decimal_ns(wrong, 1e6), None, "{wrong}");
        }
    }

    proptest! {
        /// No line can make a reader fail, whatever it is cut from.
        #[test]
        fn any_line_is_read_or_passed_over(
            start in prop::sample::select(vec![
                "gc 1 @0.1s 0%: 0.1+2+3 ms clock, 0.1+0.2/0.3/0+0.5 ms cpu, 4->4->3 MB, 4 MB goal, 2 P",
                "[1.2s][info][gc] GC(3) Pause Young (Normal) (G1 Evacuation Pause) 24M->4M(256M) 3.456ms",
                "[1.2s][info][safepoint] Safepoint \"ICBufferFull\", Time since last: 1 ns, Total: 12 ns",
                "[1.2s][info][safepoint] Total time for which application threads were stopped: 0.01 seconds, Stopping",
            ]),
            at in 0usize..120, put in "\\PC{0,12}", drop in 0usize..40,
        ) {
            let mut line: Vec<char> = start.chars().collect();
            let at = at.min(line.len());
            line.splice(at..(at + drop).min(line.len()), put.chars());
            let line: String = line.into_iter().collect();
            for reader in READERS {
                reader().line(&line, &mut |_| {});
            }
        }
    }
}
