//! What is known of each configuration that is followed, and what each answer of the server and each end of the disk makes of it.
//!
//! A version that comes is judged at once, kept on disk, and shown once it is there. While it is being written a newer one may
//! come; it waits for its turn, and replaces one that waits. So of each configuration at most one is written at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use tokio::time::{Instant, sleep};

use super::Command;
use super::followed::Followed;
use super::read::{Unread, read};
use crate::backoff::Jitter;
use crate::cache::{Cache, Crowded, Entry, Watch};
use crate::disk::{Disk, Done, Job, Outcome};
use crate::incident::{Incident, Observe};
use crate::key::{ConfigKey, KeyHash};
use crate::order::{Held, Judgement, Seen, judge};
use crate::protocol::{CHANGED, CONFIG_TYPE, VERSION};
use crate::snapshot::Snapshot;
use crate::transport::{Answer, Ask};
use crate::{GetError, Plant, Settings, listening, request};

/// What is due this soon is fetched along with what is due now, as each fetch ends a poll that hangs.
const TOGETHER: Duration = Duration::from_millis(50);
/// How long the planted torn write stays torn.
const TORN_FOR: Duration = Duration::from_millis(5);

/// See the module.
pub(super) struct Known {
    pub(super) settings: Settings,
    pub(super) observe: Arc<dyn Observe>,
    pub(super) jitter: Jitter,
    cache: Arc<Cache>,
    disk: Disk,
    followed: HashMap<ConfigKey, Followed, KeyHash>,
    number: u64,
    /// Whether the last attempt failed.
    is_away: bool,
    /// What has to wait until somebody who waits for an answer has one, since their places are not to be had before.
    held_back: Option<Command>,
}

impl Known {
    pub(super) fn new(settings: Settings, cache: Arc<Cache>, observe: Arc<dyn Observe>, disk: Disk) -> Self {
        Self {
            settings,
            observe,
            jitter: Jitter::new(),
            cache,
            disk,
            followed: HashMap::default(),
            number: 0,
            is_away: false,
            held_back: None,
        }
    }

    /// Whether more may be asked for.
    pub(super) fn has_room(&self) -> bool {
        self.held_back.is_none()
    }

    /// What is to be fetched now, if anything is, and its number.
    pub(super) fn due(&self, now: Instant) -> Option<(ConfigKey, u64)> {
        let due = self
            .followed
            .iter()
            .filter_map(|(key, followed)| Some((followed.due?, key, followed.number)));
        let (at, key, number) = due.min_by_key(|(at, ..)| *at)?;
        (at <= now + TOGETHER).then(|| (key.clone(), number))
    }

