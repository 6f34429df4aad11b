//! Starting `squall` in a folder of its own, waiting for it with a deadline, and reading what it left.

pub(crate) mod answering;
pub(crate) mod ended;
pub(crate) mod http2;
pub(crate) mod processes;
pub(crate) mod stage;
pub(crate) mod terminal;

pub(crate) use answering::Answering;
pub(crate) use ended::Ended;
pub(crate) use http2::Http2Server;
pub(crate) use stage::{Running, Stage};
pub(crate) use terminal::OnTerminal;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use squall_model::gate::GateRecord;

/// How long anything may take. Only a broken machine or broken code takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The binary under test.
pub(crate) const SQUALL: &str = env!("CARGO_BIN_EXE_squall");

/// The root of the repository, where `scenarios/` lies.
pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The folder of the only gate that a command ran.
pub(crate) fn gate_folder(ended: &Ended) -> PathBuf {
    let names = fs::read_dir(&ended.reports).unwrap_or_else(|e| panic!("{e}\n{ended}"));
    let within = names.flatten().filter_map(|name| fs::read_dir(name.path()).ok());
    let mut gates: Vec<PathBuf> = within
        .flat_map(|within| within.flatten().map(|entry| entry.path()))
        .filter(|path| path.to_string_lossy().ends_with("-gate"))
        .collect();
    assert_eq!(gates.len(), 1, "{ended}");
    gates.remove(0)
}

/// The record of the only gate that a command ran, whose exit code is the command's.
pub(crate) fn gate_record(ended: &Ended) -> GateRecord {
    let file = gate_folder(ended).join("gate.json");
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{e}\n{ended}"));
    let record: GateRecord = serde_json::from_str(&text).expect("a gate's record");
    assert_eq!(i32::from(record.exit_code), ended.code(), "{ended}");
    record
}

/// Runs git in a folder, whatever this machine's own configuration says.
pub(crate) fn git(folder: &Path, args: &[&str]) {
    let own = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@example.org",
        "-c",
        "init.defaultBranch=main",
        "-C",
    ];
    let ran = Command::new("git")
        .args(own)
        .arg(folder)
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git is there");
    assert!(
        ran.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

/// Says loudly what this machine does not allow to be tested, past the test harness, which shows nothing of a test that passes.
pub(crate) fn not_tested(why: &str) {
    drop(std::io::stderr().write_all(format!("NOT TESTED: {}\n", why.trim()).as_bytes()));
}

/// Whether networks can be isolated on this machine; says so where not.
pub(crate) fn networks_can_be_isolated() -> bool {
    let probed = squall_engine::network::probe();
    if let Err(why) = &probed {
        not_tested(&why.to_string());
    }
    probed.is_ok()
}

/// Waits until `holds`, for what no event tells: other processes' files and ends.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing can be waited on; the deadline bounds the looks"
)]
pub(crate) fn eventually(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
