//! Takes ids: one atomic word, one clock read and one compare-and-swap per take.
//!
//! The order of the three steps matters. The position is read before the clock, and replaced only if it is still
//! that one, so a thread that was held up in between can neither mistake another thread's progress for a step back of
//! the clock nor undo it. Everything rare (a step back, a full millisecond, entering and leaving the backup sequencer)
//! goes through one lock, off this path.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::backup::BackupClock;
use crate::clock::Clock;
use crate::error::GenerateError;
use crate::high_water::HighWaterMark;
use crate::incident::{Defence, Incident, Observe};
use crate::layout::{self, MS_MAX, NODE_MAX, Position, SEQUENCE_MAX};
use crate::plant::Plant;
use crate::watch::{Action, Policy, Reading, Watch};

/// How often the clock is read in a row before the wait is looked at again.
const SPINS: u32 = 256;
/// How long reading both clocks may take for the two readings to count as one moment, in microseconds.
const ONE_MOMENT_US: u64 = 100;

/// What sort of generator to make.
#[derive(Debug, Clone, Copy, Default)]
pub struct Config {
    /// The node, at most [`NODE_MAX`]. No two live generators may share one.
    pub node: u16,
    /// What to do about a step back of 50 ms or more.
    pub policy: Policy,
    /// A bug to plant.
    pub plant: Plant,
}

/// A node's source of ids. Shared by reference among threads.
pub struct Generator<C> {
    position: OwnLine,
    clock: C,
    config: Config,
    mark: HighWaterMark,
    backup: BackupClock,
    watch: Mutex<Watch>,
    observer: Arc<dyn Observe>,
    takes: AtomicU64,
}

/// The position, packed, in a cache line of its own: every take writes it, and what lies beside it is only read.
#[repr(align(128))]
struct OwnLine(AtomicU64);

/// Consecutive ids, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// The first.
    pub first: u64,
    /// How many.
    pub count: u16,
}

impl Ids {
    /// Each of them, in order.
    pub fn iter(self) -> std::ops::Range<u64> {
        self.first..self.first + u64::from(self.count)
    }
}

/// What came of trying to take ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// They are taken.
    Taken(Ids),
    /// None can be taken yet: wait as told, then try again.
    Wait(Wait),
}

/// How to wait before trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Until the wall clock reads this millisecond, which is soon: spin, or let others run and come back.
    Wall {
        /// Milliseconds since the epoch.
        ms: u64,
    },
    /// For less than a millisecond of monotonic time: likewise.
    Pace,
    /// For this long: sleep.
    Sleep(Duration),
}

/// Where the next ids come from.
enum Next {
    /// From this millisecond, beginning with this sequence.
    Take { ms: u64, sequence: u16 },
    /// From the wall clock, once the backup sequencer is out of charge.
    LeaveBackup,
    /// From nowhere until the backup sequencer's clock has moved on.
    Pace,
    /// From nowhere until the wall clock has moved on.
    Blocked,
}

impl<C: Clock> Generator<C> {
    /// A generator that goes on where `mark` says an earlier one stopped.
    ///
    /// # Panics
    /// If the node is more than [`NODE_MAX`].
    pub fn new(config: Config, clock: C, mark: HighWaterMark, observer: Arc<dyn Observe>) -> Self {
        assert!(
            config.node <= NODE_MAX,
            "node {} is more than {NODE_MAX}",
            config.node
        );
        let position = Position::full(mark.found_ms().unwrap_or(0));
        Self {
            position: OwnLine(AtomicU64::new(position.pack())),
            clock,
            config,
            mark,
            backup: BackupClock::default(),
            watch: Mutex::new(Watch::new(config.policy)),
            observer,
            takes: AtomicU64::new(0),
        }
    }

    /// The next id, waiting in this thread as long as the defences say, which is at most about 100 ms.
    pub fn next_id(&self) -> Result<u64, GenerateError> {
        loop {
            match self.try_take(1)? {
                Attempt::Taken(ids) => return Ok(ids.first),
                Attempt::Wait(wait) => self.wait(wait),
            }
        }
    }

    /// Takes at least one and at most `want` consecutive ids, or says how to wait. Never waits itself.
    pub fn try_take(&self, want: u16) -> Result<Attempt, GenerateError> {
        loop {
            let word = self.position.0.load(Ordering::Acquire);
            let at = Position::unpack(word);
            let now_ms = self.read_wall_ms(at);
            let (ms, sequence) = match self.next(at, now_ms) {
                Next::Take { ms, sequence } => (ms, sequence),
                Next::Pace => return Ok(Attempt::Wait(Wait::Pace)),
                Next::LeaveBackup => {
                    self.leave_backup();
                    continue;
                }
                Next::Blocked => match self.blocked()? {
                    Some(wait) => return Ok(Attempt::Wait(wait)),
                    None => continue,
                },
            };
            if ms > MS_MAX {
                return Err(GenerateError::ClockBeyondLayout);
            }
            self.cover(ms, at.backup)?;
            let count = want.clamp(1, SEQUENCE_MAX - sequence + 1);
            let to = Position {
                ms,
                sequence: sequence + count - 1,
                backup: at.backup,
            };
            if self.config.plant.loses(&self.takes) || self.replace(word, to) {
                if ms < at.ms {
                    self.tell_ignored_step(at.ms - ms);
                }
                return Ok(Attempt::Taken(Ids {
                    first: layout::id(ms, self.config.node, sequence),
                    count,
                }));
            }
        }
    }

    /// Whether the backup sequencer is in charge.
    pub fn in_backup(&self) -> bool {
        self.load().backup
    }

