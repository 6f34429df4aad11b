//! Waits under a shifted clock: deadlines are kept by the clock they name, relative waits aren't touched.
//!
//! Only lower bounds are held, which a busy machine can't break; a deadline that was left where it was would either end
//! at once or never.

use squall_engine::fault::FaultError;
use squall_engine::fault::clock::{ClockChange, ClockFamily, Laws, Readings, reset_page};

use super::target::{MS, SECOND, Setup, Target};

const REALTIME: i32 = 0;
const MONOTONIC: i32 = 1;

/// Waits that take any clock, and those that know only the time of day.
const BY_ANY: [&str; 8] = [
    "clock_nanosleep",
    "cond_timedwait",
    "cond_clockwait",
    "sem_clockwait",
    "mutex_clock",
    "rwlock_clock",
    "timerfd",
    "futex",
];
const BY_REALTIME: [&str; 5] = [
    "cnd_timedwait",
    "mtx_timedlock",
    "sem_timedwait",
    "mutex_timed",
    "rwlock_timed",
];

/// Waits for 20 ms of the shifted clock, and holds that it took at least `least` of the other one.
fn check(target: &mut Target, how: &str, clock: ClockFamily, least: i64) {
    let (id, by) = match clock {
        ClockFamily::Realtime => (REALTIME, MONOTONIC),
        ClockFamily::Monotonic => (MONOTONIC, REALTIME),
    };
    let answer = target.ask(&format!("wait {how} {id} {} {by}", 20 * MS));
    let words: Vec<&str> = answer.rsplitn(3, ' ').collect();
    let [past, took, ended] = words[..] else {
        panic!("{answer}")
    };
    assert_eq!(ended, "ended", "{how}");
    assert!(
        took.parse::<i64>().unwrap() >= least,
        "{how} by {clock} took {took} ns, not {least}"
    );
    assert!(
        past.parse::<i64>().unwrap() >= 0,
        "{how} by {clock} ended {past} ns past its deadline"
    );
}

fn all_waits(clock: ClockFamily) -> impl Iterator<Item = &'static str> {
    let more: &[&str] = if clock == ClockFamily::Realtime {
        &BY_REALTIME
    } else {
        &[]
    };
    BY_ANY.iter().chain(more).copied()
}

#[test]
fn deadlines_are_kept_by_the_clock_they_name() {
    // What changes, and how much real time 20 ms of the clock then take.
    let cases = [
        (ClockChange::Step(0), 20 * MS),
        (ClockChange::Step(-600 * SECOND), 20 * MS),
        (ClockChange::Step(3600 * SECOND), 20 * MS),
        (ClockChange::Drift { ppb: 600_000_000 }, 12_500_000 - 1),
        (ClockChange::Drift { ppb: -500_000_000 }, 40 * MS - 1),
    ];
    for clock in [ClockFamily::Realtime, ClockFamily::Monotonic] {
        let setup = Setup::new();
        let mut target = setup.target();
        for (change, least) in cases {
            // A monotonic clock can't be stepped to before the machine started, and this one may just have.
            if setup.page.update(|laws| after(laws, clock, change)).is_err() {
                super::skipped("this machine has not run for ten minutes yet");
                continue;
            }
            all_waits(clock).for_each(|how| check(&mut target, how, clock, least));
        }
    }
}

fn after(laws: &Laws, clock: ClockFamily, change: ClockChange) -> Result<Laws, FaultError> {
    Ok(laws.after(clock, change, &Readings::take())?)
}

#[test]
fn a_wait_by_a_frozen_clock_still_ends() {
    let setup = Setup::new();
    let mut target = setup.target();
    setup.set(ClockFamily::Realtime, ClockChange::Freeze);
    for how in all_waits(ClockFamily::Realtime) {
        let answer = target.ask(&format!("wait {how} {REALTIME} {} {MONOTONIC}", 20 * MS));
        let words: Vec<&str> = answer.rsplitn(3, ' ').collect();
        assert_eq!(words[2], "ended", "{how}");
        assert!(
            words[1].parse::<i64>().unwrap() >= 20 * MS,
            "{how} took {} ns",
            words[1]
        );
        assert_eq!(
            words[0],
            format!("-{}", 20 * MS),
            "the clock stands 20 ms before the deadline"
        );
    }
}

#[test]
fn relative_waits_are_not_touched() {
    let setup = Setup::new();
    let mut target = setup.target();
    for (clock, by) in [
        (ClockFamily::Realtime, MONOTONIC),
        (ClockFamily::Monotonic, REALTIME),
    ] {
        for change in [ClockChange::Step(3600 * SECOND), ClockChange::Freeze] {
            setup.set(clock, change);
            for how in ["nanosleep", "clock_nanosleep", "poll"] {
                let answer = target.ask(&format!("sleep {how} {} {by}", 10 * MS));
                let words: Vec<&str> = answer.split(' ').collect();
                assert_eq!(words[0], "ended", "{how}");
                assert!(
                    words[1].parse::<i64>().unwrap() >= 10 * MS,
                    "{how} took {} ns",
                    words[1]
                );
            }
        }
        reset_page(&setup.installed.page).unwrap();
    }
}
