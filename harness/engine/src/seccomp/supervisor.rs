//! The thread that answers the calls of one service's processes, by its rules.
//!
//! One call at a time, so no rule may wait: what takes long is started, and the kernel lets the caller itself wait for it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;

use super::call::Call;
use super::filter::Syscall;
use super::kernel::{Answer, Listener, Notification};

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The kernel carries it out, as if there were no filter.
    Continue,
    /// It is not carried out, and returns this.
    Return(i64),
    /// It is not carried out, and fails so.
    Fail(Errno),
}

/// Decides about calls. What it decides by may change at any time; which calls it is asked about may not.
pub trait Rule: Send + Sync {
    /// The calls that it wants to be asked about.
    fn calls(&self) -> &[Syscall];

    /// What becomes of a call; `None` if it has no opinion, and the next rule is asked. Must not wait for anything.
    fn decide(&self, call: &Call<'_>) -> Option<Verdict>;

    /// The verdict did not reach the caller: it was killed, or, before Linux 5.19, a signal interrupted its wait, after which it
    /// may make the same call again.
    fn unheard(&self, call: &Call<'_>) {
        let _ = call;
    }
}

/// The calls that these rules want to be asked about, each once: what a service that they are for must stop at.
pub fn calls_of(rules: &[Arc<dyn Rule>]) -> Vec<Syscall> {
    let mut calls: Vec<_> = rules.iter().flat_map(|rule| rule.calls()).copied().collect();
    calls.sort_unstable();
    calls.dedup();
    calls
}

/// How a supervisor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Running,
    /// All processes with the filter have ended, or it was stopped.
    Ended,
    /// It failed, so calls were left without its answer. Why.
    Failed(String),
}

/// Answers the calls of one start of one service. Dropping it stops it: from then on they fail with `ENOSYS`.
pub struct Supervisor {
    wake: Arc<OwnedFd>,
    health: Arc<Mutex<Health>>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts answering, on a thread of its own. The first rule with an opinion decides; without one the call continues.
    ///
    /// `service` names the thread. Start it as soon as the service was spawned: until then its calls wait.
    pub fn start(service: &str, listener: Listener, rules: Vec<Arc<dyn Rule>>) -> io::Result<Self> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let health = Arc::new(Mutex::new(Health::Running));
        let epitaph = Epitaph {
            health: Arc::clone(&health),
            last_words: Health::Failed("it panicked".to_owned()),
        };
        let woken = Arc::clone(&wake);
        let thread = std::thread::Builder::new()
            .name(format!("calls-{service}"))
            .spawn(move || {
                let mut epitaph = epitaph;
                epitaph.last_words = match answer_until_the_end(&listener, &rules, &woken) {
                    Ok(()) => Health::Ended,
                    Err(error) => Health::Failed(error.to_string()),
                };
            })?;
        Ok(Self {
            wake,
            health,
            thread: Some(thread),
        })
    }

    /// How it is.
    pub fn health(&self) -> Health {
        lock(&self.health).clone()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Can't be full: it is written once.
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            // A panic was reported by the hook, and is in `health`.
            drop(thread.join());
        }
    }
}

/// Writes down how the thread ended, also when it unwinds.
struct Epitaph {
    health: Arc<Mutex<Health>>,
    last_words: Health,
}

impl Drop for Epitaph {
    fn drop(&mut self) {
        *lock(&self.health) = self.last_words.clone();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns once no process is left that could call, or `wake` is written.
fn answer_until_the_end(listener: &Listener, rules: &[Arc<dyn Rule>], wake: &OwnedFd) -> io::Result<()> {
    loop {
        let mut fds = [
            PollFd::new(listener, PollFlags::IN),
            PollFd::from_borrowed_fd(wake.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [calls, stop] = [fds[0].revents(), fds[1].revents()];
        if !stop.is_empty() {
            return Ok(());
        }
        if calls.contains(PollFlags::IN) {
            match listener.receive() {
                Ok(notification) => take_up(listener, rules, notification)?,
                // Killed, or interrupted, before it was taken up.
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        } else if !calls.is_empty() {
            // Hung up: the last process with the filter is gone.
            return Ok(());
        }
    }
}

fn take_up(listener: &Listener, rules: &[Arc<dyn Rule>], notification: Notification) -> io::Result<()> {
    let continues = || listener.answer(notification.id, Answer::Continue);
    let answered = match Syscall::of(notification.number) {
        // Not one of ours, which the filter rules out.
        None => continues(),
        Some(syscall) => {
            let call = Call::new(syscall, notification, listener);
            let mut asked = rules.iter().filter(|rule| rule.calls().contains(&syscall));
            let decided = asked.find_map(|rule| Some((rule, rule.decide(&call)?)));
            match decided {
                None => continues(),
                Some((rule, verdict)) => {
                    let answered = listener.answer(notification.id, verdict.into());
                    if answered == Err(Errno::NOENT) {
                        rule.unheard(&call);
                    }
                    answered
                }
            }
        }
    };
    match answered {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

impl From<Verdict> for Answer {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Continue => Self::Continue,
            Verdict::Return(value) => Self::Return(value),
            Verdict::Fail(errno) => Self::Fail(errno),
        }
    }
}
