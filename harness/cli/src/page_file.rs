//! A page that tells of runs, where and in the form in which a command was told to put it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use squall_engine::record::write_whole;

use crate::arguments::PageArguments;
use crate::output;

/// What a page can be turned into.
pub struct Forms<T> {
    /// What the terminal calls the page.
    pub name: &'static str,
    /// The page.
    pub html: fn(&T) -> String,
    /// All of it.
    pub json: fn(&T) -> String,
    /// The summary.
    pub markdown: fn(&T) -> String,
    /// The summary for a terminal so wide, with colours or without.
    pub terminal: fn(&T, usize, bool) -> String,
}

/// The page to write: the one that was named, else `beside`, else none where something is only printed.
pub fn chosen(arguments: &PageArguments, beside: impl FnOnce() -> PathBuf) -> Option<PathBuf> {
    let prints_only = arguments.json || arguments.markdown;
    arguments.out.clone().or_else(|| (!prints_only).then(beside))
}

/// Writes the page to `file`, where there is one, and prints what was asked for.
///
/// # Errors
///
/// As [`write`].
pub fn put<T>(
    arguments: &PageArguments,
    file: Option<&Path>,
    of: &T,
    forms: &Forms<T>,
) -> anyhow::Result<()> {
    if let Some(file) = file {
        write(file, &(forms.html)(of))?;
    }
    if arguments.json {
        output::out(&(forms.json)(of));
    } else if arguments.markdown {
        output::out(&(forms.markdown)(of));
    } else if let Some(file) = file {
        output::out(&(forms.terminal)(of, output::width(), output::colours()));
        let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        output::line(&format!("{}: {}", forms.name, file.display()));
    }
    Ok(())
}

/// Writes a text to a file that a command line names, and makes the folder that it lies in.
///
/// # Errors
///
/// That `file` is a folder, or can't be written.
pub fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    if file.is_dir() {
        bail!("writing {}: it is a folder; name a file in it", file.display());
    }
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    write_whole(file, text.as_bytes()).with_context(|| format!("writing {}", file.display()))
}
