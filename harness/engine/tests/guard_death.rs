//! Squall, its guard, or both are killed without notice: nothing may stay behind.

mod fixture;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use fixture::{PATIENCE, PROGRAM, Stage, eventually, remains, run_id};
use rustix::process::Signal;
use squall_engine::clean::clean;
use squall_engine::guard::{Event, ExitStatus, GuardError, SpawnError, SpawnRequest};
use squall_engine::process::Identity;

/// Moments at which squall is killed. Each costs up to 150 ms.
const KILLS: u64 = 10;

/// A squall in the middle of a run, and what it says.
struct Squall {
    child: Child,
    run_id: String,
    said: Receiver<String>,
}

impl Squall {
    fn start(folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("made");
        let run_id = run_id();
        let mut child = Command::new(PROGRAM)
            .arg("squall")
            .arg(folder)
            .arg(&run_id)
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let output = child.stdout.take().expect("a pipe");
        let (say, said) = unbounded();
        std::thread::spawn(move || {
            BufReader::new(output)
                .lines()
                .map_while(Result::ok)
                .for_each(|line| drop(say.send(line)));
        });
        Self { child, run_id, said }
    }

    /// Waits until it says a line that begins so; returns the rest.
    fn wait_for(&self, word: &str) -> String {
        loop {
            let line = self.said.recv_timeout(PATIENCE).expect("it says more");
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }

    fn guard(&self) -> Identity {
        Identity::of(self.wait_for("guard").parse().expect("a pid")).expect("it runs")
    }

    fn service(&self) -> Identity {
        Identity::of(self.wait_for("service").parse().expect("a pid")).expect("it runs")
    }

    fn remains(&self) -> usize {
        let mut remains = remains(&self.run_id);
        remains.remove(&self.child.id().cast_signed());
        remains.len()
    }

    fn kill(&mut self) {
        self.child
            .kill()
            .and_then(|()| self.child.wait())
            .expect("killed");
    }
}

impl Drop for Squall {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn squall_killed_at_any_moment_leaves_no_process() {
    let folder = tempfile::tempdir().expect("a folder");
    // A fixed walk over the first 150 ms, in which the guard and five services come up.
    let moments = (0..KILLS).map(|number| Duration::from_micros((number * 61_803 + 500) % 150_000));
    let mut most = 0;
    for (number, moment) in moments.enumerate() {
        let mut squall = Squall::start(&folder.path().join(number.to_string()));
        // Not an event: the moment is to be any.
        let (_never, nothing) = unbounded::<()>();
        let _ = nothing.recv_timeout(moment);
        most = most.max(squall.remains());
        squall.kill();
        eventually("everything is gone", || squall.remains() == 0);
    }
    assert!(most > 0, "no moment was late enough to have anything to clean up");
    let report = clean(folder.path()).expect("readable");
    assert!(report.is_clean() && report.running.is_empty(), "{report:?}");
}

#[test]
fn squall_killed_with_everything_up_leaves_no_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut squall = Squall::start(folder.path());
    let guard = squall.guard();
    squall.wait_for("up");
    // The guard; five services, of which one has ended and one is stopped; the second's child; two daemons; and, where the
    // machine has such filters, one that waits in a system call for an answer from squall.
    let waits = usize::from(squall_engine::redirect::probe().is_ok());
    eventually("the daemons are up", || squall.remains() >= 8 + waits);
    squall.kill();
    eventually("everything is gone", || squall.remains() == 0);
    eventually("the guard is gone", || !guard.is_alive());
    assert_eq!(
        fs::read_to_string(folder.path().join("guard.log")).expect("a log"),
        "",
        "it had nothing to complain of"
    );
}

fn request(stage: &Stage, script: &str) -> SpawnRequest {
    SpawnRequest {
        program: "sh".into(),
        args: vec!["-c".into(), script.into()],
        log: stage.path("out.log").into(),
        ..SpawnRequest::default()
    }
}

#[test]
fn when_the_guard_is_killed_squall_kills_its_services_and_nothing_else() {
    let stage = Stage::set();
    let run = &stage.run_id;
    // Squall's own children: one in its session and group, one in a group of its own, and another run's guard.
    let own = Command::new("sleep").arg("1000").spawn().expect("started");
    let mut grouped = Command::new("sleep");
    std::os::unix::process::CommandExt::process_group(&mut grouped, 0);
    let grouped = grouped.arg("1000").spawn().expect("started");
    let other = Stage::set();
    let survivor = other
        .guard
        .spawn(&request(&other, "exec sleep 1000"))
        .expect("started");

    let service = stage
        .guard
        .spawn(&request(&stage, &format!("'{PROGRAM}' linger {run} & wait")))
        .expect("started");
    let script = format!("(setsid sh -c \"(env -i '{PROGRAM}' linger {run} &)\" &); exit 0");
    stage
        .guard
        .spawn(&request(&stage, &script))
        .expect("started")
        .exit
        .wait(PATIENCE)
        .expect("it ends");
    eventually("the daemon is up", || remains(run).len() >= 4);

    stage.guard.process().signal(Signal::KILL).expect("sent");
    assert_eq!(service.exit.wait(PATIENCE), Some(ExitStatus::Signal(9)));
    let lost = loop {
        match stage.guard.events().recv_timeout(PATIENCE).expect("an event") {
            Event::Lost(rescue) => break rescue,
            Event::Exited { .. } => {}
        }
    };
    assert!(
        lost.left.is_empty() && lost.killed.contains(&service.process),
        "{lost:?}"
    );
    assert!(remains(run).is_empty());
    let error = stage.guard.spawn(&request(&stage, "true")).expect_err("no guard");
    assert!(matches!(error, SpawnError::GuardLost { .. }), "{error}");
    assert!(matches!(stage.guard.shutdown(), Err(GuardError::Lost(_))));

    for mut child in [own, grouped] {
        assert!(
            child.try_wait().expect("readable").is_none(),
            "squall's own child was hit"
        );
        child.kill().and_then(|()| child.wait()).expect("killed");
    }
    assert!(survivor.process.is_alive(), "another run was hit");
    other.guard.shutdown().expect("in good order");
}

#[test]
fn a_guard_that_hangs_is_ended_with_all_it_has() {
    let stage = Stage::set();
    let service = stage
        .guard
        .spawn(&request(&stage, "exec sleep 1000"))
        .expect("started");
    stage.guard.process().signal(Signal::STOP).expect("sent");
    let ended = stage.guard.shutdown();
    assert!(
        matches!(&ended, Err(GuardError::Lost(rescue)) if rescue.left.is_empty()),
        "{ended:?}"
    );
    assert!(!service.process.is_alive());
    assert!(remains(&stage.run_id).is_empty());
}

#[test]
fn clean_finishes_what_a_double_death_leaves_and_spares_a_run_that_goes_on() {
    let reports = tempfile::tempdir().expect("a folder");
    let mut dead = Squall::start(&reports.path().join("feed/1"));
    let alive = Squall::start(&reports.path().join("feed/2"));
    let guard = dead.guard();
    dead.wait_for("up");
    let spared = [alive.guard(), alive.service()];
    alive.wait_for("up");
    // Stopped first, so that it can't do its work in between.
    guard.signal(Signal::STOP).expect("sent");
    dead.kill();
    guard.signal(Signal::KILL).expect("sent");
    eventually("the guard is gone", || !guard.is_alive());
    assert!(dead.remains() > 0, "nothing to clean up proves nothing");

    let report = clean(reports.path()).expect("readable");
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.running, [reports.path().join("feed/2")]);
    assert_eq!(report.cleaned.len(), 1);
    assert_eq!(report.cleaned[0].run_id, dead.run_id);
    assert_eq!(report.cleaned[0].done, ["the run's processes"]);
    let marked = |pid: &i32| squall_engine::process::table::environment(*pid, "SQUALL_RUN").is_some();
    assert!(
        !remains(&dead.run_id).iter().any(marked),
        "what carries the marker is gone"
    );
    assert!(spared.into_iter().all(Identity::is_alive));

