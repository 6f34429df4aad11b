//! What the guard starts: how, with what, and what comes back.

mod fixture;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use fixture::{PATIENCE, PROGRAM, Stage, eventually, remains};
use rustix::process::Signal;
use squall_engine::guard::{Event, ExitStatus, GuardHandle, SpawnError, SpawnRequest};
use squall_engine::process::identity::send;

fn request(stage: &Stage, program: &str, args: &[&str]) -> SpawnRequest {
    SpawnRequest {
        program: program.into(),
        args: args.iter().map(Into::into).collect(),
        log: stage.path("out.log").into(),
        ..SpawnRequest::default()
    }
}

/// Runs it to its end; returns how it ended and what it printed.
fn run(stage: &Stage, request: &SpawnRequest) -> (ExitStatus, String) {
    drop(fs::remove_file(&request.log));
    let spawned = stage.guard.spawn(request).expect("started");
    let status = spawned.exit.wait(PATIENCE).expect("it ends");
    (status, fs::read_to_string(&request.log).expect("a log"))
}

#[test]
fn exits_come_back_with_code_and_signal_once_each() {
    let stage = Stage::set();
    for (script, expected) in [
        ("exit 0", ExitStatus::Code(0)),
        ("exit 7", ExitStatus::Code(7)),
        ("kill -KILL $$", ExitStatus::Signal(9)),
        ("kill -TERM $$", ExitStatus::Signal(15)),
    ] {
        let spawned = stage
            .guard
            .spawn(&request(&stage, "sh", &["-c", script]))
            .expect("started");
        assert_eq!(spawned.exit.wait(PATIENCE), Some(expected), "{script}");
        let event = stage.guard.events().recv_timeout(PATIENCE).expect("an event");
        assert_eq!(
            event,
            Event::Exited {
                process: spawned.process,
                status: expected
            }
        );
    }
    assert!(stage.guard.events().try_recv().is_err());
}

#[test]
fn a_signal_through_the_pidfd_reaches_the_process() {
    let stage = Stage::set();
    let spawned = stage
        .guard
        .spawn(&request(&stage, "sleep", &["1000"]))
        .expect("started");
    assert!(send(&spawned.pidfd, Signal::TERM).expect("sent"));
    assert_eq!(spawned.exit.wait(PATIENCE), Some(ExitStatus::Signal(15)));
    assert!(
        !send(&spawned.pidfd, Signal::TERM).expect("no error"),
        "it is gone"
    );
}

#[test]
fn each_reason_not_to_start_is_told_apart() {
    let stage = Stage::set();
    let script = |name: &str, text: &str, mode| {
        fs::write(stage.path(name), text).expect("written");
        fs::set_permissions(stage.path(name), fs::Permissions::from_mode(mode)).expect("set");
        stage.path(name).to_str().expect("text").to_owned()
    };
    let plain = script("plain", "text", 0o644);
    let lost = script("lost", "#!/no/such/interpreter\n", 0o755);
    let refused = |request: &SpawnRequest| stage.guard.spawn(request).expect_err("refused");

    let error = refused(&request(&stage, "/no/such/program", &[]));
    assert!(
        matches!(error, SpawnError::NotFound { .. }) && error.is_program_missing(),
        "{error}"
    );
    let error = refused(&request(&stage, "no-such-program-anywhere", &[]));
    assert!(
        matches!(error, SpawnError::NotFound { .. }) && error.is_program_missing(),
        "{error}"
    );
    let error = refused(&request(&stage, &plain, &[]));
    assert!(
        matches!(error, SpawnError::PermissionDenied { .. }) && !error.is_program_missing(),
        "{error}"
    );
    let error = refused(&request(&stage, &lost, &[]));
    assert!(
        matches!(error, SpawnError::InterpreterMissing { .. }) && error.is_program_missing(),
        "{error}"
    );
    let error = refused(&SpawnRequest {
        directory: Some("/no/such".into()),
        ..request(&stage, "sh", &[])
    });
    assert!(
        matches!(error, SpawnError::Directory { .. }) && error.to_string().contains("/no/such"),
        "{error}"
    );
    let error = refused(&SpawnRequest {
        log: "/no/such/log".into(),
        ..request(&stage, "sh", &[])
    });
    assert!(
        matches!(error, SpawnError::Log { .. }) && error.to_string().contains("/no/such/log"),
        "{error}"
    );

    let (status, _) = run(&stage, &request(&stage, "true", &[]));
    assert!(status.success(), "and the guard goes on");
}

#[test]
fn arguments_may_be_as_long_as_the_system_takes() {
    let stage = Stage::set();
    // Linux takes 128 KiB a string, and a quarter of the stack limit in all.
    let long = "x".repeat(100 * 1024);
    let mut args = vec!["-c", "echo $#", "sh"];
    args.extend([long.as_str(); 8]);
    assert_eq!(
        run(&stage, &request(&stage, "sh", &args)),
        (ExitStatus::Code(0), "8\n".to_owned())
    );
    for bytes in [1 << 20, 40 << 20] {
        let error = stage
            .guard
            .spawn(&request(&stage, "sh", &[&"x".repeat(bytes)]))
            .expect_err("too long");
        assert!(matches!(error, SpawnError::TooLong { .. }), "{bytes}: {error}");
    }
}

