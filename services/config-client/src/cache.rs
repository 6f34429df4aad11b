//! What readers see. Each configuration has a slot; a slot has one pointer to an entry, which never changes once it is there.
//! An update makes a new entry and swaps the pointer, so whoever reads sees the old one or the new one whole, and waits for
//! nobody.
//!
//! The slots stand in a map that is copied for each new one and swapped too. Only the thread that follows the server does
//! either.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use tokio::sync::{mpsc, watch};

use crate::follow::Command;
use crate::key::{ConfigKey, KeyHash};

type Slots = HashMap<ConfigKey, Arc<Slot>, KeyHash>;

/// One version of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Greater than that of any entry that was seen before it.
    pub version: u64,
    /// The content; `None` where there is no such configuration.
    pub content: Option<Arc<str>>,
    /// The content's MD5; empty where there is none.
    pub md5: Arc<str>,
    /// `json`, `text` and so on.
    pub kind: Arc<str>,
    /// Whether the server was seen to have it since this client started; else it comes from a snapshot.
    pub live: bool,
}

/// An entry that is being read. It does not keep the slot from moving on.
pub struct Cached(Guard<Option<Arc<Entry>>>);

/// A configuration that stays in memory and can be waited for.
#[derive(Debug)]
pub struct Watch {
    slot: Arc<Slot>,
    ticks: watch::Receiver<u64>,
    /// The version that was last returned.
    seen: Option<u64>,
    /// Keeps the client going.
    _client: mpsc::Sender<Command>,
}

/// A configuration's place in the cache.
#[derive(Debug)]
pub(crate) struct Slot {
    entry: ArcSwapOption<Entry>,
    /// When it was last read, on the cache's clock.
    used: AtomicU64,
    watches: AtomicUsize,
    /// Goes up with each entry.
    ticks: watch::Sender<u64>,
    clock: Arc<AtomicU64>,
}

/// Why there is no room for another slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crowded {
    /// Every slot is watched.
    Watched,
    /// Of some, somebody waits for the first content. Once it has come there is room.
    Awaited,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Cache {
    slots: ArcSwap<Slots>,
    /// Goes up with each new slot: who was read since which one came is all that decides who goes.
    clock: Arc<AtomicU64>,
    connected: AtomicBool,
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self {
            slots: ArcSwap::default(),
            clock: Arc::default(),
            connected: AtomicBool::new(false),
        }
    }

    /// What is in the slot of a configuration.
    #[inline]
    pub(crate) fn read(&self, key: &ConfigKey) -> Option<Cached> {
        self.slots.load().get(key)?.current()
    }

    /// A new slot; the one that was not read for longest makes room for it, if need be, and is named. One that is watched stays, and
    /// so does one that `is_awaited`.
    pub(crate) fn insert(
        &self,
        key: &ConfigKey,
        slots_max: usize,
        is_awaited: impl Fn(&ConfigKey) -> bool,
    ) -> Result<(Arc<Slot>, Option<ConfigKey>), Crowded> {
        let mut slots = Slots::clone(&self.slots.load());
        let mut evicted = None;
        if slots.len() >= slots_max {
            let idle: Vec<_> = slots
                .iter()
                .filter(|(_, slot)| slot.watches.load(Ordering::Relaxed) == 0)
                .collect();
            if idle.is_empty() {
                return Err(Crowded::Watched);
            }
            let oldest = idle
                .into_iter()
                .filter(|(key, _)| !is_awaited(key))
                .min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed));
            let oldest = oldest.map(|(key, _)| key.clone()).ok_or(Crowded::Awaited)?;
            slots.remove(&oldest);
            evicted = Some(oldest);
        }
        let now = self.clock.fetch_add(1, Ordering::Relaxed) + 1;
        let slot = Arc::new(Slot {
            entry: ArcSwapOption::empty(),
            used: AtomicU64::new(now),
            watches: AtomicUsize::new(0),
            ticks: watch::Sender::new(0),
            clock: Arc::clone(&self.clock),
        });
        slots.insert(key.clone(), Arc::clone(&slot));
        self.slots.store(Arc::new(slots));
        Ok((slot, evicted))
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Sets whether the server answers; returns whether that is news.
    pub(crate) fn set_connected(&self, connected: bool) -> bool {
        self.connected.swap(connected, Ordering::Relaxed) != connected
    }
}

