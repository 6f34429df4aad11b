//! What readers see: one pointer to a view of all configurations in memory, which never changes once it is there. An update makes a
//! new view, which shares all else with the old one, and swaps the pointer; so whoever reads sees the old entry or the new one whole,
//! also if it reads it by a watch and then by its key, and waits for nobody.
//!
//! A configuration has a place in the view for as long as it is in memory. Only the thread that follows the server gives places away
//! and swaps the pointer. A read writes nothing that another thread reads, but for a stamp by which it is known who was not read for
//! longest, and that only if a place was given away since.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::{mpsc, watch};

use crate::follow::Command;
use crate::key::ConfigKey;

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

/// An entry that is being read. It does not keep the configuration from moving on, and keeps in memory what was shown beside it: for
/// long there is [`Cached::to_entry`].
pub struct Cached {
    view: Guard<Arc<View>>,
    /// There is an entry in this place.
    place: usize,
}

/// A configuration that stays in memory and can be waited for.
#[derive(Debug)]
pub struct Watch {
    cache: Arc<Cache>,
    slot: Arc<Slot>,
    ticks: watch::Receiver<u64>,
    /// The version that was last returned.
    seen: Option<u64>,
    /// Keeps the client going.
    _client: mpsc::Sender<Command>,
}

/// What belongs to a configuration's place for as long as it has it.
#[derive(Debug)]
pub(crate) struct Slot {
    key: ConfigKey,
    place: usize,
    watches: AtomicUsize,
    /// Goes up with each entry.
    ticks: watch::Sender<u64>,
}

/// Why a configuration stays in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crowded {
    /// It is watched.
    Watched,
    /// Somebody waits for its first content. Once that has come it may go.
    Awaited,
}

/// What is in memory: a table with open addressing and linear probing, at most half full, so that a read by key follows as few
/// pointers as it can, one after the other: to the table, to a bucket, to the entry.
#[derive(Debug, Clone)]
struct View {
    /// A power of two of them.
    buckets: Box<[Bucket]>,
    /// By place, for those who know it.
    entries: Vec<Option<Arc<Entry>>>,
}

/// A bucket is a cache line.
#[derive(Debug, Clone, Default)]
#[repr(align(64))]
struct Bucket {
    key: Option<ConfigKey>,
    entry: Option<Arc<Entry>>,
    place: usize,
}

impl View {
    fn new(entries_max: usize) -> Self {
        let buckets = (2 * entries_max).next_power_of_two();
        Self {
            buckets: vec![Bucket::default(); buckets].into(),
            entries: Vec::new(),
        }
    }

    /// The bucket of a key, or the one where it would be.
    #[inline]
    fn find(&self, key: &ConfigKey) -> usize {
        let mask = self.buckets.len() - 1;
        let mut at = key.hashed() as usize & mask;
        while self.buckets[at].key.as_ref().is_some_and(|other| other != key) {
            at = (at + 1) & mask;
        }
        at
    }

    fn insert(&mut self, bucket: Bucket) {
        if let Some(key) = &bucket.key {
            let at = self.find(key);
            self.buckets[at] = bucket;
        }
    }

