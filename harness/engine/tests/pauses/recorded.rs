//! The readers on output that was recorded, so that they are tested also where no Go or Java is installed.

use squall_engine::measure::pause::collector::{GC, READERS, Reader, SAFEPOINT, Told};
use squall_engine::measure::pause::{Kind, gctrace, jvm};

use crate::account::{Runtime, compare, own, read};

const GO: &str = include_str!("recorded/go-1.26.log");
const SERIAL: &str = include_str!("recorded/jdk-17-serial.log");
const PARALLEL: &str = include_str!("recorded/jdk-17-parallel.log");
const G1: &str = include_str!("recorded/jdk-17-g1.log");
const ZGC: &str = include_str!("recorded/jdk-17-zgc.log");

fn told(mut reader: Box<dyn Reader>, text: &str) -> Vec<Told> {
    let mut all = Vec::new();
    for line in text.lines() {
        reader.line(line, &mut |told| all.push(told));
    }
    all
}

fn sum_ns(told: &[Told], of: &Kind) -> u64 {
    let length = |told: &Told| match told {
        Told::Pause(kind, ns) if *kind == of => *ns,
        _ => 0,
    };
    told.iter().map(length).sum()
}

#[test]
fn go_pauses_are_found_with_the_lengths_that_the_runtime_counts() {
    let due = compare(Runtime::Go, &own(GO), &read(GO, &mut *gctrace::reader()));
    assert!(due >= 60, "{due} pauses over 5 ms");
}

#[test]
fn jvm_pauses_are_found_with_the_lengths_of_the_flight_recorder() {
    for (text, at_least) in [(SERIAL, 50), (PARALLEL, 50), (G1, 50), (ZGC, 0)] {
        let due = compare(Runtime::Java, &own(text), &read(text, &mut *jvm::reader()));
        assert!(due >= at_least, "{due} pauses over 5 ms");
    }
}

#[test]
fn a_collector_with_short_pauses_is_visible_all_the_same() {
    let all = told(jvm::reader(), ZGC);
    assert!(all.contains(&Told::Of(&GC)));
    let pauses = all.iter().filter(|told| matches!(told, Told::Pause(..))).count();
    assert_eq!(pauses, ZGC.matches(" Pause ").count());
    assert!((1..1_000_000).contains(&(sum_ns(&all, &GC) / pauses as u64)));
}

#[test]
fn collections_and_safepoints_together_are_the_safepoints_and_nothing_twice() {
    for text in [SERIAL, PARALLEL, G1] {
        let all = told(jvm::reader(), text);
        let totals = text
            .lines()
            .filter_map(|line| line.rsplit_once("Total: ")?.1.strip_suffix(" ns"));
        let stopped_ns: u64 = totals.map(|ns| ns.trim().parse::<u64>().expect("a number")).sum();
        let counted_ns = sum_ns(&all, &GC) + sum_ns(&all, &SAFEPOINT);
        assert!(sum_ns(&all, &SAFEPOINT) > 0);
        // The collector's own times are rounded to a microsecond.
        assert!(
            counted_ns.abs_diff(stopped_ns) * 1_000 <= stopped_ns,
            "{counted_ns} of {stopped_ns}"
        );
    }
}

#[test]
fn no_reader_takes_what_is_meant_for_another() {
    for text in [GO, SERIAL, PARALLEL, G1, ZGC] {
        let tell = READERS.iter().filter(|reader| !told(reader(), text).is_empty());
        assert_eq!(tell.count(), 1);
    }
}

#[test]
fn a_reader_that_drops_pauses_or_gets_their_length_wrong_is_noticed() {
    let spoil = |spoil: fn(&mut Vec<u64>)| {
        let mut read = read(G1, &mut *jvm::reader());
        read.values_mut().for_each(spoil);
        std::panic::catch_unwind(|| compare(Runtime::Java, &own(G1), &read)).is_err()
    };
    assert!(spoil(Vec::clear));
    assert!(spoil(|pauses| pauses.iter_mut().for_each(|ns| *ns = *ns / 4 * 5)));
    assert!(!spoil(|_| {}));
}
