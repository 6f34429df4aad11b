//! What squall does when its guard has died: finds and kills what the guard had started.
//!
//! The guard's orphans are squall's children by then, and squall may have other children. Killed is only what is known to
//! come from the guard: what was started on request, what carries the run's marker, what has no marker and sits in a
//! session that is neither squall's nor older than the guard, and whatever is below one of these. So whoever starts a
//! process in squall without the guard must leave it in squall's session.

use std::ffi::OsStr;
use std::io;
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, getpid, waitid};

use super::RUN_MARKER;
use super::exit::ExitStatus;
use crate::process::sweep::sweep;
use crate::process::table::{carries, environment, read_one};
use crate::process::{Identity, Table};

/// The longest squall tries.
const EFFORT: Duration = Duration::from_secs(5);

/// What came of the orphans of a guard that died.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rescue {
    /// Processes that squall killed in the guard's place.
    pub killed: Vec<Identity>,
    /// Processes that it could not kill.
    pub left: Vec<Identity>,
}

/// Kills what `guard`, dead and reaped by now, has left. `ended` is told how each child of squall's ended.
pub(super) fn rescue(
    run_id: &OsStr,
    guard: Identity,
    started: &[Identity],
    mut ended: impl FnMut(Identity, ExitStatus),
) -> io::Result<Rescue> {
    let own = getpid().as_raw_nonzero().get();
    // Not by `getsid`: in a PID namespace whose session leader is outside it the session is 0, which no `Pid` can hold.
    let session = read_one(own).ok_or(io::ErrorKind::NotFound)?.session;
    let find = |table: &Table| {
        let is_orphan = |pid: i32| {
            table.get(pid).is_some_and(|entry| {
                entry.parent == own
                    && entry.session != session
                    && entry.identity.start_time >= guard.start_time
                    && entry.identity != guard
                    && environment(pid, RUN_MARKER).is_none()
            })
        };
        let mut roots: Vec<i32> = table
            .iter()
            .filter(|entry| {
                let pid = entry.identity.pid;
                started.contains(&entry.identity) || carries(pid, RUN_MARKER, run_id) || is_orphan(pid)
            })
            .map(|entry| entry.identity.pid)
            .filter(|pid| *pid != own)
            .collect();
        roots.extend(table.descendants(&roots));
        roots.sort_unstable();
        roots.dedup();
        roots
            .into_iter()
            .filter_map(|pid| table.get(pid))
            .map(|entry| entry.identity)
            .collect()
    };
    let mut dying: Vec<Identity> = started.to_vec();
    let swept = {
        let collect = || {
            dying.retain(|process| match reap(*process) {
                Some(status) => {
                    ended(*process, status);
                    false
                }
                None => true,
            });
        };
        sweep(EFFORT, find, collect)?
    };
    // Adopted orphans that were not started on request have nobody waiting for them, only a zombie to collect.
    for process in &swept.killed {
        reap(*process);
    }
    Ok(Rescue {
        killed: swept.killed,
        left: swept.left,
    })
}

/// Collects a dead child; `None` if it runs, or isn't a child of squall's.
fn reap(process: Identity) -> Option<ExitStatus> {
    let pid = Pid::from_raw(process.pid)?;
    // The pid can't have been reused: it is a child's, and nobody else reaps it.
    let status = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
        .ok()
        .flatten()?;
    let code = status.exit_status().map(ExitStatus::Code);
    Some(
        code.or_else(|| status.terminating_signal().map(ExitStatus::Signal))
            .unwrap_or(ExitStatus::Unknown),
    )
}
