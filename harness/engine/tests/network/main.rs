//! Isolated networks, as root and as an ordinary user, over IPv4 and IPv6.
//!
//! Each case is a function that runs in a process of its own: this program, started again, as the user that the case is for.
//! What a machine does not allow is said loudly and not tested.

#[path = "../fixture/mod.rs"]
#[expect(dead_code, reason = "what other tests need of it")]
mod fixture;

mod drops;
mod faults;
mod forbidden;
mod leaves;
mod limits;
mod reach;
mod spawn;
mod world;

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use rustix::process::{Pid, PidfdFlags, geteuid, pidfd_open};
use squall_engine::network::{Ownership, probe};
use squall_engine::process::identity::wait_exited;

use crate::fixture::PATIENCE;

/// What a case's process ends with where there is nothing to test.
const NOT_TESTED: u8 = 77;

/// `nobody`, where tests run as root.
const ORDINARY: u32 = 65534;

/// A case; `owns` is whether its process is to be one that may make networks.
pub(crate) struct Case {
    name: &'static str,
    owns: bool,
    /// Only for an ordinary user: it changes a setting that is the machine's otherwise, or tries what root may.
    ordinary_only: bool,
    run: fn(),
}

const fn case(name: &'static str, run: fn()) -> Case {
    Case {
        name,
        owns: true,
        ordinary_only: false,
        run,
    }
}

static CASES: &[Case] = &[
    case(
        "places_reach_each_other_over_ipv4_and_ipv6",
        reach::places_reach_each_other,
    ),
    case(
        "a_place_reaches_nothing_else",
        reach::a_place_reaches_nothing_else,
    ),
    case(
        "sockets_stay_where_they_were_made",
        reach::sockets_stay_where_they_were_made,
    ),
    case(
        "names_that_are_not_there_are_errors",
        reach::names_that_are_not_there_are_errors,
    ),
    case(
        "one_way_is_dropped_and_the_other_is_not",
        drops::one_way_is_dropped_and_the_other_is_not,
    ),
    case("a_share_is_dropped", drops::a_share_is_dropped),
    case(
        "loads_in_one_place_are_cut_off_apart",
        drops::loads_in_one_place_are_cut_off_apart,
    ),
    case("connections_stall_and_go_on", drops::connections_stall_and_go_on),
    case(
        "new_connections_meet_silence",
        drops::new_connections_meet_silence,
    ),
    case("what_is_sent_is_limited", limits::what_is_sent_is_limited),
    case(
        "a_fault_is_proven_by_the_packets_that_met_it",
        faults::a_fault_is_proven_by_the_packets_that_met_it,
    ),
    case(
        "a_fault_on_packets_that_nobody_sends_is_not_proven",
        faults::a_fault_that_nobody_meets_is_not_proven,
    ),
    case(
        "programs_start_where_they_are_told_without_privilege",
        spawn::programs_start_where_they_are_told,
    ),
    case(
        "a_program_in_a_place_is_redirected",
        spawn::a_program_in_a_place_is_redirected,
    ),
    Case {
        owns: false,
        ..case(
            "nothing_is_left_of_a_run_that_was_killed",
            leaves::nothing_is_left_of_a_run,
        )
    },
    Case {
        ordinary_only: true,
        ..case(
            "a_network_that_is_dropped_is_gone",
            leaves::a_network_that_is_dropped_is_gone,
        )
    },
    Case {
        ordinary_only: true,
        ..case(
            "the_setting_that_forbids_it_is_named",
            forbidden::the_setting_is_named,
        )
    },
    // Root may look into every process, so only an ordinary user can miss one.
    Case {
        owns: false,
        ordinary_only: true,
        ..case(
            "a_program_that_hides_is_counted_as_missed",
            spawn::a_program_that_hides_is_counted_as_missed,
        )
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["guard"] => ExitCode::from(squall_engine::guard::main() as u8),
        ["squall", folder, run] => leaves::squall(Path::new(folder), run),
        ["ask", address] => spawn::ask(address),
        ["hide", address] => spawn::hide(address),
        ["linger", _token] => loop {
            std::thread::park();
        },
        ["case", name] => run_case(name),
        _ => run_all(&args),
    }
}

pub(crate) fn say(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// In a process that has nothing else to do, and one thread.
fn run_case(name: &str) -> ExitCode {
    let case = CASES.iter().find(|case| case.name == name).expect("a case");
    if let Err(why) = probe() {
        say(&why.to_string());
        return ExitCode::from(NOT_TESTED);
    }
    if case.owns {
        Ownership::take().expect("the probe said that it can be had");
    }
    (case.run)();
    ExitCode::SUCCESS
}

/// As `cargo test` and its like call it: with filters, perhaps.
fn run_all(args: &[&str]) -> ExitCode {
    let filters: Vec<_> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let chosen = CASES
        .iter()
        .filter(|case| filters.is_empty() || filters.iter().any(|filter| case.name.contains(**filter)));
    if args.contains(&"--list") {
        chosen.for_each(|case| say(&format!("{}: test", case.name)));
        return ExitCode::SUCCESS;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let program = for_everybody(folder.path());
    let mut failed = Vec::new();
    for case in chosen {
        for (way, user) in ways(case) {
            if !passes(case, way, user, &program) {
                failed.push(format!("{} ({way})", case.name));
            }
        }
    }
    say(&format!("{} failed", failed.len()));
    ExitCode::from(u8::from(!failed.is_empty()))
}

/// As whom a case is run.
fn ways(case: &Case) -> Vec<(&'static str, Option<u32>)> {
    let is_root = geteuid().is_root();
    let mut ways = vec![("ordinary user", is_root.then_some(ORDINARY))];
    if Ownership::is_held() && !case.ordinary_only {
        ways.push(("privileged", None));
    }
    ways
}

/// This program, where any user may run it.
fn for_everybody(folder: &Path) -> PathBuf {
    let program = folder.join("network");
    fs::copy(std::env::current_exe().expect("known"), &program).expect("copied");
    fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("set");
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("set");
    program
}

fn passes(case: &Case, way: &str, user: Option<u32>, program: &Path) -> bool {
    let mut command = Command::new(program);
    command.args(["case", case.name]).current_dir("/");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    let child = command.spawn().expect("started");
    let pid = Pid::from_raw(child.id().cast_signed()).expect("a pid");
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("it runs");
    let deadline = Instant::now() + PATIENCE * 3;
    if !wait_exited(&[&pidfd], deadline).expect("polled") {
        squall_engine::process::identity::send(&pidfd, rustix::process::Signal::KILL).expect("sent");
    }
    let output = child.wait_with_output().expect("it ended");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let outcome = match output.status.code() {
        Some(0) => "ok".to_owned(),
        Some(code) if code == i32::from(NOT_TESTED) => format!("NOT TESTED: {}", text.trim()),
        _ => format!("FAILED, {}\n{text}", output.status),
    };
    say(&format!("test {} ({way}) ... {outcome}", case.name));
    !outcome.starts_with("FAILED")
}
