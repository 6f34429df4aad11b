//! From the arguments of `squall compare` to the sides that are compared.
//!
//! An argument is a run's folder or its `run.json`, or a folder of runs. Several runs become sides by the folders that they
//! lie in where these say so (`compare base/* candidate/*`), else each is a side of its own. A folder of runs is one side:
//! of each scenario its newest run that is not invalid, and the runs in it that repeat that one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use squall_model::record::Verdict;
use squall_report::Recording;
use squall_report::compare::{Comparison, Comparisons, MOST_RUNS, Run, Side};

use crate::record_files::{self, RunHead};
use crate::run_folders::{MOST_ENTRIES, below, is_run, shortest};

/// What is compared.
pub struct Gathered {
    /// The comparisons.
    pub comparisons: Comparisons,
    /// The newest run of each side, by the name of its folder; of several scenarios, each argument's.
    pub newest: Vec<String>,
}

/// What an argument turned out to be.
enum Given {
    Run(PathBuf),
    Folder(PathBuf, Vec<PathBuf>),
}

/// The folders of one side, per scenario, the oldest run first.
struct Chosen {
    /// The folder that it is named by.
    folder: PathBuf,
    scenarios: BTreeMap<String, Vec<PathBuf>>,
}

/// Reads all that the arguments name.
pub fn gather(arguments: &[PathBuf]) -> anyhow::Result<Gathered> {
    let mut notes = Vec::new();
    let mut given = Vec::new();
    for path in arguments {
        given.push(look(path, &mut notes)?);
    }
    let given = without_repetition(given);
    let (chosen, named) = sides(given, &mut notes)?;
    if chosen.len() < 2 {
        bail!("comparing takes two runs: all arguments name the same");
    }
    let names = if named {
        distinguishing(&chosen)
    } else {
        vec![String::new(); chosen.len()]
    };
    let newest = chosen.iter().map(|side| last_name(newest_of(side))).collect();
    let groups = pair(&chosen, &names, &mut notes)?;
    let mut of = Vec::new();
    for group in groups {
        // A thread for each side: nearly all the time goes into what the newest runs recorded.
        let read_sides: Vec<anyhow::Result<Side>> = std::thread::scope(|scope| {
            let sides = group.into_iter().map(|(side, folders)| {
                let name = names[side].clone();
                scope.spawn(move || {
                    let runs = read(folders)?;
                    for run in &runs {
                        run.recording.work_out_to_compare();
                    }
                    Ok(Side { name, runs })
                })
            });
            let sides: Vec<_> = sides.collect();
            let joined = sides.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined
                .map(|side| side.unwrap_or_else(|_| bail!("reading a run failed")))
                .collect()
        });
        let sides: anyhow::Result<Vec<Side>> = read_sides.into_iter().collect();
        of.extend(Comparison::new(sides?));
    }
    Ok(Gathered {
        comparisons: Comparisons { of, notes },
        newest,
    })
}

