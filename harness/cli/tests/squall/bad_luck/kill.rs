//! `kill -9`: no process is left, what was written is readable up to the last second, and the report is made from it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};
use squall_model::event::{Event, EventKind, RunHeader};
use squall_model::exit::Exit;
use squall_model::record::{RunRecord, Verdict};
use squall_model::seed::Seed;
use squall_model::series::SeriesRow;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{BUSY, PACKETS, clean, everything, report};
use crate::support::stage::only_run;
use crate::support::{PATIENCE, Stage, eventually, networks_can_be_isolated, processes};

/// Moments at which squall is killed, and its guard.
const MOMENTS: u64 = 20;
const GUARD_MOMENTS: u64 = 5;

/// The same in a network of its own.
const PACKET_MOMENTS: u64 = 8;
const PACKET_GUARD_MOMENTS: u64 = 3;

/// The same in the tests that take long.
const MANY: u64 = 100;

/// They lie in the first seconds: start of the guard and the services, the first phase, the fault.
const LATEST: Duration = Duration::from_secs(3);

/// How long the guard may take to clean up.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// How old the newest row may be: a second between flushes, 0.3 s for late slices, and the row's own 0.1 s twice.
const NEWEST_ROW: Duration = Duration::from_millis(1_600);

/// The moments: one at random in each of as many equal parts, so that none of the parts is missed.
fn moments(count: u64) -> impl Iterator<Item = Duration> {
    let part = LATEST / count as u32;
    (0..count).map(move |number| {
        let random = Seed::new(count).child("kill").child(&number.to_string()).value();
        part * number as u32 + part.mul_f64(random as f64 / u64::MAX as f64)
    })
}

/// Wall time, as the run's header has it.
fn now() -> OffsetDateTime {
    let now = clock_gettime(ClockId::Realtime);
    let since = Duration::new(
        now.tv_sec.cast_unsigned(),
        u32::try_from(now.tv_nsec).expect("below a second"),
    );
    OffsetDateTime::UNIX_EPOCH + since
}

/// Every line, all of which must be whole: each is handed to the kernel in one piece or not at all.
fn lines<T: serde::de::DeserializeOwned>(folder: &Path, name: &str) -> Vec<T> {
    let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
    let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{name}: {e}: {line}"));
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(read).collect()
}

fn header(events: &[Event]) -> Option<&RunHeader> {
    events.iter().find_map(|event| match &event.kind {
        EventKind::RunStarted(header) => Some(header.as_ref()),
        _ => None,
    })
}

/// Whether the run was far enough to have rows; then they must reach up to the last second.
fn rows_reach_up_to(killed: OffsetDateTime, folder: &Path) -> bool {
    let events: Vec<Event> = lines(folder, "events.ndjson");
    let rows: Vec<SeriesRow> = lines(folder, "series.ndjson");
    let Some(header) = header(&events) else {
        return false;
    };
    let started = OffsetDateTime::parse(&header.started_at, &Rfc3339).expect("RFC 3339");
    let killed_us = (killed - started).whole_microseconds() as u64;
    let first = events
        .iter()
        .find(|event| matches!(event.kind, EventKind::PhaseStarted { .. }));
    let Some(first) = first else { return false };
    let ends = rows.iter().filter_map(|row| match row {
        SeriesRow::Load(row) => Some(row.end_us),
        SeriesRow::Service(_) => None,
    });
    let newest_us = ends.max().unwrap_or(first.at_us);
    let age = Duration::from_micros(killed_us.saturating_sub(newest_us));
    assert!(
        age <= NEWEST_ROW,
        "killed at {killed_us} us, but the newest row ends at {newest_us} us"
    );
    !rows.is_empty()
}

/// The record that `squall report` made for a run that left none: it says what it is, also when it is made again.
fn remade_record(stage: &Stage, folder: &Path) {
    let text = || fs::read_to_string(folder.join("run.json")).expect("the record was written");
    let first = text();
    let record: RunRecord = serde_json::from_str(&first).expect("a record");
    assert_eq!((record.verdict, record.exit_code), (Verdict::Invalid, 96));
    assert!(
        record.reasons.iter().any(|why| why.contains("cut off")),
        "{:?}",
        record.reasons
    );
    assert!(
        record.phases.iter().any(|phase| !phase.complete),
        "it ran to its end"
    );
    let rows: Vec<SeriesRow> = lines(folder, "series.ndjson");
    let in_rows = rows.iter().map(|row| match row {
        SeriesRow::Load(row) => row.completed,
        SeriesRow::Service(_) => 0,
    });
    let loads = record.phases.iter().flat_map(|phase| phase.load.values());
    let (in_rows, in_record): (u64, u64) = (in_rows.sum(), loads.map(|load| load.completed).sum());
    // A phase that has ended counts what was meant for it, the rows what ended meanwhile.
    let events: Vec<Event> = lines(folder, "events.ndjson");
    let has_result = |event: &Event| matches!(event.kind, EventKind::PhaseResult { .. });
    if !events.iter().any(has_result) {
        // Of a load's interval log more may have been handed to the kernel than of the rows.
        assert!(
            in_record >= in_rows,
            "what was written down is in the record: {in_record} of {in_rows}"
        );
    }
    report(stage, folder);
    assert_eq!(text(), first);
}

