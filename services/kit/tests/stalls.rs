//! The pause meter in a process of its own, which is stopped for times that are measured from outside.
//!
//! The child is this test program again, told by the environment to be one. Both read `CLOCK_MONOTONIC`, so a pause that the
//! child lists can be found by its time.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use rustix::time::{ClockId, clock_gettime};
use squall_service_kit::hiccup::{HiccupMeter, Hiccups};

const CHILD: &str = "SQUALL_KIT_STALLS_CHILD";

/// A stop, or a pause as the child listed it: when it ended, and how long it was, in microseconds.
type Interval = (u64, u64);

fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

#[expect(
    clippy::disallowed_methods,
    reason = "the length of the stop is the test's input"
)]
fn sleep(length: Duration) {
    std::thread::sleep(length);
}

/// Not a test of its own: what the child does until its input ends. In the parent it has nothing to do.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let hiccups = Arc::new(Hiccups::new());
    let meter = HiccupMeter::start(Arc::clone(&hiccups)).expect("a thread");
    let mut out = std::io::stdout();
    writeln!(out, "\nbegun").expect("the parent listens");
    std::io::stdin()
        .read_to_end(&mut Vec::new())
        .expect("the parent closes it");
    drop(meter);
    for (_, pause) in hiccups.listed.since(0).entries {
        let ended_us = pause.at_us + pause.length_us;
        writeln!(out, "\npause {ended_us} {}", pause.length_us).expect("the parent listens");
    }
}

/// Stops the child for about `length` and tells when that ended, and how long it truly was.
fn stop(child: &Child, length: Duration) -> Interval {
    let pid = Pid::from_child(child);
    kill_process(pid, Signal::STOP).expect("our own child");
    waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED).expect("it stops");
    let began_us = now_us();
    sleep(length);
    kill_process(pid, Signal::CONT).expect("our own child");
    let ended_us = now_us();
    (ended_us, ended_us - began_us)
}

/// What the child lists of stops of about `length`, with the stops themselves.
fn stops_and_pauses(length: Duration, times: u32) -> (Vec<Interval>, Vec<Interval>) {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
    assert!(lines.by_ref().any(|line| line.is_ok_and(|line| line == "begun")));
    let stops = (0..times).map(|n| {
        // Not in step with the meter's period.
        sleep(Duration::from_micros(20_000 + u64::from(n) * 137));
        stop(&child, length)
    });
    let stops: Vec<Interval> = stops.collect();
    sleep(Duration::from_millis(20));
    drop(child.stdin.take());
    let pause = |line: String| {
        let mut words = line.strip_prefix("pause ")?.split(' ').map(str::parse::<u64>);
        Some((words.next()?.ok()?, words.next()?.ok()?))
    };
    let pauses = lines.map_while(Result::ok).filter_map(pause).collect();
    assert!(child.wait().expect("it ends").success());
    (stops, pauses)
}

#[test]
fn stops_of_the_whole_process_are_all_found_with_the_median_length_they_had() {
    for length in [Duration::from_micros(12_400), Duration::from_micros(3_100)] {
        let (stops, pauses) = stops_and_pauses(length, 40);
        // Of each stop the pause that covers at least half of it. A busy machine lets the child run later than it was told
        // to, or had kept it from running before.
        let of = |(ended_us, held_us): &Interval| {
            let covers = |(end, length): &&Interval| {
                let both = (*end)
                    .min(*ended_us)
                    .saturating_sub((end - length).max(ended_us - held_us));
                both * 2 >= *held_us
            };
            pauses.iter().find(covers)
        };
        let found: Vec<(u64, u64)> = stops
            .iter()
            .filter_map(|stop| Some((of(stop)?.1, stop.1)))
            .collect();
        assert!(
            found.len() * 20 >= stops.len() * 19,
            "{} of {}",
            found.len(),
            stops.len()
        );
        let mut ratios: Vec<f64> = found
            .iter()
            .map(|(told, held)| *told as f64 / *held as f64)
            .collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let median = ratios[ratios.len() / 2];
        // What a busy machine adds makes the pause longer than the stop, never shorter.
        assert!(
            (0.9..1.25).contains(&median),
            "{median} of {length:?}: {ratios:?}"
        );
    }
}
