//! Go and Java themselves, where they are installed: their output is read while they print it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use squall_engine::measure::pause::collector::GC;
use squall_engine::measure::pause::{gctrace, jvm};
use squall_engine::measure::sampler::{Output, Sampler, What};

use crate::account::{Cycles, Runtime, compare, own, read};

/// How long a program may take. Only a broken machine or a broken program takes longer.
const PATIENCE: Duration = Duration::from_mins(4);

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pauses/programs")
}

/// Whether a tool can be run. Says loudly where not: the harness swallows what a test prints that passes, but not this.
fn is_there(tool: &str, version: &str) -> bool {
    let is_there = Command::new(tool)
        .arg(version)
        .output()
        .is_ok_and(|out| out.status.success());
    if !is_there {
        let text = format!(
            "NOT TESTED: `{tool}` is not installed, so only recorded logs were read, no program's own\n"
        );
        drop(std::io::stderr().write_all(text.as_bytes()));
    }
    is_there
}

/// Runs a program with its output going to a file, as a service's does, and reads that meanwhile: the text, and the lengths of
/// the pauses that came, in microseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "a child's end sends no event to this process"
)]
fn watch(command: &mut Command, folder: &Path) -> (String, Vec<u64>) {
    let log = folder.join("output.log");
    let file = File::create(&log).expect("a file");
    let outputs = vec![Output {
        service: 0,
        log: log.clone(),
        from: 0,
    }];
    let zero = Instant::now();
    let mut sampler = Sampler::start(outputs, zero).expect("a thread");
    let mut child = command
        .stdout(file.try_clone().expect("a file"))
        .stderr(file)
        .spawn()
        .expect("it is installed");
    let status = loop {
        if let Some(status) = child.try_wait().expect("our own child") {
            break status;
        }
        if zero.elapsed() > PATIENCE {
            child.kill().and_then(|()| child.wait()).expect("killed");
            panic!("it never ended");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let by_us = zero.elapsed().as_micros() as u64;
    sampler.finish();
    let text = std::fs::read_to_string(&log).expect("text");
    assert!(status.success(), "{text}");
    let mut lengths = Vec::new();
    let mut last_us = 0;
    for found in sampler.found().try_iter() {
        if let What::Pause(kind, pause) = found.what
            && *kind == GC
        {
            assert!(
                (last_us..=by_us + 1_000_000).contains(&pause.at_us),
                "in the order of time"
            );
            last_us = pause.at_us;
            lengths.push(pause.length_us);
        }
    }
    (text, lengths)
}

/// What came while it ran is what is in its output.
fn nothing_was_lost(read: &Cycles, came: &[u64]) {
    let in_output: Vec<u64> = read.values().flatten().map(|ns| ns / 1_000).collect();
    assert_eq!(came, in_output);
}

#[test]
fn a_go_program_is_read_while_it_runs() {
    if !is_there("go", "version") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("pauses");
    let built = Command::new("go")
        .args(["build", "-o"])
        .args([&program])
        .arg(".")
        .current_dir(programs().join("go"))
        .env("GOCACHE", folder.path().join("cache"))
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off")
        .env("CGO_ENABLED", "0")
        .output()
        .expect("go was there a moment ago");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let debug = "gctrace=1,asyncpreemptoff=1";
    let (text, came) = watch(Command::new(&program).env("GODEBUG", debug), folder.path());
    let read = read(&text, &mut *gctrace::reader());
    nothing_was_lost(&read, &came);
    let due = compare(Runtime::Go, &own(&text), &read);
    assert!(due >= 40, "{due} pauses over 5 ms prove little");
}

#[test]
fn java_programs_are_read_while_they_run() {
    if !is_there("java", "-version") {
        return;
    }
    let mut due = 0;
    for collector in ["-XX:+UseSerialGC", "-XX:+UseG1GC"] {
        let folder = tempfile::tempdir().expect("a folder");
        let source = programs().join("java/Pauses.java");
        let mut command = Command::new("java");
        command
            .args(["-Xms64m", "-Xmx192m", collector, "-Xlog:gc,safepoint"])
            .arg(format!("-Djava.io.tmpdir={}", folder.path().display()))
            .arg(source);
        let (text, came) = watch(&mut command, folder.path());
        let read = read(&text, &mut *jvm::reader());
        nothing_was_lost(&read, &came);
        due += compare(Runtime::Java, &own(&text), &read);
    }
    assert!(due >= 60, "{due} pauses over 5 ms prove little");
}
