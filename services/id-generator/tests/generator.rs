//! The generator against clocks moved by hand: unique and increasing, whatever the clock does.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use squall_id_generator::{
    Attempt, Clock, Config, Defence, GenerateError, Generator, HighWaterMark, Incident, ManualClock, Observe,
    Plant, Policy, Unobserved, Wait, layout,
};

const START_MS: u64 = 80_000_000_000;
const HOUR_MS: u64 = 3_600_000;

/// Keeps every incident.
#[derive(Default)]
struct Notebook(Mutex<Vec<Incident>>);

impl Observe for Notebook {
    fn note(&self, incident: &Incident) {
        self.0.lock().unwrap().push(incident.clone());
    }
}

impl Notebook {
    fn rollbacks(&self) -> Vec<(u64, Defence)> {
        let incidents = self.0.lock().unwrap();
        let rollback = |incident: &Incident| match incident {
            Incident::Rollback { step_ms, defence, .. } => Some((*step_ms, *defence)),
            _ => None,
        };
        incidents.iter().filter_map(rollback).collect()
    }

    fn count(&self, wanted: impl Fn(&Incident) -> bool) -> usize {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|incident| wanted(incident))
            .count()
    }
}

struct Bench {
    clock: Arc<ManualClock>,
    notebook: Arc<Notebook>,
    generator: Generator<Arc<ManualClock>>,
}

fn bench(config: Config) -> Bench {
    bench_at(
        config,
        Arc::new(ManualClock::at_ms(START_MS)),
        HighWaterMark::in_memory(),
    )
}

fn bench_at(config: Config, clock: Arc<ManualClock>, mark: HighWaterMark) -> Bench {
    let notebook = Arc::new(Notebook::default());
    let generator = Generator::new(config, Arc::clone(&clock), mark, Arc::clone(&notebook) as _);
    Bench {
        clock,
        notebook,
        generator,
    }
}

fn open(folder: &Path) -> HighWaterMark {
    HighWaterMark::open(folder, 0, Arc::new(Unobserved)).unwrap()
}

impl Bench {
    fn ids(&self, count: usize) -> Vec<u64> {
        (0..count).map(|_| self.generator.next_id().unwrap()).collect()
    }
}

#[track_caller]
fn assert_increasing(ids: &[u64]) {
    for pair in ids.windows(2) {
        assert!(
            pair[0] < pair[1],
            "{:?} is followed by {:?}",
            layout::parts(pair[0]),
            layout::parts(pair[1])
        );
    }
}

#[test]
fn an_id_says_when_and_where_it_was_made() {
    let bench = bench(Config {
        node: 700,
        ..Config::default()
    });
    assert_eq!(
        layout::parts(bench.generator.next_id().unwrap()),
        (START_MS, 700, 0)
    );
    assert_eq!(
        layout::parts(bench.generator.next_id().unwrap()),
        (START_MS, 700, 1)
    );
    bench.clock.pass(Duration::from_millis(2));
    assert_eq!(
        layout::parts(bench.generator.next_id().unwrap()),
        (START_MS + 2, 700, 0)
    );
}

#[test]
fn every_step_back_is_met_by_the_defence_for_its_size() {
    let cases = [
        (5, Defence::Spin),
        (9, Defence::Spin),
        (10, Defence::Sleep),
        (20, Defence::Sleep),
        (49, Defence::Sleep),
        (50, Defence::Backup),
        (500, Defence::Backup),
        (HOUR_MS, Defence::Backup),
    ];
    for (step_ms, defence) in cases {
        let bench = bench(Config::default());
        let mut ids = bench.ids(10);
        bench.clock.step_us(-(step_ms as i64) * 1_000);
        ids.extend(bench.ids(1));
        let waits = matches!(defence, Defence::Spin | Defence::Sleep);
        // Waiting passes the time of the step and hardly more; the backup sequencer passes none.
        let waited_ms = bench.clock.monotonic_us() / 1_000;
        assert_eq!(waited_ms, if waits { step_ms } else { 0 }, "{step_ms}");
        ids.extend(bench.ids(10_000));
        assert_increasing(&ids);
        assert_eq!(bench.notebook.rollbacks(), [(step_ms, defence)]);
        assert_eq!(bench.generator.in_backup(), defence == Defence::Backup);
    }
}

