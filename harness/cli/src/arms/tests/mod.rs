//! Arms of real repositories in folders of their own, with git's configuration kept out.

mod build;
mod cargo;
mod repository;
mod worktree;

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use squall_engine::run::Stop;

use super::{Arms, ArmsError, Commands, Request};

/// Longer than anything here takes on a machine that does other things too.
const GENEROUS: Duration = Duration::from_mins(2);

/// A repository with a scenario, in a folder whose name has a blank.
struct Project {
    folder: tempfile::TempDir,
    root: PathBuf,
    environment: Vec<(String, OsString)>,
}

impl Project {
    /// A repository without a commit; `None`, said loudly, where there is no git.
    fn unborn() -> Option<Project> {
        if Command::new("git").arg("--version").output().is_err() {
            // Past the test harness, which shows nothing of a test that passes.
            drop(std::io::stderr().write_all(b"NOT TESTED: `git` is not installed\n"));
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let place = fs::canonicalize(folder.path()).expect("it is there");
        let root = place.join("a project");
        fs::create_dir_all(root.join("scenarios")).expect("made");
        let variables = [
            ("GIT_CONFIG_GLOBAL", OsString::from("/dev/null")),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_AUTHOR_NAME", "A".into()),
            ("GIT_AUTHOR_EMAIL", "a@example.org".into()),
            ("GIT_COMMITTER_NAME", "A".into()),
            ("GIT_COMMITTER_EMAIL", "a@example.org".into()),
            ("XDG_CACHE_HOME", place.join("a cache").into()),
            // The builds here count themselves in it.
            ("COUNT", place.join("count").into()),
        ];
        let project = Project {
            folder,
            root,
            environment: variables.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        };
        project.git(&["init", "--quiet", "--initial-branch=main"]);
        Some(project)
    }

    /// A repository whose only commit builds with a script that counts its runs.
    fn new() -> Option<Project> {
        let project = Project::unborn()?;
        project.write("squall.toml", "[gate]\nbuild = [\"./build.sh\"]\n");
        project.script("build.sh", "pwd >> \"$COUNT\"\ncp version built\n");
        project.write("version", "1\n");
        project.write(".gitignore", "built\n");
        project.write("scenarios/s.yaml", "");
        project.commit("first");
        Some(project)
    }

    /// A repository whose branch `work` parted from `main` at its first commit, with what both did since.
    fn parted() -> Option<(Project, String)> {
        let project = Project::new()?;
        let base = project.git(&["rev-parse", "HEAD"]);
        project.git(&["checkout", "--quiet", "-b", "work"]);
        project.write("version", "2\n");
        project.commit("work");
        project.git(&["checkout", "--quiet", "main"]);
        project.write("other", "\n");
        project.commit("main goes on");
        project.git(&["checkout", "--quiet", "work"]);
        Some((project, base))
    }

    /// A place outside the repository.
    fn beside(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.folder.path())
            .expect("it is there")
            .join(name)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        fs::write(path, text).expect("written");
    }

    /// A script that can be run. Copied there by another process: a child that a test forks at the same time would inherit a file
    /// that is being written, and nothing runs what somebody may write to.
    fn script(&self, path: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let fresh = self.beside("script");
        fs::write(&fresh, format!("#!/bin/sh\nset -e\n{text}")).expect("written");
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).expect("set");
        let mut copy = Command::new("cp");
        let status = copy
            .arg(&fresh)
            .arg(self.root.join(path))
            .status()
            .expect("cp runs");
        assert!(status.success());
    }

    #[track_caller]
    fn git_in(&self, folder: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command
            .args(arguments)
            .current_dir(folder)
            .envs(self.environment.iter().cloned());
        let output = command.output().expect("git runs");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "git {arguments:?}: {words}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    #[track_caller]
    fn git(&self, arguments: &[&str]) -> String {
        self.git_in(&self.root, arguments)
    }

    /// Commits everything and returns the commit.
    fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Prepares arms as a gate would and returns what was told meanwhile too.
    fn prepare_with(
        &self,
        base: &str,
        stop: &Stop,
        change: impl FnOnce(&mut Request<'_>),
    ) -> (Result<Arms, ArmsError>, Vec<String>) {
        self.prepare_in(&self.root.join("scenarios"), base, stop, change)
    }

    /// The same with the scenario in another folder.
    fn prepare_in(
        &self,
        folder: &Path,
        base: &str,
        stop: &Stop,
        change: impl FnOnce(&mut Request<'_>),
    ) -> (Result<Arms, ArmsError>, Vec<String>) {
        let logs = self.beside("logs");
        let mut request = Request {
            scenario_folder: folder,
            base,
            build: None,
            logs: &logs,
            of_benchmarks: false,
            within: Some(GENEROUS),
            stop,
            environment: self.environment.clone(),
        };
        change(&mut request);
        let mut told = Vec::new();
        let arms = Arms::prepare(&request, &mut |line| told.push(line.to_owned()));
        (arms, told)
    }

    #[track_caller]
    fn prepare(&self, base: &str) -> Arms {
        self.prepare_with(base, &Stop::default(), |_| {})
            .0
            .unwrap_or_else(|e| panic!("{e}"))
    }

    #[track_caller]
    fn refuse(&self, base: &str) -> ArmsError {
        let (arms, told) = self.prepare_with(base, &Stop::default(), |_| {});
        arms.map(|arms| panic!("{arms:?} {told:?}")).unwrap_err()
    }

    /// The folders in which a build ran, in order.
    fn built_in(&self) -> Vec<PathBuf> {
        let text = fs::read_to_string(self.beside("count")).unwrap_or_default();
        text.lines().map(PathBuf::from).collect()
    }

    /// The bases that are kept, in no order.
    fn kept(&self) -> Vec<String> {
        let cache = self.beside("a cache").join("squall/arms");
        let mut found = Vec::new();
        for repository in fs::read_dir(cache).into_iter().flatten().flatten() {
            let entries = fs::read_dir(repository.path())
                .expect("it was just listed")
                .flatten();
            found.extend(
                entries
                    .filter(|entry| entry.path().is_dir())
                    .map(|entry| entry.file_name().to_string_lossy().into_owned()),
            );
        }
        found
    }
}

fn commands(of: &[&[&str]]) -> Commands {
    let words = |words: &&[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    of.iter().map(words).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Waits until `holds`, for at most a generous time.
#[track_caller]
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let (_sender, never) = crossbeam_channel::bounded::<()>(0);
    let deadline = Instant::now() + GENEROUS;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {GENEROUS:?}");
        let _ = never.recv_timeout(Duration::from_millis(10));
    }
}