    /// The same without a key. Those behind it are put in again, as some may have gone past it.
    fn without(&self, key: &ConfigKey) -> Self {
        let mut view = Self {
            buckets: vec![Bucket::default(); self.buckets.len()].into(),
            entries: self.entries.clone(),
        };
        for bucket in &self.buckets {
            if bucket.key.as_ref() != Some(key) {
                view.insert(bucket.clone());
            }
        }
        view
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Cache {
    view: ArcSwap<View>,
    /// When the configuration in each place was last read, on the cache's clock.
    used: Box<[AtomicU64]>,
    /// Goes up with each place that is given away: who was read since which one was is all that decides who goes.
    clock: AtomicU64,
    connected: AtomicBool,
}

impl Cache {
    /// A cache of at most so many configurations.
    pub(crate) fn new(entries_max: usize) -> Self {
        Self {
            view: ArcSwap::from_pointee(View::new(entries_max)),
            used: (0..entries_max).map(|_| AtomicU64::new(0)).collect(),
            clock: AtomicU64::new(0),
            connected: AtomicBool::new(false),
        }
    }

    /// What is in memory of a configuration.
    #[inline]
    pub(crate) fn read(&self, key: &ConfigKey) -> Option<Cached> {
        let view = self.view.load();
        let bucket = &view.buckets[view.find(key)];
        bucket.entry.as_ref()?;
        let place = bucket.place;
        self.stamp(place);
        Some(Cached { view, place })
    }

    /// What is in a place.
    #[inline]
    fn at(&self, place: usize) -> Option<Cached> {
        self.stamp(place);
        let view = self.view.load();
        view.entries[place].is_some().then(|| Cached { view, place })
    }

    /// The configuration in a place is read now.
    #[inline]
    fn stamp(&self, place: usize) {
        let (now, used) = (self.clock.load(Ordering::Relaxed), &self.used[place]);
        // Mostly it is so already, and a store would take the line away from other readers.
        if used.load(Ordering::Relaxed) != now {
            used.store(now, Ordering::Relaxed);
        }
    }

    /// Gives a configuration a place. The one that was not read for longest makes room for it, if need be, and is named; one that
    /// `stays` does not.
    pub(crate) fn insert(
        &self,
        key: &ConfigKey,
        stays: impl Fn(&ConfigKey) -> Option<Crowded>,
    ) -> Result<(Arc<Slot>, Option<ConfigKey>), Crowded> {
        let mut view = View::clone(&self.view.load());
        let (mut evicted, mut place) = (None, view.entries.len());
        if place >= self.used.len() {
            let mut oldest: Option<(u64, &ConfigKey, usize)> = None;
            let mut crowded = Crowded::Watched;
            for bucket in &view.buckets {
                let Some(key) = &bucket.key else { continue };
                let used = self.used[bucket.place].load(Ordering::Relaxed);
                match stays(key) {
                    None if oldest.is_none_or(|(least, ..)| used < least) => {
                        oldest = Some((used, key, bucket.place));
                    }
                    Some(Crowded::Awaited) => crowded = Crowded::Awaited,
                    _ => {}
                }
            }
            let (_, key, free) = oldest.ok_or(crowded)?;
            let key = key.clone();
            view = view.without(&key);
            (evicted, place) = (Some(key), free);
            view.entries[place] = None;
        } else {
            view.entries.push(None);
        }
        view.insert(Bucket {
            key: Some(key.clone()),
            entry: None,
            place,
        });
        let now = self.clock.fetch_add(1, Ordering::Relaxed) + 1;
        self.used[place].store(now, Ordering::Relaxed);
        self.view.store(Arc::new(view));
        let slot = Slot {
            key: key.clone(),
            place,
            watches: AtomicUsize::new(0),
            ticks: watch::Sender::new(0),
        };
        Ok((Arc::new(slot), evicted))
    }

    /// What is held, without counting as a read.
    pub(crate) fn held(&self, slot: &Slot) -> Option<Arc<Entry>> {
        self.view.load().entries[slot.place].clone()
    }

    /// Shows readers another entry from now on.
    pub(crate) fn show(&self, slot: &Slot, entry: Entry) {
        let mut view = View::clone(&self.view.load());
        let entry = Some(Arc::new(entry));
        let at = view.find(&slot.key);
        view.buckets[at].entry.clone_from(&entry);
        view.entries[slot.place] = entry;
        self.view.store(Arc::new(view));
        slot.ticks.send_modify(|ticks| *ticks += 1);
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
    pub(crate) fn is_watched(&self) -> bool {
        self.watches.load(Ordering::Relaxed) > 0
    }
}

impl Watch {
    pub(crate) fn new(cache: Arc<Cache>, slot: Arc<Slot>, client: mpsc::Sender<Command>) -> Self {
        slot.watches.fetch_add(1, Ordering::Relaxed);
        Self {
            cache,
            ticks: slot.ticks.subscribe(),
            slot,
            seen: None,
            _client: client,
        }
    }

    /// What there is now; `None` until the server or a snapshot was read for the first time.
    #[inline]
    pub fn current(&self) -> Option<Cached> {
        self.cache.at(self.slot.place)
    }

    /// Waits until there is a version that this watch has not returned, and returns the newest. What [`Watch::current`]
    /// returned before is never newer. Nothing is lost if it is dropped while it waits.
    pub async fn changed(&mut self) -> Arc<Entry> {
        loop {
            self.ticks.mark_unchanged();
            if let Some(entry) = self.current().filter(|entry| self.seen != Some(entry.version)) {
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
        let entry = self.view.entries[self.place].as_ref();
        Arc::clone(entry.expect("it is only made of an entry"))
    }
}

impl Deref for Cached {
    type Target = Entry;

    #[inline]
    fn deref(&self) -> &Entry {
        let entry = self.view.entries[self.place].as_ref();
        entry.expect("it is only made of an entry")
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

    fn insert(cache: &Cache, name: &str, stays: Option<Crowded>) -> Result<Option<ConfigKey>, Crowded> {
        let inserted = cache.insert(&key(name), |_| stays);
        inserted.map(|(slot, evicted)| {
            cache.show(&slot, entry(1));
            evicted
        })
    }

    #[test]
    fn the_one_that_was_not_read_for_longest_makes_room() {
        let cache = Cache::new(3);
        for name in ["a", "b", "c"] {
            insert(&cache, name, None).unwrap();
        }
        assert!(cache.read(&key("a")).is_some() && cache.read(&key("c")).is_some());
        assert_eq!(insert(&cache, "d", None), Ok(Some(key("b"))));
        assert!(cache.read(&key("a")).is_some());
        assert_eq!(insert(&cache, "e", None), Ok(Some(key("c"))));
        assert!(cache.read(&key("a")).is_some() && cache.read(&key("c")).is_none());
        for reason in [Crowded::Awaited, Crowded::Watched] {
            assert_eq!(insert(&cache, "f", Some(reason)), Err(reason));
        }
    }

    #[test]
    fn keys_come_and_go_and_those_that_are_there_are_found() {
        const FIT: u64 = 50;
        let cache = Cache::new(FIT as usize);
        for n in 0..20 * FIT {
            let (slot, evicted) = cache.insert(&key(&n.to_string()), |_| None).unwrap();
            assert_eq!(evicted, n.checked_sub(FIT).map(|gone| key(&gone.to_string())));
            cache.show(&slot, entry(n));
            for there in (n + 1).saturating_sub(FIT)..=n {
                let found = cache.view.load();
                let found = &found.buckets[found.find(&key(&there.to_string()))];
                assert_eq!(found.entry.as_ref().unwrap().version, there);
            }
            assert!(n < FIT || cache.read(&key(&(n - FIT).to_string())).is_none());
        }
    }

    #[tokio::test]
    async fn a_watch_and_a_read_by_key_see_one_view() {
        let cache = Arc::new(Cache::new(1));
        let (slot, _) = cache.insert(&key("a"), |_| None).unwrap();
        let (client, _commands) = tokio::sync::mpsc::channel(1);
        let mut watch = super::Watch::new(Arc::clone(&cache), Arc::clone(&slot), client);
        assert!(slot.is_watched() && watch.current().is_none() && cache.read(&key("a")).is_none());
        cache.show(&slot, entry(7));
        let before = cache.read(&key("a")).unwrap();
        assert_eq!(watch.changed().await.version, 7);
        cache.show(&slot, entry(8));
        assert_eq!((watch.current().unwrap().version, before.version), (8, 7));
        assert_eq!(cache.read(&key("a")).unwrap().version, 8);
        drop(watch);
        assert!(!slot.is_watched());
    }
}
