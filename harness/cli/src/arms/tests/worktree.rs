//! The base's working tree: made once, made again where it is half made, kept as long as it is of use.

use std::fs;
use std::path::Path;

use crossbeam_channel::unbounded;
use squall_engine::run::Stop;

use super::super::cache::KEPT;
use super::super::{Arms, Built, Request};
use super::{GENEROUS, Project, read, wait_until};

/// The files beside a base's tree.
fn beside_tree(arms: &Arms, ending: &str) -> std::path::PathBuf {
    arms.base.root.with_extension(ending)
}

/// When a gate was killed, and what it did to the tree by then.
type Killed = (&'static str, fn(&Path));

#[test]
fn a_half_made_tree_is_made_again() {
    let Some((project, base)) = Project::parted() else {
        return;
    };
    let tree = project.prepare("main").base.root;
    // What a gate leaves that was killed in each of these moments.
    let killed: [Killed; 4] = [
        ("before the stamp", |_| {}),
        ("amid the files", |tree| {
            fs::remove_file(tree.join("version")).expect("it was there");
        }),
        ("before the link to the repository", |tree| {
            fs::remove_file(tree.join(".git")).expect("it was there");
        }),
        ("before anything but a folder", |tree| {
            fs::remove_dir_all(tree).expect("it was there");
            fs::create_dir(tree).expect("made");
        }),
    ];
    for (moment, leave) in killed {
        leave(&tree);
        fs::remove_file(tree.with_extension("json")).expect("the stamp was there");
        let arms = project.prepare("main");
        assert_eq!(read(&tree.join("version")), "1\n", "{moment}");
        assert_eq!(project.git_in(&tree, &["rev-parse", "HEAD"]), base, "{moment}");
        assert!(
            matches!(arms.base.built, Built::Now(_)),
            "{moment}: {:?}",
            arms.base.built
        );
    }
}

#[test]
fn a_tree_that_git_locked_while_it_was_made_is_made_again() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    let arms = project.prepare("main");
    let tree = arms.base.root.display().to_string();
    project.git(&["worktree", "lock", "--reason", "initializing", &tree]);
    fs::remove_file(beside_tree(&arms, "json")).expect("the stamp was there");
    drop(arms);
    assert!(matches!(project.prepare("main").base.built, Built::Now(_)));
}

#[test]
fn a_tree_whose_registration_is_gone_is_made_again() {
    let Some((project, base)) = Project::parted() else {
        return;
    };
    let tree = project.prepare("main").base.root;
    fs::remove_dir_all(project.root.join(".git/worktrees")).expect("it was there");
    let arms = project.prepare("main");
    assert!(matches!(arms.base.built, Built::Now(_)));
    assert_eq!(project.git_in(&tree, &["rev-parse", "HEAD"]), base);
}

#[test]
fn the_bases_used_last_are_kept_and_those_in_use_too() {
    let Some(project) = Project::new() else { return };
    let mut commits = vec![project.git(&["rev-parse", "HEAD"])];
    for version in 2..9 {
        project.write("version", &format!("{version}\n"));
        commits.push(project.commit("more"));
    }
    let held = project.prepare(&commits[0]);
    for commit in &commits[1..=KEPT] {
        drop(project.prepare(commit));
    }
    // Used once more, so the one after it is the one that goes.
    assert_eq!(project.prepare(&commits[1]).base.built, Built::Cached);
    drop(project.prepare(&commits[5]));
    let mut kept = project.kept();
    kept.sort();
    let mut expected = [0, 1, 3, 4, 5].map(|at: usize| commits[at].clone());
    expected.sort();
    assert_eq!(kept, expected, "commits, oldest first: {commits:#?}");
    assert_eq!(read(&held.base.root.join("built")), "1\n");

    drop(held);
    drop(project.prepare(&commits[6]));
    assert_eq!(project.kept().len(), KEPT);
    let listed = project.git(&["worktree", "list", "--porcelain"]);
    assert_eq!(listed.matches("worktree ").count(), KEPT + 1, "{listed}");
}

#[test]
fn bases_of_a_repository_that_is_gone_are_cleared_away() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    let cache = project
        .prepare("main")
        .base
        .root
        .parent()
        .expect("it has one")
        .to_owned();
    let moved = project.beside("moved");
    fs::rename(&project.root, &moved).expect("moved");
    let (arms, _) = project.prepare_in(&moved, "main", &Stop::default(), |_| {});
    let arms = arms.expect("two arms");
    assert!(!cache.exists());
    assert!(arms.base.root.exists());
}

