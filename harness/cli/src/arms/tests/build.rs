//! What builds the arms, what is built again, and what is said and left where a build fails.

use std::fs;
use std::time::Duration;

use squall_engine::process::table;
use squall_engine::run::Stop;
use squall_model::exit::Exit;

use super::super::{ArmsError, Built};
use super::{Project, commands, read, wait_until};

#[test]
fn a_second_gate_against_the_same_base_builds_only_the_candidate() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    let first = project.prepare("main");
    assert!(matches!(first.base.built, Built::Now(_)));
    let second = project.prepare("main");
    assert_eq!(second.base.built, Built::Cached);
    assert!(matches!(second.candidate.built, Built::Now(_)));
    let root = project.root.clone();
    assert_eq!(project.built_in(), [root.clone(), first.base.root.clone(), root]);
}

#[test]
fn other_commands_and_other_flags_build_the_base_again() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    drop(project.prepare("main"));
    let again = |change: &dyn Fn(&mut super::Request<'_>)| {
        let (arms, _) = project.prepare_with("main", &Stop::default(), change);
        arms.expect("two arms").base.built
    };
    let flags =
        |request: &mut super::Request<'_>| request.environment.push(("CFLAGS".to_owned(), "-O1".into()));
    assert!(matches!(again(&flags), Built::Now(_)));
    assert_eq!(again(&flags), Built::Cached);
    let other = |request: &mut super::Request<'_>| request.build = Some(commands(&[&["sh", "build.sh"]]));
    assert!(matches!(again(&other), Built::Now(_)));
    assert_eq!(again(&other), Built::Cached);
    let unheard = |request: &mut super::Request<'_>| {
        other(request);
        request.environment.push(("TERM".to_owned(), "dumb".into()));
    };
    assert_eq!(again(&unheard), Built::Cached);
}

#[test]
fn several_commands_run_in_order_until_one_fails() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    let (arms, told) = project.prepare_with("main", &Stop::default(), |request| {
        request.build = Some(commands(&[
            &["sh", "-c", "echo a b >> made"],
            &["./build.sh"],
            &["cp", "made", "copy"],
        ]));
    });
    let arms = arms.expect("two arms");
    assert_eq!(read(&arms.base.root.join("copy")), "a b\n");
    assert!(
        told.iter()
            .any(|line| line == "building the base: sh -c 'echo a b >> made' && ./build.sh && cp made copy"),
        "{told:?}"
    );
    let log = read(&project.beside("logs/build-base.log"));
    assert!(log.ends_with("$ ./build.sh\n$ cp made copy\n"), "{log}");
}

#[test]
fn a_project_without_a_build_has_two_arms_all_the_same() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    fs::remove_file(project.root.join("squall.toml")).expect("it was there");
    let arms = project.prepare("main");
    assert_eq!(
        (arms.base.built, arms.candidate.built),
        (Built::Nothing, Built::Nothing)
    );
    assert!(project.built_in().is_empty());
}

#[test]
fn a_wrong_squall_toml_is_told_with_its_line() {
    let Some(project) = Project::new() else { return };
    project.write("squall.toml", "[gate]\n\nbiuld = [\"make\"]\n");
    let error = project.refuse("HEAD").to_string();
    assert!(
        error.ends_with("squall.toml:3: unknown key `biuld`; did you mean `build`?"),
        "{error}"
    );
}

#[test]
fn a_candidate_that_does_not_build_shows_the_last_lines() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    project.script("build.sh", "seq 100\nprintf 'colour \\033[31m\\n' >&2\nexit 3\n");
    let error = project.refuse("main");
    assert_eq!(error.exit(), Exit::Internal);
    let ArmsError::CandidateBuild(failure) = &error else {
        panic!("{error}")
    };
    assert_eq!(failure.ending, "exited with 3");
    assert_eq!(failure.last_lines.len(), 20);
    assert_eq!(failure.last_lines[0], "82");
    let text = error.to_string();
    assert!(text.contains("\n  100\n") && !text.contains("\n  81\n"), "{text}");
    assert!(text.ends_with("colour \\u{1b}[31m"), "{text}");
    assert!(text.contains("build-candidate.log"), "{text}");
    assert!(read(&failure.log).contains("\n81\n"));
}

#[test]
fn a_build_that_a_signal_ends_says_so() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    project.script("build.sh", "kill -SEGV $$\n");
    let error = project.refuse("main").to_string();
    assert!(
        error.ends_with("was ended by signal 11 and printed nothing"),
        "{error}"
    );
}