    let again = clean(reports.path()).expect("readable");
    assert!(again.cleaned.is_empty() && again.running.len() == 1, "{again:?}");

    // What erased its own environment, daemonised, and outlived both is beyond `clean`: nothing says whose it was.
    for pid in remains(&dead.run_id) {
        Identity::of(pid)
            .expect("it runs")
            .signal(Signal::KILL)
            .expect("sent");
    }
}

#[test]
fn clean_ends_a_guard_that_hangs() {
    let reports = tempfile::tempdir().expect("a folder");
    let mut squall = Squall::start(&reports.path().join("feed/1"));
    let guard = squall.guard();
    guard.signal(Signal::STOP).expect("sent");
    squall.kill();
    let report = clean(reports.path()).expect("readable");
    assert!(report.is_clean() && report.cleaned.len() == 1, "{report:?}");
    eventually("the guard is gone", || !guard.is_alive());
    eventually("everything is gone", || squall.remains() == 0);
}

#[test]
fn clean_of_nothing_is_clean() {
    let folder = tempfile::tempdir().expect("a folder");
    for reports in [folder.path().to_owned(), folder.path().join("absent")] {
        let report = clean(&reports).expect("readable");
        assert!(report.is_clean() && report.cleaned.is_empty() && report.running.is_empty());
    }
}
