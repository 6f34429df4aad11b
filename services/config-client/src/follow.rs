//! The thread that follows the server: fetches what was asked for, hangs in one long poll for all of it, and notices by its
//! heartbeat when the server is gone although the connection is not.
//!
//! After the connection was lost it asks with growing pauses, first for a list of what has changed without hanging, so that it knows
//! where it stands. Every time here is a length on the monotonic clock.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use form_urlencoded::Serializer;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval_at, sleep};

use crate::cache::{Cache, Entry, Slot};
use crate::checksum::md5;
use crate::incident::{Incident, Observe};
use crate::key::{ConfigKey, KeyHash};
use crate::listening;
use crate::order::{Held, Judgement, Seen, judge};
use crate::protocol::{CONFIG_TYPE, CONFIGS, CONTENT_MD5, HANGS, LISTENER, LIVENESS, NO_HANGUP, VERSION};
use crate::snapshot::{Snapshot, Snapshots};
use crate::transport::{Answer, Ask, Transport};
use crate::{Plant, Settings};

/// A Nacos server lets a poll hang for at least this long, whatever it is told.
const HANGS_MIN: Duration = Duration::from_secs(10);
/// How long the planted torn write stays torn.
const TORN_FOR: Duration = Duration::from_millis(5);

/// Asks for a slot for a configuration.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) key: ConfigKey,
    pub(crate) reply: oneshot::Sender<Option<Arc<Slot>>>,
}

/// What is known of a configuration that is followed.
#[derive(Debug)]
struct Followed {
    slot: Arc<Slot>,
    held: Option<Held>,
    /// The MD5 that the server had when it was last asked, be it older than what is held: what changes from here on is
    /// news.
    said: Arc<str>,
    /// Whether it is to be fetched.
    is_due: bool,
    /// Whether the connection was lost since the server was last heard of it.
    after_gap: bool,
}

/// See the module.
pub(crate) struct Follower {
    settings: Settings,
    cache: Arc<Cache>,
    observe: Arc<dyn Observe>,
    snapshots: Snapshots,
    transport: Transport,
    followed: HashMap<ConfigKey, Followed, KeyHash>,
    /// Whether the last attempt failed.
    is_away: bool,
    /// Whether the next poll only looks.
    looks_only: bool,
    was_lost: bool,
    backoff: Duration,
    jitter: u32,
}

impl Follower {
    pub(crate) fn new(settings: Settings, cache: Arc<Cache>, observe: Arc<dyn Observe>) -> io::Result<Self> {
        let mut drawn = [0; 4];
        // Where there were none, clients would only come back in step.
        let _ = getrandom(&mut drawn, GetRandomFlags::empty());
        Ok(Self {
            snapshots: Snapshots::open(&settings.snapshots)?,
            transport: Transport::new(&settings.server, settings.request_timeout),
            followed: HashMap::default(),
            is_away: false,
            looks_only: true,
            was_lost: false,
            backoff: settings.backoff_min,
            jitter: u32::from_ne_bytes(drawn) | 1,
            settings,
            cache,
            observe,
        })
    }

