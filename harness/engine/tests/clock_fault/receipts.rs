//! Steps, jumps, freezes and drifts on a running program, and the receipts it leaves.

use std::process::Stdio;
use std::time::Instant;

use squall_engine::fault::clock::{ClockChange, ClockFamily, KernelClock, Laws, reset_page};
use squall_engine::fault::{Fault as _, Receipt, TargetProcess};

use super::target::{MS, PATIENCE, SECOND, Setup, Target, target_program};

const BOTH: [ClockFamily; 2] = [ClockFamily::Realtime, ClockFamily::Monotonic];

fn proven(receipt: Receipt) -> String {
    match receipt {
        Receipt::Proven { evidence } => evidence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_change_the_target_is_on_real_time() {
    let setup = Setup::new();
    let mut target = setup.target();
    let reads = target.read();
    for family in BOTH {
        reads.hold(family, &Laws::REST);
    }
    assert_eq!(setup.page.attached(), 1);
}

#[test]
fn every_change_is_seen_by_every_way_to_read_and_proven_and_healed() {
    let changes = [
        ClockChange::Step(-5 * MS),
        ClockChange::Step(-500 * MS),
        ClockChange::Step(3600 * SECOND),
        ClockChange::Freeze,
        ClockChange::Step(-20 * MS),
        ClockChange::Drift { ppb: 900_000_000 },
        ClockChange::Drift { ppb: -900_000_000 },
    ];
    let setup = Setup::new();
    let mut target = setup.target();
    for (family, other) in [(BOTH[0], BOTH[1]), (BOTH[1], BOTH[0])] {
        for change in changes {
            let mut fault = setup.fault(family, change);
            fault.inject().unwrap();
            assert_eq!(fault.prove(), Receipt::Pending, "nobody read a clock yet");
            let reads = target.read();
            reads.hold(family, &setup.page.laws());
            reads.hold(other, &Laws::REST);
            let evidence = proven(fault.prove());
            assert!(
                evidence.starts_with(&format!("pid {} (clock_target", target.pid())),
                "{evidence}"
            );
        }
        let mut last = setup.fault(family, ClockChange::Step(0));
        last.inject().unwrap();
        last.heal().unwrap();
        assert_eq!(last.prove_healed(), Receipt::Pending);
        target.read().hold(family, &Laws::REST);
        let evidence = proven(last.prove_healed());
        assert!(evidence.ends_with("equal to the real clock"), "{evidence}");
    }
}

#[test]
fn the_evidence_is_a_sentence_with_the_targets_own_figures() {
    let setup = Setup::new();
    let mut target = setup.target();
    let mut fault = setup.fault(ClockFamily::Realtime, ClockChange::Step(-20 * MS));
    fault.inject().unwrap();
    target.read();
    let evidence = proven(fault.prove());
    assert!(evidence.contains(") read its realtime clock "), "{evidence}");
    assert!(
        evidence.ends_with(" ms after the step: 20.000 ms behind the real clock"),
        "{evidence}"
    );
}

#[test]
fn a_jump_sets_the_date_before_and_after_the_present_one() {
    let setup = Setup::new();
    let mut target = setup.target();
    for date in [0, 1_000_000_000 * SECOND, 4_102_444_800 * SECOND] {
        let mut fault = setup.fault(ClockFamily::Realtime, ClockChange::JumpTo(date));
        fault.inject().unwrap();
        let reads = target.read();
        reads.hold(ClockFamily::Realtime, &setup.page.laws());
        assert!(
            (date..date + 60 * SECOND).contains(&reads.shown[0]),
            "{}",
            reads.shown[0]
        );
        proven(fault.prove());
    }
}

#[test]
fn a_clock_before_1970_counts_its_nanoseconds_forwards() {
    let setup = Setup::new();
    let mut target = setup.target();
    setup.set(
        ClockFamily::Realtime,
        ClockChange::JumpTo(-1_000_000_000 * SECOND),
    );
    target.read().hold(ClockFamily::Realtime, &setup.page.laws());
}

#[test]
fn a_frozen_clock_shows_the_same_nanosecond_until_it_is_healed() {
    let setup = Setup::new();
    let mut target = setup.target();
    let mut fault = setup.fault(ClockFamily::Realtime, ClockChange::Freeze);
    fault.inject().unwrap();
    let (first, second) = (target.read().shown, target.read().shown);
    // Not by the coarse clock, whose last tick lies before the freeze.
    assert_eq!(first[0], second[0]);
    assert_eq!(first[2], second[2]);
    assert!(second[7] > first[7], "the monotonic clock runs on");
    fault.heal().unwrap();
    assert!(target.read().shown[0] > second[0]);
}

#[test]
fn receipts_are_exact_to_the_nanosecond() {
    let setup = Setup::new();
    let mut target = setup.target();
    for ppb in [-999_999_999, -1, 1, 123_456_789, 999_999_999] {
        setup.set(ClockFamily::Monotonic, ClockChange::Drift { ppb });
        target.read();
    }
    setup.set(ClockFamily::Monotonic, ClockChange::Freeze);
    target.read();
    let (epoch, laws) = setup.page.read();
    let seen = setup.page.seen();
    let last = seen.last().unwrap();
    assert_eq!(last.epoch, epoch);
    assert_eq!(last.virtual_ns, laws.of(last.clock).at(last.real_ns));
    assert!(seen.len() >= 6 && seen.iter().all(|receipt| receipt.pid == target.pid()));
}

#[test]
fn a_target_that_reads_no_clock_is_never_proven() {
    let setup = Setup::new();
    let mut child = setup
        .command("sleep")
        .arg("60")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut fault = setup.fault(ClockFamily::Realtime, ClockChange::Step(-SECOND));
    // It is up once it mapped its page; until then it would prove nothing.
    let patience = Instant::now() + PATIENCE;
    while setup.page.attached() == 0 && Instant::now() < patience {
        std::thread::yield_now();
    }
    let up = setup.page.attached() == 1;
    fault.inject().unwrap();
    let receipt = fault.prove();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(up, "sleep loads the library");
    assert_eq!(receipt, Receipt::Pending);
    assert_eq!(fault.prove(), Receipt::Pending);
}

#[test]
fn a_process_that_lies_about_its_clock_fails_the_receipt() {
    let setup = Setup::new();
    let mut target = setup.target();
    let mut fault = setup.fault(ClockFamily::Realtime, ClockChange::Step(-20 * MS));
    fault.inject().unwrap();
    target.read();
    // The first receipt's `virtual_ns`, as preload/page.h lays it out.
    let mut bytes = std::fs::read(setup.page.path()).unwrap();
    let shown = i64::from_ne_bytes(bytes[480..488].try_into().unwrap());
    assert!(
        setup.page.seen().iter().any(|seen| seen.virtual_ns == shown),
        "the layout is as assumed"
    );
    bytes[480..488].copy_from_slice(&(shown + 20 * MS).to_ne_bytes());
    overwrite(setup.page.path(), &bytes);
    match fault.prove() {
        Receipt::Failed { reason } => assert!(
            reason.contains("20.000 ms behind the real clock was due"),
            "{reason}"
        ),
        other => panic!("{other:?}"),
    }
}

/// In place: the page is mapped.
fn overwrite(path: &std::path::Path, bytes: &[u8]) {
    use std::os::unix::fs::FileExt as _;
    std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .write_all_at(bytes, 0)
        .unwrap();
}

#[test]
fn a_reset_from_another_mapping_reaches_the_target() {
    let setup = Setup::new();
    let mut target = setup.target();
    setup.set(ClockFamily::Realtime, ClockChange::Step(-SECOND));
    setup.set(ClockFamily::Monotonic, ClockChange::Step(SECOND));
    reset_page(&setup.installed.page).unwrap();
    let reads = target.read();
    for family in BOTH {
        reads.hold(family, &Laws::REST);
    }
}

#[test]
fn a_forked_child_leaves_receipts_of_its_own() {
    let setup = Setup::new();
    let mut target = setup.target();
    let mut fault = setup.fault(ClockFamily::Realtime, ClockChange::Step(-SECOND));
    fault.inject().unwrap();
    target.read();
    let child: u32 = target.ask("fork").parse().unwrap();
    let pids: Vec<u32> = setup.page.seen().iter().map(|seen| seen.pid).collect();
    assert!(pids.contains(&target.pid()) && pids.contains(&child), "{pids:?}");
}

#[test]
fn after_a_restart_only_the_new_process_proves_the_fault() {
    let setup = Setup::new();
    let mut first = setup.target();
    let mut fault = setup.fault(ClockFamily::Realtime, ClockChange::Step(-SECOND));
    fault.inject().unwrap();
    first.read();
    proven(fault.prove());
    drop(first);
    let mut second = setup.target();
    let process = TargetProcess {
        service: "ids".to_owned(),
        pid: second.pid(),
    };
    fault.rearm(&process).unwrap();
    assert_eq!(fault.prove(), Receipt::Pending);
    second.read().hold(ClockFamily::Realtime, &setup.page.laws());
    assert!(proven(fault.prove()).contains(&format!("pid {} ", second.pid())));
}

#[test]
fn a_process_that_reads_before_it_is_ready_proves_the_fault_after_a_restart() {
    let setup = Setup::new();
    let mut first = setup.target();
    let mut fault = setup.fault(ClockFamily::Realtime, ClockChange::Step(-SECOND));
    fault.inject().unwrap();
    first.read();
    proven(fault.prove());
    drop(first);
    fault.target_gone();
    let mut second = setup.target();
    second.read();
    let process = TargetProcess {
        service: "ids".to_owned(),
        pid: second.pid(),
    };
    fault.rearm(&process).unwrap();
    assert!(proven(fault.prove()).contains(&format!("pid {} ", second.pid())));
}

#[test]
fn reading_leaves_errno_alone() {
    let setup = Setup::new();
    let mut target = setup.target();
    for _ in 0..3 {
        setup.set(ClockFamily::Realtime, ClockChange::Step(-MS));
        assert_eq!(target.ask("errno"), "77");
    }
}

#[test]
fn a_page_that_is_missing_or_not_one_leaves_real_time() {
    let setup = Setup::new();
    setup.set(ClockFamily::Realtime, ClockChange::Step(-3600 * SECOND));
    let good = std::fs::read(&setup.installed.page).unwrap();
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        bytes
    };
    let longer = [good.as_slice(), &[0; 4096]].concat();
    let cases = [
        ("empty", Some(Vec::new())),
        ("short", Some(good[..4095].to_vec())),
        ("long", Some(longer)),
        ("magic", Some(changed(0, b'X'))),
        ("version", Some(changed(8, 2))),
        ("size", Some(changed(12, 1))),
        ("missing", None),
    ];
    for (name, bytes) in cases {
        let path = setup.dir.path().join(name);
        if let Some(bytes) = &bytes {
            std::fs::write(&path, bytes).unwrap();
        }
        let mut command = setup.command(target_program());
        command.env("SQUALL_CLOCK_PAGE", &path);
        Target::start(command)
            .read()
            .hold(ClockFamily::Realtime, &Laws::REST);
    }
    let mut command = setup.command(target_program());
    command.env_remove("SQUALL_CLOCK_PAGE");
    Target::start(command)
        .read()
        .hold(ClockFamily::Realtime, &Laws::REST);
    // And the page as it was: the cases above differ from one that works.
    setup
        .target()
        .read()
        .hold(ClockFamily::Realtime, &setup.page.laws());
}

#[test]
fn readers_in_the_target_never_see_half_a_step() {
    const CHANGES: usize = 100_000;
    // Halves of the two would show: both the seconds and the part below differ.
    let offsets = [1_000_000 * SECOND + 900 * MS, -1_000_000 * SECOND + 100 * MS];
    let setup = Setup::new();
    let mut target = setup.target();
    setup.set(ClockFamily::Realtime, ClockChange::Step(offsets[0]));
    assert_eq!(
        target.ask(&format!("hammer {} {}", offsets[0], offsets[1])),
        "started"
    );
    for change in 0..CHANGES {
        let way = if change % 2 == 0 {
            offsets[1] - offsets[0]
        } else {
            offsets[0] - offsets[1]
        };
        setup.set(ClockFamily::Realtime, ClockChange::Step(way));
    }
    let answer = target.ask("stop");
    let (reads, torn) = answer.split_once(' ').unwrap();
    assert!(reads.parse::<u64>().unwrap() > 0);
    assert_eq!(torn, "0", "of {reads} reads");
    assert_eq!(setup.page.laws().of(KernelClock::Realtime).offset_ns, offsets[0]);
}
