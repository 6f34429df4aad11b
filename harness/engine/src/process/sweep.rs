//! Kills a set of processes that may grow while it is being killed.
//!
//! Which processes are meant is asked again before every round, so that what a dying process forked meanwhile is found
//! too; the rounds end when none is left or the time is up. Never kills what `find` didn't name.

use std::io;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::identity::{Identity, send, wait_exited};
use super::table::Table;

/// The longest one round waits for its processes to go.
const ROUND: Duration = Duration::from_millis(50);

/// What a sweep came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Processes that were killed.
    pub killed: Vec<Identity>,
    /// Processes that would not go, or may not be killed.
    pub left: Vec<Identity>,
}

/// Kills what `find` names, again and again, until it names nothing that runs or `within` has passed.
///
/// `reap` is called after each round, for those who must collect the dead.
pub fn sweep(
    within: Duration,
    find: impl Fn(&Table) -> Vec<Identity>,
    mut reap: impl FnMut(),
) -> io::Result<Swept> {
    let deadline = Instant::now() + within;
    let mut swept = Swept::default();
    loop {
        let table = Table::read()?;
        let mut targets = find(&table);
        targets.retain(|target| {
            table
                .get(target.pid)
                .is_some_and(|entry| entry.identity == *target && entry.runs())
        });
        if targets.is_empty() {
            reap();
            return Ok(swept);
        }
        if Instant::now() >= deadline {
            swept.left = targets;
            return Ok(swept);
        }
        let mut dying = Vec::with_capacity(targets.len());
        for target in targets {
            // Out of descriptors, say: this round does what it can, the next one goes on.
            let Ok(Some(pidfd)) = target.pidfd() else { continue };
            // Not permitted is no reason to stop: the others must go, and this one is left and reported.
            if send(&pidfd, Signal::KILL).unwrap_or(false) {
                dying.push(pidfd);
                if !swept.killed.contains(&target) {
                    swept.killed.push(target);
                }
            }
        }
        if dying.is_empty() {
            pause_before_next_look();
        } else {
            wait_exited(&dying, deadline.min(Instant::now() + ROUND))?;
        }
        reap();
    }
}

/// Only reached when nothing could be signalled: there is no event to wait for.
#[expect(
    clippy::disallowed_methods,
    reason = "no descriptor tells when a process that may not be signalled goes"
)]
fn pause_before_next_look() {
    std::thread::sleep(Duration::from_millis(5));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn kills_what_is_named_and_nothing_else() {
        let mut children: Vec<_> = (0..3)
            .map(|_| Command::new("sleep").arg("1000").spawn().expect("sleep starts"))
            .collect();
        let ids: Vec<_> = children
            .iter()
            .map(|child| Identity::of(child.id().cast_signed()).expect("it runs"))
            .collect();
        let swept = sweep(Duration::from_secs(10), |_| ids[..2].to_vec(), || {}).expect("/proc is readable");
        assert_eq!(
            swept,
            Swept {
                killed: ids[..2].to_vec(),
                left: Vec::new()
            }
        );
        assert!(ids[2].is_alive());
        for child in &mut children {
            child.kill().and_then(|()| child.wait()).expect("reaped");
        }
    }
}