#[test]
fn two_gates_at_once_build_the_base_once() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    // The first build, which is the first gate's candidate, goes on until it may end.
    let (started, go) = (project.beside("started"), project.beside("go"));
    let wait = format!(
        "if [ ! -e '{0}' ]; then : > '{0}'; i=0; while [ ! -e '{1}' ] && [ $i -lt 1200 ]; do i=$((i+1)); sleep 0.1; done; fi\n",
        started.display(),
        go.display()
    );
    project.script(
        "build.sh",
        &format!("pwd >> \"$COUNT\"\n{wait}cp version built\n"),
    );
    project.commit("waits");
    let prepare = |told: crossbeam_channel::Sender<String>| {
        let request = Request {
            scenario_folder: &project.root,
            base: "main",
            build: None,
            logs: &project.beside("logs"),
            of_benchmarks: false,
            within: Some(GENEROUS),
            stop: &Stop::default(),
            environment: project.environment.clone(),
        };
        Arms::prepare(&request, &mut |line| drop(told.send(line.to_owned())))
    };
    std::thread::scope(|scope| {
        let (first_tells, _first_told) = unbounded();
        let (second_tells, second_told) = unbounded();
        let first = scope.spawn(|| prepare(first_tells));
        wait_until("the first build has begun", || started.exists());
        let second = scope.spawn(|| prepare(second_tells));
        let line = second_told
            .recv_timeout(GENEROUS)
            .expect("the second says that it waits");
        assert!(line.contains("another gate of this repository"), "{line}");
        fs::write(&go, "").expect("written");
        let first = first.join().expect("no panic").expect("two arms");
        let second = second.join().expect("no panic").expect("two arms");
        assert_eq!(first.base.root, second.base.root);
        assert!(matches!(first.base.built, Built::Now(_)));
        assert_eq!(second.base.built, Built::Cached);
        let in_base = project
            .built_in()
            .iter()
            .filter(|folder| **folder == first.base.root)
            .count();
        assert_eq!(in_base, 1);
    });
}

#[test]
fn a_wait_for_another_gate_ends_when_it_is_asked_to() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    let lock = project.prepare("main").base.root.with_file_name("making.lock");
    let _held = super::super::lock::try_take(&lock, super::super::lock::Sharing::Alone)
        .expect("it can be locked")
        .expect("nobody holds it");
    let stop = Stop::default();
    stop.request(15);
    let (arms, told) = project.prepare_with("main", &stop, |_| {});
    let error = arms.expect_err("it was asked to end");
    assert_eq!(
        error.exit(),
        squall_model::exit::Exit::Terminated,
        "{error} {told:?}"
    );
    let (arms, _) = project.prepare_with("main", &Stop::default(), |request| {
        request.within = Some(std::time::Duration::from_millis(50));
    });
    let error = arms.expect_err("the other gate does not end").to_string();
    assert!(error.contains("another gate of this repository"), "{error}");
}

#[test]
fn submodules_come_from_the_candidates_checkouts() {
    let Some(library) = Project::new() else { return };
    let Some(project) = Project::new() else { return };
    let url = library.root.display().to_string();
    let allow = ["-c", "protocol.file.allow=always"];
    project.git(&[&allow[..], &["submodule", "--quiet", "add", &url, "a library"]].concat());
    project.script("build.sh", "pwd >> \"$COUNT\"\ncp 'a library/version' built\n");
    let base = project.commit("with a library");
    let configuration = read(&project.root.join(".git/config"));

    library.write("version", "new\n");
    let newest = library.commit("newer");
    let inner = project.root.join("a library");
    project.git_in(&inner, &["fetch", "--quiet", &url]);
    project.git_in(&inner, &["checkout", "--quiet", &newest]);
    project.commit("a newer library");

    let arms = project.prepare(&base);
    assert_eq!(read(&arms.base.root.join("built")), "1\n");
    assert_eq!(read(&arms.candidate.root.join("built")), "new\n");
    assert_eq!(read(&project.root.join(".git/config")), configuration);
    assert_eq!(project.git(&["status", "--porcelain"]), "");

    // Made again, all of it is removed first.
    let stamp = beside_tree(&arms, "json");
    let tree = arms.base.root.clone();
    drop(arms);
    fs::remove_file(tree.join(".git")).expect("it was there");
    assert_eq!(read(&project.prepare(&base).base.root.join("built")), "1\n");
    assert!(stamp.exists());
    let listed = project.git_in(&inner, &["worktree", "list", "--porcelain"]);
    assert_eq!(listed.matches("worktree ").count(), 2, "{listed}");
}

#[test]
fn a_submodule_that_this_clone_cannot_give_is_named_with_what_to_do() {
    let Some(library) = Project::new() else { return };
    let Some(project) = Project::new() else { return };
    let url = library.root.display().to_string();
    project.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        &url,
        "library",
    ]);
    let nowhere = "0123456789012345678901234567890123456789";
    project.git(&[
        "update-index",
        "--cacheinfo",
        &format!("160000,{nowhere},library"),
    ]);
    project.git(&["commit", "--quiet", "--message", "points nowhere"]);
    let base = project.git(&["rev-parse", "HEAD"]);
    let error = project.refuse(&base).to_string();
    assert!(
        error.contains("the base has the submodule library at 0123"),
        "{error}"
    );
    assert!(error.contains("fetch --tags origin"), "{error}");
}
