//! The states of some processes' threads, read often and fast: each thread's `stat` is opened once and read again and again.
//!
//! What is known is the threads that were there when it was opened. Whoever must be sure of all looks once more at the end.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use super::identity::Identity;

/// The most threads that are held open. Of more, none is: then there is no fast look.
const THREADS_MAX: usize = 256;

/// More than the name and the state of a thread take.
const BYTES: usize = 128;

/// Threads, each by its open `stat`.
#[derive(Debug, Default)]
pub struct Threads {
    stats: Vec<File>,
}

impl Threads {
    /// Takes hold of all threads of `processes`; nothing where they are too many, or can't be opened.
    pub fn open(processes: impl Iterator<Item = Identity>) -> Option<Threads> {
        let mut stats = Vec::new();
        for process in processes {
            for task in fs::read_dir(format!("/proc/{}/task", process.pid)).ok()? {
                if stats.len() == THREADS_MAX {
                    return None;
                }
                stats.push(File::open(task.ok()?.path().join("stat")).ok()?);
            }
        }
        Some(Threads { stats })
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.stats.len()
    }

    /// Whether each is held by a stop signal or has ended.
    pub fn are_at_rest(&self) -> bool {
        self.stats.iter().all(|stat| {
            let mut bytes = [0; BYTES];
            match stat.read_at(&mut bytes, 0) {
                Ok(read) => state(&bytes[..read]).is_some_and(|state| b"TZXx".contains(&state)),
                // The file of a thread that has ended can't be read any more.
                Err(_) => true,
            }
        })
    }
}

/// The state in the begin of a `stat`. The name before it is in parentheses, at most 15 bytes of any sort.
fn state(stat: &[u8]) -> Option<u8> {
    let opens = stat.iter().position(|byte| *byte == b'(')?;
    let name_ends = stat
        .get(opens..)?
        .iter()
        .take(18)
        .rposition(|byte| *byte == b')')?;
    stat.get(opens + name_ends + 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_comes_after_a_name_of_any_sort() {
        assert_eq!(state(b"42 (sleep) S 1 42 42"), Some(b'S'));
        assert_eq!(state(b"42 (a) b (c) T 7 40 39 0 -1"), Some(b'T'));
        assert_eq!(state(b"42 (fifteen-bytes-x) T 7 40 (1) S"), Some(b'T'));
        assert_eq!(state(b"42 (slee"), None);
    }

    #[test]
    fn own_threads_are_not_at_rest() {
        let own = Identity::own().expect("/proc is readable");
        let threads = Threads::open(std::iter::once(own)).expect("few threads");
        assert!(threads.count() > 0 && !threads.are_at_rest());
    }
}
