//! Where bases are kept, so that the next gate against the same one builds nothing.
//!
//! A folder for each repository below the user's cache folder, and in it, for each base, a working tree, a stamp and a lock.
//! Outside the repository on purpose: Cargo, rustup, Go, Node and others look in all folders above for their configuration, so a
//! base inside the working tree would be built with the candidate's.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::error::ArmsError;
use super::lock::{self, Lock, Sharing};
use super::program::Surroundings;
use super::repository::Repository;

/// The bases of a repository that are kept.
pub const KEPT: usize = 4;

/// Says which repository a folder's bases are of.
const OF: &str = "repository";

/// Held while anything is made or removed in a folder.
const MAKING: &str = "making.lock";

/// Repositories that are looked at for being gone, in one go.
const LOOKED_AT: usize = 200;

/// Everything but the tree: what is known of a base that was checked out wholly. Written last, so a tree without one is half made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Its submodules, outer ones first.
    pub submodules: Vec<Nested>,
    /// How it was built; absent if it was not.
    pub built: Option<BuildKey>,
}

/// A submodule's working tree inside a base's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nested {
    /// The candidate's checkout of it, whose objects it shares.
    pub owner: PathBuf,
    /// Where it is.
    pub path: PathBuf,
}

/// All that makes a build another build, beside the revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildKey {
    /// What was run.
    pub commands: Vec<Vec<String>>,
    /// The compiler, as it tells its version; absent where none is known.
    pub toolchain: Option<String>,
    /// The variables that compilers and build systems listen to.
    pub environment: Vec<(String, String)>,
}

/// The bases of a repository.
#[derive(Clone, Debug)]
pub struct Cache {
    /// Their folder, without links.
    folder: PathBuf,
}

impl Cache {
    /// The bases of `repository`; makes their folder, and clears away those of repositories that are gone.
    pub fn of(repository: &Repository<'_>, surroundings: &Surroundings<'_>) -> Result<Cache, ArmsError> {
        let all = home(surroundings)
            .unwrap_or_else(|| repository.common.clone())
            .join("squall/arms");
        let folder = all.join(name_of(&repository.common));
        let failed = || ArmsError::file("making the cache of bases (XDG_CACHE_HOME moves it)", &folder);
        fs::create_dir_all(&folder).map_err(failed())?;
        fs::write(folder.join(OF), repository.common.as_os_str().as_bytes()).map_err(failed())?;
        clear_orphans(&all);
        Ok(Cache {
            folder: fs::canonicalize(&folder).map_err(failed())?,
        })
    }

    /// Waits until nobody else makes or removes anything here.
    pub fn lock(
        &self,
        within: Duration,
        surroundings: &Surroundings<'_>,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Lock, ArmsError> {
        lock::take(&self.folder.join(MAKING), within, surroundings, tell)
    }

    /// Marks a base as used for as long as the lock lives. Only to be called by who holds [`Cache::lock`].
    pub fn hold(&self, revision: &str) -> Result<Lock, ArmsError> {
        let path = self.in_use(revision);
        let held = lock::try_take(&path, Sharing::Shared).map_err(ArmsError::file("locking", &path))?;
        // Nobody takes it alone without holding the folder.
        held.ok_or_else(|| ArmsError::file("locking", path)(io::Error::from(io::ErrorKind::WouldBlock)))
    }

    /// A base's working tree.
    pub fn tree(&self, revision: &str) -> PathBuf {
        self.folder.join(revision)
    }

    fn in_use(&self, revision: &str) -> PathBuf {
        self.folder.join(format!("{revision}.lock"))
    }

    fn stamp_path(&self, revision: &str) -> PathBuf {
        self.folder.join(format!("{revision}.json"))
    }

    /// What is known of a base; `None` if it is not there wholly.
    pub fn stamp(&self, revision: &str) -> Option<Stamp> {
        let text = fs::read(self.stamp_path(revision)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Writes what is known of a base, which also makes it the one that was used last.
    pub fn put_stamp(&self, revision: &str, stamp: &Stamp) -> Result<(), ArmsError> {
        let path = self.stamp_path(revision);
        let fresh = path.with_extension("fresh");
        let text = serde_json::to_vec_pretty(stamp).map_err(io::Error::from);
        text.and_then(|text| fs::write(&fresh, text))
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(ArmsError::file("writing", &path))
    }

    /// Takes a base's stamp away: from here on its tree is half made.
    pub fn remove_stamp(&self, revision: &str) -> Result<(), ArmsError> {
        let path = self.stamp_path(revision);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(ArmsError::file("removing", path)(e)),
            _ => Ok(()),
        }
    }

    /// The bases beyond those that are kept, least recently used first, with locks that nobody may use them under; half-made ones
    /// are among them. Only to be called by who holds [`Cache::lock`].
    pub fn surplus(&self) -> Vec<(String, Lock)> {
        let used = |revision: &String| -> Option<SystemTime> {
            fs::metadata(self.stamp_path(revision)).ok()?.modified().ok()
        };
        let mut bases: Vec<(Option<SystemTime>, String)> = self
            .revisions()
            .into_iter()
            .map(|revision| (used(&revision), revision))
            .collect();
        // What has no stamp counts as never used.
        bases.sort_by(|one, other| other.cmp(one));
        let mut surplus: Vec<(String, Lock)> = Vec::new();
        let whole = bases.iter().filter(|(used, _)| used.is_some()).count();
        for (_, revision) in bases.into_iter().skip(KEPT.min(whole)) {
            if let Ok(Some(lock)) = lock::try_take(&self.in_use(&revision), Sharing::Alone) {
                surplus.push((revision, lock));
            }
        }
        surplus.reverse();
        surplus
    }

    /// Removes the lock of a base that is gone.
    pub fn forget(&self, revision: &str, lock: Lock) {
        let _ = fs::remove_file(self.in_use(revision));
        drop(lock);
    }

    /// The bases whose trees are there, wholly or not.
    fn revisions(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter(|entry| entry.path().is_dir());
        names
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.len() >= 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .collect()
    }
}

/// The user's cache folder, as the XDG base directory specification has it.
fn home(surroundings: &Surroundings<'_>) -> Option<PathBuf> {
    let of = |name| {
        surroundings
            .variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    of("XDG_CACHE_HOME").or_else(|| Some(of("HOME")?.join(".cache")))
}

/// A name that people recognise and no two repositories share.
fn name_of(common: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    common.as_os_str().hash(&mut hasher);
    let named = match common.file_name() {
        Some(name) if name == ".git" => common.parent().and_then(Path::file_name),
        name => name,
    };
    let named = named.unwrap_or(OsStr::new("repository")).to_string_lossy();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '-'
        }
    };
    let named: String = named.chars().map(plain).take(40).collect();
    format!("{}-{:016x}", named.trim_start_matches('.'), hasher.finish())
}

/// Removes the bases of repositories that are gone. What can't be removed stays: it is a cache.
fn clear_orphans(all: &Path) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten().take(LOOKED_AT) {
        let folder = entry.path();
        let Ok(of) = fs::read(folder.join(OF)) else {
            continue;
        };
        let of = Path::new(OsStr::from_bytes(&of));
        let is_gone = of.is_absolute() && of.try_exists().is_ok_and(|there| !there);
        if is_gone && let Ok(Some(_lock)) = lock::try_take(&folder.join(MAKING), Sharing::Alone) {
            let _ = fs::remove_dir_all(&folder);
        }
    }
}