    /// When something is to be fetched.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.followed.values().filter_map(|followed| followed.due).min()
    }

    pub(super) fn has_to_poll(&self) -> bool {
        self.followed.values().any(Followed::is_to_be_polled)
    }

    /// The next poll, and how long it may take.
    pub(super) fn poll(&mut self, hangs: bool) -> (Ask, Duration) {
        for followed in self.followed.values_mut() {
            followed.is_polled = followed.is_to_be_polled();
        }
        let polled = self.followed.iter().filter(|(_, followed)| followed.is_polled);
        let watched = polled.map(|(key, followed)| (key, &*followed.said));
        request::poll(watched, hangs, &self.settings)
    }

    /// Does what somebody asks, or lets it wait until it can be done.
    pub(super) fn admit(&mut self, command: Command) {
        let (Command::Get { key, .. } | Command::Watch { key, .. }) = &command;
        let key = key.clone();
        match self.follow(&key) {
            Ok(()) => self.serve(&key, command),
            Err(Crowded::Awaited) => self.held_back = Some(command),
            Err(Crowded::Watched) => {
                let entries_max = self.settings.entries_max;
                refuse(command, GetError::Full { entries_max });
            }
        }
    }

    /// Follows a configuration from now on, if it is not followed already.
    fn follow(&mut self, key: &ConfigKey) -> Result<(), Crowded> {
        if self.followed.contains_key(key) {
            return Ok(());
        }
        let stays = |key: &ConfigKey| self.followed.get(key).and_then(Followed::stays);
        let (slot, evicted) = self.cache.insert(key, stays)?;
        if let Some(key) = evicted {
            self.followed.remove(&key);
            self.observe.note(&Incident::Evicted { key });
        }
        self.number += 1;
        let followed = Followed::new(self.number, slot);
        self.followed.insert(key.clone(), followed);
        self.disk.ask(Job::Read {
            key: key.clone(),
            number: self.number,
        });
        Ok(())
    }

    /// Gives what was asked for of a configuration that is followed.
    fn serve(&mut self, key: &ConfigKey, command: Command) {
        let Some(followed) = self.followed.get_mut(key) else {
            return;
        };
        match command {
            Command::Watch { client, reply, .. } => {
                let (cache, slot) = (Arc::clone(&self.cache), Arc::clone(&followed.slot));
                drop(reply.send(Ok(Watch::new(cache, slot, client))));
            }
            Command::Get { reply, .. } => match self.cache.held(&followed.slot) {
                Some(entry) => drop(reply.send(Ok(entry))),
                None => followed.waiting.push(reply),
            },
        }
        // Where it is known already that nothing comes, nobody waits for it.
        let refused = followed.refused.clone();
        if !followed.is_loading && (self.is_away || refused.is_some()) {
            self.fall_back(key, refused);
        }
    }

    /// Takes in what the disk has done.
    pub(super) async fn done(&mut self, done: Done) {
        let Done {
            key,
            number,
            file,
            outcome,
        } = done;
        match &outcome {
            Outcome::Read(Err(error)) => self.observe.note(&Incident::SnapshotIgnored {
                file,
                what: error.to_string(),
            }),
            Outcome::Written(_, Err(error)) => self.observe.note(&Incident::SnapshotFailed {
                file,
                reason: error.to_string(),
            }),
            Outcome::Read(Ok(_)) | Outcome::Written(_, Ok(())) => {}
        }
        let Some(followed) = self.followed.get_mut(&key).filter(|one| one.number == number) else {
            return;
        };
        match outcome {
            Outcome::Read(read) => {
                followed.kept = read.unwrap_or(None);
                followed.held = followed.kept.as_ref().map(|kept| kept.held.clone());
                followed.is_loading = false;
                followed.due = Some(Instant::now());
                if self.is_away {
                    self.fall_back(&key, None);
                }
            }
            Outcome::Written(entry, _) => {
                followed.is_writing = false;
                let next = followed.next.take();
                self.show(&key, entry).await;
                if let Some(next) = next {
                    self.keep_on_disk(&key, next);
                }
            }
        }
        self.retry_held_back();
    }

    /// The server answers.
    pub(super) fn reached(&mut self) {
        self.is_away = false;
        if self.cache.set_connected(true) {
            self.observe.note(&Incident::Connected);
        }
    }

    /// What the server says of each from now on comes after the connection was lost.
    pub(super) fn mark_gap(&mut self) {
        for followed in self.followed.values_mut() {
            followed.after_gap = true;
        }
    }

    /// The server does not answer, or not to what is asked of it for all.
    pub(super) fn lose(&mut self, reason: String) {
        let was_away = std::mem::replace(&mut self.is_away, true);
        let was_connected = self.cache.set_connected(false);
        // Told once, not with each attempt.
        if was_connected || !was_away {
            let incident = Incident::Away {
                reason,
                was_connected,
            };
            self.observe.note(&incident);
        }
        let waited_for = self
            .followed
            .iter()
            .filter(|(_, one)| !one.is_loading && self.cache.held(&one.slot).is_none());
        for key in waited_for.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.fall_back(&key, None);
        }
        self.retry_held_back();
    }

    /// Nothing can be kept any more, so nothing can be shown.
    pub(super) fn lose_disk(&mut self) {
        let reason = "the thread that reads and writes snapshots has ended, and the client with it";
        self.observe.note(&Incident::SnapshotFailed {
            file: self.settings.snapshots.display().to_string(),
            reason: reason.to_owned(),
        });
        self.lose(reason.to_owned());
    }

    /// Takes what came with the word that it has changed; `None` if that was the word alone, else whether it was what the poll asked
    /// for. Of the rest nothing was said.
    pub(super) fn take_pushed(&mut self, answer: &Answer) -> Option<bool> {
        let keys = listening::parse_answer(answer.header(CHANGED)?);
        let [key] = &keys[..] else {
            return Some(false);
        };
        let Some(followed) = self.followed.get_mut(key).filter(|one| one.is_polled) else {
            return Some(false);
        };
        (followed.is_told, followed.is_polled) = (true, false);
        let number = followed.number;
        self.take(key, number, answer);
        Some(true)
    }

    /// What has changed is to be fetched; the rest is as it was when the server was last asked. Whether anything has.
    pub(super) fn take_changes(&mut self, answer: &Answer) -> Result<bool, String> {
        if answer.status != StatusCode::OK {
            return Err(format!("the listener answered {}", answer.status));
        }
        let now = Instant::now();
        let mut has_news = false;
        for key in listening::parse_answer(&String::from_utf8_lossy(&answer.body)) {
            if let Some(followed) = self.followed.get_mut(&key).filter(|one| one.is_polled) {
                (followed.due, followed.is_told, followed.is_polled) = (Some(now), true, false);
                has_news = true;
            }
        }
        for followed in self.followed.values_mut().filter(|one| one.is_polled) {
            followed.after_gap = false;
            followed.backoff.reset();
        }
        Ok(has_news)
    }

    /// Takes a configuration as the server has it.
    pub(super) fn take(&mut self, key: &ConfigKey, number: u64, answer: &Answer) {
        let Some(followed) = self.followed.get_mut(key).filter(|one| one.number == number) else {
            return;
        };
        let read = match read(answer) {
            Ok(read) => read,
            Err(unread) => {
                if unread == Unread::Mismatch {
                    self.observe.note(&Incident::Mismatch { key: key.clone() });
                }
                return self.put_off(key, unread.to_string());
            }
        };
        let seen = Seen {
            version: answer.header(VERSION).and_then(|version| version.parse().ok()),
            md5: read.md5,
            after_gap: followed.after_gap,
        };
        // One that has changed, as the server says, and has not, would else be asked for without end.
        let says_nothing_new = followed.is_told && followed.said == seen.md5;
        followed.due = says_nothing_new.then(|| Instant::now() + followed.backoff.next(&mut self.jitter));
        (followed.is_told, followed.after_gap, followed.refused) = (false, false, None);
        followed.said = Arc::clone(&seen.md5);
        let judgement = planted(self.settings.plant, judge(followed.held.as_ref(), &seen), &seen);
        let entry = |held: &Held| Entry {
            version: held.version,
            content: read.content.clone(),
            md5: Arc::clone(&held.md5),
            kind: answer.header(CONFIG_TYPE).unwrap_or("text").into(),
            live: true,
        };
        match judgement {
            Judgement::Newer(held) => {
                let entry = entry(&held);
                followed.held = Some(held);
                self.keep_on_disk(key, entry);
            }
            Judgement::Same => {
                // A snapshot that is shown is live from now on; one that is not is shown.
                let is_live = self.cache.held(&followed.slot).is_some_and(|entry| entry.live);
                let held = followed
                    .held
                    .as_ref()
                    .filter(|_| !is_live && !followed.is_writing);
                if let Some(entry) = held.map(entry) {
                    followed.show(&self.cache, entry);
                }
            }
            Judgement::Stale => {
                self.observe.note(&Incident::Stale {
                    key: key.clone(),
                    held: followed.held.as_ref().map_or(0, |held| held.version),
                    seen: seen.version,
                });
                self.fall_back(key, None);
            }
        }
        self.retry_held_back();
    }

    /// The server was lost while it was asked for this one: others that are due come before it.
    pub(super) fn move_back(&mut self, key: &ConfigKey, number: u64) {
        if let Some(followed) = self.followed.get_mut(key).filter(|one| one.number == number) {
            followed.due = Some(Instant::now());
        }
    }

    /// The server was there a moment ago and did not answer when it was asked for this one.
    pub(super) fn leave_unanswered(&mut self, key: &ConfigKey, number: u64, reason: String) {
        if self.followed.get(key).is_some_and(|one| one.number == number) {
            self.put_off(key, reason);
        }
    }

    /// The server is there and does not give this one: asked for again after a pause of its own.
    fn put_off(&mut self, key: &ConfigKey, reason: String) {
        let Some(followed) = self.followed.get_mut(key) else {
            return;
        };
        followed.due = Some(Instant::now() + followed.backoff.next(&mut self.jitter));
        if followed.refused.replace(reason.clone()).is_none() {
            let key = key.clone();
            let reason = reason.clone();
            self.observe.note(&Incident::Refused { key, reason });
        }
        self.fall_back(key, Some(reason));
        self.retry_held_back();
    }

    /// Shows what a snapshot holds, where nothing is shown yet; without one, tells those who wait that there is nothing: since the
    /// server refused it, or else since it is away.
    fn fall_back(&mut self, key: &ConfigKey, refused: Option<String>) {
        let Some(followed) = self.followed.get_mut(key) else {
            return;
        };
        if self.cache.held(&followed.slot).is_some() || followed.is_writing {
            return;
        }
        if let Some(snapshot) = followed.kept.take() {
            let version = snapshot.held.version;
            followed.show(
                &self.cache,
                Entry {
                    version,
                    content: snapshot.content,
                    md5: snapshot.held.md5,
                    kind: snapshot.kind,
                    live: false,
                },
            );
            let key = key.clone();
            return self.observe.note(&Incident::FromSnapshot { key, version });
        }
        let (server, key) = (self.settings.server.clone(), key.clone());
        let error = match refused {
            Some(reason) => GetError::Refused { server, key, reason },
            None => GetError::Away { server, key },
        };
        for waiting in followed.waiting.drain(..) {
            drop(waiting.send(Err(error.clone())));
        }
    }

    /// Writes a version that is shown once it is on disk.
    fn keep_on_disk(&mut self, key: &ConfigKey, entry: Entry) {
        let Some(followed) = self.followed.get_mut(key) else {
            return;
        };
        let Some(held) = followed.held.clone() else {
            return;
        };
        if followed.is_writing {
            followed.next = Some(entry);
            return;
        }
        followed.is_writing = true;
        let snapshot = Snapshot {
            server: self.settings.server.clone(),
            key: key.clone(),
            held,
            content: entry.content.clone(),
            kind: Arc::clone(&entry.kind),
        };
        self.disk.ask(Job::Write {
            snapshot,
            number: followed.number,
            entry,
        });
    }

    async fn show(&mut self, key: &ConfigKey, entry: Entry) {
        let Some(followed) = self.followed.get_mut(key) else {
            return;
        };
        let version = entry.version;
        if self.settings.plant == Plant::Torn
            && let Some(old) = self.cache.held(&followed.slot)
        {
            let content = old.content.clone();
            self.cache.show(
                &followed.slot,
                Entry {
                    content,
                    ..entry.clone()
                },
            );
            sleep(TORN_FOR).await;
        }
        followed.show(&self.cache, entry);
        let key = key.clone();
        self.observe.note(&Incident::Updated { key, version });
    }

    /// Who waited has gone with an answer: there may be room for what was held back.
    fn retry_held_back(&mut self) {
        if let Some(command) = self.held_back.take() {
            self.admit(command);
        }
    }
}

/// What the planted bug makes of a judgement.
fn planted(plant: Plant, judgement: Judgement, seen: &Seen) -> Judgement {
    match judgement {
        Judgement::Stale if plant == Plant::TakesOlder => judge(None, seen),
        judgement => judgement,
    }
}

fn refuse(command: Command, error: GetError) {
    match command {
        Command::Get { reply, .. } => drop(reply.send(Err(error))),
        Command::Watch { reply, .. } => drop(reply.send(Err(error))),
    }
}