    /// Waits in this thread.
    fn wait(&self, wait: Wait) {
        match wait {
            Wait::Sleep(length) => self.clock.sleep(length),
            Wait::Pace => self.clock.spin(),
            Wait::Wall { ms } => {
                for _ in 0..SPINS {
                    self.clock.spin();
                    if self.clock.wall_ms() >= ms {
                        return;
                    }
                }
                // Not each time: a core given away may come back only after the millisecond waited for is over.
                thread::yield_now();
            }
        }
    }

    /// Decides where the ids after `at` come from.
    fn next(&self, at: Position, now_ms: u64) -> Next {
        let (ms, is_full) = (at.ms, at.is_full());
        if now_ms > ms {
            return if at.backup {
                Next::LeaveBackup
            } else {
                Next::Take {
                    ms: now_ms,
                    sequence: 0,
                }
            };
        }
        if at.backup {
            return match is_full {
                false => Next::Take {
                    ms,
                    sequence: at.sequence + 1,
                },
                true if self.backup.allows(ms + 1, self.clock.monotonic_us()) => Next::Take {
                    ms: ms + 1,
                    sequence: 0,
                },
                true => Next::Pace,
            };
        }
        if now_ms == ms && !is_full {
            return Next::Take {
                ms,
                sequence: at.sequence + 1,
            };
        }
        if now_ms < ms && self.config.plant == Plant::ReuseAfterRollback {
            return Next::Take {
                ms: now_ms,
                sequence: 0,
            };
        }
        Next::Blocked
    }

    /// The wall clock, in milliseconds. While the backup sequencer is in charge, steps back are noticed here.
    fn read_wall_ms(&self, at: Position) -> u64 {
        if !at.backup {
            return self.config.plant.reads(self.clock.wall_ms());
        }
        let last_ms = self.backup.last_wall_ms();
        let now_ms = self.clock.wall_ms();
        if let Some(step_ms) = self.backup.read_wall(last_ms, now_ms) {
            let behind_ms = at.ms.saturating_sub(now_ms);
            self.observer.note(&Incident::Rollback {
                step_ms,
                behind_ms,
                defence: Defence::Backup,
            });
        }
        now_ms
    }

    /// Sees to it that no id of this millisecond can be issued again by a later process.
    fn cover(&self, ms: u64, in_backup: bool) -> Result<(), GenerateError> {
        if self.mark.covers(ms) {
            return Ok(());
        }
        self.mark.cover(ms)?;
        // Every few milliseconds, and off the common path: a good moment to note where both clocks stand.
        if !in_backup && let Some(reading) = self.read_both() {
            self.lock_watch().agree(reading);
        }
        Ok(())
    }

    /// Handles a clock that has not come past the position. `None` if that has changed meanwhile: try again.
    fn blocked(&self) -> Result<Option<Wait>, GenerateError> {
        let mut watch = self.lock_watch();
        let at = self.load();
        // The wall clock last: held up in between, this thread takes a step for smaller than it is, not for larger.
        let monotonic_us = self.clock.monotonic_us();
        let wall_us = self.clock.wall_us();
        let now = Reading {
            wall_us,
            monotonic_us,
        };
        if !matches!(
            self.next(at, self.config.plant.reads(now.wall_us / 1_000)),
            Next::Blocked
        ) {
            return Ok(None);
        }
        let (incident, action) = watch.look(at, now);
        if let Some(incident) = incident {
            self.observer.note(&incident);
        }
        match action {
            Action::Spin => Ok(Some(Wait::Wall {
                ms: at.ms + u64::from(at.is_full()),
            })),
            Action::Sleep(length) => Ok(Some(Wait::Sleep(length))),
            Action::RefuseBackward => Err(GenerateError::ClockMovedBackward),
            Action::RefuseStalled => Err(GenerateError::ClockStandsStill),
            Action::Backup => {
                self.backup.enter(at.ms, now.monotonic_us, now.wall_us / 1_000);
                if self.replace(at.pack(), Position { backup: true, ..at }) {
                    self.observer.note(&Incident::BackupEntered);
                }
                Ok(None)
            }
        }
    }

    /// Puts the wall clock, which has come past the position, in charge again. Under the lock, so that taking over and
    /// giving back are told in the order in which they happen.
    fn leave_backup(&self) {
        let _watch = self.lock_watch();
        let at = self.load();
        if at.backup && self.replace(at.pack(), Position { backup: false, ..at }) {
            let lasted_ms = self.backup.elapsed_us(self.clock.monotonic_us()) / 1_000;
            self.observer.note(&Incident::BackupLeft { lasted_ms });
        }
    }

    fn tell_ignored_step(&self, step_ms: u64) {
        let defence = Defence::Ignore;
        self.observer.note(&Incident::Rollback {
            step_ms,
            behind_ms: step_ms,
            defence,
        });
    }

    /// Both clocks, if they could be read at one moment.
    fn read_both(&self) -> Option<Reading> {
        let monotonic_us = self.clock.monotonic_us();
        let wall_us = self.clock.wall_us();
        let took_us = self.clock.monotonic_us().saturating_sub(monotonic_us);
        (took_us <= ONE_MOMENT_US).then_some(Reading {
            wall_us,
            monotonic_us,
        })
    }

    fn load(&self) -> Position {
        Position::unpack(self.position.0.load(Ordering::Acquire))
    }

    /// Moves on from `word`, unless another thread has.
    fn replace(&self, word: u64, to: Position) -> bool {
        self.position
            .0
            .compare_exchange(word, to.pack(), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    fn lock_watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