#[test]
fn a_base_that_does_not_build_is_another_matter_and_is_tried_again() {
    let Some(project) = Project::new() else { return };
    project.script("build.sh", "echo broken here\nexit 1\n");
    let base = project.commit("broken");
    project.script("build.sh", "cp version built\n");
    project.commit("mended");
    for _ in 0..2 {
        let error = project.refuse(&base);
        assert!(matches!(error, ArmsError::BaseBuild(_)), "{error}");
        assert!(error.to_string().contains("\n  broken here"), "{error}");
    }
}

#[test]
fn a_build_that_failed_half_way_is_not_taken_for_the_one_before() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    drop(project.prepare("main"));
    let (arms, _) = project.prepare_with("main", &Stop::default(), |request| {
        // Fails in the base alone, after it has changed what was built there.
        let script = "echo spoilt > built; [ \"$(cat version)\" = 2 ]";
        request.build = Some(commands(&[&["sh", "-c", script]]));
    });
    assert!(matches!(arms, Err(ArmsError::BaseBuild(_))), "{arms:?}");
    let arms = project.prepare("main");
    assert!(matches!(arms.base.built, Built::Now(_)), "{:?}", arms.base.built);
    assert_eq!(read(&arms.base.root.join("built")), "1\n");
}

#[test]
fn a_build_program_that_is_missing_is_the_machines_lack_or_the_bases() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    let (arms, _) = project.prepare_with("main", &Stop::default(), |request| {
        request.build = Some(commands(&[&["no-such-builder", "all"]]));
    });
    let error = arms.expect_err("there is no such program");
    assert_eq!(error.exit(), Exit::MissingCapability);
    assert!(error.to_string().contains("`no-such-builder all`"), "{error}");

    project.script("new-build.sh", "cp version built\n");
    project.commit("builds another way");
    let (arms, _) = project.prepare_with("main", &Stop::default(), |request| {
        request.build = Some(commands(&[&["./new-build.sh"]]));
    });
    let error = arms.expect_err("the base has no such script");
    assert!(matches!(error, ArmsError::BaseBuild(_)), "{error}");
}

/// A script that starts a child in its group and one in a session of its own, and tells their numbers.
const STARTS: &str =
    "sleep 1000 &\necho $! > pids.new\nsetsid sleep 1000 &\necho $! >> pids.new\nmv pids.new pids\n";

/// Whether one of a process's numbers is still anybody's who runs.
fn runs(pid: i32) -> bool {
    table::read_one(pid).is_some_and(|entry| entry.runs())
}

fn pids(project: &Project) -> Vec<i32> {
    let text = read(&project.root.join("pids"));
    text.lines().map(|line| line.parse().expect("a number")).collect()
}

#[test]
fn an_interrupted_build_leaves_no_process_behind() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    // Neither listens to a polite request.
    project.script(
        "build.sh",
        &format!("trap '' TERM\n{STARTS}while :; do sleep 1000; done\n"),
    );
    let stop = Stop::default();
    let arms = std::thread::scope(|scope| {
        let building = scope.spawn(|| project.prepare_with("main", &stop, |_| {}).0);
        wait_until("the build has begun", || project.root.join("pids").exists());
        assert!(pids(&project).into_iter().all(runs));
        stop.request(2);
        building.join().expect("no panic")
    });
    let error = arms.expect_err("it was interrupted");
    assert_eq!(error.exit(), Exit::Interrupted, "{error}");
    for pid in pids(&project) {
        assert!(!runs(pid), "{pid} is still there");
    }
}

#[test]
fn a_build_that_takes_too_long_is_cut_off_with_all_it_started() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    project.script("build.sh", &format!("{STARTS}echo still at it\nsleep 1000\n"));
    // Long enough to have begun on a busy machine: what is cut off earlier started nothing and is checked all the same.
    let (arms, _) = project.prepare_with("main", &Stop::default(), |request| {
        request.within = Some(Duration::from_secs(3));
    });
    let error = arms.expect_err("it takes too long");
    let ArmsError::CandidateBuild(failure) = &error else {
        panic!("{error}")
    };
    assert_eq!(failure.ending, "took longer than 3 s");
    if project.root.join("pids").exists() {
        for pid in pids(&project) {
            assert!(!runs(pid), "{pid} is still there");
        }
    }
}

#[test]
fn what_a_build_leaves_in_its_group_is_ended_with_it() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    project.script("build.sh", "sleep 1000 &\necho $! > pids\ncp version built\n");
    drop(project.prepare("main"));
    wait_until("the child is gone", || !pids(&project).into_iter().any(runs));
}