fn has_guard(squall: u32) -> bool {
    let of_run = processes::of_run(squall);
    let mut guards = of_run
        .iter()
        .filter(|process| process.command.ends_with(" guard"));
    guards.any(|process| process.parent == squall.cast_signed())
}

/// Whether a pause holds: then a process of the run stands still.
fn any_is_stopped(squall: u32) -> bool {
    let stopped = |pid: i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:\tT"))
    };
    processes::of_run(squall)
        .iter()
        .any(|process| stopped(process.pid))
}

/// The guard of a run: squall's own child.
fn guard_of(squall: u32) -> Pid {
    let of_run = processes::of_run(squall);
    let guard = of_run
        .iter()
        .find(|process| process.parent == squall.cast_signed())
        .expect("a guard");
    assert!(guard.command.ends_with(" guard"), "{guard:?}");
    Pid::from_raw(guard.pid).expect("a pid")
}

#[test]
fn killed_at_any_moment_nothing_runs_on_and_the_report_is_made_from_what_is_there() {
    kill_squall(&everything(), MOMENTS);
}

#[test]
fn killed_in_a_network_of_its_own_nothing_runs_on() {
    if networks_can_be_isolated() {
        kill_squall(PACKETS, PACKET_MOMENTS);
        kill_guard(PACKETS, PACKET_GUARD_MOMENTS);
    }
}

#[test]
#[ignore = "takes minutes: `just test-full` runs it"]
fn killed_a_hundred_times_in_a_network_of_its_own_nothing_runs_on() {
    if networks_can_be_isolated() {
        kill_squall(PACKETS, MANY);
        kill_guard(PACKETS, MANY);
    }
}

#[test]
#[ignore = "takes minutes: `just test-full` runs it"]
fn killed_a_hundred_times_nothing_runs_on() {
    kill_squall(&everything(), MANY);
}

#[test]
fn when_the_guard_is_killed_at_any_moment_squall_ends_what_it_left() {
    kill_guard(&everything(), GUARD_MOMENTS);
}

#[test]
#[ignore = "takes minutes: `just test-full` runs it"]
fn when_the_guard_is_killed_a_hundred_times_squall_ends_what_it_left() {
    kill_guard(&everything(), MANY);
}

/// Kills the guard of runs of a scenario, one at each of so many moments: squall says so, and leaves nothing that runs or stands still.
fn kill_guard(text: &str, count: u64) {
    let mut holding = 0;
    for moment in moments(count) {
        let stage = Stage::alone();
        let scenario = stage.write("busy.yaml", text);
        let running = stage.start(stage.run_command(&scenario, &[]));
        eventually("there is a guard", PATIENCE, || has_guard(running.pid()));
        assert!(!running.ends_within(moment), "it ended by itself");
        holding += usize::from(any_is_stopped(running.pid()));
        kill_process(guard_of(running.pid()), Signal::KILL).expect("it runs");
        let ended = running.wait();
        ended.assert_code(1).assert_nothing_left();
        assert_eq!(clean(&stage), "nothing was left\n");
    }
    assert!(holding > 0, "no process stood still at any of the moments");
}

