//! The two arms of a gate: the working tree, and the base that it parted from in a working tree of its own, both built.
//!
//! `repository` finds them, `worktree` and `cache` keep the base, `build` and `cargo` build, `bench` finds programs of micro-benchmarks
//! among what was built, `accept` reads what commits accept. All
//! that runs git or a build is here; nothing here starts a service, prints or decides.

mod accept;
pub mod bench;
mod build;
mod cache;
mod cargo;
mod error;
mod git;
mod lock;
mod program;
mod repository;
mod settings;
#[cfg(test)]
mod tests;
mod worktree;

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use squall_engine::run::Stop;
use squall_model::gate::{self, AcceptedRecord};

pub use error::ArmsError;
pub use settings::Commands;

use build::{BUILD_WITHIN, Build, Toolchain};
use cache::Cache;
use cargo::Project;
use git::Git;
use lock::Lock;
use program::Surroundings;
use repository::{Repository, Standing, short};
use worktree::Worktree;

/// What arms are made of.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The folder of the scenario, somewhere in the repository.
    pub scenario_folder: &'a Path,
    /// The revision that the base is looked for from: what it shares with HEAD.
    pub base: &'a str,
    /// What builds each arm; `None` to look into `squall.toml`, and then for a `Cargo.toml`.
    pub build: Option<Commands>,
    /// Where the builds' output goes: `build-base.log` and `build-candidate.log`.
    pub logs: &'a Path,
    /// Whether it is for micro-benchmarks, which commits accept by whatever names they have.
    pub of_benchmarks: bool,
    /// How long each build may take; `None` for half an hour.
    pub within: Option<Duration>,
    /// Asks for an end.
    pub stop: &'a Stop,
    /// Variables for git and the builds, beside those of this process.
    pub environment: Vec<(String, OsString)>,
}

/// Both arms, built.
#[derive(Debug)]
pub struct Arms {
    /// What the candidate is held against.
    pub base: Arm,
    /// The working tree.
    pub candidate: Arm,
    /// Whether nothing is changed since the base. Then both are the working tree.
    pub same: bool,
    /// The program that serves bundled services, relative to each root, where the working tree's `squall.toml` names one.
    pub server: Option<String>,
    /// Regressions that commits since the base accept, the newest commit's first.
    pub accepted: Vec<AcceptedRecord>,
    /// Keeps the base from being cleared away.
    _held: Option<Lock>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arm {
    /// Its root, absolute and without links.
    pub root: PathBuf,
    /// The full name of its commit.
    pub revision: String,
    /// Whether something tracked is changed there.
    pub dirty: bool,
    /// Where its programs come from.
    pub built: Built,
    /// Variables of its build, beside those of squall.
    environment: Vec<(String, OsString)>,
    /// Folders of the candidate, and what stands for them here.
    places: Vec<(PathBuf, PathBuf)>,
}

/// Where an arm's programs come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Built {
    /// From a build that took so long.
    Now(Duration),
    /// From an earlier gate's build of the same revision by the same commands.
    Cached,
    /// There is nothing to build.
    Nothing,
}

impl Arm {
    /// Its revision as records have it: `1a2b3c4d5e`, `-dirty` where changed.
    pub fn shown(&self) -> String {
        format!(
            "{}{}",
            short(&self.revision),
            if self.dirty { "-dirty" } else { "" }
        )
    }

    /// What a path of the candidate is in this arm: the same place below its root. What lies outside the repository stays, and what
    /// is not absolute counts from the root.
    pub fn path_of(&self, path: &Path) -> PathBuf {
        let Some((candidate, _)) = self.places.first() else {
            return path.to_owned();
        };
        let path = lexically_normal(&candidate.join(path));
        let moved = self.places.iter().rev().find_map(|(from, to)| {
            let below = path.strip_prefix(from).ok()?;
            // Joining nothing would put a slash at the end.
            Some(if below.as_os_str().is_empty() {
                to.clone()
            } else {
                to.join(below)
            })
        });
        moved.unwrap_or(path)
    }
}

/// A path without `.` and `..`, links not looked at: a link inside the project has its counterpart in the other arm.
fn lexically_normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(normal.pop()),
            part => normal.push(part),
        }
    }
    normal
}

impl Arms {
    /// Finds and builds both arms, the candidate first. `tell` is given a line for each thing that takes time or should be known.
    pub fn prepare(request: &Request<'_>, tell: &mut dyn FnMut(&str)) -> Result<Arms, ArmsError> {
        let surroundings = Surroundings {
            environment: request.environment.clone(),
            stop: request.stop,
        };
        let git = Git {
            surroundings: &surroundings,
        };
        let repository = Repository::of(request.scenario_folder, git)?;
        let standing = repository.standing()?;
        let base = repository.merge_base(request.base)?;
        let acceptances = accept::read(&repository, &base, request.of_benchmarks)?;
        for commit in &acceptances.misplaced {
            tell(&format!(
                "commit {}: its line `Squall-Accept:` does not stand among the trailers at the end of the message, so it accepts nothing",
                short(commit)
            ));
        }
        let preparation = Preparation {
            commands: build::commands(request.build.as_ref(), &repository.root)?,
            cache: Cache::of(&repository, &surroundings)?,
            within: request.within.unwrap_or(BUILD_WITHIN),
            logs: request.logs,
            surroundings: &surroundings,
            repository: &repository,
        };
        let mut arms = preparation.both(&standing, &base, tell)?;
        arms.accepted = acceptances.accepted;
        arms.server = settings::read(&repository.root)?.server;
        Ok(arms)
    }
}

