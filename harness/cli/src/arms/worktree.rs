//! The base's working tree: a detached worktree of its revision in the cache, whole or not there at all.
//!
//! Everything comes from this clone: submodules are worktrees of the candidate's checkouts of them, so that nothing is fetched
//! and nothing is written to the repository's configuration.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cache::{Cache, Nested, Stamp};
use super::error::ArmsError;
use super::git::{Git, LOOK_WITHIN};
use super::lock::Lock;
use super::repository::{Repository, short};

/// How long a checkout may take; filters such as LFS's may fetch.
const CHECKOUT_WITHIN: Duration = Duration::from_mins(15);

/// Submodules inside submodules; deeper than anybody nests them.
const DEEPEST: usize = 8;

/// A base's working tree, which stays as long as this lives.
#[derive(Debug)]
pub struct Worktree {
    /// Its root, without links.
    pub root: PathBuf,
    /// What is known of it.
    pub stamp: Stamp,
    /// Says that it is used.
    pub held: Lock,
}

/// Makes the working tree of `revision`, or finds it. Only to be called by who holds the cache's lock.
pub fn prepare(
    repository: &Repository<'_>,
    cache: &Cache,
    revision: &str,
    tell: &mut dyn FnMut(&str),
) -> Result<Worktree, ArmsError> {
    let held = cache.hold(revision)?;
    let root = cache.tree(revision);
    if let Some(stamp) = cache.stamp(revision)
        && is_at(repository.git, &root, revision)?
    {
        return Ok(Worktree { root, stamp, held });
    }
    tell(&format!("checking out the base {}", short(revision)));
    remove(repository, cache, revision)?;
    let doing = format!("checking out {} to {} from", short(revision), root.display());
    add(repository.git, &doing, &repository.root, &root, revision)?;
    let mut stamp = Stamp::default();
    let mut submodules = Submodules {
        git: repository.git,
        found: &mut stamp.submodules,
        tell,
    };
    submodules.add(&repository.root, &root, revision, DEEPEST)?;
    cache.put_stamp(revision, &stamp)?;
    Ok(Worktree { root, stamp, held })
}

/// Removes the bases that are too many, and those that were left half made.
pub fn remove_surplus(repository: &Repository<'_>, cache: &Cache, tell: &mut dyn FnMut(&str)) {
    for (revision, lock) in cache.surplus() {
        match remove(repository, cache, &revision) {
            Ok(()) => cache.forget(&revision, lock),
            // No reason to hold up a gate: it is tried again by the next one.
            Err(e) => tell(&format!("an old base stays in the cache: {e}")),
        }
    }
}

/// Whether a tree is there and git knows it as being at `revision`.
fn is_at(git: Git<'_>, root: &Path, revision: &str) -> Result<bool, ArmsError> {
    // Where the tree's own link is broken git would answer for a repository further up.
    if !root.join(".git").is_file() {
        return Ok(false);
    }
    let answer = git.ask(root, &["rev-parse", "--verify", "--quiet", "HEAD"], LOOK_WITHIN)?;
    Ok(answer.is_yes() && answer.line() == revision)
}

fn add(git: Git<'_>, doing: &str, owner: &Path, path: &Path, revision: &str) -> Result<(), ArmsError> {
    // Forced twice: a place that an interrupted gate left registered, or locked while it was being made, is taken again.
    let arguments: [&OsStr; 8] = [
        OsStr::new("worktree"),
        OsStr::new("add"),
        OsStr::new("--quiet"),
        OsStr::new("--force"),
        OsStr::new("--force"),
        OsStr::new("--detach"),
        path.as_os_str(),
        OsStr::new(revision),
    ];
    git.must(doing, owner, &arguments, CHECKOUT_WITHIN)?;
    Ok(())
}

/// Removes what there is of a tree, the stamp first: from then on it is half made.
fn remove(repository: &Repository<'_>, cache: &Cache, revision: &str) -> Result<(), ArmsError> {
    let known = cache.stamp(revision).unwrap_or_default();
    cache.remove_stamp(revision)?;
    for nested in known
        .submodules
        .iter()
        .rev()
        .filter(|nested| nested.owner.is_dir())
    {
        unregister(repository.git, &nested.owner, &nested.path)?;
    }
    let root = cache.tree(revision);
    unregister(repository.git, &repository.root, &root)?;
    match fs::remove_dir_all(&root) {
        Ok(()) => unregister(repository.git, &repository.root, &root),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(ArmsError::file("removing", root)(e)),
    }
}

/// Git removes a worktree whole, and says no to one that it doesn't know or that is broken: then the folder is all there is.
fn unregister(git: Git<'_>, owner: &Path, path: &Path) -> Result<(), ArmsError> {
    let arguments: [&OsStr; 5] = [
        OsStr::new("worktree"),
        OsStr::new("remove"),
        OsStr::new("--force"),
        OsStr::new("--force"),
        path.as_os_str(),
    ];
    git.ask(owner, &arguments, CHECKOUT_WITHIN).map(drop)
}

/// Adds submodules to a tree.
struct Submodules<'s, 'g> {
    git: Git<'g>,
    found: &'s mut Vec<Nested>,
    tell: &'s mut dyn FnMut(&str),
}

impl Submodules<'_, '_> {
    /// Adds those that `revision` of the repository at `owner` has to its tree at `tree`, `deep` levels of them.
    fn add(&mut self, owner: &Path, tree: &Path, revision: &str, deep: usize) -> Result<(), ArmsError> {
        if deep == 0 || !tree.join(".gitmodules").exists() {
            return Ok(());
        }
        let arguments = ["ls-tree", "-r", "-z", "--full-tree", revision];
        let listed = self
            .git
            .must("listing the files of", owner, &arguments, LOOK_WITHIN)?;
        for (commit, path) in listed.bytes.split(|byte| *byte == 0).filter_map(gitlink) {
            let inner = owner.join(path);
            if !inner.join(".git").exists() {
                (self.tell)(&format!(
                    "the submodule {} is not checked out in the working tree, so the base goes without it too",
                    inner.display()
                ));
                continue;
            }
            let wanted = format!("{commit}^{{commit}}");
            if !self
                .git
                .ask(&inner, &["cat-file", "-e", &wanted], LOOK_WITHIN)?
                .is_yes()
            {
                return Err(ArmsError::Submodule {
                    path: path.to_owned(),
                    owner: inner,
                    commit,
                });
            }
            let place = tree.join(path);
            add(self.git, "checking out the submodule", &inner, &place, &commit)?;
            self.found.push(Nested {
                owner: inner.clone(),
                path: place.clone(),
            });
            self.add(&inner, &place, &commit, deep - 1)?;
        }
        Ok(())
    }
}

/// The commit and path of an entry that is a submodule: `160000 commit HASH\tPATH`.
fn gitlink(entry: &[u8]) -> Option<(String, &Path)> {
    let rest = entry.strip_prefix(b"160000 commit ")?;
    let tab = rest.iter().position(|byte| *byte == b'\t')?;
    let commit = String::from_utf8(rest[..tab].to_vec()).ok()?;
    Some((commit, Path::new(OsStr::from_bytes(&rest[tab + 1..]))))
}
