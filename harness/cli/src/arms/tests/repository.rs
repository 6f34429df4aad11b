//! Which commit the base is, what the candidate is, and what is said where there is none.

use squall_engine::run::Stop;
use squall_model::exit::Exit;

use super::super::{ArmsError, Built};
use super::{Project, read};

#[test]
fn the_base_is_where_the_branch_parted_not_where_main_is_now() {
    let Some((project, base)) = Project::parted() else {
        return;
    };
    let arms = project.prepare("main");
    assert_eq!(arms.base.revision, base);
    assert_eq!(arms.candidate.revision, project.git(&["rev-parse", "work"]));
    assert!(!arms.same && !arms.base.dirty && !arms.candidate.dirty);
    assert_eq!(arms.candidate.root, project.root);
    assert_eq!(read(&arms.base.root.join("built")), "1\n");
    assert_eq!(read(&arms.candidate.root.join("built")), "2\n");
    assert!(!arms.base.root.join("other").exists(), "main went on after that");
    assert_eq!(
        project.git(&["status", "--porcelain"]),
        "",
        "nothing is left in the working tree"
    );
}

#[test]
fn a_changed_working_tree_is_the_candidate() {
    let Some(project) = Project::new() else { return };
    project.write("version", "3\n");
    let arms = project.prepare("HEAD");
    assert!(arms.candidate.dirty && !arms.same);
    assert_eq!(
        arms.candidate.shown(),
        format!("{}-dirty", &arms.base.revision[..10])
    );
    assert_eq!(arms.base.shown(), arms.base.revision[..10]);
    assert_eq!(read(&arms.candidate.root.join("built")), "3\n");
    assert_eq!(read(&arms.base.root.join("built")), "1\n");
}

#[test]
fn what_git_does_not_know_yet_is_no_change_of_the_revision_and_yet_a_difference() {
    let Some(project) = Project::new() else { return };
    project.write("untracked", "\n");
    let arms = project.prepare("HEAD");
    assert!(!arms.candidate.dirty && !arms.same);
}

#[test]
fn where_nothing_is_changed_both_arms_are_the_same_and_one_is_built() {
    let Some(project) = Project::new() else { return };
    let arms = project.prepare("main");
    assert!(arms.same);
    assert_eq!(arms.base, arms.candidate);
    assert!(matches!(arms.candidate.built, Built::Now(_)));
    assert_eq!(project.built_in(), [project.root.as_path()]);
}

#[test]
fn a_path_is_mapped_below_the_root_and_nowhere_else() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    let arms = project.prepare("main");
    let (root, base) = (&project.root, &arms.base.root);
    let table = [
        (root.join("scenarios"), base.join("scenarios")),
        (root.clone(), base.clone()),
        (root.join("scenarios/../target/app"), base.join("target/app")),
        (root.join("not there"), base.join("not there")),
        ("target/./app".into(), base.join("target/app")),
        (root.join("../elsewhere"), project.beside("elsewhere")),
        (project.beside("a project 2"), project.beside("a project 2")),
        ("/usr/bin/env".into(), "/usr/bin/env".into()),
    ];
    for (path, expected) in table {
        assert_eq!(
            arms.base.path_of(&path).as_os_str(),
            expected.as_os_str(),
            "{}",
            path.display()
        );
    }
    assert_eq!(arms.candidate.path_of(&root.join("x")), root.join("x"));
}

#[test]
fn a_revision_that_is_not_known_is_a_usage_error_with_what_to_do() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    let error = project.refuse("mian");
    assert_eq!(error.exit(), Exit::Usage);
    let text = error.to_string();
    assert!(
        text.contains("`mian`") && text.contains("`git fetch origin mian`"),
        "{text}"
    );
    let text = project.refuse("origin/main").to_string();
    assert!(
        text.contains("`git fetch origin main` first and name it `origin/main`"),
        "{text}"
    );

    project.git(&["update-ref", "refs/remotes/origin/release", "main"]);
    let text = project.refuse("release").to_string();
    assert!(text.contains("did you mean `origin/release`?"), "{text}");
}

#[test]
fn an_option_is_no_revision() {
    let Some(project) = Project::new() else { return };
    for name in ["--output=/tmp/x", "-x", ""] {
        let error = project.refuse(name);
        assert_eq!(error.exit(), Exit::Usage, "{error}");
        assert!(matches!(error, ArmsError::NoName { .. }), "{error}");
    }
}

#[test]
fn a_repository_without_a_commit_has_no_base() {
    let Some(project) = Project::unborn() else { return };
    let error = project.refuse("main");
    assert!(error.to_string().contains("has no commit yet"), "{error}");
    assert_eq!(error.exit(), Exit::Internal);
}

