//! From a folder to what its index is made of: every run in it, read as far as needed, and the comparisons that lie there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::thread::available_parallelism;

use anyhow::{Context as _, bail};
use squall_report::block::Link;
use squall_report::index::{Compared, Entry, Index, Summary};

use crate::commands::compare::{VERSUS, page_name};
use crate::run_folders::{Below, MOST_ENTRIES, below, may_be_run, shortest};
use crate::{quoting, record_files};

/// Reads all that lies below `folder`, for a page at `page`, which its links start from.
pub fn gather(folder: &Path, page: Option<&Path>) -> anyhow::Result<Index> {
    let there = fs::metadata(folder).with_context(|| looking(folder))?;
    if !there.is_dir() {
        bail!(
            "{} is a file; an index is made of a folder of runs, such as reports",
            folder.display()
        );
    }
    let folder = &shortest(folder);
    if may_be_run(folder) {
        bail!(
            "{} is the folder of one run; name the folder that it lies in",
            folder.display()
        );
    }
    let found = below(folder, may_be_run).with_context(|| looking(folder))?;
    if found.runs.is_empty() && found.closed.is_empty() {
        bail!(
            "{} holds no run: squall run SCENARIO makes one in reports/",
            folder.display()
        );
    }
    let from = page.and_then(Path::parent).map(absolute);
    let seen_from_page = |file: &Path| from.as_ref().map(|from| link(from, &absolute(file)));
    let notes = notes(&found);
    let entries = entries(found, &seen_from_page);
    let compared = comparisons(&folder.join("compare"), &entries, &seen_from_page);
    Ok(Index::new(folder.display().to_string(), entries, compared, notes))
}

fn looking(folder: &Path) -> String {
    format!("looking for runs in {}", folder.display())
}

fn notes(found: &Below) -> Vec<String> {
    let cut = found.cut.iter();
    cut.map(|folder| {
        format!(
            "{}: only {MOST_ENTRIES} of its entries were looked at; there may be more runs in it.",
            folder.display()
        )
    })
    .collect()
}

/// Every run that was found, and every folder that may hold one and does not let that be seen.
fn entries(found: Below, seen_from_page: &impl Fn(&Path) -> Option<Link>) -> Vec<Entry> {
    let summaries = read_all(&found.runs);
    let runs = found.runs.into_iter().zip(summaries);
    let closed = found.closed.into_iter().map(|(folder, error)| {
        let error = anyhow::Error::new(error).context(format!("reading {}", folder.display()));
        (folder, Err(error))
    });
    let entry = |(folder, summary): (PathBuf, anyhow::Result<Summary>)| {
        let name = folder.display().to_string();
        let report = folder.join("report.html");
        Entry {
            argument: quoting::shell(&name),
            report: report.is_file().then(|| seen_from_page(&report)).flatten(),
            summary: summary.map_err(|error| causes(&error)),
            folder: name,
        }
    };
    runs.chain(closed).map(entry).collect()
}

/// An error with its causes, each once, on one line.
fn causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.extend([": ", &cause]);
        }
    }
    text
}

/// Reads the runs on as many threads as there are processors, since nearly all the time goes into it.
fn read_all(folders: &[PathBuf]) -> Vec<anyhow::Result<Summary>> {
    let threads = available_parallelism().map_or(1, usize::from);
    let share = folders.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let shares = folders.chunks(share).map(|part| {
            let reader = scope.spawn(move || part.iter().map(|folder| read(folder)).collect::<Vec<_>>());
            (part.len(), reader)
        });
        let shares: Vec<_> = shares.collect();
        let failed = |n: usize| (0..n).map(|_| bail!("reading the run failed")).collect();
        let joined = shares
            .into_iter()
            .flat_map(|(n, reader)| reader.join().unwrap_or_else(|_| failed(n)));
        joined.collect()
    })
}

/// A run in short: from its record, or, where that is missing or torn, from its events.
fn read(folder: &Path) -> anyhow::Result<Summary> {
    if let Ok(bytes) = fs::read(folder.join("run.json"))
        && let Ok(summary) = Summary::read(&bytes)
    {
        return Ok(summary);
    }
    let recording = record_files::read_result(folder)?;
    Ok(Summary::from(&recording.record))
}

