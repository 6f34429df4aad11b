//! The task that follows the server: fetches what was asked for, hangs in one long poll for all of it, and notices by its
//! heartbeat when the server is gone although the connection is not.
//!
//! After the server was lost it asks with growing pauses. Before it hangs on another connection than before it asks for a list of what
//! has changed without hanging, so that it knows where it stands. A configuration that the server refuses, or does not answer for, is put
//! off by itself and holds up no other. Nothing here waits for
//! the disk. Every time is a length on the monotonic clock.

mod followed;
mod known;
mod read;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use self::known::Known;
use crate::backoff::Backoff;
use crate::cache::{Cache, Entry, Watch};
use crate::disk::{Disk, Done};
use crate::incident::Observe;
use crate::key::ConfigKey;
use crate::request;
use crate::transport::{Answer, Ask, Transport, TransportError};
use crate::{GetError, Plant, Settings};

/// A Nacos server lets a poll hang for nearly ten seconds at least. One that ends sooner without news was let go, as by a server
/// that stops.
const LET_GO_BEFORE: Duration = Duration::from_secs(9);
/// One that ends sooner than this was not let hang at all, and the next waits the longer the more there are.
const HANGS_AT_LEAST: Duration = Duration::from_secs(1);

/// What is asked of the task.
#[derive(Debug)]
pub(crate) enum Command {
    /// What there is of a configuration, once there is something.
    Get {
        key: ConfigKey,
        reply: oneshot::Sender<Result<Arc<Entry>, GetError>>,
    },
    /// A watch, made here so that what it watches cannot have left memory in between.
    Watch {
        key: ConfigKey,
        /// Keeps the client going for as long as the watch does.
        client: mpsc::Sender<Command>,
        reply: oneshot::Sender<Result<Watch, GetError>>,
    },
}

/// See the module.
pub(crate) struct Follower {
    known: Known,
    transport: Transport,
    ends: mpsc::UnboundedReceiver<Done>,
    /// Whether the next poll only looks.
    looks_only: bool,
    was_lost: bool,
    /// Whether it looks before it fetches what is due: after a fetch that failed, so that one that the server never answers holds
    /// up no other.
    looks_first: bool,
    /// Whether the last request was answered.
    is_there: bool,
    /// Whether that was a look.
    has_looked: bool,
    /// Whether the last poll that hung was let go early and without news, and the server was not lost since.
    was_let_go: bool,
    backoff: Backoff,
    /// Nothing is asked before.
    rests_until: Option<Instant>,
}

/// What is asked of the server next.
enum Next {
    /// A configuration; the number tells whether it is still the one that was followed.
    Fetch(ConfigKey, u64),
    /// What has changed; the server answers at once.
    Look,
    /// What has changed; the server answers once something has.
    Hang,
    /// Nothing, until something is due.
    Rest,
}

/// Why nothing is being waited for any more.
enum Turn {
    Asked(Result<Answer, TransportError>),
    /// The heart was not answered.
    Missed,
    /// Something else is due.
    Due,
    /// Nobody can ask for more, or nothing can be kept any more.
    Over,
}

impl Follower {
    pub(crate) fn new(settings: Settings, cache: Arc<Cache>, observe: Arc<dyn Observe>) -> io::Result<Self> {
        let (disk, ends) = Disk::start(&settings.snapshots, &settings.server)?;
        Ok(Self {
            transport: Transport::new(&settings.server, settings.request_timeout),
            backoff: Backoff::new(settings.backoff_min, settings.backoff_max),
            known: Known::new(settings, cache, observe, disk),
            ends,
            looks_only: true,
            was_lost: false,
            looks_first: false,
            is_there: false,
            has_looked: false,
            was_let_go: false,
            rests_until: None,
        })
    }

