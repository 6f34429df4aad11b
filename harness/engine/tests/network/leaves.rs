//! What is left of a network when everything that had it is gone: nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Signal;
use squall_engine::guard::{GuardHandle, SpawnRequest};
use squall_engine::network::{Network, NetworkError, Ownership};
use squall_engine::process::Identity;

use crate::fixture::{eventually, remains, run_id};
use crate::say;
use crate::world::{build, network};

/// A squall in the middle of a run with an isolated network; stays until it is killed.
pub(crate) fn squall(folder: &Path, run: &str) -> ExitCode {
    Ownership::take().expect("the probe said that it can be had");
    let own = std::env::current_exe().expect("known");
    let guard = GuardHandle::start(&own, &["guard"], run, &folder.join("guard.log")).expect("a guard");
    let network = network();
    for place in network.places() {
        say(&format!(
            "namespace {}",
            place.namespace().inode().expect("known")
        ));
        let request = SpawnRequest {
            program: own.clone().into(),
            args: vec!["linger".into(), run.into()],
            log: folder.join(place.name()).into(),
            namespace: Some(place.namespace().clone()),
            ..SpawnRequest::default()
        };
        guard.spawn(&request).expect("started");
    }
    say(&format!("namespace {}", network.hub().inode().expect("known")));
    let all = squall_model::units::Ratio::new(1.0);
    network.drop("feed", "ranking", all).expect("dropped");
    let generator = network.place("generator").expect("a place").namespace().clone();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            generator.enter().expect("entered");
            say("up");
            loop {
                std::thread::park();
            }
        });
    });
    ExitCode::SUCCESS
}

/// Everything that names one of these namespaces: threads in it, descriptors of it, mounts of any.
fn held(namespaces: &BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let links = |folder: String| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path())
    };
    let names_one = |path: &Path| {
        fs::read_link(path).is_ok_and(|target| namespaces.contains(target.to_string_lossy().as_ref()))
    };
    for process in links("/proc".to_owned()) {
        let threads = links(format!("{}/task", process.display())).map(|thread| thread.join("ns/net"));
        let descriptors = links(format!("{}/fd", process.display()));
        found.extend(
            threads
                .chain(descriptors)
                .filter(|path| names_one(path))
                .map(|path| path.display().to_string()),
        );
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("readable");
    let pinned = mounts
        .lines()
        .filter(|line| namespaces.iter().any(|name| line.contains(name.as_str())));
    found.extend(pinned.map(str::to_owned));
    found
}

pub(crate) fn nothing_is_left_of_a_run() {
    for kills_everything in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let run = run_id();
        let mut squall = Command::new(std::env::current_exe().expect("known"))
            .arg("squall")
            .arg(folder.path())
            .arg(&run)
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let output = BufReader::new(squall.stdout.take().expect("a pipe"));
        let mut namespaces = BTreeSet::new();
        for line in output.lines() {
            let line = line.expect("readable");
            if let Some(inode) = line.strip_prefix("namespace ") {
                namespaces.insert(format!("net:[{inode}]"));
            }
            if line == "up" {
                break;
            }
        }
        assert_eq!(namespaces.len(), 5, "four places and the hub");
        eventually("the services are up", || remains(&run).len() >= 6);
        assert!(held(&namespaces).len() >= 5, "nothing to clean up proves nothing");

        if kills_everything {
            let all: Vec<_> = remains(&run).into_iter().filter_map(Identity::of).collect();
            for process in all {
                process.signal(Signal::KILL).expect("sent");
            }
        }
        squall.kill().and_then(|()| squall.wait()).expect("killed");
        eventually("every process is gone", || remains(&run).is_empty());
        let left = held(&namespaces);
        assert!(left.is_empty(), "{left:?}");
        let files: BTreeSet<_> = fs::read_dir(folder.path())
            .expect("readable")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        let expected = ["feed", "generator", "guard.log", "ids", "ranking"];
        assert_eq!(files, expected.map(str::to_owned).into(), "logs and nothing else");
    }
}

pub(crate) fn a_network_that_is_dropped_is_gone() {
    // The kernel counts the namespaces that are there; this limit is this user namespace's own, which ends with the test.
    fs::write("/proc/sys/user/max_net_namespaces", "7").expect("its own to set");
    let mut current = network();
    for _ in 0..10 {
        match build() {
            Err(NetworkError::Kernel { source, .. }) => {
                assert_eq!(source.raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
            }
            other => panic!("there is room for seven: {other:?}"),
        }
        drop(current);
        current = once_there_is_room();
    }
}

/// The kernel takes namespaces down in its own time, also those of an attempt that failed. So each attempt waits twice as long as the one
/// before, and the last over a minute: hasty ones would take the room that they wait for.
#[expect(
    clippy::disallowed_methods,
    reason = "the kernel sends no event when a namespace is gone"
)]
fn once_there_is_room() -> Network {
    for attempt in 0..14 {
        if let Ok(network) = build() {
            return network;
        }
        std::thread::sleep(Duration::from_millis(10 << attempt));
    }
    panic!("there is never room again");
}
