//! The long polls that hang, by what they wait for. A change takes all that wait for its key and wakes each once, with the answer
//! that is the same for all of them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use squall_config_client::key::{ConfigKey, KeyHash};
use squall_config_client::listening;

/// Everybody who waits.
#[derive(Debug)]
pub struct Watchers {
    waiting_max: usize,
    watched_max: usize,
    by_key: Mutex<HashMap<ConfigKey, HashMap<u64, Arc<Waiter>>, KeyHash>>,
    next: AtomicU64,
    waiting: AtomicUsize,
    watched: AtomicUsize,
}

/// One long poll.
#[derive(Debug)]
struct Waiter {
    woken: Mutex<Option<oneshot::Sender<Told>>>,
}

/// What one who waits is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What has changed.
    pub key: ConfigKey,
    /// The listener's answer that says so.
    pub answer: Bytes,
}

/// A place among those who wait, given up when dropped.
#[derive(Debug)]
pub struct Place<'a> {
    watchers: &'a Watchers,
    number: u64,
    keys: Vec<ConfigKey>,
    changed: oneshot::Receiver<Told>,
}

impl Watchers {
    /// At most so many may wait, for at most so many keys together.
    pub fn new(waiting_max: usize, watched_max: usize) -> Self {
        Self {
            waiting_max,
            watched_max,
            by_key: Mutex::default(),
            next: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            watched: AtomicUsize::new(0),
        }
    }

    /// Waits for changes of any of `keys`. `None` if more would wait than may.
    pub fn enter(&self, keys: impl IntoIterator<Item = ConfigKey>) -> Option<Place<'_>> {
        let keys: Vec<ConfigKey> = keys.into_iter().collect::<HashSet<_>>().into_iter().collect();
        let (wake, changed) = oneshot::channel();
        // From here on dropping it takes back what was counted.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.watched.fetch_add(keys.len(), Ordering::Relaxed);
        let place = Place {
            watchers: self,
            number: self.next.fetch_add(1, Ordering::Relaxed),
            keys,
            changed,
        };
        if self.waiting() > self.waiting_max || self.watched.load(Ordering::Relaxed) > self.watched_max {
            return None;
        }
        let waiter = Arc::new(Waiter {
            woken: Mutex::new(Some(wake)),
        });
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &place.keys {
            by_key
                .entry(key.clone())
                .or_default()
                .insert(place.number, Arc::clone(&waiter));
        }
        drop(by_key);
        Some(place)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Wakes everybody who waits for `key`. Returns how many.
    pub fn wake(&self, key: &ConfigKey) -> usize {
        let taken = self
            .by_key
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key)
            .unwrap_or_default();
        let told = Told {
            key: key.clone(),
            answer: listening::answer([key]).into(),
        };
        // Outside of the lock: each of these makes a task run, which may want it.
        for waiter in taken.values() {
            let wake = waiter.woken.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(wake) = wake {
                // One that has just given up needs no waking.
                let _ = wake.send(told.clone());
            }
        }
        taken.len()
    }
}

impl Place<'_> {
    /// Waits until one of the keys changed. For ever, if need be.
    pub async fn changed(&mut self) -> Told {
        match (&mut self.changed).await {
            Ok(told) => told,
            // The sender lives as long as the place does.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut by_key = self
            .watchers
            .by_key
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for key in &self.keys {
            if let Some(waiters) = by_key.get_mut(key) {
                waiters.remove(&self.number);
                if waiters.is_empty() {
                    by_key.remove(key);
                }
            }
        }
        drop(by_key);
        self.watchers.waiting.fetch_sub(1, Ordering::Relaxed);
        self.watchers
            .watched
            .fetch_sub(self.keys.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Watchers;
    use squall_config_client::key::ConfigKey;

    fn key(name: &str) -> ConfigKey {
        ConfigKey::new(name, "G", "").unwrap()
    }

    #[tokio::test]
    async fn a_change_wakes_those_who_wait_for_it_and_no_others() {
        let watchers = Watchers::new(9, 9);
        let mut both = watchers.enter([key("a"), key("b"), key("b")]).unwrap();
        let mut other = watchers.enter([key("c")]).unwrap();
        assert_eq!((watchers.wake(&key("b")), watchers.wake(&key("b"))), (1, 0));
        let told = both.changed().await;
        assert_eq!((told.key, &*told.answer), (key("b"), &b"b%02G%01\n"[..]));
        assert!(other.changed.try_recv().is_err());
        drop((both, other));
        assert_eq!((watchers.waiting(), watchers.wake(&key("a"))), (0, 0));
        assert!(watchers.by_key.lock().unwrap().is_empty());
    }

    #[test]
    fn no_more_wait_than_may() {
        let watchers = Watchers::new(2, 9);
        let places: Vec<_> = (0..3).map(|_| watchers.enter([key("a")])).collect();
        assert_eq!(places.iter().filter(|place| place.is_some()).count(), 2);
        drop(places);
        assert!(watchers.enter([key("a")]).is_some());
    }

    #[test]
    fn no_more_keys_are_watched_than_may_be() {
        let watchers = Watchers::new(9, 3);
        let two = watchers.enter([key("a"), key("b"), key("b")]).unwrap();
        assert!(watchers.enter([key("a"), key("c")]).is_none());
        let one = watchers.enter([key("a")]).unwrap();
        assert!(
            watchers.enter([key("a")]).is_none(),
            "each counts for each who watches it"
        );
        drop((one, two));
        assert!(watchers.enter(["a", "b", "c"].map(key)).is_some());
    }
}