#[test]
fn the_size_of_a_step_does_not_shrink_with_the_age_of_the_last_id() {
    let bench = bench(Config::default());
    bench.ids(1);
    bench.clock.pass(Duration::from_micros(2_300));
    bench.clock.step_us(-50_000);
    bench.ids(1);
    assert_eq!(bench.notebook.rollbacks(), [(50, Defence::Backup)]);
}

#[test]
fn the_backup_sequencer_gives_way_once_the_clock_has_caught_up() {
    let bench = bench(Config::default());
    let mut ids = bench.ids(1);
    bench.clock.step_us(-500_000);
    for _ in 0..600 {
        ids.extend(bench.ids(2));
        bench.clock.pass(Duration::from_millis(1));
    }
    assert_increasing(&ids);
    assert!(!bench.generator.in_backup());
    assert_eq!(
        bench
            .notebook
            .count(|incident| *incident == Incident::BackupEntered),
        1
    );
    let left = Incident::BackupLeft { lasted_ms: 501 };
    assert_eq!(
        bench.notebook.count(|incident| *incident == left),
        1,
        "{:?}",
        bench.notebook.0
    );
    assert_eq!(layout::parts(*ids.last().unwrap()).0, bench.clock.wall_ms() - 1);
}

#[test]
fn under_full_load_the_backup_sequencer_keeps_its_lead_within_the_step() {
    let bench = bench(Config::default());
    bench.ids(1);
    bench.clock.step_us(-60_000);
    let mut ids = Vec::new();
    let mut longest_lead_ms = 0;
    while ids.len() <= 1 || bench.generator.in_backup() {
        let Attempt::Taken(taken) = bench.generator.try_take(4096).unwrap() else {
            bench.clock.spin();
            continue;
        };
        ids.extend(taken.iter());
        let (ms, ..) = layout::parts(*ids.last().unwrap());
        longest_lead_ms = longest_lead_ms.max(ms.saturating_sub(bench.clock.wall_ms()));
        assert!(ids.len() < 40_000_000, "the wall clock never caught up");
    }
    assert_increasing(&ids);
    assert!(longest_lead_ms <= 60, "{longest_lead_ms}");
    // It gains a 64th of real time: 60 ms in 3.84 s.
    assert!(
        bench.clock.monotonic_us() < 4_000_000,
        "{}",
        bench.clock.monotonic_us()
    );
}

#[test]
fn further_steps_back_are_told_while_the_backup_sequencer_runs() {
    let bench = bench(Config::default());
    let mut ids = bench.ids(1);
    for step_ms in [100, 7, 3_000] {
        bench.clock.step_us(-step_ms * 1_000);
        ids.extend(bench.ids(5));
    }
    assert_increasing(&ids);
    let told = [
        (100, Defence::Backup),
        (7, Defence::Backup),
        (3_000, Defence::Backup),
    ];
    assert_eq!(bench.notebook.rollbacks(), told);
    assert_eq!(
        bench
            .notebook
            .count(|incident| *incident == Incident::BackupEntered),
        1
    );
}

#[test]
fn the_policy_reject_refuses_with_the_agreed_words_until_the_clock_has_caught_up() {
    let bench = bench(Config {
        policy: Policy::Reject,
        ..Config::default()
    });
    let mut ids = bench.ids(3);
    bench.clock.step_us(-50_000);
    for _ in 0..50 {
        let error = bench.generator.next_id().unwrap_err();
        assert_eq!(error.to_string(), "clock moved backward, reject ID generation");
        bench.clock.pass(Duration::from_millis(1));
    }
    ids.extend(bench.ids(3));
    assert_increasing(&ids);
    assert_eq!(bench.notebook.rollbacks(), [(50, Defence::Reject)]);
    bench.clock.step_us(-49_000);
    ids.extend(bench.ids(1));
    assert_increasing(&ids);
}

#[test]
fn a_full_millisecond_waits_for_the_next() {
    let bench = bench(Config::default());
    let ids = bench.ids(3 * 4096);
    assert_increasing(&ids);
    let used: HashSet<u64> = ids.iter().map(|id| layout::parts(*id).0).collect();
    assert_eq!(used, HashSet::from([START_MS, START_MS + 1, START_MS + 2]));
    assert_eq!(
        bench
            .notebook
            .count(|incident| *incident == Incident::SequenceExhausted),
        2
    );
    assert_eq!(bench.notebook.rollbacks(), []);
}