    /// Follows until nobody can ask for more, or nothing can be kept any more.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let (missed, mut misses) = watch::channel(0_u64);
        let (settings, observe) = (self.known.settings.clone(), Arc::clone(&self.known.observe));
        let heart = tokio::spawn(request::beat(settings, observe, missed));
        while self.step(&mut commands, &mut misses).await {}
        heart.abort();
    }

    /// Does one thing; false once that is the end.
    async fn step(
        &mut self,
        commands: &mut mpsc::Receiver<Command>,
        misses: &mut watch::Receiver<u64>,
    ) -> bool {
        let next = self.next();
        let began = Instant::now();
        misses.mark_unchanged();
        let turn = self.turn(&next, commands, misses).await;
        match turn {
            Turn::Over => return false,
            Turn::Due => {}
            Turn::Missed => self.lose(&next, "no answer to the heartbeat".to_owned()),
            Turn::Asked(Ok(answer)) => match self.take(&next, began, &answer) {
                Ok(()) => {
                    (self.is_there, self.has_looked) = (true, matches!(next, Next::Look));
                    self.known.reached();
                }
                Err(reason) => self.lose(&next, reason),
            },
            Turn::Asked(Err(error)) => self.fail(&next, &error),
        }
        true
    }

    /// Takes in that a request got no answer.
    fn fail(&mut self, next: &Next, error: &TransportError) {
        match (next, error) {
            (_, TransportError::Connect { .. }) => self.lose(next, error.to_string()),
            // It may be this one alone that is not answered, and the next look tells.
            (Next::Fetch(key, number), _) if self.is_there => {
                self.miss(next);
                self.known.leave_unanswered(key, *number, error.to_string());
            }
            _ => self.lose(next, error.to_string()),
        }
    }

    /// A request was not answered.
    fn miss(&mut self, next: &Next) {
        (self.is_there, self.has_looked) = (false, false);
        (self.was_lost, self.looks_first) = (true, matches!(next, Next::Fetch(..)));
        self.mark_gap();
    }

    /// What the server says on another connection comes after a gap, and is looked at before anything hangs on it.
    fn mark_gap(&mut self) {
        self.looks_only = true;
        self.known.mark_gap();
    }

    /// The server does not answer, whatever it is asked.
    fn lose(&mut self, next: &Next, reason: String) {
        self.miss(next);
        self.was_let_go = false;
        if let Next::Fetch(key, number) = next {
            self.known.move_back(key, *number);
        }
        self.known.lose(reason);
        self.rest();
    }

    fn take(&mut self, next: &Next, began: Instant, answer: &Answer) -> Result<(), String> {
        if answer.after_gap {
            self.mark_gap();
        }
        if let Next::Fetch(key, number) = next {
            self.known.take(key, *number, answer);
            self.backoff.reset();
            return Ok(());
        }
        let has_news = match self.known.take_pushed(answer) {
            Some(has_news) => has_news,
            None => self.known.take_changes(answer)?,
        };
        self.looks_only = false;
        let (has_hung, took) = (matches!(next, Next::Hang), began.elapsed());
        if has_hung {
            self.was_let_go = !has_news && took < LET_GO_BEFORE;
        }
        // That it answers a look does not mean that it lets polls hang.
        if !self.was_let_go || (has_hung && took >= HANGS_AT_LEAST) {
            self.backoff.reset();
        }
        if has_hung && self.was_let_go {
            self.rest();
        }
        Ok(())
    }

    fn next(&self) -> Next {
        if self.is_deaf() || self.is_resting() {
            return Next::Rest;
        }
        if self.looks_first && self.looks_only && self.known.has_to_poll() {
            return Next::Look;
        }
        if let Some((key, number)) = self.known.due(Instant::now()) {
            return Next::Fetch(key, number);
        }
        match (self.known.has_to_poll(), self.looks_only) {
            (false, _) => Next::Rest,
            (true, true) => Next::Look,
            // What a poll on a new connection says counts as after a gap, however long it hung; so it is looked first. Not twice: a
            // server may close the connection after each answer.
            (true, false) if self.transport.is_lost() && !self.has_looked => Next::Look,
            (true, false) => Next::Hang,
        }
    }

    fn is_resting(&self) -> bool {
        self.rests_until.is_some_and(|until| until > Instant::now())
    }

    fn is_deaf(&self) -> bool {
        self.known.settings.plant == Plant::Deaf && self.was_lost
    }

    /// When a rest ends, if nothing that comes in ends it.
    fn rest_ends(&self) -> Option<Instant> {
        let rests_until = self.rests_until.filter(|_| self.is_resting());
        if self.is_deaf() {
            None
        } else {
            rests_until.or_else(|| self.known.next_due())
        }
    }

    fn rest(&mut self) {
        let pause = self.backoff.next(&mut self.known.jitter);
        self.rests_until = Some(Instant::now() + pause);
    }

    /// Asks what is next, and meanwhile takes in what is asked of this task and what the disk has done.
    async fn turn(
        &mut self,
        next: &Next,
        commands: &mut mpsc::Receiver<Command>,
        misses: &mut watch::Receiver<u64>,
    ) -> Turn {
        let asked = match next {
            Next::Fetch(key, _) => Some((request::fetch(key), self.known.settings.request_timeout)),
            Next::Look => Some(self.known.poll(false)),
            Next::Hang => Some(self.known.poll(true)),
            Next::Rest => None,
        };
        let (is_asking, rest_ends) = (asked.is_some(), self.rest_ends());
        let Self {
            known,
            transport,
            ends,
            ..
        } = self;
        let mut asking = pin!(ask(transport, asked.as_ref()));
        loop {
            let wakes_at = match next {
                Next::Fetch(..) | Next::Look => None,
                Next::Hang => known.next_due(),
                Next::Rest => rest_ends,
            };
            tokio::select! {
                answer = &mut asking, if is_asking => return Turn::Asked(answer),
                done = ends.recv() => {
                    let Some(done) = done else {
                        known.lose_disk();
                        return Turn::Over;
                    };
                    known.done(done).await;
                }
                command = commands.recv(), if known.has_room() => match command {
                    Some(command) => known.admit(command),
                    None => return Turn::Over,
                },
                Ok(()) = misses.changed(), if is_asking => return Turn::Missed,
                () = at(wakes_at) => return Turn::Due,
            }
            if !is_asking {
                // What came in may be something to ask for.
                return Turn::Due;
            }
        }
    }
}

