//! Programs nobody here wrote, a shell's grandchildren, and Rust's own standard library.

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use squall_engine::fault::Fault as _;
use squall_engine::fault::clock::{ClockChange, ClockFamily, KernelClock, Readings, Unreachable, reachable};

use super::target::{MS, PATIENCE, SECOND, Setup};

const CHILD: &str = "CLOCK_FAULT_TEST_CHILD";

/// Runs a program that prints the time in units of `unit_ns`, with the clock a day back, and holds it to the law.
fn shows_yesterday(setup: &Setup, mut command: Command, unit_ns: i64) {
    let law = setup.page.laws().of(KernelClock::Realtime);
    let before = Readings::take().of(KernelClock::Realtime);
    let output = command.output().unwrap();
    let after = Readings::take().of(KernelClock::Realtime);
    assert!(output.status.success(), "{command:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for line in text.lines() {
        let shown = line.trim().parse::<i64>().unwrap() * unit_ns;
        let range = law.at(before) - unit_ns..=law.at(after);
        assert!(
            range.contains(&shown),
            "{command:?} showed {shown}, not in {range:?}"
        );
    }
    assert!(!text.is_empty());
}

fn yesterday() -> Setup {
    let setup = Setup::new();
    setup.set(ClockFamily::Realtime, ClockChange::Step(-24 * 3600 * SECOND));
    setup
}

#[test]
fn date_and_a_shells_grandchildren_see_the_shifted_clock() {
    let setup = yesterday();
    let mut date = setup.command("date");
    date.arg("+%s%N");
    shows_yesterday(&setup, date, 1);
    let mut shell = setup.command("sh");
    shell.args(["-c", "date +%s%N; sh -c 'date +%s%N; sh -c \"exec date +%s%N\"'"]);
    shows_yesterday(&setup, shell, 1);
}

#[test]
fn interpreters_and_virtual_machines_see_the_shifted_clock() {
    let setup = yesterday();
    let java = setup.dir.path().join("Now.java");
    let source = "public class Now { public static void main(String[] a) { \
                  System.out.println(System.currentTimeMillis()); } }";
    std::fs::write(&java, source).unwrap();
    let java = java.to_str().unwrap();
    let programs: [(&str, &[&str], i64); 4] = [
        ("python3", &["-c", "import time; print(time.time_ns())"], 1),
        (
            "perl",
            &["-MTime::HiRes=time", "-e", "printf(\"%d\\n\", time() * 1000)"],
            MS,
        ),
        ("node", &["-e", "console.log(Date.now())"], MS),
        ("java", &["-Xshare:auto", "-XX:TieredStopAtLevel=1", java], MS),
    ];
    for (program, arguments, unit_ns) in programs {
        match reachable(program.as_ref()) {
            Ok(()) => {
                let mut command = setup.command(program);
                command.args(arguments);
                shows_yesterday(&setup, command, unit_ns);
            }
            Err(why @ Unreachable::NotFound { .. }) => super::skipped(&why.to_string()),
            Err(why) => panic!("{why}"),
        }
    }
}

/// What the child does in the process that the test below starts: this program, again.
#[test]
fn as_a_child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    match task.as_str() {
        "tell" => tell_the_time(),
        "wait" => wait_by_the_monotonic_clock(),
        other => panic!("no task {other}"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the point is what the standard library is shown"
)]
fn tell_the_time() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    std::fs::write(std::env::var("ANSWER").unwrap(), now.as_nanos().to_string()).unwrap();
}

/// A channel's wait ends in a futex with an absolute monotonic deadline.
fn wait_by_the_monotonic_clock() {
    let (_keep, nothing) = mpsc::channel::<()>();
    let start = Instant::now();
    let real = Readings::take();
    assert!(nothing.recv_timeout(Duration::from_millis(20)).is_err());
    let took = Readings::take().of(KernelClock::Monotonic) - real.of(KernelClock::Monotonic);
    assert!(took >= 20 * MS, "waited {took} ns of real time");
    assert!(start.elapsed() >= Duration::from_millis(20));
    std::fs::write(std::env::var("ANSWER").unwrap(), took.to_string()).unwrap();
}

fn run_child(setup: &Setup, task: &str) -> i64 {
    let answer = setup.dir.path().join(task);
    let mut child = setup
        .command(std::env::current_exe().unwrap())
        .args(["--exact", "foreign::as_a_child"])
        .env(CHILD, task)
        .env("ANSWER", &answer)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // A wait that went wrong may last a day.
    let patience = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if Instant::now() > patience => break None,
            None => std::thread::yield_now(),
        }
    };
    if status.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(
        status.is_some_and(|status| status.success()),
        "{task}: {status:?}"
    );
    std::fs::read_to_string(answer).unwrap().parse().unwrap()
}

#[test]
fn rusts_standard_library_sees_the_shifted_clock() {
    let setup = yesterday();
    let law = setup.page.laws().of(KernelClock::Realtime);
    let before = Readings::take().of(KernelClock::Realtime);
    let shown = run_child(&setup, "tell");
    let after = Readings::take().of(KernelClock::Realtime);
    assert!((law.at(before)..=law.at(after)).contains(&shown), "{shown}");
}

#[test]
fn rusts_waits_last_as_long_under_a_shifted_monotonic_clock() {
    let setup = Setup::new();
    for step in [-SECOND, 24 * 3600 * SECOND] {
        let mut fault = setup.fault(ClockFamily::Monotonic, ClockChange::Step(step));
        fault.inject().unwrap();
        assert!(run_child(&setup, "wait") >= 20 * MS);
        fault.heal().unwrap();
    }
}