#[test]
fn a_take_yields_consecutive_ids_of_one_millisecond() {
    let bench = bench(Config::default());
    let taken = |want| match bench.generator.try_take(want).unwrap() {
        Attempt::Taken(ids) => ids.count,
        Attempt::Wait(wait) => panic!("{wait:?}"),
    };
    assert_eq!([taken(0), taken(100), taken(10_000)], [1, 100, 3_995]);
    let wait = Wait::Wall { ms: START_MS + 1 };
    assert_eq!(bench.generator.try_take(1).unwrap(), Attempt::Wait(wait));
}

#[test]
fn a_frozen_clock_hands_over_to_the_backup_sequencer() {
    let bench = bench(Config::default());
    bench.clock.freeze(true);
    let ids = bench.ids(50_000);
    assert_increasing(&ids);
    assert!(bench.generator.in_backup());
    assert_eq!(
        bench
            .notebook
            .count(|incident| matches!(incident, Incident::Stalled { .. })),
        1
    );
    // Let go and set right, the clock is in charge again.
    bench.clock.freeze(false);
    bench.clock.step_us(10_000_000);
    let after = bench.ids(1);
    assert!(!bench.generator.in_backup() && after[0] > ids[49_999]);
}

#[test]
fn a_frozen_clock_is_refused_under_the_policy_reject() {
    let bench = bench(Config {
        policy: Policy::Reject,
        ..Config::default()
    });
    bench.clock.freeze(true);
    bench.ids(4096);
    let error = bench.generator.next_id().unwrap_err();
    assert!(matches!(error, GenerateError::ClockStandsStill), "{error}");
    bench.clock.freeze(false);
    bench.clock.pass(Duration::from_millis(1));
    bench.ids(1);
}

#[test]
fn a_clock_that_freezes_behind_the_last_id_does_not_hold_ids_up_for_ever() {
    let bench = bench(Config::default());
    let mut ids = bench.ids(1);
    bench.clock.step_us(-20_000);
    bench.clock.freeze(true);
    ids.extend(bench.ids(10_000));
    assert_increasing(&ids);
    assert!(bench.generator.in_backup());
}

#[test]
fn a_drifting_clock_is_followed() {
    for drift_us in [-900_i64, -300, 300, 900] {
        let bench = bench(Config::default());
        let mut ids = Vec::new();
        for _ in 0..2_000 {
            bench.clock.pass(Duration::from_millis(1));
            bench.clock.step_us(drift_us);
            ids.extend(bench.ids(3));
        }
        assert_increasing(&ids);
    }
}

#[test]
fn a_clock_that_jumps_far_ahead_and_back_keeps_ids_increasing() {
    let bench = bench(Config::default());
    let year_us = 365 * 24 * HOUR_MS as i64 * 1_000;
    let mut ids = bench.ids(5);
    bench.clock.step_us(10 * year_us);
    ids.extend(bench.ids(5));
    bench.clock.step_us(-10 * year_us);
    ids.extend(bench.ids(20_000));
    assert_increasing(&ids);
}

#[test]
fn a_clock_beyond_the_layout_is_refused_and_leaves_no_trace() {
    let bench = bench(Config::default());
    let mut ids = bench.ids(1);
    let beyond_us = (layout::MS_MAX + 1 - START_MS) as i64 * 1_000;
    bench.clock.step_us(beyond_us);
    assert!(matches!(
        bench.generator.next_id(),
        Err(GenerateError::ClockBeyondLayout)
    ));
    bench.clock.step_us(-beyond_us);
    ids.extend(bench.ids(1));
    assert_increasing(&ids);
    assert_eq!(bench.notebook.rollbacks(), []);
}

#[test]
fn a_clock_before_the_epoch_still_yields_ids() {
    let bench = bench_at(
        Config::default(),
        Arc::new(ManualClock::at_ms(0)),
        HighWaterMark::in_memory(),
    );
    bench.clock.freeze(true);
    assert_increasing(&bench.ids(10_000));
}

/// Ids of `threads` threads at once; those of each must increase.
fn ids_of_threads(bench: &Bench, threads: usize, each: usize) -> Vec<u64> {
    let mut all = Vec::new();
    thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(|| bench.ids(each))).collect();
        for handle in handles {
            let ids = handle.join().unwrap();
            assert_increasing(&ids);
            all.extend(ids);
        }
    });
    all
}