    /// Follows until nobody can ask for more.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let (missed, mut misses) = watch::channel(0_u64);
        let heart = tokio::spawn(beat(self.settings.clone(), Arc::clone(&self.observe), missed));
        while self.step(&mut commands, &mut misses).await {}
        heart.abort();
    }

    /// Does one thing; false once nobody can ask for more.
    async fn step(
        &mut self,
        commands: &mut mpsc::Receiver<Command>,
        misses: &mut watch::Receiver<u64>,
    ) -> bool {
        while let Ok(command) = commands.try_recv() {
            self.admit(command);
        }
        let is_deaf = self.settings.plant == Plant::Deaf && self.was_lost;
        if self.followed.is_empty() || is_deaf {
            return self.admit_next(commands).await;
        }
        let due = self.followed.iter().find(|(_, followed)| followed.is_due);
        let due = due.map(|(key, _)| key.clone());
        let (ask, within) = match &due {
            Some(key) => (fetch(key), self.settings.request_timeout),
            None => self.poll(),
        };
        misses.mark_unchanged();
        let looks = self.looks_only || due.is_some();
        let asked = tokio::select! {
            asked = self.transport.ask(&ask, within) => asked.map_err(|error| error.to_string()),
            // A poll that hangs does not know of it, and starts again with it.
            command = commands.recv(), if !looks => {
                return command.map(|command| self.admit(command)).is_some();
            }
            Ok(()) = misses.changed() => Err("no answer to the heartbeat".to_owned()),
        };
        let taken = match (asked, &due) {
            (Ok(answer), Some(key)) => self.take(key, &answer).await,
            (Ok(answer), None) => self.take_changes(&answer),
            (Err(reason), _) => Err(reason),
        };
        match taken {
            Ok(()) => {
                self.is_away = false;
                self.backoff = self.settings.backoff_min;
                if self.cache.set_connected(true) {
                    self.observe.note(&Incident::Connected);
                }
                true
            }
            Err(reason) => {
                self.lose(reason);
                let pause = self.next_pause();
                tokio::select! {
                    () = sleep(pause) => true,
                    goes_on = self.admit_next(commands) => goes_on,
                }
            }
        }
    }

    async fn admit_next(&mut self, commands: &mut mpsc::Receiver<Command>) -> bool {
        let command = commands.recv().await;
        command.map(|command| self.admit(command)).is_some()
    }

    /// Gives a configuration a slot, and follows it from now on.
    fn admit(&mut self, command: Command) {
        let Command { key, reply } = command;
        if let Some(followed) = self.followed.get(&key) {
            let _ = reply.send(Some(Arc::clone(&followed.slot)));
            return;
        }
        let Some((slot, evicted)) = self.cache.insert(&key, self.settings.entries_max) else {
            let _ = reply.send(None);
            return;
        };
        if let Some(key) = evicted {
            self.followed.remove(&key);
            self.observe.note(&Incident::Evicted { key });
        }
        let followed = Followed {
            slot: Arc::clone(&slot),
            held: None,
            said: "".into(),
            is_due: true,
            // What a snapshot holds was heard of by an earlier client.
            after_gap: true,
        };
        self.followed.insert(key.clone(), followed);
        self.load(&key);
        if self.is_away {
            self.fall_back(&key);
        }
        let _ = reply.send(Some(slot));
    }

    /// Reads what a snapshot holds, so that nothing older is ever shown.
    fn load(&mut self, key: &ConfigKey) {
        let read = self.snapshots.read(key, &self.settings.server);
        match read {
            Ok(Some(snapshot)) => {
                if let Some(followed) = self.followed.get_mut(key) {
                    followed.held = Some(snapshot.held);
                }
            }
            Ok(None) => {}
            Err(error) => self.observe.note(&Incident::SnapshotIgnored {
                file: self.snapshots.path(key).display().to_string(),
                what: error.to_string(),
            }),
        }
    }

    /// Shows what a snapshot holds, where nothing is shown yet; without one, tells those who wait that there is nothing.
    fn fall_back(&mut self, key: &ConfigKey) {
        let Some(followed) = self
            .followed
            .get(key)
            .filter(|followed| followed.slot.held().is_none())
        else {
            return;
        };
        let snapshot = self.snapshots.read(key, &self.settings.server);
        let Ok(Some(snapshot)) = snapshot else {
            return followed.slot.tick();
        };
        let version = snapshot.held.version;
        followed.slot.swap(Entry {
            version,
            content: snapshot.content,
            md5: snapshot.held.md5,
            kind: snapshot.kind,
            live: false,
        });
        let key = key.clone();
        self.observe.note(&Incident::FromSnapshot { key, version });
    }

    fn lose(&mut self, reason: String) {
        let was_away = std::mem::replace(&mut self.is_away, true);
        (self.looks_only, self.was_lost) = (true, true);
        for followed in self.followed.values_mut() {
            followed.after_gap = true;
        }
        let was_connected = self.cache.set_connected(false);
        // Told once, not with each attempt.
        if was_connected || !was_away {
            let incident = Incident::Away {
                reason,
                was_connected,
            };
            self.observe.note(&incident);
        }
        for key in self.followed.keys().cloned().collect::<Vec<_>>() {
            self.fall_back(&key);
        }
    }

    /// The pause before the next attempt: between half and all of the backoff, so that clients don't come in step.
    fn next_pause(&mut self) -> Duration {
        // Marsaglia's xorshift: any spread will do.
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 17;
        self.jitter ^= self.jitter << 5;
        let pause = self
            .backoff
            .mul_f64(0.5 + 0.5 * f64::from(self.jitter) / f64::from(u32::MAX));
        self.backoff = (self.backoff * 2).min(self.settings.backoff_max);
        pause
    }

    /// The next poll, and how long it may take.
    fn poll(&self) -> (Ask, Duration) {
        let watched = self.followed.iter().map(|(key, followed)| (key, &*followed.said));
        let form = Serializer::new(String::new())
            .append_pair("Listening-Configs", &listening::format(watched))
            .finish();
        let mut headers = HeaderMap::new();
        headers.insert(HANGS, HeaderValue::from(self.settings.poll.as_millis() as u64));
        let mut within = self.settings.poll.max(HANGS_MIN) + self.settings.request_timeout;
        if self.looks_only {
            headers.insert(NO_HANGUP, HeaderValue::from_static("true"));
            within = self.settings.request_timeout;
        }
        let ask = Ask {
            method: Method::POST,
            target: LISTENER.to_owned(),
            headers,
            form,
        };
        (ask, within)
    }

    /// What has changed is to be fetched; the rest is as it was when the server was last asked.
    fn take_changes(&mut self, answer: &Answer) -> Result<(), String> {
        if answer.status != StatusCode::OK {
            return Err(format!("the listener answered {}", answer.status));
        }
        let changed = listening::parse_answer(&String::from_utf8_lossy(&answer.body));
        self.looks_only = false;
        for followed in self.followed.values_mut() {
            followed.is_due = false;
        }
        for key in &changed {
            if let Some(followed) = self.followed.get_mut(key) {
                followed.is_due = true;
            }
        }
        for followed in self.followed.values_mut().filter(|followed| !followed.is_due) {
            followed.after_gap = false;
        }
        Ok(())
    }

    /// Takes a configuration as the server has it.
    async fn take(&mut self, key: &ConfigKey, answer: &Answer) -> Result<(), String> {
        let (content, md5) = match answer.status {
            StatusCode::OK => {
                let content = String::from_utf8_lossy(&answer.body);
                let md5 = md5(&content);
                let told = answer
                    .headers
                    .get(CONTENT_MD5)
                    .and_then(|told| told.to_str().ok());
                if told.is_some_and(|told| !told.is_empty() && told != md5) {
                    self.observe.note(&Incident::Mismatch { key: key.clone() });
                    return Err(format!("the content of {key} has not the MD5 that came with it"));
                }
                (Some(Arc::from(content)), md5)
            }
            StatusCode::NOT_FOUND => (None, String::new()),
            status => return Err(format!("the server answered {status} to a request for {key}")),
        };
        let header = |name: HeaderName| answer.headers.get(name).and_then(|value| value.to_str().ok());
        let Some(followed) = self.followed.get_mut(key) else {
            return Ok(());
        };
        let seen = Seen {
            version: header(VERSION).and_then(|version| version.parse().ok()),
            md5: md5.into(),
            after_gap: followed.after_gap,
        };
        (followed.is_due, followed.after_gap) = (false, false);
        followed.said = Arc::clone(&seen.md5);
        let kind: Arc<str> = header(CONFIG_TYPE).unwrap_or("text").into();
        let judgement = planted(self.settings.plant, judge(followed.held.as_ref(), &seen), &seen);
        match judgement {
            Judgement::Newer(held) => self.update(key, held, content, kind).await,
            Judgement::Same => self.confirm(key, content, kind),
            Judgement::Stale => self.keep(key, &seen),
        }
        Ok(())
    }

    /// Shows a newer version, once it is on disk.
    async fn update(&mut self, key: &ConfigKey, held: Held, content: Option<Arc<str>>, kind: Arc<str>) {
        let snapshot = Snapshot {
            server: self.settings.server.clone(),
            key: key.clone(),
            held: held.clone(),
            content: content.clone(),
            kind: Arc::clone(&kind),
        };
        if let Err(error) = self.snapshots.write(&snapshot) {
            self.observe.note(&Incident::SnapshotFailed {
                file: self.snapshots.path(key).display().to_string(),
                reason: error.to_string(),
            });
        }
        let Some(followed) = self.followed.get_mut(key) else {
            return;
        };
        let entry = Entry {
            version: held.version,
            content,
            md5: Arc::clone(&held.md5),
            kind,
            live: true,
        };
        let version = held.version;
        followed.held = Some(held);
        if self.settings.plant == Plant::Torn
            && let Some(old) = followed.slot.held()
        {
            let content = old.content.clone();
            followed.slot.swap(Entry {
                content,
                ..entry.clone()
            });
            sleep(TORN_FOR).await;
        }
        followed.slot.swap(entry);
        let key = key.clone();
        self.observe.note(&Incident::Updated { key, version });
    }

    /// The server has what is held: a snapshot that is shown is live from now on, one that is not is shown.
    fn confirm(&mut self, key: &ConfigKey, content: Option<Arc<str>>, kind: Arc<str>) {
        let Some(followed) = self.followed.get(key) else {
            return;
        };
        let is_live = followed.slot.held().is_some_and(|entry| entry.live);
        if let Some(held) = followed.held.as_ref().filter(|_| !is_live) {
            followed.slot.swap(Entry {
                version: held.version,
                content,
                md5: Arc::clone(&held.md5),
                kind,
                live: true,
            });
        }
    }

    /// The server has something older: what is held stays, and is shown.
    fn keep(&mut self, key: &ConfigKey, seen: &Seen) {
        let held = self.followed.get(key).and_then(|followed| followed.held.as_ref());
        self.observe.note(&Incident::Stale {
            key: key.clone(),
            held: held.map_or(0, |held| held.version),
            seen: seen.version,
        });
        self.fall_back(key);
    }
}