#[test]
fn outside_a_repository_there_is_no_base() {
    let Some(project) = Project::new() else { return };
    let outside = project.beside("outside");
    std::fs::create_dir(&outside).expect("made");
    let (arms, _) = project.prepare_in(&outside, "main", &Stop::default(), |request| {
        // The folder may itself lie in a repository: git is not to look that far.
        let ceiling = project.beside("").into_os_string();
        request
            .environment
            .push(("GIT_CEILING_DIRECTORIES".to_owned(), ceiling));
    });
    let error = arms.expect_err("there is no repository");
    assert!(error.to_string().contains("is in no git repository"), "{error}");
}

#[test]
fn without_git_the_machine_lacks_something() {
    let Some(project) = Project::new() else { return };
    let (arms, _) = project.prepare_with("main", &Stop::default(), |request| {
        request
            .environment
            .push(("PATH".to_owned(), "/nonexistent".into()));
    });
    let error = arms.expect_err("there is no git");
    assert!(matches!(error, ArmsError::GitMissing), "{error}");
    assert_eq!(error.exit(), Exit::MissingCapability);
}

#[test]
fn a_shallow_clone_says_how_to_deepen_it() {
    let Some((project, _)) = Project::parted() else {
        return;
    };
    let url = format!("file://{}", project.root.display());
    let clone = project.beside("clone");
    let place = clone.display().to_string();
    project.git(&[
        "clone",
        "--quiet",
        "--depth=1",
        "--no-single-branch",
        &url,
        &place,
    ]);
    let (arms, _) = project.prepare_in(&clone, "origin/main", &Stop::default(), |_| {});
    let error = arms.expect_err("the history is cut off").to_string();
    assert!(
        error.contains("`git fetch --unshallow`") && error.contains("`fetch-depth: 0`"),
        "{error}"
    );

    project.git_in(&clone, &["fetch", "--quiet", "--unshallow"]);
    let (arms, _) = project.prepare_in(&clone, "origin/main", &Stop::default(), |_| {});
    assert_eq!(arms.expect("the history is there").candidate.root, clone);
}

#[test]
fn histories_without_a_common_commit_have_no_base() {
    let Some(project) = Project::new() else { return };
    project.git(&["checkout", "--quiet", "--orphan", "alone"]);
    project.commit("alone");
    let error = project.refuse("main").to_string();
    assert!(error.contains("have no commit in common"), "{error}");
}

#[test]
fn where_git_refuses_its_own_words_are_passed_on() {
    let Some(project) = Project::new() else { return };
    let (arms, _) = project.prepare_with("main", &Stop::default(), |request| {
        request
            .environment
            .push(("GIT_TEST_ASSUME_DIFFERENT_OWNER".to_owned(), "1".into()));
    });
    let error = arms.expect_err("the repository is somebody else's").to_string();
    assert!(
        error.contains("dubious ownership") && error.contains("--add safe.directory"),
        "{error}"
    );
}

#[test]
fn what_the_branchs_commits_accept_is_read_and_what_mains_do_is_not() {
    let Some(project) = Project::new() else { return };
    project.commit_empty("main\n\nSquall-Accept: p50 +1% is main's");
    project.git(&["checkout", "--quiet", "-b", "work"]);
    project
        .commit_empty("work\n\nbody\n\nSquall-Accept: refresh.p99 +8% checks\n  signatures\nReviewed-by: B");
    project.commit_empty("more\n\nSquall-Accept: p50 +2% misplaced\n\nthe end");
    let (arms, told) = project.prepare_with("main", &Stop::default(), |_| {});
    let arms = arms.expect("two arms");
    let [one] = arms.accepted.as_slice() else {
        panic!("{:?}", arms.accepted)
    };
    assert_eq!(
        (one.metric.as_str(), one.reason.as_str()),
        ("refresh.p99", "checks signatures")
    );
    assert_eq!(one.commit, project.git(&["rev-parse", "HEAD~1"]));
    let head = project.git(&["rev-parse", "--short=10", "HEAD"]);
    assert!(
        told.iter()
            .any(|line| line.contains(&head) && line.contains("accepts nothing")),
        "{told:?}"
    );

    project.commit_empty("wrong\n\nSquall-Accept: p99 8%");
    let error = project.refuse("main").to_string();
    let head = project.git(&["rev-parse", "--short=10", "HEAD"]);
    assert!(error.starts_with(&format!("commit {head}: ")), "{error}");
}

impl Project {
    fn commit_empty(&self, message: &str) {
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
    }
}
