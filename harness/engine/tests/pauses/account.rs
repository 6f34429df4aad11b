//! What a program says of itself, held against what is read from its output.
//!
//! The programs print `own CYCLE NANOSECONDS`: Go's `MemStats.PauseNs`, one a cycle; Java's `jdk.GCPhasePause` from its flight
//! recorder, one a pause.

use std::collections::BTreeMap;

use squall_engine::measure::pause::collector::{GC, Reader, Told};

/// The shortest pause that must be found, nanoseconds.
const MUST_NS: u64 = 5_000_000;

/// Whose account it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// Counts the pauses of a cycle together.
    Go,
    /// Counts each.
    Java,
}

/// Pauses by cycle, nanoseconds, in order.
pub type Cycles = BTreeMap<u64, Vec<u64>>;

/// What the program says.
pub fn own(text: &str) -> Cycles {
    let mut cycles = Cycles::new();
    for line in text.lines() {
        let mut words = line.strip_prefix("own ").unwrap_or_default().split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        if let (Some(cycle), Some(ns)) = (number(), number()) {
            cycles.entry(cycle).or_default().push(ns);
        }
    }
    cycles
}

/// What a reader finds, each pause under the number of the cycle that its line names.
pub fn read(text: &str, reader: &mut dyn Reader) -> Cycles {
    let mut cycles = Cycles::new();
    for line in text.lines() {
        reader.line(line, &mut |told| {
            if let Told::Pause(kind, ns) = told
                && *kind == GC
            {
                let cycle = cycle_of(line).unwrap_or_else(|| panic!("a pause of no cycle: {line}"));
                cycles.entry(cycle).or_default().push(ns);
            }
        });
    }
    cycles
}

fn cycle_of(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("GC(").or_else(|| line.split_once("gc "))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Holds the two against each other; panics where too little was found, or too much. How many pauses had to be found.
pub fn compare(runtime: Runtime, own: &Cycles, read: &Cycles) -> usize {
    let (mut due, mut found, mut wrong) = (0, 0, Vec::new());
    for (cycle, own) in own {
        let read = read.get(cycle).cloned().unwrap_or_default();
        let read = match runtime {
            Runtime::Go => vec![read.iter().sum()],
            Runtime::Java => read,
        };
        for (at, ns) in own.iter().enumerate().filter(|(_, ns)| **ns >= MUST_NS) {
            due += 1;
            match read.get(at) {
                Some(told) if told.abs_diff(*ns) * 10 <= *ns => found += 1,
                told => wrong.push(format!("cycle {cycle}: {ns} ns, read {told:?}")),
            }
        }
    }
    assert!(
        found * 20 >= due * 19,
        "{found} of {due} pauses over 5 ms: {wrong:#?}"
    );
    due
}