#[test]
fn threads_never_share_an_id() {
    let bench = bench(Config::default());
    let mut ids = ids_of_threads(&bench, 8, 20_000);
    bench.clock.step_us(-5_000);
    ids.extend(ids_of_threads(&bench, 8, 5_000));
    bench.clock.step_us(-30_000);
    ids.extend(ids_of_threads(&bench, 8, 5_000));
    bench.clock.step_us(-3_000_000);
    ids.extend(ids_of_threads(&bench, 8, 20_000));
    let distinct: HashSet<u64> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), ids.len());
    assert_eq!(
        bench.notebook.rollbacks().len(),
        3,
        "one each: {:?}",
        bench.notebook.rollbacks()
    );
}

#[test]
fn threads_never_share_an_id_while_the_clock_is_strobed() {
    let bench = bench(Config::default());
    let mut ids = Vec::new();
    thread::scope(|scope| {
        let strobe = scope.spawn(|| {
            for step_us in [-5_000, 700_000, -60_000, -700_000, 65_000, -20_000, 3_000].repeat(40) {
                bench.clock.step_us(step_us);
                thread::yield_now();
            }
        });
        ids = ids_of_threads(&bench, 4, 20_000);
        strobe.join().unwrap();
    });
    let distinct: HashSet<u64> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), ids.len());
}

#[test]
fn a_restart_within_the_same_millisecond_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at_ms(START_MS));
    let mut ids = Vec::new();
    for _ in 0..20 {
        let bench = bench_at(Config::default(), Arc::clone(&clock), open(folder.path()));
        ids.extend(bench.ids(100));
    }
    assert_increasing(&ids);
}

#[test]
fn a_restart_with_the_clock_set_back_repeats_nothing() {
    for step_ms in [5, 20, 49, 50, 500, HOUR_MS] {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at_ms(START_MS));
        let mut ids = bench_at(Config::default(), Arc::clone(&clock), open(folder.path())).ids(5_000);
        for _ in 0..3 {
            clock.step_us(-(step_ms as i64) * 1_000);
            let bench = bench_at(Config::default(), Arc::clone(&clock), open(folder.path()));
            ids.extend(bench.ids(5_000));
        }
        assert_increasing(&ids);
    }
}

#[test]
fn a_restart_while_the_backup_sequencer_runs_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at_ms(START_MS));
    let first = bench_at(Config::default(), Arc::clone(&clock), open(folder.path()));
    let mut ids = first.ids(1);
    clock.step_us(-1_000_000);
    ids.extend(first.ids(100_000));
    assert!(first.generator.in_backup());
    drop(first);
    ids.extend(bench_at(Config::default(), clock, open(folder.path())).ids(100_000));
    assert_increasing(&ids);
}

#[test]
fn a_restart_with_the_clock_set_back_is_refused_under_the_policy_reject() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at_ms(START_MS));
    let config = Config {
        policy: Policy::Reject,
        ..Config::default()
    };
    bench_at(config, Arc::clone(&clock), open(folder.path())).ids(1);
    clock.step_us(-60_000);
    let second = bench_at(config, clock, open(folder.path()));
    assert!(matches!(
        second.generator.next_id(),
        Err(GenerateError::ClockMovedBackward)
    ));
}

#[test]
fn nodes_never_share_an_id() {
    let clock = Arc::new(ManualClock::at_ms(START_MS));
    let mut ids = HashSet::new();
    for node in 0..=layout::NODE_MAX {
        let config = Config {
            node,
            ..Config::default()
        };
        let bench = bench_at(config, Arc::clone(&clock), HighWaterMark::in_memory());
        ids.extend(bench.ids(5));
    }
    assert_eq!(ids.len(), 1024 * 5);
}

/// Duplicates among the ids of a generator with a planted bug, two a millisecond, with a step back in the middle.
fn duplicates(plant: Plant) -> usize {
    let bench = bench(Config {
        plant,
        ..Config::default()
    });
    let mut ids = Vec::new();
    for ms in 0..200 {
        if ms == 100 {
            bench.clock.step_us(-50_000);
        }
        ids.extend(bench.ids(2));
        bench.clock.pass(Duration::from_millis(1));
    }
    ids.len() - ids.iter().collect::<HashSet<_>>().len()
}

#[test]
fn each_planted_bug_repeats_ids_and_its_absence_does_not() {
    assert_eq!(duplicates(Plant::None), 0);
    assert_eq!(
        duplicates(Plant::ReuseAfterRollback),
        100,
        "each id of the 50 ms that were gone through again"
    );
    assert!(duplicates(Plant::LostSequence) > 20);
}