/// The pages that `squall compare` left there, and which runs their names name.
fn comparisons(
    folder: &Path,
    entries: &[Entry],
    seen_from_page: &impl Fn(&Path) -> Option<Link>,
) -> Vec<Compared> {
    let Ok(files) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let pages = files.take(MOST_ENTRIES).flatten().map(|entry| entry.path());
    let mut pages: Vec<PathBuf> = pages
        .filter(|path| path.is_file() && path.extension().is_some_and(|extension| extension == "html"))
        .collect();
    pages.sort();
    let named = by_page_name(entries);
    let compared = pages.iter().filter_map(|path| {
        let name = path.file_stem()?.to_string_lossy().into_owned();
        Some(Compared {
            page: seen_from_page(path).unwrap_or_else(Link::nowhere),
            runs: runs_of(&name, &named),
            name,
        })
    });
    compared.collect()
}

/// The runs by scenario and folder, as the name of a page has them; nothing for what two runs share.
fn by_page_name(entries: &[Entry]) -> BTreeMap<(String, String), Option<usize>> {
    let mut named = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        let Ok(summary) = &entry.summary else { continue };
        let folder = Path::new(&entry.folder).file_name().unwrap_or_default();
        let key = (
            page_name(summary.scenario()),
            page_name(&folder.to_string_lossy()),
        );
        named.entry(key).and_modify(|run| *run = None).or_insert(Some(at));
    }
    named
}

/// The runs that a page is of, by its name `SCENARIO-RUN-vs-RUN`; none where it names anything else.
fn runs_of(name: &str, named: &BTreeMap<(String, String), Option<usize>>) -> Vec<usize> {
    let mut parts = name.split(VERSUS);
    let first = parts.next().unwrap_or_default();
    let others: Vec<&str> = parts.collect();
    let scenarios = first
        .match_indices('-')
        .map(|(at, _)| (&first[..at], &first[at + 1..]));
    for (scenario, run) in scenarios {
        let found = |run: &str| *named.get(&(scenario.to_owned(), run.to_owned()))?;
        let runs: Option<Vec<usize>> = std::iter::once(run)
            .chain(others.iter().copied())
            .map(found)
            .collect();
        if let Some(runs) = runs.filter(|runs| runs.len() > 1) {
            return runs;
        }
    }
    Vec::new()
}

/// A path from the root, links resolved as far as it is there.
fn absolute(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut there = whole.as_path();
    loop {
        if let Ok(real) = fs::canonicalize(there) {
            let rest = whole.strip_prefix(there).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() {
                real
            } else {
                real.join(rest)
            };
        }
        match there.parent() {
            Some(parent) => there = parent,
            None => return whole,
        }
    }
}

/// The link from a page in the folder `from` to a file, both from the root.
fn link(from: &Path, to: &Path) -> Link {
    let normal = |path: &Path| -> Vec<Vec<u8>> {
        let parts = path.components();
        parts
            .filter(|part| matches!(part, Component::Normal(_)))
            .map(|part| part.as_os_str().as_bytes().to_vec())
            .collect()
    };
    let (from, to) = (normal(from), normal(to));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(b"..".to_vec(), from.len() - shared);
    let parts: Vec<Vec<u8>> = up.chain(to[shared..].iter().cloned()).collect();
    Link::file(&parts.join(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_from_the_page_to_the_file() {
        let table = [
            ("/r/reports", "/r/reports/s/1/report.html", "./s/1/report.html"),
            (
                "/r/pages/all",
                "/r/reports/s/1/report.html",
                "./../../reports/s/1/report.html",
            ),
            ("/", "/r/a b#c?d/report.html", "./r/a%20b%23c%3Fd/report.html"),
            (
                "/r",
                "/r/javascript:alert(1)/report.html",
                "./javascript%3Aalert%281%29/report.html",
            ),
        ];
        for (from, to, expected) in table {
            assert_eq!(link(Path::new(from), Path::new(to)).address(), expected);
        }
    }

    #[test]
    fn the_name_of_a_page_names_its_runs() {
        let runs = [("my-shop", "a-1"), ("my-shop", "b-2"), ("my", "shop-a-1")];
        let named: BTreeMap<(String, String), Option<usize>> = runs
            .iter()
            .enumerate()
            .map(|(at, (scenario, run))| (((*scenario).to_owned(), (*run).to_owned()), Some(at)))
            .collect();
        assert_eq!(runs_of("my-shop-a-1-vs-b-2", &named), [0, 1]);
        assert_eq!(runs_of("my-shop-a-1-vs-c-3", &named), [0; 0]);
        assert_eq!(runs_of("my-shop-a-1", &named), [0; 0]);
        assert_eq!(runs_of("notes", &named), [0; 0]);
    }
}
