//! The JVM's collectors and safepoints, from the lines of its unified log (JEP 158, JEP 271) where they go to the output.
//!
//! ```text
//! [1.234s][info][gc] GC(3) Pause Young (Normal) (G1 Evacuation Pause) 24M->4M(256M) 3.456ms
//! [1.234s][info][safepoint] Safepoint "Cleanup", Time since last: 1 ns, Reaching safepoint: 2 ns, At safepoint: 3 ns, Total: 5 ns
//! [1.234s][info][safepoint] Total time for which application threads were stopped: 0.0123 seconds, Stopping threads took: ...
//! ```
//!
//! Decorations in brackets are passed over, whichever there are. `-Xlog:gc` prints the first kind, for every collector but ZGC,
//! whose pauses need `-Xlog:gc*` or `-Xlog:gc,gc+phases`; `-Xlog:safepoint` prints the second, or the third before JDK 13. A line
//! that announces a pause (`gc+start`) has no length and is none.
//!
//! **No pause is counted twice.** A collector's pause happens inside a safepoint, and its line comes before the safepoint's. The
//! pause counts as `gc` by its own length, and of the safepoint only the rest (getting there, cleaning up) as `safepoint`.

use super::collector::{GC, Reader, SAFEPOINT, Told, decimal_ns};

/// Collectors that tell all of their pauses under the tag `gc` alone.
const TELLING: [&str; 4] = ["Serial", "Parallel", "G1", "Shenandoah"];

#[derive(Debug, Default)]
struct Jvm {
    /// Pauses of the collector since the last safepoint's line, which belong to the next one.
    collected_ns: u64,
}

/// A reader of the JVM's log.
pub fn reader() -> Box<dyn Reader> {
    Box::new(Jvm::default())
}

impl Reader for Jvm {
    fn line(&mut self, line: &str, tell: &mut dyn FnMut(Told)) {
        let Some(message) = message(line) else { return };
        if is_begin(message) {
            tell(Told::Of(&GC));
            tell(Told::Lacks(&SAFEPOINT));
        } else if let Some(ns) = collection_ns(message) {
            self.collected_ns = self.collected_ns.saturating_add(ns);
            tell(Told::Of(&GC));
            tell(Told::Lacks(&SAFEPOINT));
            tell(Told::Pause(&GC, ns));
        } else if let Some(ns) = safepoint_ns(message) {
            let rest = ns.saturating_sub(std::mem::take(&mut self.collected_ns));
            tell(Told::Of(&SAFEPOINT));
            if rest > 0 {
                tell(Told::Pause(&SAFEPOINT, rest));
            }
        }
    }
}

/// What stands behind the decorations; nothing for a line without any, which is not the log's. Without decorations
/// (`-Xlog:gc::none`) a line of the collector begins with its number.
fn message(line: &str) -> Option<&str> {
    let mut rest = line;
    while let Some(inner) = rest.strip_prefix('[') {
        rest = inner.split_once(']')?.1;
    }
    let message = rest.trim_start();
    (rest.len() < line.len() || message.starts_with("GC(")).then_some(message)
}

/// `Using G1`: what a JVM says of its collector when it begins.
fn is_begin(message: &str) -> bool {
    message
        .strip_prefix("Using ")
        .is_some_and(|name| TELLING.contains(&name.trim()))
}

/// `GC(3) Pause Young ... 3.456ms`; generational ZGC puts `y:`, `Y:` or `O:` before the pause.
fn collection_ns(message: &str) -> Option<u64> {
    let (number, rest) = message.strip_prefix("GC(")?.split_once(')')?;
    number.parse::<u64>().ok()?;
    let rest = rest.trim_start();
    let rest = match rest.split_once(": ") {
        Some(("y" | "Y" | "o" | "O", rest)) => rest,
        _ => rest,
    };
    rest.strip_prefix("Pause ")?;
    let length = rest.rsplit(' ').next()?;
    Some(decimal_ns(length.strip_suffix("ms")?, 1e6)?.0)
}

