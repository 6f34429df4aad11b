//! Programs that the guard starts in a place.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::process::ExitCode;
use std::sync::Arc;

use rustix::process::{DumpableBehavior, geteuid, set_dumpable_behavior};
use squall_engine::guard::{GuardHandle, SpawnRequest};
use squall_engine::network::{Network, Ownership};
use squall_engine::redirect::{Redirects, Transport};
use squall_engine::seccomp::{Rule, Supervisor, calls_of};
use tempfile::TempDir;

use crate::fixture::{PATIENCE, run_id};
use crate::say;
use crate::world::{inside, network, pairs};

/// A guard of this program's own, and where its programs write.
fn guard() -> (TempDir, GuardHandle) {
    let folder = tempfile::tempdir().expect("a folder");
    let own = std::env::current_exe().expect("known");
    let log = folder.path().join("guard.log");
    let guard = GuardHandle::start(&own, &["guard"], &run_id(), &log).expect("a guard");
    (folder, guard)
}

fn request(folder: &TempDir, place: Option<(&Network, &str)>, program: &str, args: &[&str]) -> SpawnRequest {
    SpawnRequest {
        program: program.into(),
        args: args.iter().map(Into::into).collect(),
        log: folder.path().join("out.log").into(),
        namespace: place.map(|(network, name)| network.place(name).expect("a place").namespace().clone()),
        ..SpawnRequest::default()
    }
}

pub(crate) fn programs_start_where_they_are_told() {
    let (folder, guard) = guard();
    let network = network();
    let own = fs::metadata("/proc/self/ns/net").expect("there").ino();
    let feed = network
        .place("feed")
        .expect("a place")
        .namespace()
        .inode()
        .expect("known");
    for (place, expected) in [(None, own), (Some((&network, "feed")), feed)] {
        let request = request(
            &folder,
            place,
            "sh",
            &["-c", "readlink /proc/self/ns/net; cat /proc/self/status"],
        );
        drop(fs::remove_file(&request.log));
        let spawned = guard.spawn(&request).expect("started");
        spawned.exit.wait(PATIENCE).expect("it ends");
        let printed = fs::read_to_string(&request.log).expect("a log");
        assert_eq!(printed.lines().next(), Some(format!("net:[{expected}]").as_str()));
        let of = |name: &str| {
            let line = printed.lines().find_map(|line| line.strip_prefix(name));
            line.expect("in the status")
                .split_whitespace()
                .next()
                .expect("a value")
        };
        assert_eq!(of("Uid:"), geteuid().as_raw().to_string(), "whoever it was");
        if place.is_some() && Ownership::take().expect("had").is_by_user_namespace() {
            for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
                assert_eq!(of(set).trim_start_matches('0'), "", "{set} {printed}");
            }
        }
    }
    guard.shutdown().expect("in good order");
}

/// Connects, and prints what it hears: what the test below starts.
pub(crate) fn ask(address: &str) -> ExitCode {
    let address: SocketAddr = address.parse().expect("an address");
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("connected");
    stream.write_all(b"who\n").expect("written");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("read");
    say(line.trim());
    ExitCode::SUCCESS
}

/// The same, from a process that forbids others to look into it.
pub(crate) fn hide(address: &str) -> ExitCode {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).expect("set");
    ask(address)
}

pub(crate) fn a_program_that_hides_is_counted_as_missed() {
    if let Err(why) = squall_engine::redirect::probe() {
        say(&format!("NOT TESTED: {why}"));
        return;
    }
    let (folder, guard) = guard();
    let own = std::env::current_exe().expect("known");
    let own = own.to_str().expect("text");
    let here = std::net::IpAddr::from([127, 0, 0, 1]);
    let [real, proxy] = ["real", "proxy"].map(|name| {
        let listener = TcpListener::bind((here, 0)).expect("bound");
        answer(listener, name)
    });
    for (mode, expected, missed) in [("ask", "proxy", 0), ("hide", "real", 1)] {
        let table = Arc::new(Redirects::new());
        table.set(Transport::Stream, real, proxy).expect("one family");
        let rules: Vec<Arc<dyn Rule>> = vec![Arc::clone(&table) as _];
        let request = SpawnRequest {
            stops_at: calls_of(&rules),
            ..request(&folder, None, own, &[mode, &real.to_string()])
        };
        drop(fs::remove_file(&request.log));
        let mut spawned = guard.spawn(&request).expect("started");
        let listener = spawned.listener.take().expect("asked for");
        let _supervisor = Supervisor::start("hidden", listener, rules).expect("a thread");
        spawned.exit.wait(PATIENCE).expect("it ends");
        assert_eq!(fs::read_to_string(&request.log).expect("a log").trim(), expected);
        let counts = table.counts();
        assert_eq!((counts.seen, counts.missed), (1, missed), "{counts:?}");
        assert_eq!(counts.last_miss.is_some(), missed > 0);
    }
}

/// A server in a place that answers with that place's name.
fn serve(network: &Network, place: &'static str, ip: std::net::IpAddr) -> SocketAddr {
    let listener = inside(network.place(place).expect("a place"), || {
        TcpListener::bind((ip, 0)).expect("bound")
    });
    answer(listener, place)
}

/// Answers every line with a name, until the test ends.
fn answer(listener: TcpListener, name: &'static str) -> SocketAddr {
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            drop(BufReader::new(&stream).read_line(&mut line));
            drop(writeln!(stream, "{name}"));
        }
    });
    address
}

pub(crate) fn a_program_in_a_place_is_redirected() {
    let (folder, guard) = guard();
    if let Err(why) = squall_engine::redirect::probe() {
        say(&format!("NOT TESTED: {why}"));
        return;
    }
    let network = network();
    let own = std::env::current_exe().expect("known");
    let own = own.to_str().expect("text");
    for (real, proxy) in pairs(&network, "ranking", "ids") {
        let [real, proxy] = [serve(&network, "ranking", real), serve(&network, "ids", proxy)];
        let table = Arc::new(Redirects::new());
        for expected in ["ranking", "ids"] {
            let rules: Vec<Arc<dyn Rule>> = vec![Arc::clone(&table) as _];
            let request = SpawnRequest {
                stops_at: calls_of(&rules),
                ..request(
                    &folder,
                    Some((&network, "feed")),
                    own,
                    &["ask", &real.to_string()],
                )
            };
            drop(fs::remove_file(&request.log));
            let mut spawned = guard.spawn(&request).expect("started");
            let listener = spawned.listener.take().expect("asked for");
            let _supervisor = Supervisor::start("feed", listener, rules).expect("a thread");
            spawned.exit.wait(PATIENCE).expect("it ends");
            let printed = fs::read_to_string(&request.log).expect("a log");
            assert_eq!(printed.trim(), expected, "{:?}", table.counts());
            table.set(Transport::Stream, real, proxy).expect("one family");
        }
        assert_eq!(table.counts().redirected, 1);
    }
}