impl Slot {
    /// What is there, if anything is yet.
    #[inline]
    pub(crate) fn current(&self) -> Option<Cached> {
        let now = self.clock.load(Ordering::Relaxed);
        // Mostly it is so already, and a store would take the line away from other readers.
        if self.used.load(Ordering::Relaxed) != now {
            self.used.store(now, Ordering::Relaxed);
        }
        let entry = self.entry.load();
        entry.is_some().then(|| Cached(entry))
    }

    /// What is held, without counting as a read.
    pub(crate) fn held(&self) -> Option<Arc<Entry>> {
        self.entry.load_full()
    }

    /// Shows readers another entry from now on.
    pub(crate) fn swap(&self, entry: Entry) {
        self.entry.store(Some(Arc::new(entry)));
        self.ticks.send_modify(|ticks| *ticks += 1);
    }
}

impl Watch {
    pub(crate) fn new(slot: Arc<Slot>, client: mpsc::Sender<Command>) -> Self {
        slot.watches.fetch_add(1, Ordering::Relaxed);
        Self {
            ticks: slot.ticks.subscribe(),
            slot,
            seen: None,
            _client: client,
        }
    }

    /// What there is now; `None` until the server or a snapshot was read for the first time.
    #[inline]
    pub fn current(&self) -> Option<Cached> {
        self.slot.current()
    }

    /// Waits until there is a version that this watch has not returned, and returns the newest. What [`Watch::current`]
    /// returned before is never newer. Nothing is lost if it is dropped while it waits.
    pub async fn changed(&mut self) -> Arc<Entry> {
        loop {
            self.ticks.mark_unchanged();
            if let Some(entry) = self
                .slot
                .current()
                .filter(|entry| self.seen != Some(entry.version))
            {
                self.seen = Some(entry.version);
                return entry.to_entry();
            }
            if self.ticks.changed().await.is_err() {
                // The slot holds the sender, and this holds the slot.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.slot.watches.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Cached {
    /// An entry of one's own.
    pub fn to_entry(&self) -> Arc<Entry> {
        Arc::clone(self.0.as_ref().expect("it is only made of an entry"))
    }
}

impl Deref for Cached {
    type Target = Entry;

    #[inline]
    fn deref(&self) -> &Entry {
        self.0.as_ref().expect("it is only made of an entry")
    }
}

impl std::fmt::Debug for Cached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cached").field(&**self).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Cache, Crowded, Entry};
    use crate::key::ConfigKey;

    fn key(name: &str) -> ConfigKey {
        ConfigKey::new(name, "G", "").unwrap()
    }

    fn entry(version: u64) -> Entry {
        Entry {
            version,
            content: Some("x".into()),
            md5: "".into(),
            kind: "text".into(),
            live: true,
        }
    }

    fn insert(cache: &Cache, name: &str, slots_max: usize) -> Result<Option<ConfigKey>, Crowded> {
        cache
            .insert(&key(name), slots_max, |_| false)
            .map(|(_, evicted)| evicted)
    }

    #[test]
    fn the_one_that_was_not_read_for_longest_makes_room() {
        let cache = Cache::new();
        for name in ["a", "b", "c"] {
            cache.insert(&key(name), 3, |_| false).unwrap().0.swap(entry(1));
        }
        assert!(cache.read(&key("a")).is_some() && cache.read(&key("c")).is_some());
        assert_eq!(insert(&cache, "d", 3), Ok(Some(key("b"))));
        assert!(cache.read(&key("a")).is_some());
        assert_eq!(insert(&cache, "e", 3), Ok(Some(key("c"))));
        assert!(cache.read(&key("a")).is_some() && cache.read(&key("c")).is_none());
    }

    #[tokio::test]
    async fn what_is_watched_stays() {
        let cache = Cache::new();
        let (slot, _) = cache.insert(&key("a"), 1, |_| false).unwrap();
        let (client, _commands) = tokio::sync::mpsc::channel(1);
        let mut watch = super::Watch::new(Arc::clone(&slot), client);
        assert_eq!(insert(&cache, "b", 1), Err(Crowded::Watched));
        slot.swap(entry(7));
        assert_eq!(watch.changed().await.version, 7);
        drop(watch);
        let awaited = cache.insert(&key("b"), 1, |_| true).unwrap_err();
        assert_eq!(awaited, Crowded::Awaited);
        assert_eq!(insert(&cache, "b", 1), Ok(Some(key("a"))));
    }
}
