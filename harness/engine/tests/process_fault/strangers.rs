//! Processes that squall did not start: whatever they look like, no signal reaches them.

use std::process::{Child, Command};

use squall_engine::process::identity::Identity;
use squall_engine::process::{Family, SERVICE_MARKER};

use crate::rig::{Rig, inject, proven};

struct Stranger(Child);

impl Stranger {
    /// Carries the service's name, and is none of its processes.
    fn start() -> Stranger {
        let child = Command::new("sleep")
            .arg("1000")
            .env(SERVICE_MARKER, "it")
            .spawn();
        Stranger(child.expect("sleep starts"))
    }

    fn identity(&self) -> Identity {
        Identity::of(self.0.id().cast_signed()).expect("it runs")
    }

    fn state(&self) -> char {
        squall_engine::process::table::read_one(self.identity().pid)
            .expect("it runs")
            .state
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_process_that_carries_the_name_and_is_not_below_the_guard_is_left_alone() {
    let rig = Rig::shell("echo up; exec sleep 1000");
    let stranger = Stranger::start();
    let mut fault = rig.fault("pause: { target: it }");
    inject(fault.as_mut());
    proven("a stop", || fault.prove());
    assert_ne!(stranger.state(), 'T');
    fault.heal().expect("healed");
    let mut fault = rig.fault("kill: { target: it }");
    inject(fault.as_mut());
    proven("an end", || fault.prove());
    assert!(stranger.identity().is_alive());
}

#[test]
fn numbers_that_came_to_be_somebody_elses_lead_to_nobody() {
    let rig = Rig::shell("echo up; exec sleep 1000");
    let stranger = Stranger::start();
    let family = rig.service().family();
    assert_eq!(family.running().expect("/proc is readable").len(), 1);
    let earlier = |process: Identity| Identity {
        start_time: process.start_time - 1,
        ..process
    };
    // The guard died, and its number is another process's: this one's, which is the stranger's parent.
    let own = Identity::own().expect("/proc is readable");
    let moved = Family {
        guard: earlier(own),
        ..family.clone()
    };
    assert_eq!(moved.running().expect("/proc is readable"), []);
    // The main process ended, and its number is the stranger's.
    let moved = Family {
        leader: stranger.identity(),
        ..family
    };
    let found = moved.running().expect("/proc is readable");
    assert!(!found.contains(&stranger.identity()), "{found:?}");
}

#[test]
fn a_process_that_ended_after_it_was_looked_at_is_not_reached_by_its_number() {
    let rig = Rig::shell("sleep 1000 & echo up; wait; sleep 1001");
    rig.wait_for_sleepers(1);
    let members = rig.service().family().open().expect("/proc is readable");
    let child = members
        .processes()
        .find(|process| *process != rig.service().process())
        .expect("a child");
    assert!(child.signal(rustix::process::Signal::KILL).expect("sent"));
    crate::fixture::eventually("it has ended", || !child.is_alive());
    members.signal(rustix::process::Signal::STOP).expect("sent");
    assert!(!members.alive().contains(&child));
}
