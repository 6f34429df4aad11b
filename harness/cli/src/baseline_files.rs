//! Stored baselines as files: `reports/baselines/<machine>/<scenario>.json`, found, read, and added to under a lock.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use rustix::fs::{FlockOperation, flock};
use squall_engine::measure::machine;
use squall_engine::plan::Stored;
use squall_engine::record::write_whole;
use squall_model::baseline::{BYTES_MAX, Baseline, fingerprint, is_fingerprint};
use squall_model::name::Name;
use squall_model::scenario::Scenario;
use squall_report::baseline::since_change;

use crate::quoting;

/// Where runs land unless `--out` says otherwise.
pub const REPORTS: &str = "reports";

/// The folder of baselines in that of runs.
pub const FOLDER: &str = "baselines";

/// The most machines that are looked at.
const MACHINES_MAX: usize = 1_000;

/// The fingerprint of this machine.
pub fn this_machine() -> String {
    fingerprint(&machine::describe())
}

/// The file of a scenario's baseline on a machine.
pub fn file(folder: &Path, machine: &str, scenario: &str) -> PathBuf {
    folder.join(machine).join(format!("{scenario}.json"))
}

/// A baseline that is in no other's place: what a file says of itself decides where it lies.
pub fn read(folder: &Path, machine: &str, scenario: &str) -> anyhow::Result<Option<Baseline>> {
    let path = file(folder, machine, scenario);
    let reading = || format!("reading the baseline {}", path.display());
    let opened = match File::open(&path) {
        Ok(opened) => opened,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(reading),
    };
    let mut text = String::new();
    opened
        .take(BYTES_MAX + 1)
        .read_to_string(&mut text)
        .with_context(reading)?;
    ensure!(
        text.len() as u64 <= BYTES_MAX,
        "{}: it is far larger than a baseline is",
        reading()
    );
    let baseline = Baseline::read(&text).with_context(reading)?;
    let (is, of) = (baseline.fingerprint(), &baseline.scenario);
    ensure!(
        is == machine && of == scenario,
        "{}: it is of the scenario {of} on {is}, and lies where another belongs",
        reading()
    );
    Ok(Some(baseline))
}

/// The machines that there are folders of, sorted.
pub fn machines(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| format!("looking for baselines in {}", folder.display())),
    };
    let names = entries.take(MACHINES_MAX).flatten();
    let mut names: Vec<String> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_fingerprint(name) && folder.join(name).is_dir())
        .collect();
    names.sort();
    Ok(names)
}

/// The machines that a scenario has baselines of.
pub fn machines_of(folder: &Path, scenario: &str) -> anyhow::Result<Vec<String>> {
    let mut machines = machines(folder)?;
    machines.retain(|machine| file(folder, machine, scenario).is_file());
    Ok(machines)
}

/// The scenarios that a machine has baselines of, sorted.
pub fn scenarios_of(folder: &Path, machine: &str) -> anyhow::Result<Vec<String>> {
    let folder = folder.join(machine);
    let entries =
        fs::read_dir(&folder).with_context(|| format!("looking for baselines in {}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut names: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter_map(|path| path.file_stem()?.to_str().map(str::to_owned))
        .filter(|name| Name::new(name).is_ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Changes a baseline, or makes it, while nobody else does; `change` gets what is there.
pub fn change<T>(
    folder: &Path,
    machine: &str,
    scenario: &str,
    change: impl FnOnce(Option<Baseline>) -> anyhow::Result<(Baseline, T)>,
) -> anyhow::Result<T> {
    if Name::new(scenario).is_err() || !is_fingerprint(machine) {
        bail!("`{scenario}` is no name of a scenario, so nothing can be stored of it");
    }
    let place = folder.join(machine);
    fs::create_dir_all(&place).with_context(|| format!("making {}", place.display()))?;
    // The folder itself is the lock: no file of its own is left in git. The kernel frees it however a process ends.
    let lock = File::open(&place).with_context(|| format!("locking {}", place.display()))?;
    rustix::io::retry_on_intr(|| flock(&lock, FlockOperation::LockExclusive))
        .with_context(|| format!("locking {}", place.display()))?;
    let (baseline, result) = change(read(folder, machine, scenario)?)?;
    let path = file(folder, machine, scenario);
    write_whole(&path, baseline.text().as_bytes()).with_context(|| format!("writing {}", path.display()))?;
    Ok(result)
}

/// What expectations of a scenario see of what is stored below `reports`; nothing is looked for where none of them asks for it.
pub fn stored(reports: &Path, scenario: &Scenario, overrides: &[String]) -> Option<Stored> {
    let mut expressions = scenario.expect.iter().flat_map(|(_, expressions)| expressions);
    expressions.find(|expression| expression.adjustment().is_some())?;
    let machine = this_machine();
    let folder = reports.join(FOLDER);
    let name = scenario.name.value.as_str();
    let entries = read(&folder, &machine, name)
        .map(|found| found.map_or_else(Vec::new, |baseline| baseline.entries))
        .map_err(|error| format!("{error:#}"));
    let mut others = machines_of(&folder, name).unwrap_or_default();
    others.retain(|other| *other != machine);
    let sets = overrides
        .iter()
        .map(|one| format!("--set {}", quoting::shell(one)));
    Some(Stored {
        file: file(&folder, &machine, name).display().to_string(),
        machine,
        entries,
        others,
        overrides: sets.collect::<Vec<_>>().join(" "),
        save: save_command(reports, name),
        since_change,
    })
}

/// The command that stores the newest run of a scenario.
fn save_command(reports: &Path, scenario: &str) -> String {
    if reports == Path::new(REPORTS) {
        return format!("squall baseline save {scenario}");
    }
    let run = reports.join(scenario).join("latest");
    let folder = reports.join(FOLDER);
    format!(
        "squall baseline save {} --dir {}",
        quoting::shell(&run.display().to_string()),
        quoting::shell(&folder.display().to_string())
    )
}
