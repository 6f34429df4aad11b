//! One service over its ends and starts that a scenario asks for, none of which anybody waits for.
//!
//! Whoever ends the service says so before, so that its end is not taken for an accident. Starting it again takes a thread of
//! its own; when it is ready, or can't be made so, the supervisor is told and accepts it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::Sender;

use super::identity::Identity;
use super::service::ServiceProcess;

/// How a service stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was ready, and nobody has asked for its end since.
    Up,
    /// It was told to end, or has ended.
    Down,
    /// It is being started again.
    Starting,
    /// It could not be started again, and why.
    Failed(String),
}

/// A service is ready again, or can't be made so.
#[derive(Debug)]
pub struct Started {
    /// The service, by index.
    pub service: usize,
    /// What came of it.
    pub result: Result<(), String>,
}

/// The end of a process that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which one.
    pub process: Identity,
    /// When that was asked for.
    pub asked: Instant,
}

/// Ends and starts of one service.
pub struct Lifecycle {
    service: usize,
    process: Arc<ServiceProcess>,
    tell: Sender<Started>,
    state: Mutex<State>,
}

struct State {
    standing: Standing,
    ended: Option<Ended>,
    starting: Option<JoinHandle<()>>,
}

impl Lifecycle {
    /// Of a service that is up. Whoever has the other end of `tell` hears of each start, and accepts it.
    pub fn new(service: usize, process: Arc<ServiceProcess>, tell: Sender<Started>) -> Lifecycle {
        Lifecycle {
            service,
            process,
            tell,
            state: Mutex::new(State {
                standing: Standing::Up,
                ended: None,
                starting: None,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Never held while anything is waited for.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The service's process.
    pub fn process(&self) -> &Arc<ServiceProcess> {
        &self.process
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        self.state().standing.clone()
    }

    /// Says that its main process is about to be ended. Call it before sending a signal.
    pub fn expect_end(&self) {
        let mut state = self.state();
        state.standing = Standing::Down;
        state.ended = Some(Ended {
            process: self.process.process(),
            asked: Instant::now(),
        });
    }

    /// Says that the signal did not end it, nor was meant to: an end that comes later is its own.
    pub fn expect_no_end(&self) {
        let mut state = self.state();
        state.standing = Standing::Up;
        state.ended = None;
    }

    /// Whether the end of this process was asked for.
    pub fn expects_end_of(&self, process: Identity) -> bool {
        self.state().ended.is_some_and(|ended| ended.process == process)
    }

    /// Has it started again, on a thread of its own, after ending what is left of it. An error says that there is no thread.
    /// Nothing is started once nobody waits for it any more.
    pub fn start_again(self: &Arc<Self>) -> std::io::Result<()> {
        if self.process.is_given_up() {
            return Ok(());
        }
        let mut state = self.state();
        let lifecycle = Arc::clone(self);
        let thread = std::thread::Builder::new()
            .name("squall-restart".to_owned())
            .spawn(move || {
                let process = lifecycle.process();
                let killed = process.kill().map_err(|e| e.to_string());
                let result = killed.and_then(|_| process.restart().map_err(|e| e.to_string()));
                let service = lifecycle.service;
                // Nobody to hear it means that the run is over.
                drop(lifecycle.tell.send(Started { service, result }));
            })?;
        state.standing = Standing::Starting;
        state.starting = Some(thread);
        Ok(())
    }

    /// Takes a start for what it came to.
    pub fn accept(&self, result: Result<(), String>) {
        let mut state = self.state();
        state.standing = match result {
            Ok(()) => Standing::Up,
            Err(why) => Standing::Failed(why),
        };
        // It has told what it had to tell, so it ends by itself.
        state.starting = None;
    }

    /// Gives up a start that is under way, and returns when its thread has ended.
    pub fn retire(&self) {
        self.process.give_up();
        let starting = self.state().starting.take();
        if let Some(thread) = starting {
            // Its panic was reported by the hook; nothing is left to do here.
            drop(thread.join());
        }
    }
}
