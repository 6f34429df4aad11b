//! Squall's side of the guard: starting it, asking it, hearing from it, and ending it.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, set_child_subreaper};
use thiserror::Error;

use super::RUN_MARKER;
use super::exit::{ExitStatus, ExitWatch};
use super::packet::Packets;
use super::protocol::{Inside, Refusal, Reply, Request, SPAWN_BYTES_MAX, SpawnError, SpawnRequest, Stage};
use super::rescue::{Rescue, rescue};
use crate::process::Identity;
use crate::process::identity::{send, timespec};
use crate::process::log::last_lines;
use crate::seccomp;

/// The longest the guard may take to set itself up, or to answer a request: a hundred times what a slow machine needs.
const ANSWER: Duration = Duration::from_secs(10);

/// The longest the guard may take to kill everything: longer than it tries itself.
const END: Duration = Duration::from_secs(7);

/// Why there is no guard, or why it did not do its work.
#[derive(Debug, Error)]
pub enum GuardError {
    /// The system refused something that starting it needs.
    #[error("starting the guard process: {doing}: {source}")]
    Start {
        /// What was being done.
        doing: &'static str,
        /// The kernel's words.
        source: io::Error,
    },
    /// It was started and said nothing.
    #[error("the guard process did not report in ({how}); its log ends: {}", log_end.join(" / "))]
    Silent {
        /// How it ended, or that it still runs.
        how: String,
        /// The last lines of its log.
        log_end: Vec<String>,
    },
    /// It died before it was told to.
    #[error("the guard process died during the run; squall killed the {} processes that it left", .0.killed.len())]
    Lost(Rescue),
    /// Something survives.
    #[error("these processes could not be killed; end them by hand: kill -9 {}", pids(.0))]
    Left(Vec<Identity>),
}

