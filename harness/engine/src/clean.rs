//! Finishes what runs have left that were killed together with their guard.
//!
//! Reads the undo journals below a reports folder. A run whose squall lives is left alone; of the others, what their
//! journals still name is undone, and whatever carries their marker is killed. Doing it again finds nothing to do.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::undo::{FILE_NAME, Journal, Owner, Place, Processes, Undo, UndoError, settle};

/// `reports/<scenario>/<gate>/blocks/<number>/<arm>/<scenario>/<run>/`: a journal lies no deeper.
const DEPTH_MAX: usize = 8;

/// What was found and done.
#[derive(Debug, Default)]
pub struct CleanReport {
    /// Runs that had left something.
    pub cleaned: Vec<CleanedRun>,
    /// Folders of runs that still go on.
    pub running: Vec<PathBuf>,
    /// Journals that could not be used, and why.
    pub unusable: Vec<(PathBuf, String)>,
}

impl CleanReport {
    /// Whether nothing is left that squall knows of, apart from runs that go on.
    pub fn is_clean(&self) -> bool {
        self.unusable.is_empty() && self.cleaned.iter().all(|run| run.problems.is_empty())
    }
}

/// What was done about one run.
#[derive(Debug)]
pub struct CleanedRun {
    /// Its folder.
    pub folder: PathBuf,
    /// Its id.
    pub run_id: String,
    /// What was undone, in words.
    pub done: Vec<String>,
    /// What could not be undone.
    pub problems: Vec<UndoError>,
}

/// Undoes what interrupted runs below `reports` have left. A folder that isn't there has left nothing.
pub fn clean(reports: &Path) -> io::Result<CleanReport> {
    let mut report = CleanReport::default();
    let mut journals = Vec::new();
    find_journals(reports, 0, &mut journals)?;
    journals.sort();
    for journal in journals {
        let folder = journal.parent().map(Path::to_owned).unwrap_or_default();
        match clean_one(&journal, &folder) {
            Ok(Found::Running) => report.running.push(folder),
            Ok(Found::Nothing) => {}
            Ok(Found::Left(run)) => report.cleaned.push(run),
            Err(error) => report.unusable.push((journal, error.to_string())),
        }
    }
    Ok(report)
}

/// Symbolic links (`latest`) are not followed.
fn find_journals(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // One unreadable folder below must not hide the others.
        Err(_) if depth > 0 => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut below = Vec::new();
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_file() && entry.file_name() == FILE_NAME {
            // What services keep in a run's folder is theirs, and may be much.
            found.push(entry.path());
            return Ok(());
        }
        below.extend((kind.is_dir() && depth + 1 < DEPTH_MAX).then(|| entry.path()));
    }
    for folder in below {
        find_journals(&folder, depth + 1, found)?;
    }
    Ok(())
}

enum Found {
    Running,
    Nothing,
    Left(CleanedRun),
}

fn clean_one(path: &Path, folder: &Path) -> io::Result<Found> {
    let Some((mut journal, contents)) = Journal::take_over(path)? else {
        return Ok(Found::Running);
    };
    if contents.open.is_empty() && contents.unknown == 0 {
        return Ok(Found::Nothing);
    }
    // Every step comes after the first line, so a journal with steps and without that line was tampered with.
    let owner = contents
        .owner
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its first line is missing"))?;
    let place = Place {
        folder: fs::canonicalize(folder)?,
        processes: owner.processes()?,
    };
    let mut run = CleanedRun {
        folder: folder.to_owned(),
        run_id: owner.run_id.clone(),
        done: Vec::new(),
        problems: Vec::new(),
    };
    kill_marked(&owner, &place, &mut run);
    for open in contents.open.iter().rev() {
        match settle(open, &place, &mut journal) {
            Ok(()) => run.done.push(open.what.clone()),
            Err(error) => run.problems.push(error),
        }
    }
    if contents.unknown > 0 {
        run.problems.push(UndoError {
            what: format!("{} lines of {}", contents.unknown, path.display()),
            why: "this squall does not know them".to_owned(),
            how: "run `squall clean` of the version that wrote them".to_owned(),
        });
    }
    Ok(Found::Left(run))
}

/// First of all, and whether or not the journal names it: what still runs could change what is undone next.
fn kill_marked(owner: &Owner, place: &Place, run: &mut CleanedRun) {
    if place.processes == Processes::Gone {
        return;
    }
    if let Err((why, how)) = (Undo::KillMarked {
        run_id: owner.run_id.clone(),
    })
    .perform(place)
    {
        run.problems.push(UndoError {
            what: format!("processes of run {}", owner.run_id),
            why,
            how,
        });
    }
}