fn look(path: &Path, notes: &mut Vec<String>) -> anyhow::Result<Given> {
    let there = fs::metadata(path).with_context(|| format!("comparing {}", path.display()))?;
    let folder = if there.is_dir() {
        path
    } else if path.file_name().is_some_and(|name| name == "run.json") {
        path.parent().unwrap_or(path)
    } else {
        bail!("{} is neither a folder nor a run.json", path.display());
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    // `latest` is a link to a run that may be named beside it.
    let folder = shortest(folder);
    if is_run(&folder) {
        return Ok(Given::Run(folder));
    }
    let found = below(&folder, is_run).with_context(|| format!("reading {}", folder.display()))?;
    // What lies deeper is another set of runs, where there are runs here.
    let is_here = |run: &PathBuf| run.parent() == Some(folder.as_path());
    let here: Vec<PathBuf> = found.runs.iter().filter(|run| is_here(run)).cloned().collect();
    for cut in &found.cut {
        notes.push(format!(
            "{}: only the first {MOST_ENTRIES} entries were looked at.",
            cut.display()
        ));
    }
    if !here.is_empty() {
        return Ok(Given::Folder(folder, here));
    }
    if let Some((closed, error)) = found.closed.into_iter().next() {
        return Err(error).with_context(|| format!("reading {}", closed.display()));
    }
    let runs = found.runs;
    if runs.is_empty() {
        bail!(
            "{} is no run's folder and holds none: a run has run.json and events.ndjson in its folder",
            path.display()
        );
    }
    Ok(Given::Folder(folder, runs))
}

fn without_repetition(given: Vec<Given>) -> Vec<Given> {
    let mut kept: Vec<Given> = Vec::new();
    for one in given {
        let is_known = kept.iter().any(|known| path_of(known) == path_of(&one));
        if !is_known {
            kept.push(one);
        }
    }
    kept
}

fn path_of(given: &Given) -> &Path {
    match given {
        Given::Run(path) | Given::Folder(path, _) => path,
    }
}

/// The sides, and whether they have names of their own.
fn sides(given: Vec<Given>, notes: &mut Vec<String>) -> anyhow::Result<(Vec<Chosen>, bool)> {
    if given.iter().any(|one| matches!(one, Given::Folder(..))) {
        let mut chosen = Vec::new();
        for one in given {
            chosen.push(match one {
                Given::Run(folder) => alone(folder)?,
                Given::Folder(folder, runs) => repeats(folder, runs, notes)?,
            });
        }
        return Ok((chosen, true));
    }
    let mut by_parent: Vec<(PathBuf, Vec<PathBuf>)> = Vec::new();
    for folder in given.iter().map(path_of) {
        let parent = folder.parent().unwrap_or(folder).to_owned();
        match by_parent.iter_mut().find(|(known, _)| *known == parent) {
            Some((_, runs)) => runs.push(folder.to_owned()),
            None => by_parent.push((parent, vec![folder.to_owned()])),
        }
    }
    let grouped = by_parent.len() > 1 && by_parent.iter().any(|(_, runs)| runs.len() > 1);
    let mut chosen = Vec::new();
    if grouped {
        for (parent, runs) in by_parent {
            let mut found: BTreeMap<String, Vec<(RunHead, PathBuf)>> = BTreeMap::new();
            for run in runs {
                let head = head(&run)?;
                found.entry(head.scenario.clone()).or_default().push((head, run));
            }
            let mut scenarios = BTreeMap::new();
            for (name, runs) in found {
                let runs = without_merged(runs, &parent, notes);
                scenarios.insert(name, bounded(runs, &parent, notes));
            }
            chosen.push(Chosen {
                scenarios,
                folder: parent,
            });
        }
    } else {
        for one in given {
            chosen.push(alone(path_of(&one).to_owned())?);
        }
    }
    Ok((chosen, grouped))
}

fn alone(folder: PathBuf) -> anyhow::Result<Chosen> {
    let head = head(&folder)?;
    Ok(Chosen {
        folder: folder.clone(),
        scenarios: BTreeMap::from([(head.scenario, vec![folder])]),
    })
}

/// Of each scenario in a folder, the newest run that is not invalid and those that repeat it.
fn repeats(folder: PathBuf, runs: Vec<PathBuf>, notes: &mut Vec<String>) -> anyhow::Result<Chosen> {
    let mut found: BTreeMap<String, Vec<(RunHead, PathBuf)>> = BTreeMap::new();
    let mut unread = 0_usize;
    for run in runs {
        match head(&run) {
            Ok(head) => found.entry(head.scenario.clone()).or_default().push((head, run)),
            Err(_) => unread += 1,
        }
    }
    if found.is_empty() {
        bail!("{}: none of its {unread} runs can be read", folder.display());
    }
    if unread > 0 {
        notes.push(format!(
            "{}: {unread} runs could not be read and were left out.",
            folder.display()
        ));
    }
    let mut scenarios = BTreeMap::new();
    for (name, runs) in found {
        let mut runs = without_merged(runs, &folder, notes);
        runs.sort_by(|(a, _), (b, _)| a.started_at.cmp(&b.started_at));
        let sound = runs
            .iter()
            .rev()
            .find(|(head, _)| head.verdict != Verdict::Invalid);
        let Some(newest) = sound.or(runs.last()).map(|(head, _)| head.clone()) else {
            continue;
        };
        let all = runs.len();
        let only_invalid = newest.verdict == Verdict::Invalid;
        runs.retain(|(head, _)| head.repeats(&newest) && (only_invalid || head.verdict != Verdict::Invalid));
        if runs.len() < all {
            notes.push(format!(
                "{}: of {all} runs of {name} the {} that repeat its newest valid one are compared; the others are invalid, or of \
                 another revision, scenario text or machine.",
                folder.display(),
                runs.len()
            ));
        }
        scenarios.insert(name, bounded(runs, &folder, notes));
    }
    Ok(Chosen { folder, scenarios })
}

/// Single runs where there are any: a merged record beside them is made of runs, most likely of these, and is no repeat of one.
fn without_merged(
    mut runs: Vec<(RunHead, PathBuf)>,
    folder: &Path,
    notes: &mut Vec<String>,
) -> Vec<(RunHead, PathBuf)> {
    let merged = runs.iter().filter(|(head, _)| head.is_merged()).count();
    if (1..runs.len()).contains(&merged) {
        runs.retain(|(head, _)| !head.is_merged());
        notes.push(format!(
            "{}: {merged} merged {} left out; merged runs are no repeats of single ones.",
            folder.display(),
            if merged == 1 { "run was" } else { "runs were" }
        ));
    }
    runs
}

/// The newest runs, as many as are taken, the oldest first.
fn bounded(mut runs: Vec<(RunHead, PathBuf)>, folder: &Path, notes: &mut Vec<String>) -> Vec<PathBuf> {
    runs.sort_by(|(a, one), (b, two)| (&a.started_at, one).cmp(&(&b.started_at, two)));
    let more = runs.len().saturating_sub(MOST_RUNS);
    if more > 0 {
        notes.push(format!(
            "{}: the {more} oldest runs were left out; at most {MOST_RUNS} of a side are compared.",
            folder.display()
        ));
    }
    runs.into_iter().skip(more).map(|(_, run)| run).collect()
}

fn newest_of(chosen: &Chosen) -> &Path {
    let newest = chosen
        .scenarios
        .values()
        .filter_map(|runs| runs.last())
        .max_by_key(|run| last_name(run));
    newest.map_or(&chosen.folder, PathBuf::as_path)
}

fn last_name(folder: &Path) -> String {
    let last = folder.file_name().unwrap_or(folder.as_os_str());
    last.to_string_lossy().into_owned()
}

/// What is known of a run from its record, or, where it was cut off, from its events.
fn head(folder: &Path) -> anyhow::Result<RunHead> {
    match RunHead::read(&folder.join("run.json")) {
        Ok(head) => Ok(head),
        // Says what is wrong with the record, if anything is.
        Err(_) => Ok(RunHead::of(record_files::read_result(folder)?.record)),
    }
}

/// Which side of which number has which runs, a list for each scenario that two sides have.
type Group = Vec<(usize, Vec<PathBuf>)>;

fn pair(chosen: &[Chosen], names: &[String], notes: &mut Vec<String>) -> anyhow::Result<Vec<Group>> {
    if chosen.iter().all(|side| side.scenarios.len() == 1) {
        let sides = chosen.iter().enumerate();
        let group = sides.filter_map(|(at, side)| Some((at, side.scenarios.values().next()?.clone())));
        return Ok(vec![group.collect()]);
    }
    let mut scenarios: Vec<&String> = chosen.iter().flat_map(|side| side.scenarios.keys()).collect();
    scenarios.sort();
    scenarios.dedup();
    let mut groups = Vec::new();
    for scenario in scenarios {
        let sides = chosen.iter().enumerate();
        let group: Group = sides
            .filter_map(|(at, side)| Some((at, side.scenarios.get(scenario)?.clone())))
            .collect();
        match group.as_slice() {
            [(only, _)] => notes.push(format!("{scenario} is only in {}.", names[*only])),
            _ => groups.push(group),
        }
    }
    if groups.is_empty() {
        bail!("no scenario was run on two sides: {}", notes.join(" "));
    }
    Ok(groups)
}

/// The part of each side's folder by which they differ: `base` and `candidate` of `base/shop` and `candidate/shop`.
fn distinguishing(chosen: &[Chosen]) -> Vec<String> {
    let paths: Vec<Vec<String>> = chosen.iter().map(|side| words(&side.folder)).collect();
    let shortest = paths.iter().map(Vec::len).min().unwrap_or(0);
    let from_end = |path: &[String], at: usize| path[path.len() - 1 - at].clone();
    let differ = (0..shortest).find(|at| {
        let mut seen: Vec<String> = paths.iter().map(|path| from_end(path, *at)).collect();
        seen.sort();
        seen.windows(2).all(|pair| pair[0] != pair[1])
    });
    match differ {
        Some(at) => paths.iter().map(|path| from_end(path, at)).collect(),
        None => chosen
            .iter()
            .map(|side| side.folder.display().to_string())
            .collect(),
    }
}

fn words(path: &Path) -> Vec<String> {
    let parts = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_)));
    parts
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect()
}

/// The runs of a side: the newest with all that was recorded, since it is drawn; of the others the result.
fn read(folders: Vec<PathBuf>) -> anyhow::Result<Vec<Run>> {
    let mut runs = Vec::new();
    let last = folders.len() - 1;
    for (at, folder) in folders.into_iter().enumerate() {
        let recording: Recording = if at == last {
            record_files::read_alone(&folder)?
        } else {
            record_files::read_result(&folder)?
        };
        runs.push(Run {
            name: folder.display().to_string(),
            recording,
        });
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(folder: &str) -> Chosen {
        Chosen {
            folder: PathBuf::from(folder),
            scenarios: BTreeMap::new(),
        }
    }

    #[test]
    fn sides_are_named_by_what_tells_their_folders_apart() {
        let names = |folders: &[&str]| {
            distinguishing(&folders.iter().map(|folder| chosen(folder)).collect::<Vec<_>>())
        };
        assert_eq!(names(&["base/shop", "candidate/shop"]), ["base", "candidate"]);
        assert_eq!(names(&["/runs/a", "b"]), ["a", "b"]);
        assert_eq!(names(&["x/a/s", "y/b/s", "y/c/s"]), ["a", "b", "c"]);
    }
}