fn pids(processes: &[Identity]) -> String {
    processes
        .iter()
        .map(|process| process.pid.to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Something that happened under the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A process that was started on request ended.
    Exited {
        /// Which one.
        process: Identity,
        /// How.
        status: ExitStatus,
    },
    /// The guard died; what it had started is dead as well. Nothing more comes after this.
    Lost(Rescue),
}

/// A process that the guard has started.
#[derive(Debug)]
pub struct Spawned {
    /// Who it is.
    pub process: Identity,
    /// Signals go through this, so that they can't hit a reused pid.
    pub pidfd: OwnedFd,
    /// Tells how it ended, once it has.
    pub exit: ExitWatch,
    /// Where its calls arrive, if it was to stop at any: start a [`Supervisor`](crate::seccomp::Supervisor) with it at once.
    /// Dropped, those calls fail with `ENOSYS`.
    pub listener: Option<seccomp::Listener>,
}

impl Spawned {
    /// Takes what came along. Descriptors are missing where this process has no free numbers for them.
    fn receive(process: Identity, exit: ExitWatch, fds: Vec<OwnedFd>) -> Result<Self, Errno> {
        let mut fds = fds.into_iter();
        Ok(Self {
            process,
            pidfd: fds.next().ok_or(Errno::MFILE)?,
            exit,
            listener: fds.next().map(seccomp::Listener::new).transpose()?,
        })
    }

    /// Whether it has what was asked for; kills it if not.
    fn check(self, request: &SpawnRequest) -> Result<Self, Refusal> {
        if self.listener.is_some() || request.stops_at.is_empty() {
            return Ok(self);
        }
        drop(send(&self.pidfd, Signal::KILL));
        Err(Refusal {
            stage: Stage::Filter,
            errno: libc::EMFILE,
        })
    }
}

/// How the guard ended.
#[derive(Clone, Debug)]
enum Ending {
    Orderly { left: Vec<Identity> },
    Lost(Rescue),
}

/// What the listening thread and the callers share.
#[derive(Default)]
struct Shared {
    running: Mutex<HashMap<i32, (Identity, ExitWatch)>>,
    ending: Mutex<Option<Ending>>,
    ended: Condvar,
}

/// An answer to one spawn request.
struct Answer {
    id: u64,
    spawned: Result<Spawned, Refusal>,
}

/// The guard of one run. Dropping it ends the guard and everything under it.
pub struct GuardHandle {
    packets: Arc<Packets>,
    process: Identity,
    pidfd: OwnedFd,
    /// One request at a time: the last id, and where its answer comes.
    requests: Mutex<(u64, Receiver<Answer>)>,
    events: Receiver<Event>,
    shared: Arc<Shared>,
    listener: Mutex<Option<JoinHandle<()>>>,
}

impl GuardHandle {
    /// Starts `program args...`, which must come to [`super::main`] at once, as the guard of run `run_id`.
    ///
    /// Makes squall a subreaper. `log` takes what the guard has to say, which normally is nothing. Push the undo that
    /// kills by marker before calling this, so that `squall clean` can find what a double death leaves.
    pub fn start(program: &Path, args: &[&str], run_id: &str, log: &Path) -> Result<Self, GuardError> {
        let doing = |doing| move |source: io::Error| GuardError::Start { doing, source };
        set_child_subreaper(Some(getpid())).map_err(|errno| doing("becoming a subreaper")(errno.into()))?;
        let (packets, theirs) = Packets::pair().map_err(doing("making a socket pair"))?;
        let child = start_process(program, args, run_id, log, theirs)?;
        let pid = child.id().cast_signed();
        let inspect = || -> io::Result<(Identity, OwnedFd)> {
            let identity = Identity::of(pid).ok_or(io::ErrorKind::NotFound)?;
            let pidfd = pidfd_open(
                Pid::from_raw(pid).ok_or(io::ErrorKind::NotFound)?,
                PidfdFlags::empty(),
            )?;
            Ok((identity, pidfd))
        };
        // Failing here drops the socket, at which the guard ends.
        let (process, pidfd) = inspect().map_err(doing("opening its pidfd (Linux 5.4 or newer)"))?;
        let child = wait_for_hello(&packets, child, log)?;

        let packets = Arc::new(packets);
        let shared = Arc::new(Shared::default());
        let (answers, answered) = crossbeam_channel::bounded(4);
        // One event a process that the caller has asked for: bounded by the caller.
        let (tell, events) = crossbeam_channel::unbounded();
        let listener = Listener {
            packets: Arc::clone(&packets),
            child,
            process,
            run_id: OsString::from(run_id),
            shared: Arc::clone(&shared),
            tell,
            left: None,
        };
        let thread = std::thread::Builder::new()
            .name("guard".into())
            .spawn(move || listener.listen(&answers));
        let thread = thread.map_err(doing("starting a thread"))?;
        Ok(Self {
            packets,
            process,
            pidfd,
            requests: Mutex::new((0, answered)),
            events,
            shared,
            listener: Mutex::new(Some(thread)),
        })
    }

    /// The guard's own process.
    pub fn process(&self) -> Identity {
        self.process
    }

    /// Exits as they happen, and the guard's own death. For one reader: clones share the events between them.
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// Starts a program under the guard.
    pub fn spawn(&self, request: &SpawnRequest) -> Result<Spawned, SpawnError> {
        let program = || request.program.clone();
        let other = |source: io::Error| SpawnError::Other {
            program: program(),
            source,
        };
        let body = request_file(request).map_err(other)?;
        let body = body.ok_or_else(|| SpawnError::TooLong { program: program() })?;

        let mut requests = lock(&self.requests);
        requests.0 += 1;
        let id = requests.0;
        let namespace = request.namespace.as_ref();
        let fds: Vec<_> = std::iter::once(body.as_fd())
            .chain(namespace.map(AsFd::as_fd))
            .collect();
        let inside = namespace.map(|namespace| Inside {
            sheds: namespace.sheds(),
        });
        let sent = self.packets.send(&Request::Spawn { id, inside }, &fds);
        if sent.is_err() {
            return Err(SpawnError::GuardLost { program: program() });
        }
        let deadline = Instant::now() + ANSWER;
        loop {
            match requests.1.recv_deadline(deadline) {
                // The answer to a request that was given up: what was started too late must not stay.
                Ok(Answer { id: other, spawned }) if other != id => {
                    if let Ok(late) = spawned {
                        drop(send(&late.pidfd, Signal::KILL));
                    }
                }
                Ok(Answer { spawned, .. }) => {
                    let spawned = spawned.and_then(|spawned| spawned.check(request));
                    return spawned.map_err(|refusal| SpawnError::from_refusal(refusal, request));
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(SpawnError::GuardSilent {
                        program: program(),
                        seconds: ANSWER.as_secs(),
                    });
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(SpawnError::GuardLost { program: program() });
                }
            }
        }
    }

    /// Ends the guard and kills everything under it; returns when all of it is gone. Again: the same answer.
    ///
    /// Stop services in good order first; this is the end of what is left.
    pub fn shutdown(&self) -> Result<(), GuardError> {
        // An error means that it is gone already, which the listener finds out too.
        drop(self.packets.send(&Request::Shutdown, &[]));
        if self.wait_for_ending(END).is_none() {
            // Stopped, or stuck: the listener then does its work.
            drop(send(&self.pidfd, Signal::KILL));
        }
        let ending = self.wait_for_ending(END);
        if ending.is_some()
            && let Some(thread) = lock(&self.listener).take()
        {
            // Its panic was reported by the hook; nothing is left to do here.
            drop(thread.join());
        }
        match ending {
            Some(Ending::Orderly { left }) if left.is_empty() => Ok(()),
            Some(Ending::Orderly { left }) => Err(GuardError::Left(left)),
            Some(Ending::Lost(rescue)) if rescue.left.is_empty() => Err(GuardError::Lost(rescue)),
            Some(Ending::Lost(rescue)) => Err(GuardError::Left(rescue.left)),
            None => Err(GuardError::Left(vec![self.process])),
        }
    }

    fn wait_for_ending(&self, within: Duration) -> Option<Ending> {
        let ending = lock(&self.shared.ending);
        let waited = self
            .shared
            .ended
            .wait_timeout_while(ending, within, |ending| ending.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

impl Drop for GuardHandle {
    fn drop(&mut self) {
        // Whoever wants to know calls `shutdown` themselves.
        drop(self.shutdown());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start_process(
    program: &Path,
    args: &[&str],
    run_id: &str,
    log: &Path,
    socket: OwnedFd,
) -> Result<Child, GuardError> {
    let doing = |doing| move |source: io::Error| GuardError::Start { doing, source };
    let output = OpenOptions::new()
        .append(true)
        .create(true)
        .open(log)
        .map_err(doing("opening its log"))?;
    let errors = output.try_clone().map_err(doing("opening its log"))?;
    Command::new(program)
        .args(args)
        .env(RUN_MARKER, run_id)
        .stdin(Stdio::from(socket))
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(doing("running squall again"))
}

/// Waits until the guard is set up; ends it and says what it said if it isn't in time.
fn wait_for_hello(packets: &Packets, mut child: Child, log: &Path) -> Result<Child, GuardError> {
    if matches!(receive_within(packets, ANSWER), Ok(Some(Reply::Hello))) {
        return Ok(child);
    }
    let how = match child.try_wait() {
        Ok(Some(status)) => status.to_string(),
        _ => "it was stopped by squall".to_owned(),
    };
    drop(child.kill());
    drop(child.wait());
    Err(GuardError::Silent {
        how,
        log_end: last_lines(log, 0, 5).unwrap_or_default(),
    })
}

fn receive_within(packets: &Packets, within: Duration) -> io::Result<Option<Reply>> {
    let mut fds = [PollFd::from_borrowed_fd(packets.as_fd(), PollFlags::IN)];
    if rustix::io::retry_on_intr(|| poll(&mut fds, Some(&timespec(within))))? == 0 {
        return Ok(None);
    }
    Ok(packets.receive()?.map(|(reply, _)| reply))
}

/// The request as a memory file; `None` if it is longer than any system takes.
fn request_file(request: &SpawnRequest) -> io::Result<Option<OwnedFd>> {
    let strings = request
        .args
        .iter()
        .chain(request.env.iter().flat_map(|(name, value)| [name, value]));
    if strings.map(|string| string.len()).sum::<usize>() > SPAWN_BYTES_MAX {
        return Ok(None);
    }
    let json = serde_json::to_vec(request)?;
    let mut file = File::from(memfd_create("squall-spawn", MemfdFlags::CLOEXEC)?);
    file.write_all(&json)?;
    Ok(Some(file.into()))
}

/// Hands an answer to whoever asked.
fn answer(answers: &Sender<Answer>, answer: Answer) {
    // Full only after several requests that were given up; then nobody waits for this one either.
    if let Err(TrySendError::Full(Answer {
        spawned: Ok(late), ..
    })) = answers.try_send(answer)
    {
        drop(send(&late.pidfd, Signal::KILL));
    }
}

/// The thread that hears the guard out, to its last word or its death.
struct Listener {
    packets: Arc<Packets>,
    child: Child,
    process: Identity,
    run_id: OsString,
    shared: Arc<Shared>,
    tell: Sender<Event>,
    /// The guard's last word.
    left: Option<Vec<Identity>>,
}

impl Listener {
    fn listen(mut self, answers: &Sender<Answer>) {
        // An error on the socket is the end of it too.
        while let Ok(Some((reply, fds))) = self.packets.receive::<Reply>() {
            self.hear(reply, fds, answers);
        }
        // Dead or not: without a socket it is of no use, and what follows counts on its being gone.
        drop(self.child.kill());
        drop(self.child.wait());
        let ending = match self.left.take() {
            Some(left) => Ending::Orderly { left },
            None => Ending::Lost(self.rescue()),
        };
        self.forget_running();
        if let Ending::Lost(rescue) = &ending {
            drop(self.tell.send(Event::Lost(rescue.clone())));
        }
        *lock(&self.shared.ending) = Some(ending);
        self.shared.ended.notify_all();
    }

    fn hear(&mut self, reply: Reply, fds: Vec<OwnedFd>, answers: &Sender<Answer>) {
        match reply {
            Reply::Hello => {}
            Reply::Spawned { id, process } => {
                let exit = ExitWatch::default();
                lock(&self.shared.running).insert(process.pid, (process, exit.clone()));
                let spawned = Spawned::receive(process, exit, fds).map_err(|errno| {
                    drop(process.signal(Signal::KILL));
                    Refusal {
                        stage: Stage::Inspect,
                        errno: errno.raw_os_error(),
                    }
                });
                answer(answers, Answer { id, spawned });
            }
            Reply::Refused { id, refusal } => answer(
                answers,
                Answer {
                    id,
                    spawned: Err(refusal),
                },
            ),
            Reply::Exited { process, status } => self.exited(process, status),
            Reply::Gone { left } => self.left = Some(left),
        }
    }

    /// Also for those whose last message never came.
    fn forget_running(&self) {
        for (_, (_, exit)) in lock(&self.shared.running).drain() {
            exit.set(ExitStatus::Unknown);
        }
    }

    fn exited(&self, process: Identity, status: ExitStatus) {
        if let Some((_, exit)) = lock(&self.shared.running).remove(&process.pid) {
            exit.set(status);
        }
        drop(self.tell.send(Event::Exited { process, status }));
    }

    fn rescue(&self) -> Rescue {
        let started: Vec<Identity> = lock(&self.shared.running)
            .values()
            .map(|(process, _)| *process)
            .collect();
        let run_id: &OsStr = &self.run_id;
        let rescued = rescue(run_id, self.process, &started, |process, status| {
            self.exited(process, status);
        });
        // `/proc` unreadable: nothing could be looked for, so all that was started counts as left.
        rescued.unwrap_or(Rescue {
            killed: Vec::new(),
            left: started,
        })
    }
}