/// What the making of both arms shares.
struct Preparation<'a> {
    logs: &'a Path,
    within: Duration,
    surroundings: &'a Surroundings<'a>,
    repository: &'a Repository<'a>,
    cache: Cache,
    commands: Commands,
}

impl Preparation<'_> {
    fn both(&self, standing: &Standing, base: &str, tell: &mut dyn FnMut(&str)) -> Result<Arms, ArmsError> {
        for words in &self.commands {
            if let Some(folder) = cargo::shared_target(words) {
                return Err(ArmsError::SharedTarget {
                    command: build::shown(std::slice::from_ref(words)),
                    folder: folder.to_owned(),
                });
            }
        }
        let _making = self.cache.lock(self.within, self.surroundings, tell)?;
        let root = &self.repository.root;
        let candidate = Arm {
            root: root.clone(),
            revision: standing.head.clone(),
            dirty: standing.is_changed,
            built: self.build(gate::Arm::Candidate, root, &[], tell)?,
            environment: Vec::new(),
            places: vec![(root.clone(), root.clone())],
        };
        let same = base == standing.head && !standing.has_more;
        let (base, held) = if same {
            (candidate.clone(), None)
        } else {
            let (base, held) = self.base(base, tell)?;
            (base, Some(held))
        };
        Ok(Arms {
            base,
            candidate,
            same,
            server: None,
            accepted: Vec::new(),
            _held: held,
        })
    }

    /// The base, checked out and built, or found so.
    fn base(&self, revision: &str, tell: &mut dyn FnMut(&str)) -> Result<(Arm, Lock), ArmsError> {
        let Worktree {
            root,
            mut stamp,
            held,
        } = worktree::prepare(self.repository, &self.cache, revision, tell)?;
        worktree::remove_surplus(self.repository, &self.cache, tell);
        let toolchain = build::toolchain(&self.repository.root, self.surroundings);
        let mut places = vec![(self.repository.root.clone(), root.clone())];
        let environment = self.cargo(&root, toolchain.as_ref(), &mut places, tell)?;
        let key = build::key(&self.commands, toolchain.as_ref(), self.surroundings);
        let built = if self.commands.is_empty() {
            Built::Nothing
        } else if stamp.built.as_ref() == Some(&key) {
            Built::Cached
        } else {
            // A build that is cut off leaves something that is neither the old nor the new one.
            stamp.built = None;
            self.cache.put_stamp(revision, &stamp)?;
            let built = self.build(gate::Arm::Base, &root, &environment, tell)?;
            stamp.built = Some(key);
            built
        };
        self.cache.put_stamp(revision, &stamp)?;
        let arm = Arm {
            root,
            revision: revision.to_owned(),
            dirty: false,
            built,
            environment,
            places,
        };
        Ok((arm, held))
    }

    fn build(
        &self,
        arm: gate::Arm,
        root: &Path,
        environment: &[(String, OsString)],
        tell: &mut dyn FnMut(&str),
    ) -> Result<Built, ArmsError> {
        if self.commands.is_empty() {
            return Ok(Built::Nothing);
        }
        self.surroundings.go_on()?;
        let log = self.logs.join(format!("build-{}.log", arm.as_str()));
        tell(&format!(
            "building the {}: {}",
            arm.as_str(),
            build::shown(&self.commands)
        ));
        let build = Build {
            arm,
            commands: &self.commands,
            root,
            log,
            environment,
            within: self.within,
        };
        build.run(self.surroundings).map(Built::Now)
    }

    /// What the base's build needs where Cargo has to do with it: the candidate's toolchain, folders of its own, and in them what
    /// the candidate has built already of other people's crates. Returns variables, and adds the place of its programs.
    fn cargo(
        &self,
        root: &Path,
        toolchain: Option<&Toolchain>,
        places: &mut Vec<(PathBuf, PathBuf)>,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Vec<(String, OsString)>, ArmsError> {
        let mut environment: Vec<(String, OsString)> = Vec::new();
        if let Some(name) = toolchain.and_then(|toolchain| toolchain.name.as_ref())
            && self.surroundings.variable("RUSTUP_TOOLCHAIN").is_none()
        {
            environment.push(("RUSTUP_TOOLCHAIN".to_owned(), name.into()));
        }
        let look = |root: &Path, more: &[(String, OsString)]| {
            let mut surroundings = self.surroundings.clone();
            surroundings.environment.extend_from_slice(more);
            Project::of(root, &self.commands, &surroundings)
        };
        let Some(base) = look(root, &environment) else {
            return Ok(environment);
        };
        environment.extend(base.kept_apart(root));
        let (Some(base), Some(candidate)) = (look(root, &environment), look(&self.repository.root, &[]))
        else {
            return Ok(environment);
        };
        if !candidate.target_directory.starts_with(&self.repository.root) {
            places.push((candidate.target_directory.clone(), base.target_directory.clone()));
        }
        let shared = cargo::share_lock_file(&candidate, &base);
        if shared.map_err(ArmsError::file("copying Cargo.lock to", root))? {
            tell("the base has no Cargo.lock: it is built with the candidate's");
        }
        if self.commands.iter().any(|words| cargo::is_cargo(words)) {
            // What could not be copied is built.
            let _ = cargo::seed(&candidate, &base, &self.commands);
        }
        Ok(environment)
    }
}
