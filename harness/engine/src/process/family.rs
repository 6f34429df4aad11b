//! The processes of one service, told from all others.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;

use rustix::process::Signal;

use super::identity::{Identity, send};
use super::service::SERVICE_MARKER;
use super::table::{Entry, Table, carries, is_at_rest, read_one};

/// What tells a service's processes from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// The guard below which all of them are.
    pub guard: Identity,
    /// The service's main process.
    pub leader: Identity,
    /// The service's name, which they carry in their environment.
    pub name: String,
}

impl Family {
    /// The main process and all below that, its process group, and those that carry the service's name because they detached
    /// from both. Never anything outside of the guard's own descendants, so a reused number can't point elsewhere.
    pub fn members(&self, table: &Table) -> Vec<Identity> {
        // A guard that is gone has left its number to anybody.
        if table.get(self.guard.pid).map(|entry| entry.identity) != Some(self.guard) {
            return Vec::new();
        }
        let guarded = table.descendants(&[self.guard.pid]);
        let is_root = |pid: i32| {
            table.get(pid).is_some_and(|entry| {
                entry.identity == self.leader
                    || entry.group == self.leader.pid
                    || carries(pid, SERVICE_MARKER, self.name.as_ref())
            })
        };
        let roots: Vec<i32> = guarded.iter().copied().filter(|pid| is_root(*pid)).collect();
        let mut all = table.descendants(&roots);
        all.extend(roots);
        all.into_iter()
            .filter_map(|pid| table.get(pid))
            .map(|entry| entry.identity)
            .collect()
    }

    /// The pids of those that are there now, the dead that nobody has collected yet among them.
    pub fn pids(&self) -> io::Result<HashSet<i32>> {
        let members = self.members(&Table::read()?);
        Ok(members.iter().map(|process| process.pid).collect())
    }

    /// Those that run now.
    pub fn running(&self) -> io::Result<Vec<Identity>> {
        let table = Table::read()?;
        let mut members = self.members(&table);
        members.retain(|process| table.get(process.pid).is_some_and(Entry::runs));
        members.sort_unstable();
        Ok(members)
    }
}

/// A service's processes at one moment, each held by a pidfd that was checked: no signal of these can reach another.
#[derive(Debug, Default)]
pub struct Members {
    list: Vec<(Identity, OwnedFd)>,
}

impl Family {
    /// Takes hold of those that run now.
    pub fn open(&self) -> io::Result<Members> {
        let mut list = Vec::new();
        for process in self.running()? {
            // One that has ended meanwhile is no member any more.
            if let Some(pidfd) = process.pidfd()? {
                list.push((process, pidfd));
            }
        }
        Ok(Members { list })
    }
}

impl Members {
    /// Who they are.
    pub fn processes(&self) -> impl Iterator<Item = Identity> {
        self.list.iter().map(|(process, _)| *process)
    }

    /// Sends each of them a signal; how many were there to get it.
    pub fn signal(&self, signal: Signal) -> io::Result<usize> {
        let mut reached = 0;
        for (_, pidfd) in &self.list {
            reached += usize::from(send(pidfd, signal)?);
        }
        Ok(reached)
    }

    /// Adds the children of members that are no members yet; how many there were. The kernel must tell children
    /// (`CONFIG_PROC_CHILDREN`); otherwise there are none.
    pub fn add_children(&mut self) -> io::Result<usize> {
        let mut added = 0;
        let mut at = 0;
        while let Some((process, _)) = self.list.get(at) {
            for child in children(process.pid) {
                if self.list.iter().any(|(known, _)| *known == child) {
                    continue;
                }
                if let Some(pidfd) = child.pidfd()? {
                    self.list.push((child, pidfd));
                    added += 1;
                }
            }
            at += 1;
        }
        Ok(added)
    }

    /// Keeps one, and lets go of the others.
    pub fn only(&mut self, process: Identity) {
        self.list.retain(|(known, _)| *known == process);
    }

    /// Those that have not ended.
    pub fn alive(&self) -> Vec<Identity> {
        self.processes().filter(|process| process.is_alive()).collect()
    }

    /// One whose main thread neither stands stopped nor has ended.
    pub fn any_leader_going(&self) -> Option<Identity> {
        self.processes().find(|process| {
            let now = read_one(process.pid).filter(|entry| entry.identity == *process);
            now.is_some_and(|entry| !entry.is_at_rest())
        })
    }

    /// How many threads they have now.
    pub fn count_threads(&self) -> usize {
        let entries = self.processes().filter_map(|process| read_one(process.pid));
        entries.map(|entry| entry.threads as usize).sum()
    }

    /// Those of which some thread neither stands stopped nor has ended.
    pub fn going(&self) -> Vec<Identity> {
        self.processes().filter(|process| !is_at_rest(*process)).collect()
    }
}

/// The children of a process's main thread and of its others.
fn children(pid: i32) -> Vec<Identity> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    let texts = tasks.into_iter().flatten().flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("children")).ok()?;
        Some(text)
    });
    let pids: Vec<i32> = texts
        .flat_map(|text| {
            let pids = text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
            pids.collect::<Vec<i32>>()
        })
        .collect();
    pids.into_iter().filter_map(Identity::of).collect()
}