async fn ask(transport: &mut Transport, asked: Option<&(Ask, Duration)>) -> Result<Answer, TransportError> {
    match asked {
        Some((ask, within)) => transport.ask(ask, *within).await,
        None => std::future::pending().await,
    }
}

/// Done at an instant; never, where there is none.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::Incident;

    /// Keeps what is told.
    #[derive(Debug, Default)]
    struct Heard(Mutex<Vec<Incident>>);

    impl Observe for Heard {
        fn note(&self, incident: &Incident) {
            self.0.lock().unwrap().push(incident.clone());
        }
    }

    #[tokio::test]
    async fn where_the_thread_that_keeps_snapshots_has_ended_that_is_told_and_nobody_waits_any_more() {
        let folder = tempfile::tempdir().unwrap();
        // Nobody is there.
        let settings = Settings::new("127.0.0.1:1", folder.path());
        let cache = Arc::new(Cache::new(settings.entries_max));
        let heard = Arc::new(Heard::default());
        let mut follower = Follower::new(settings, Arc::clone(&cache), Arc::clone(&heard) as _).unwrap();
        let (done, ends) = mpsc::unbounded_channel();
        follower.ends = ends;
        let (commands, waiting) = mpsc::channel(1);
        let key = ConfigKey::new("a", "G", "").unwrap();
        let (reply, answer) = oneshot::channel();
        commands.send(Command::Get { key, reply }).await.unwrap();
        let following = tokio::spawn(follower.run(waiting));
        // It is taken in, and waits for the disk.
        drop(commands.reserve().await.unwrap());
        drop(done);
        assert!(answer.await.is_err());
        following.await.unwrap();
        assert!(commands.is_closed() && !cache.is_connected());
        let told = |told: &&Incident| matches!(told, Incident::SnapshotFailed { reason, .. } if reason.contains("has ended"));
        assert_eq!(heard.0.lock().unwrap().iter().filter(told).count(), 1);
    }
}
