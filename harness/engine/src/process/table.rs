//! The machine's processes as `/proc` shows them at one moment: who runs, whose child each is, what it carries.
//!
//! A snapshot is already old when it is read: whoever acts on an entry acts on its `Identity`, never on its pid.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::{fs, io};

use super::identity::Identity;

/// One process, from `/proc/PID/stat` (`proc_pid_stat(5)`).
#[derive(Clone, Debug)]
pub struct Entry {
    /// Pid and start time.
    pub identity: Identity,
    /// The command's name, as the kernel keeps it: at most 15 bytes.
    pub name: String,
    /// `R`, `S`, `D`, `T` (stopped), `t` (traced), `Z` (zombie), `X`.
    pub state: char,
    /// The parent's pid.
    pub parent: i32,
    /// The process group.
    pub group: i32,
    /// The session.
    pub session: i32,
    /// Threads, the zombie leader included.
    pub threads: u32,
}

impl Entry {
    /// Whether anything of it still runs. A leader that exited before its other threads looks like a zombie.
    pub fn runs(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x') || self.threads > 1
    }

    /// Whether its main thread is held by a stop signal, or has ended.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.state, 'T' | 'Z' | 'X' | 'x')
    }
}

/// Every process that was there when it was read.
#[derive(Debug, Default)]
pub struct Table {
    entries: HashMap<i32, Entry>,
}

impl Table {
    /// Reads `/proc`.
    pub fn read() -> io::Result<Self> {
        let mut entries = HashMap::new();
        for folder in fs::read_dir("/proc")? {
            let name = folder?.file_name();
            if let Some(entry) = name
                .to_str()
                .and_then(|name| name.parse().ok())
                .and_then(read_one)
            {
                entries.insert(entry.identity.pid, entry);
            }
        }
        Ok(Self { entries })
    }

    /// Every process, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The process with this pid.
    pub fn get(&self, pid: i32) -> Option<&Entry> {
        self.entries.get(&pid)
    }

    /// The pids below any of `roots`, the roots themselves left out unless one is below another.
    pub fn descendants(&self, roots: &[i32]) -> HashSet<i32> {
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        for entry in self.iter() {
            children.entry(entry.parent).or_default().push(entry.identity.pid);
        }
        let mut found = HashSet::new();
        let mut open = roots.to_vec();
        while let Some(pid) = open.pop() {
            for child in children.get(&pid).into_iter().flatten() {
                if found.insert(*child) {
                    open.push(*child);
                }
            }
        }
        found
    }
}

/// The process with this pid now.
pub fn read_one(pid: i32) -> Option<Entry> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&stat)
}

fn parse_stat(stat: &[u8]) -> Option<Entry> {
    // The name is in parentheses and may hold any byte, also blanks and parentheses: the last one ends it.
    let opens = stat.iter().position(|byte| *byte == b'(')?;
    let closes = stat.iter().rposition(|byte| *byte == b')')?;
    let pid = std::str::from_utf8(stat.get(..opens)?)
        .ok()?
        .trim()
        .parse()
        .ok()?;
    let name = String::from_utf8_lossy(stat.get(opens + 1..closes)?).into_owned();
    let rest = std::str::from_utf8(stat.get(closes + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // fields[0] is field 3 of the manual page.
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Entry {
        identity: Identity {
            pid,
            start_time: field(22)?.parse().ok()?,
        },
        name,
        state: field(3)?.chars().next()?,
        parent: field(4)?.parse().ok()?,
        group: field(5)?.parse().ok()?,
        session: field(6)?.parse().ok()?,
        threads: field(20)?.parse().ok()?,
    })
}

/// Whether a stop signal holds every thread of a process; also true of one that has ended.
pub fn is_at_rest(process: Identity) -> bool {
    let Some(leader) = read_one(process.pid).filter(|entry| entry.identity == process) else {
        return true;
    };
    if !leader.is_at_rest() {
        return false;
    }
    if leader.threads == 1 {
        return true;
    }
    let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", process.pid)) else {
        return true;
    };
    let mut threads = tasks
        .flatten()
        .filter_map(|task| parse_stat(&fs::read(task.path().join("stat")).ok()?));
    threads.all(|thread| thread.is_at_rest())
}

/// What a process was given in its environment under `name` when it was started; `None` if it has no such variable,
/// is gone, or may not be looked at.
pub fn environment(pid: i32, name: &str) -> Option<Vec<u8>> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    environ.split(|byte| *byte == 0).find_map(|variable| {
        let rest = variable.strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=").map(<[u8]>::to_vec)
    })
}

/// Whether a process of this user was started with `name=value` in its environment.
pub fn carries(pid: i32, name: &str, value: &OsStr) -> bool {
    is_ours(pid) && environment(pid, name).is_some_and(|found| found == value.as_bytes())
}

/// Whether a process belongs to the user who runs this one.
pub fn is_ours(pid: i32) -> bool {
    let own = rustix::process::geteuid().as_raw();
    fs::metadata(format!("/proc/{pid}")).is_ok_and(|folder| folder.uid() == own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_name_may_hold_blanks_and_parentheses() {
        let stat = b"42 (a) b (c) S 7 40 39 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 98765 1 2 3";
        let entry = parse_stat(stat).expect("readable");
        assert_eq!(
            entry.identity,
            Identity {
                pid: 42,
                start_time: 98765
            }
        );
        assert_eq!(
            (entry.name.as_str(), entry.state, entry.parent),
            ("a) b (c", 'S', 7)
        );
        assert_eq!((entry.group, entry.session, entry.threads), (40, 39, 3));
    }

    #[test]
    fn a_torn_line_is_no_process() {
        for stat in ["", "42", "42 (sh", "42 (sh)", "42 (sh) S 1 2 3"] {
            assert!(parse_stat(stat.as_bytes()).is_none(), "{stat}");
        }
    }

    #[test]
    fn a_dead_leader_with_living_threads_still_runs() {
        let stat = b"42 (x) Z 7 40 39 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 2 0 98765 1 2 3";
        assert!(parse_stat(stat).expect("readable").runs());
        let stat = b"42 (x) Z 7 40 39 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3";
        assert!(!parse_stat(stat).expect("readable").runs());
    }

    #[test]
    fn a_child_is_found_below_its_parent_with_what_it_carries() {
        let mut child = Command::new("sleep")
            .arg("1000")
            .env("SQUALL_TABLE_TEST", "a=b")
            .spawn()
            .expect("sleep starts");
        let pid = child.id().cast_signed();
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let table = Table::read().expect("/proc is readable");
        assert!(table.descendants(&[own]).contains(&pid));
        assert!(!table.descendants(&[pid]).contains(&own));
        assert!(carries(pid, "SQUALL_TABLE_TEST", OsStr::new("a=b")));
        assert!(!carries(pid, "SQUALL_TABLE_TEST", OsStr::new("a")));
        assert!(!carries(pid, "SQUALL_TABLE", OsStr::new("a=b")));
        child.kill().and_then(|()| child.wait()).expect("killed");
    }
}
