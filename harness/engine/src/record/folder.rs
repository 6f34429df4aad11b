//! Making the folder of a run, exclusively, and the `latest` link beside it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use time::OffsetDateTime;
use time::macros::format_description;

/// Why a run has no folder.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder, or one above it, can't be made.
    #[error("making the run's folder {}: {source}; name another place with --out DIR", path.display())]
    Create {
        /// What was to be made.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes `<root>/<scenario>/<time>-<revision>/` with its `logs/`, `data/` and `faults/`, and points `latest` at it.
    ///
    /// The time is UTC to the millisecond; two runs that start in the same one get different folders, because the
    /// folder must not have been there before.
    pub fn create(
        root: &Path,
        scenario: &str,
        started: OffsetDateTime,
        revision: &str,
    ) -> Result<Folder, FolderError> {
        let parent = root.join(scenario);
        let path = exclusive(&parent, started, revision)?;
        for sub in ["logs", "data", "faults"] {
            make(&path.join(sub), |path| std::fs::create_dir(path))?;
        }
        link_latest(&parent, &path);
        // Services run in folders of their own, so every path handed to them must hold from anywhere.
        let path = std::fs::canonicalize(&path).map_err(|source| FolderError::Create { path, source })?;
        Ok(Folder { path })
    }

    /// Where it is, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The log of a service.
    pub fn log(&self, service: &str) -> PathBuf {
        self.path.join("logs").join(format!("{service}.log"))
    }

    /// Where faults keep what they need.
    pub fn faults(&self) -> PathBuf {
        self.path.join("faults")
    }

    /// The folder that a service may keep things in, across restarts.
    pub fn data(&self, service: &str) -> PathBuf {
        self.path.join("data").join(service)
    }
}

/// Makes `<parent>/<time>-<what>/`, and the folders above it. The time is UTC to the millisecond, and later by as many of them as it
/// takes for the folder not to have been there before.
pub fn exclusive(parent: &Path, mut started: OffsetDateTime, what: &str) -> Result<PathBuf, FolderError> {
    make(parent, |path| std::fs::create_dir_all(path))?;
    loop {
        let path = parent.join(format!("{}-{what}", stamp(started)));
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => started += time::Duration::MILLISECOND,
            Err(source) => return Err(FolderError::Create { path, source }),
        }
    }
}

fn make(path: &Path, how: impl Fn(&Path) -> io::Result<()>) -> Result<(), FolderError> {
    how(path).map_err(|source| FolderError::Create {
        path: path.to_owned(),
        source,
    })
}

fn stamp(at: OffsetDateTime) -> String {
    let format = format_description!("[year][month][day]T[hour][minute][second].[subsecond digits:3]Z");
    at.to_offset(time::UtcOffset::UTC)
        .format(&format)
        .expect("the format has only fields a date has")
}

/// A convenience that must not fail a run: some file systems have no links.
fn link_latest(parent: &Path, path: &Path) {
    let Some(name) = path.file_name() else { return };
    let fresh = parent.join(format!(".latest-{}", std::process::id()));
    if std::os::unix::fs::symlink(name, &fresh).is_ok()
        && std::fs::rename(&fresh, parent.join("latest")).is_err()
    {
        let _ = std::fs::remove_file(&fresh);
    }
}

/// The version-control revision of `folder`: short hash, `-dirty` where something tracked is changed, `none` outside git.
pub fn revision(folder: &Path) -> String {
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        // Looking must not take the lock that somebody else's git may want.
        let output = command
            .args(["--no-optional-locks", "-C"])
            .arg(folder)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(hash) = git(&["rev-parse", "--short=10", "HEAD"]) else {
        return "none".to_owned();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => hash,
        _ => format!("{hash}-dirty"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn the_folder_is_exclusive_and_latest_follows() {
        let root = tempfile::tempdir().unwrap();
        let at = datetime!(2026-11-22 16:44:19.123 UTC);
        let first = Folder::create(root.path(), "s", at, "none").unwrap();
        let second = Folder::create(root.path(), "s", at, "none").unwrap();
        assert!(
            first.path().ends_with("s/20261122T164419.123Z-none"),
            "{}",
            first.path().display()
        );
        assert!(
            second.path().ends_with("s/20261122T164419.124Z-none"),
            "{}",
            second.path().display()
        );
        let latest = std::fs::canonicalize(root.path().join("s/latest")).unwrap();
        assert_eq!(latest, second.path());
        assert!(second.path().join("logs").is_dir() && second.path().join("data").is_dir());
    }

    #[test]
    fn a_root_that_cannot_be_written_is_named_with_the_way_out() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Folder::create(&file, "s", OffsetDateTime::UNIX_EPOCH, "none")
            .unwrap_err()
            .to_string();
        assert!(error.contains("file/s") && error.contains("--out DIR"), "{error}");
    }

    #[test]
    fn outside_git_there_is_no_revision() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(revision(root.path()), "none");
    }
}