/// What the planted bug makes of a judgement.
fn planted(plant: Plant, judgement: Judgement, seen: &Seen) -> Judgement {
    match judgement {
        Judgement::Stale if plant == Plant::TakesOlder => judge(None, seen),
        judgement => judgement,
    }
}

fn fetch(key: &ConfigKey) -> Ask {
    let mut query = Serializer::new(String::new());
    query.append_pair("dataId", key.data_id());
    query.append_pair("group", key.group());
    if !key.tenant().is_empty() {
        query.append_pair("tenant", key.tenant());
    }
    Ask::get(format!("{CONFIGS}?{}", query.finish()))
}

/// The version that the server has of a configuration, where it says so, on a connection of its own.
pub(crate) async fn peek(settings: &Settings, key: &ConfigKey) -> Result<Option<u64>, String> {
    let mut transport = Transport::new(&settings.server, settings.request_timeout);
    let asked = transport.ask(&fetch(key), settings.request_timeout).await;
    let answer = asked.map_err(|error| error.to_string())?;
    if answer.status != StatusCode::OK && answer.status != StatusCode::NOT_FOUND {
        return Err(format!("the server answered {}", answer.status));
    }
    let version = answer
        .headers
        .get(VERSION)
        .and_then(|version| version.to_str().ok());
    Ok(version.and_then(|version| version.parse().ok()))
}

/// Asks the server again and again whether it is there, on a connection of its own, and counts what it misses.
async fn beat(settings: Settings, observe: Arc<dyn Observe>, missed: watch::Sender<u64>) {
    let within = settings.request_timeout.min(settings.heartbeat);
    let mut transport = Transport::new(&settings.server, within);
    let mut ticks = interval_at(
        tokio::time::Instant::now() + settings.heartbeat,
        settings.heartbeat,
    );
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ask = Ask::get(LIVENESS.to_owned());
    loop {
        ticks.tick().await;
        // Any answer says that it is there, also that of a server that has no such path.
        match transport.ask(&ask, within).await {
            Ok(_) => observe.note(&Incident::Heartbeat),
            Err(_) => missed.send_modify(|missed| *missed += 1),
        }
    }
}
