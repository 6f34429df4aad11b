//! A process that is stopped and continued, seen only by its state.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use squall_engine::measure::pause::{Pause, stopped};
use squall_engine::measure::sampler::{Sampler, What};
use squall_engine::process::Identity;

/// How often it is looked at: as often as a run does.
const LOOK: Duration = Duration::from_millis(100);

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the lengths of looks and stops are the test's input"
)]
fn a_stop_is_told_within_the_time_between_two_looks() {
    let mut child = Command::new("sleep").arg("600").spawn().expect("sleep starts");
    let process = Identity::of(child.id().cast_signed()).expect("it runs");
    let zero = Instant::now();
    let now_us = || zero.elapsed().as_micros() as u64;
    let mut sampler = Sampler::start(Vec::new(), zero).expect("a thread");
    // Whether it is held from here on, and for how many looks.
    let mut held: Vec<(u64, u64)> = Vec::new();
    let mut looks = vec![now_us()];
    for (is_held, times) in [(false, 3), (true, 4), (false, 3), (true, 9), (false, 3)] {
        if is_held {
            assert!(process.signal(Signal::STOP).expect("sent"));
            held.push((now_us(), 0));
        }
        for _ in 0..times {
            std::thread::sleep(LOOK);
            looks.push(now_us());
            sampler.look(now_us(), None, vec![(0, process)]);
        }
        if is_held {
            assert!(process.signal(Signal::CONT).expect("sent"));
            held.last_mut().expect("it was held").1 = now_us();
        }
    }
    sampler.finish();
    child.kill().and_then(|()| child.wait()).expect("killed");
    let told: Vec<Pause> = sampler
        .found()
        .try_iter()
        .filter_map(|found| match found.what {
            What::Pause(kind, pause) if *kind == stopped::KIND => Some(pause),
            _ => None,
        })
        .collect();
    assert_eq!(told.len(), held.len(), "{told:?} of {held:?}");
    // The sampler looks a moment after it is asked: on a busy machine, that moment is part of the interval.
    let widest = looks.windows(2).map(|two| two[1] - two[0]).max().unwrap_or(0);
    for (pause, (began, ended)) in told.iter().zip(&held) {
        let off = pause.length_us.abs_diff(ended - began);
        assert!(
            off <= 2 * widest,
            "{pause:?} of {held:?}, looks up to {widest} us apart"
        );
    }
}