#[test]
fn name_environment_and_folder_are_as_asked_and_the_log_is_appended_to() {
    let stage = Stage::set();
    let folder = fs::canonicalize(stage.folder.path()).expect("there");
    let mut asked = request(
        &stage,
        "sh",
        &["-c", "echo $0; pwd; echo $FRUIT; echo err >&2; echo ${HOME-none}"],
    );
    asked.arg0 = Some("ignored-by-sh-c".into());
    asked.directory = Some(folder.clone());
    asked.env = vec![("FRUIT".into(), "plum".into())];
    asked.clear_env = true;
    asked.program = "/bin/sh".into();
    let (status, printed) = run(&stage, &asked);
    assert!(status.success());
    assert_eq!(
        printed,
        format!("ignored-by-sh-c\n{}\nplum\nerr\nnone\n", folder.display())
    );

    let again = stage.guard.spawn(&asked).expect("started");
    again.exit.wait(PATIENCE).expect("it ends");
    assert_eq!(fs::read_to_string(&asked.log).expect("a log"), printed.repeat(2));
}

#[test]
fn every_process_carries_the_runs_marker() {
    let stage = Stage::set();
    for clear_env in [false, true] {
        let mut asked = request(&stage, "/bin/sh", &["-c", "echo $SQUALL_RUN"]);
        asked.clear_env = clear_env;
        assert_eq!(run(&stage, &asked).1, format!("{}\n", stage.run_id));
    }
}

#[test]
fn a_service_inherits_no_descriptor_and_no_blocked_or_ignored_signal() {
    let stage = Stage::set();
    let (status, printed) = run(&stage, &request(&stage, PROGRAM, &["descriptors"]));
    assert!(status.success(), "{printed}");
    let log = fs::canonicalize(stage.path("out.log")).expect("there");
    let mut fds: Vec<&str> = printed
        .lines()
        .filter_map(|line| line.strip_prefix("fd "))
        .collect();
    fds.sort_unstable();
    let log = log.to_str().expect("text");
    assert_eq!(fds, ["/dev/null", log, log], "{printed}");
    let mask = |name: &str| {
        let line = printed
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .expect("in the status");
        u64::from_str_radix(line.trim_start_matches(':').trim(), 16).expect("a mask")
    };
    assert_eq!(mask("SigBlk"), 0);
    // The Rust runtime of the program itself ignores SIGPIPE; what the test's own parent ignores is inherited.
    for signal in [Signal::TERM, Signal::CHILD] {
        assert_eq!(mask("SigIgn") & (1 << (signal.as_raw() - 1)), 0, "{signal:?}");
    }
}

#[test]
fn the_guard_keeps_no_descriptor_of_whoever_started_squall() {
    let folder = tempfile::tempdir().expect("a folder");
    let run_id = fixture::run_id();
    let inherited = folder.path().join("inherited");
    let script = format!(
        "exec 9>'{}'; exec '{PROGRAM}' squall '{}' {run_id}",
        inherited.display(),
        folder.path().display()
    );
    let mut squall = std::process::Command::new("sh")
        .args(["-c", &script])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("started");
    let inherited = fs::canonicalize(folder.path()).expect("there").join("inherited");
    let holds = |pid: i32| {
        fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|mut fds| {
            fds.any(|fd| fd.is_ok_and(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == inherited)))
        })
    };
    eventually("services are up", || folder.path().join("service-4.log").exists());
    assert!(holds(squall.id().cast_signed()), "squall itself has it");
    let mut others = remains(&run_id);
    others.remove(&squall.id().cast_signed());
    assert!(others.len() > 1 && !others.into_iter().any(holds));
    squall.kill().and_then(|()| squall.wait()).expect("killed");
    eventually("everything is gone", || remains(&run_id).is_empty());
}

#[test]
fn the_terminals_signals_do_not_end_the_guard() {
    let stage = Stage::set();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        assert!(stage.guard.process().signal(signal).expect("sent"));
    }
    let (status, _) = run(&stage, &request(&stage, "true", &[]));
    assert!(status.success());
    let table = squall_engine::process::Table::read().expect("readable");
    let guard = table.get(stage.guard.process().pid).expect("it runs");
    assert_eq!(guard.session, guard.identity.pid, "a session of its own");
    stage.guard.shutdown().expect("in good order");
}

#[test]
fn shutdown_leaves_nothing_and_says_so_again() {
    let stage = Stage::set();
    let run = &stage.run_id;
    for script in [
        format!("trap '' TERM; '{PROGRAM}' linger {run} & wait"),
        format!("(setsid '{PROGRAM}' linger {run} &); exit 0"),
        format!("(setsid sh -c \"(env -i '{PROGRAM}' linger {run} &)\" &); exit 0"),
        format!("kill -STOP $$; '{PROGRAM}' linger {run}"),
    ] {
        stage
            .guard
            .spawn(&request(&stage, "sh", &["-c", &script]))
            .expect("started");
    }
    eventually("the daemons are up", || remains(run).len() >= 5);
    stage.guard.shutdown().expect("in good order");
    assert!(remains(run).is_empty());
    stage.guard.shutdown().expect("still");
    let error = stage
        .guard
        .spawn(&request(&stage, "true", &[]))
        .expect_err("no guard");
    assert!(matches!(error, SpawnError::GuardLost { .. }), "{error}");
}

#[test]
fn a_program_that_is_no_guard_is_found_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("guard.log");
    let error = GuardHandle::start(PROGRAM.as_ref(), &["exit", "4", "not me"], "none", &log)
        .err()
        .expect("no guard");
    assert!(error.to_string().contains("not me"), "{error}");
    assert!(GuardHandle::start("/no/such/squall".as_ref(), &["guard"], "none", &log).is_err());
    // And the guard itself, started by hand, refuses.
    let status = std::process::Command::new(PROGRAM)
        .arg("guard")
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .expect("started");
    assert_eq!(status.code(), Some(1));
}
