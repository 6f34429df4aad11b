//! Where the runs of a folder lie: in it (`reports/my-service`), or in the folders in it (`reports`).

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The most entries of a folder that are looked at.
pub const MOST_ENTRIES: usize = 20_000;

/// Whether a folder is that of a run.
pub fn is_run(folder: &Path) -> bool {
    folder.join("events.ndjson").is_file()
}

/// What was found below a folder.
#[derive(Debug, Default)]
pub struct Below {
    /// The folders of runs, sorted.
    pub runs: Vec<PathBuf>,
    /// Folders of which it can't be seen what is in them, and why.
    pub closed: Vec<(PathBuf, io::Error)>,
    /// Folders with more entries than are looked at.
    pub cut: Vec<PathBuf>,
}

/// The runs below `folder`, at most two deep; what `is_run` takes is not looked into.
///
/// # Errors
///
/// That `folder` itself can't be read.
pub fn below(folder: &Path, is_run: impl Fn(&Path) -> bool) -> io::Result<Below> {
    let mut found = Below::default();
    for one in folders_in(folder, &mut found.cut)? {
        if is_run(&one) {
            found.runs.push(one);
            continue;
        }
        match folders_in(&one, &mut found.cut) {
            Ok(inner) => found.runs.extend(inner.into_iter().filter(|inner| is_run(inner))),
            Err(error) => found.closed.push((one, error)),
        }
    }
    Ok(found)
}

/// Whether there is anything of a run in a folder, or the folder does not let that be seen.
pub fn may_be_run(folder: &Path) -> bool {
    ["run.json", "events.ndjson"]
        .iter()
        .any(|name| match fs::metadata(folder.join(name)) {
            Ok(_) => true,
            Err(e) => e.kind() != ErrorKind::NotFound,
        })
}

/// The folder that `path` leads to: links resolved, and as seen from here where it lies below.
pub fn shortest(path: &Path) -> PathBuf {
    let Ok(whole) = fs::canonicalize(path) else {
        return path.to_owned();
    };
    let here = std::env::current_dir().and_then(fs::canonicalize);
    let below = here
        .ok()
        .and_then(|here| whole.strip_prefix(here).ok().map(Path::to_owned));
    below
        .filter(|below| !below.as_os_str().is_empty())
        .unwrap_or(whole)
}

/// The folders in a folder, sorted; links are left out, so that no run is found twice.
fn folders_in(folder: &Path, cut: &mut Vec<PathBuf>) -> io::Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(folder)?;
    let looked_at: Vec<_> = entries.by_ref().take(MOST_ENTRIES).flatten().collect();
    if entries.next().is_some() {
        cut.push(folder.to_owned());
    }
    let folders = looked_at
        .iter()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut folders: Vec<PathBuf> = folders.map(fs::DirEntry::path).collect();
    folders.sort();
    Ok(folders)
}