/// Kills squall in runs of a scenario, once at each of so many moments: its guard leaves nothing that runs or stands still.
fn kill_squall(text: &str, count: u64) {
    let mut with_rows = 0;
    let mut with_report = 0;
    let mut holding = 0;
    for moment in moments(count) {
        let stage = Stage::alone();
        let scenario = stage.write("busy.yaml", text);
        let running = stage.start(stage.run_command(&scenario, &[]));
        assert!(!running.ends_within(moment), "it ended by itself");
        holding += usize::from(any_is_stopped(running.pid()));
        running.signal(Signal::KILL);
        let killed = now();
        let ended = running.wait();
        ended.assert_code(137).wait_until_nothing_left(GONE_WITHIN);
        let Some(folder) = only_run(&stage.reports()) else {
            continue;
        };
        with_rows += usize::from(rows_reach_up_to(killed, &folder));
        if header(&lines(&folder, "events.ndjson")).is_some() {
            let (said, page) = report(&stage, &folder);
            assert!(said.stdout.contains("cut off"), "{said}");
            assert!(page.contains("cut off"), "the report is not marked");
            remade_record(&stage, &folder);
            with_report += 1;
        }
        // What the guard left open in the journal is closed, and then there is nothing more to do.
        clean(&stage);
        assert_eq!(clean(&stage), "nothing was left\n");
    }
    // Otherwise the moments were too early to prove anything.
    assert!(
        with_report * 4 >= count as usize * 3,
        "only {with_report} of {count} had begun"
    );
    assert!(
        with_rows * 4 >= count as usize,
        "only {with_rows} of {count} had rows"
    );
    assert!(holding > 0, "no process stood still at any of the moments");
}

#[test]
fn what_squall_and_its_guard_leave_when_both_are_killed_is_cleaned() {
    let stage = Stage::alone();
    let scenario = stage.write("everything.yaml", &everything());
    let mut running = stage.start(stage.run_command(&scenario, &[]));
    running.wait_for("held proven");
    let guard = guard_of(running.pid());
    // Stopped first, so that it can't do its work in between.
    kill_process(guard, Signal::STOP).expect("it runs");
    running.signal(Signal::KILL);
    let ended = running.wait();
    kill_process(guard, Signal::KILL).expect("it runs");
    eventually("the guard is gone", PATIENCE, || {
        processes::of_run(ended.pid)
            .iter()
            .all(|process| !process.command.ends_with(" guard"))
    });
    assert!(
        any_is_stopped(ended.pid),
        "without a process that stands still nothing is proven"
    );
    let cleaned = clean(&stage);
    assert!(cleaned.contains("undone: every process of this run"), "{cleaned}");
    ended.assert_nothing_left();
    assert_eq!(clean(&stage), "nothing was left\n");
    report(&stage, &ended.folder());
}

#[test]
fn when_the_guard_is_killed_squall_ends_what_it_left_and_says_so() {
    let stage = Stage::alone();
    let scenario = stage.write("busy.yaml", BUSY);
    let mut running = stage.start(stage.run_command(&scenario, &[]));
    running.wait_for("clock proven");
    kill_process(guard_of(running.pid()), Signal::KILL).expect("it runs");
    let ended = running.wait();
    ended
        .assert_code(1)
        .assert_exit(Exit::Internal)
        .assert_nothing_left();
    let record = ended.record();
    assert!(
        record.reasons[0].contains("the guard process died"),
        "{:?}",
        record.reasons
    );
    assert!(
        record.phases[0].load["single"].completed > 0,
        "what was measured until then is kept"
    );
    assert_eq!(clean(&stage), "nothing was left\n");
}

#[test]
fn a_run_beside_another_ends_without_touching_it() {
    let stage = Stage::alone();
    let scenario = stage.write("busy.yaml", BUSY);
    let mut long = stage.start(stage.run_command(&scenario, &[]));
    long.wait_for("clock proven");
    let before = processes::of_run(long.pid()).len();
    // The same scenario, the same reports folder, names and all.
    let mut other = stage.start(stage.run_command(&scenario, &[]));
    other.wait_for("clock proven");
    other.signal(Signal::TERM);
    other.wait().assert_code(143).assert_nothing_left();
    assert_eq!(
        processes::of_run(long.pid()).len(),
        before,
        "the first run lost something"
    );
    long.signal(Signal::TERM);
    long.wait().assert_code(143).assert_nothing_left();
    let folders = fs::read_dir(stage.reports().join("busy"))
        .expect("readable")
        .flatten();
    assert_eq!(
        folders
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .count(),
        2
    );
}

#[test]
fn a_run_that_goes_on_is_left_alone_by_clean() {
    let stage = Stage::alone();
    let scenario = stage.write("busy.yaml", BUSY);
    let mut running = stage.start(stage.run_command(&scenario, &[]));
    running.wait_for("clock proven");
    assert!(clean(&stage).contains("still running, left alone"));
    assert!(
        processes::of_run(running.pid()).len() >= 4,
        "guard, two services and a daemon"
    );
    running.signal(Signal::TERM);
    running.wait().assert_code(143).assert_nothing_left();
}
