//! The guard's own side: its set-up, its loop, and its end.
//!
//! One thread, one poll. Any error on the socket counts as squall's death: killing too early is repaired by a clear
//! message, killing too late by nobody.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{WaitOptions, getpid, set_child_subreaper, setsid, wait};
use signal_hook::consts::signal::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

use super::exit::ExitStatus;
use super::packet::Packets;
use super::protocol::{Inside, LEFT_MAX, Reply, Request};
use super::spawn;
use crate::process::sweep::sweep;
use crate::process::{Identity, Table};

/// The longest the guard tries to kill what will not die (uninterruptible sleep, another user's process).
const LAST_EFFORT: Duration = Duration::from_secs(5);

/// Runs the guard, whose socket is standard input; returns the process's exit code.
///
/// Must be called first thing in the process: it closes every descriptor above 2.
pub fn main() -> i32 {
    match Guard::take_over() {
        Ok(mut guard) => guard.serve(),
        Err(error) => {
            note(&format!(
                "the guard is started by squall itself, with its socket as standard input: {error}"
            ));
            1
        }
    }
}

/// Why the guard ends.
#[derive(PartialEq)]
enum Ending {
    Asked,
    SquallGone,
}

struct Guard {
    packets: Packets,
    /// Readable when a child has changed state.
    children: UnixStream,
    /// What was started on request and has not ended.
    started: HashMap<i32, Identity>,
    run_id: OsString,
}

impl Guard {
    fn take_over() -> io::Result<Self> {
        let packets = Packets::from_socket(super::descriptors::take_socket()?)?;
        let run_id = spawn::run_id().ok_or_else(|| io::Error::other("no run id in the environment"))?;
        // A session of its own: no terminal's Ctrl-C or hang-up reaches the guard or its services.
        setsid()?;
        set_child_subreaper(Some(getpid()))?;
        let (children, wake) = UnixStream::pair()?;
        children.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGCHLD, wake)?;
        // Squall decides when it is over. Handlers, not "ignore": a service must not inherit that.
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
        }
        packets.send(&Reply::Hello, &[])?;
        Ok(Self {
            packets,
            children,
            started: HashMap::new(),
            run_id,
        })
    }

    fn serve(&mut self) -> i32 {
        let ending = self.answer_until_the_end().unwrap_or_else(|error| {
            // A broken pipe is squall's death, seen while telling it something.
            if error.kind() != io::ErrorKind::BrokenPipe {
                note(&format!("the socket to squall failed, ending: {error}"));
            }
            Ending::SquallGone
        });
        let left = self.kill_everything();
        if !left.is_empty() {
            note(&format!("could not be killed: {left:?}"));
        }
        if ending == Ending::Asked {
            // Squall may be gone by now; then nobody is there to tell.
            drop(self.packets.send(
                &Reply::Gone {
                    left: left.iter().copied().take(LEFT_MAX).collect(),
                },
                &[],
            ));
        }
        i32::from(!left.is_empty())
    }

    fn answer_until_the_end(&mut self) -> io::Result<Ending> {
        loop {
            let (asked, died) = self.wait_for_something()?;
            if died {
                self.reap()?;
            }
            if asked {
                match self.packets.receive::<Request>()? {
                    None => return Ok(Ending::SquallGone),
                    Some((Request::Shutdown, _)) => return Ok(Ending::Asked),
                    Some((Request::Spawn { id, inside }, fds)) => self.spawn(id, inside, fds)?,
                }
            }
        }
    }

    /// Blocks; returns whether squall said something (or is gone) and whether a child changed state.
    fn wait_for_something(&self) -> io::Result<(bool, bool)> {
        let mut fds = [
            PollFd::from_borrowed_fd(self.packets.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.children.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) => Ok((!fds[0].revents().is_empty(), !fds[1].revents().is_empty())),
            Err(Errno::INTR) => Ok((false, false)),
            Err(errno) => Err(errno.into()),
        }
    }

    fn spawn(&mut self, id: u64, inside: Option<Inside>, fds: Vec<OwnedFd>) -> io::Result<()> {
        let spawned =
            spawn::read_request(inside, fds).and_then(|request| spawn::spawn(&request, &self.run_id));
        match spawned {
            Ok(spawn::Spawned {
                process,
                pidfd,
                listener,
            }) => {
                self.started.insert(process.pid, process);
                let mut fds = vec![pidfd.as_fd()];
                fds.extend(listener.as_ref().map(AsFd::as_fd));
                // Ours are closed after this: a process that stops at calls waits for squall, never for the guard.
                self.packets.send(&Reply::Spawned { id, process }, &fds)
            }
            Err(refusal) => self.packets.send(&Reply::Refused { id, refusal }, &[]),
        }
    }

    /// Collects every dead child, and tells squall of those that it asked for (the others are orphans that the guard
    /// adopted). Returns whether no child at all is left.
    fn reap(&mut self) -> io::Result<bool> {
        // Emptied first: a child that dies from here on makes it readable again.
        let mut wakes = [0; 64];
        while matches!(self.children.read(&mut wakes), Ok(read) if read == wakes.len()) {}
        let mut told = Ok(());
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let known = self.started.remove(&pid.as_raw_nonzero().get());
                    if let (Some(process), Some(status)) = (known, ExitStatus::from_wait(status)) {
                        told = told.and(self.packets.send(&Reply::Exited { process, status }, &[]));
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::CHILD) => return told.map(|()| true),
                Ok(None) | Err(_) => return told.map(|()| false),
            }
        }
    }

    /// Kills all descendants, whatever group, session or state they are in, until the kernel knows of no child; returns
    /// those that would not go.
    fn kill_everything(&mut self) -> Vec<Identity> {
        let own = getpid().as_raw_nonzero().get();
        let below = |table: &Table| {
            let found = table.descendants(&[own]);
            found
                .iter()
                .filter_map(|pid| table.get(*pid))
                .map(|entry| entry.identity)
                .collect()
        };
        let deadline = Instant::now() + LAST_EFFORT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut childless = false;
            // Squall may be gone: then there is nobody to tell of the exits, and that is no reason to stop.
            let swept = sweep(left, below, || childless = self.reap().unwrap_or(false));
            match swept {
                Ok(swept) if !swept.left.is_empty() => return swept.left,
                Ok(_) if childless => return Vec::new(),
                // A child that is dying, or that came after the last look: look again.
                Ok(_) => {}
                Err(error) => note(&format!("looking for processes to kill: {error}")),
            }
            if Instant::now() >= deadline {
                return self.started.values().copied().collect();
            }
        }
    }
}

/// A line in the guard's log, which its standard error was sent to.
fn note(text: &str) {
    // A full disk must not keep the guard from its work.
    drop(io::stderr().write_all(format!("guard: {text}\n").as_bytes()));
}
