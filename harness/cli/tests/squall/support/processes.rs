//! What runs on this machine on behalf of one run.

use std::fs;
use std::path::Path;

use squall_engine::guard::RUN_MARKER;

/// A process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) command: String,
}

/// The processes that carry the marker of a run that the squall with this pid began: its guard, its services and all
/// that they started. A run's id ends with that pid. The dead that nobody has collected have no environment any more.
pub(crate) fn of_run(squall: u32) -> Vec<Process> {
    let suffix = format!("-{squall}");
    let marked = |folder: &Path| {
        let environment = fs::read(folder.join("environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        variables.any(|pair| {
            pair.split_once('=')
                .is_some_and(|(key, id)| key == RUN_MARKER && id.ends_with(&suffix))
        })
    };
    let entries = fs::read_dir("/proc").expect("/proc is readable").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let describe = |pid: i32| {
        let folder = Path::new("/proc").join(pid.to_string());
        if !marked(&folder) {
            return None;
        }
        let status = fs::read_to_string(folder.join("status")).ok()?;
        let parent = status
            .lines()
            .find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())?;
        let command = fs::read(folder.join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command)
            .replace('\0', " ")
            .trim()
            .to_owned();
        Some(Process { pid, parent, command })
    };
    pids.filter_map(describe).collect()
}