/// The length of a whole safepoint, in either wording.
fn safepoint_ns(message: &str) -> Option<u64> {
    const OLD: &str = "Total time for which application threads were stopped: ";
    if let Some(rest) = message.strip_prefix(OLD) {
        return Some(decimal_ns(rest.split_once(" seconds,")?.0, 1e9)?.0);
    }
    let (_, total) = message.strip_prefix("Safepoint \"")?.rsplit_once(", Total: ")?;
    Some(decimal_ns(total.trim_end().strip_suffix(" ns")?.trim_start(), 1.0)?.0)
}

#[cfg(test)]
mod tests {
    use super::super::collector::{lengths_us, told};
    use super::*;

    fn read(text: &str) -> Vec<Told> {
        told(&mut Jvm::default(), text)
    }

    #[test]
    fn a_pause_is_read_whatever_decorates_it_and_whichever_collector_made_it() {
        let table = [
            (
                "[1.234s][info][gc] GC(3) Pause Young (Normal) (G1 Evacuation Pause) 24M->4M(256M) 3.456ms",
                3_456,
            ),
            ("[0.5s][info][gc,phases] GC(0) Pause Mark Start 0.012ms", 12),
            (
                "[2026-01-02T03:04:05.678+0000][1234ms][4711][info][gc     ] GC(9) Pause Full (System.gc()) 8M->1M(8M) 12.001ms",
                12_001,
            ),
            ("[12ns][gc] GC(1) Pause Remark 5M->5M(64M) 1.000ms", 1_000),
            ("[1s][info][gc] GC(4) Y: Pause Mark End 0.020ms", 20),
            (
                "[1s][info][gc] GC(4) Pause Init Mark (unload classes) 0.345ms",
                345,
            ),
            (
                "GC(4) Pause Young (Allocation Failure) 63M->1M(245M) 2.345ms",
                2_345,
            ),
        ];
        for (line, expected) in table {
            assert_eq!(lengths_us(&read(line), &GC), [expected], "{line}");
        }
    }

    #[test]
    fn what_stops_no_thread_is_no_pause() {
        for line in [
            "[1s][info][gc,start] GC(3) Pause Young (Normal) (G1 Evacuation Pause)",
            "[1s][info][gc] GC(2) Concurrent Mark Cycle 12.345ms",
            "[1s][info][gc] GC(0) Garbage Collection (Warmup) 104M(10%)->88M(9%)",
            "[1s][info][gc,cpu] GC(3) User=0.01s Sys=0.00s Real=0.00s",
            "[1s][info][gc] GC(3) Pause Young (Normal) (G1 Evac",
            "[1s][info][gc] GC(x) Pause Young 1.0ms",
            "Pause Young 1.0ms",
            "[http] Pause for 3.0ms",
            "[unfinished",
        ] {
            assert!(read(line).is_empty(), "{line}");
        }
    }

    #[test]
    fn a_collector_that_begins_is_visible_before_its_first_pause_but_not_one_that_hides_them() {
        assert!(read("[0.01s][info][gc] Using G1").contains(&Told::Of(&GC)));
        assert!(read("[0.01s][info][gc,init] Using The Z Garbage Collector").is_empty());
    }

    #[test]
    fn a_safepoint_counts_without_the_collection_inside_it() {
        let text = "[1.0s][info][gc] GC(3) Pause Young (Normal) 24M->4M(256M) 3.000ms\n\
             [1.0s][info][safepoint] Safepoint \"G1CollectForAllocation\", Time since last: 9 ns, Reaching safepoint: 70000 ns, \
             At safepoint: 3200000 ns, Total: 3270000 ns\n\
             [1.1s][info][safepoint] Safepoint \"ICBufferFull\", Time since last: 9 ns, Reaching safepoint: 1 ns, Cleanup: 2 ns, \
             At safepoint: 3 ns, Total: 40000 ns\n";
        let all = read(text);
        assert_eq!(lengths_us(&all, &GC), [3_000]);
        assert_eq!(lengths_us(&all, &SAFEPOINT), [270, 40]);
    }

    #[test]
    fn the_older_wording_of_a_safepoint_is_read_too() {
        let line = "[0.9s][info][safepoint] Total time for which application threads were stopped: 0.0123456 seconds, \
                    Stopping threads took: 0.0000123 seconds";
        assert_eq!(lengths_us(&read(line), &SAFEPOINT), [12_345]);
    }
}
