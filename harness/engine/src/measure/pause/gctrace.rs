//! Go's collector, from the lines that `GODEBUG=gctrace=1` makes its runtime print to standard error.
//!
//! The format is that of the Go documentation, package `runtime`, "Environment Variables":
//!
//! ```text
//! gc # @#s #%: #+#+# ms clock, #+#/#/#+# ms cpu, #->#-># MB, # MB goal, # MB stacks, #MB globals, # P
//! ```
//!
//! The three wall-clock times are those of sweep termination, of marking, and of mark termination. The first and the third stop
//! the world, so each is a pause; marking does not. Only what stands up to `ms clock` is read, since the rest has changed from
//! release to release. The runtime cuts its numbers off (`fmtNSAsMS` in `runtime/mgc.go`: whole milliseconds from 10 ms on, two
//! digits below), so half of the last printed digit is added: 12.9 ms is printed as `12` and taken for 12.5.

use super::collector::{GC, Reader, Told, decimal_ns};

const MS: f64 = 1e6;

#[derive(Debug)]
struct GcTrace;

/// A reader of Go's trace.
pub fn reader() -> Box<dyn Reader> {
    Box::new(GcTrace)
}

impl Reader for GcTrace {
    fn line(&mut self, line: &str, tell: &mut dyn FnMut(Told)) {
        let Some(pauses_ns) = pauses_ns(line) else { return };
        tell(Told::Of(&GC));
        for ns in pauses_ns {
            tell(Told::Pause(&GC, ns));
        }
    }
}

/// The two pauses of a line, in nanoseconds. Lines of several processes may be run together: the last `gc` of a line that is
/// whole counts, and so does one behind other output that had no end.
fn pauses_ns(line: &str) -> Option<[u64; 2]> {
    let (head, _) = line.split_once(" ms clock,")?;
    let head = &head[head.rfind("gc ")?..];
    let (title, times) = head.rsplit_once(": ")?;
    let mut words = title.split_ascii_whitespace().skip(1);
    let number = words.next()?;
    let at = words.next()?.strip_prefix('@')?.strip_suffix('s')?;
    let share = words.next()?.strip_suffix('%')?;
    let are_numbers = [number, share].iter().all(|text| text.parse::<u64>().is_ok());
    if !are_numbers || decimal_ns(at, 1e9).is_none() {
        return None;
    }
    let mut times = times.split('+').map(|text| decimal_ns(text, MS));
    let (sweep, _mark, terminate) = (times.next()??, times.next()??, times.next()??);
    if times.next().is_some() {
        return None;
    }
    Some([sweep, terminate].map(whole))
}

/// What was printed, and half of what was cut off at most. A plain zero is below a microsecond.
fn whole((ns, last_digit_ns): (u64, f64)) -> u64 {
    if ns == 0 {
        0
    } else {
        ns + (last_digit_ns / 2.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::collector::{lengths_us, told};
    use super::*;

    #[test]
    fn the_parts_that_stop_the_world_are_pauses_and_marking_is_none() {
        // As Go 1.26 prints it, as older ones did, forced, and with a note.
        let table = [
            (
                "gc 7 @0.132s 3%: 0.015+1.2+13 ms clock, 0.03+0.41/0.95/0+26 ms cpu, 4->5->1 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P",
                [15, 13_500],
            ),
            (
                "gc 12 @1.001s 0%: 5.3+12+0 ms clock, 0.11+0.84/1.6/2.9+0.011 ms cpu, 4->4->1 MB, 5 MB goal, 8 P (forced)",
                [5_350, 0],
            ),
            (
                "gc 1 @0.016s 2% (checking for goroutine leaks): 1.0+0.5+2.0 ms clock, 1+0/0/0+1 ms cpu, 4->4->0 MB, 2 P",
                [1_050, 2_050],
            ),
            ("starting gc 3 @2.5s 1%: 1.0+2+3.0 ms clock, 1", [1_050, 3_050]),
        ];
        for (line, expected) in table {
            assert_eq!(lengths_us(&told(&mut GcTrace, line), &GC), expected, "{line}");
        }
    }

    #[test]
    fn a_torn_or_foreign_line_is_no_pause() {
        for line in [
            "",
            "gc 7 @0.132s 3%: 0.015+1.2+13 ms",
            "gc 7 @0.132s 3%: 0.015+1.2 ms clock, 1",
            "gc 7 @0.132s 3%: 0.015+1.2+13+4 ms clock, 1",
            "gc 7 @0.132s 3%: 0.015+x+13 ms clock, 1",
            "gc of 3 records took: 1+2+3 ms clock, more",
            "gc 7 0.132s 3%: 0.015+1.2+13 ms clock, 1",
            "scvg: 8 MB released",
            "pacer: assist ratio=+1.2",
        ] {
            assert!(told(&mut GcTrace, line).is_empty(), "{line}");
        }
    }
}
