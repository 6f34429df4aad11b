//! CPU time and memory of a service, children included, from `/proc`.
//!
//! Sampling reads three small files per process and never stops one. A process that ended between two reads is simply
//! not there any more: its CPU time is then in its parent's account of waited-for children.

use std::fs;

/// One look at a process and all that descends from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time since the processes began, microseconds.
    pub cpu_us: u64,
    /// Resident set, bytes.
    pub rss: u64,
}

/// Reads the usage of the tree under `pid`; nothing if the process is gone.
pub fn tree(pid: u32) -> Option<Usage> {
    let mut total = Usage::default();
    let mut found = false;
    let mut waiting = vec![pid];
    // A tree deeper or wider than this is a runaway; it is sampled in part.
    for _ in 0..4096 {
        let Some(pid) = waiting.pop() else { break };
        if let Some(usage) = one(pid) {
            found = true;
            total.cpu_us += usage.cpu_us;
            total.rss += usage.rss;
            children(pid, &mut waiting);
        }
    }
    found.then_some(total)
}

fn one(pid: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (ticks, pages) = parse_stat(&stat)?;
    let cpu_us = ticks.saturating_mul(1_000_000) / rustix::param::clock_ticks_per_second();
    Some(Usage {
        cpu_us,
        rss: pages * rustix::param::page_size() as u64,
    })
}

/// Adds the children of every thread of `pid`. Kernels without `CONFIG_PROC_CHILDREN` show none: then only the service's
/// own process counts.
fn children(pid: u32, into: &mut Vec<u32>) {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return;
    };
    for thread in threads.flatten() {
        if let Ok(text) = fs::read_to_string(thread.path().join("children")) {
            into.extend(
                text.split_ascii_whitespace()
                    .filter_map(|child| child.parse::<u32>().ok()),
            );
        }
    }
}

/// User, system and waited-for children's CPU time in ticks, and resident pages, out of `/proc/PID/stat`.
fn parse_stat(stat: &str) -> Option<(u64, u64)> {
    // The name may hold spaces and brackets; it ends at the last bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    Some((number(11)? + number(12)? + number(13)? + number(14)?, number(21)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_does_not_shift_the_fields() {
        let fields = "S 1 1 1 0 -1 0 0 0 0 0 7 5 3 1 20 0 1 0 100 999 42 18446744073709551615";
        assert_eq!(parse_stat(&format!("12 (a) b ) {fields}")), Some((16, 42)));
    }

    #[test]
    fn this_process_uses_memory_and_a_process_that_is_gone_is_not_zero() {
        assert!(tree(std::process::id()).unwrap().rss > 0);
        // No process has the largest id there can be.
        assert_eq!(tree(u32::MAX), None);
    }

    #[test]
    fn a_child_counts_with_its_parent() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mut seen = Vec::new();
        children(std::process::id(), &mut seen);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(seen.contains(&child.id()), "{seen:?}");
    }
}
