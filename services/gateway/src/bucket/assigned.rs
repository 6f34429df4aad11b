//! The map from users to the names of their variants, in shards so that workers seldom meet.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::ByHash;
use crate::route::{Experiment, UserDigest};

const SHARDS: usize = 64;

/// Cache lines of its own, two since processors fetch them in pairs.
#[repr(align(128))]
#[derive(Default)]
struct Shard(RwLock<HashMap<UserDigest, Arc<str>>>);

pub(super) struct Assigned {
    shards: Box<[Shard]>,
    users: AtomicUsize,
    users_max: usize,
}

impl Assigned {
    pub(super) fn new(users_max: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            users: AtomicUsize::new(0),
            users_max,
        }
    }

    pub(super) fn users_max(&self) -> usize {
        self.users_max
    }

    fn shard(&self, user: UserDigest) -> &Shard {
        // The upper bits are the draw, by which users of one variant lie together.
        &self.shards[user.0 as usize % SHARDS]
    }

    /// What `read` makes of the name of this user's variant, or of its having none.
    pub(super) fn look_up<T>(&self, user: UserDigest, read: impl FnOnce(Option<&str>) -> T) -> T {
        let shard = self.shard(user).0.read().unwrap_or_else(PoisonError::into_inner);
        read(shard.get(&user).map(|name| &**name))
    }

    /// Gives a user a variant and returns the one that it has then: another if it was given one meanwhile that `experiment` has too.
    /// `keep` is called before anybody can see it, and nothing is given if that fails.
    pub(super) fn give(
        &self,
        user: UserDigest,
        name: &Arc<str>,
        experiment: &Experiment,
        keep: impl FnOnce() -> bool,
    ) -> Result<usize, ByHash> {
        let mut shard = self.shard(user).0.write().unwrap_or_else(PoisonError::into_inner);
        let given = experiment.variant(name).ok_or(ByHash::Unwritten)?;
        match shard.entry(user) {
            Entry::Occupied(mut entry) => match experiment.variant(entry.get()) {
                Some(variant) => Ok(variant),
                None if keep() => {
                    entry.insert(Arc::clone(name));
                    Ok(given)
                }
                None => Err(ByHash::Unwritten),
            },
            Entry::Vacant(entry) => {
                if !self.take_room() {
                    return Err(ByHash::Full);
                }
                if !keep() {
                    self.users.fetch_sub(1, Ordering::Relaxed);
                    return Err(ByHash::Unwritten);
                }
                entry.insert(Arc::clone(name));
                Ok(given)
            }
        }
    }

    /// Takes over what a store kept; false where there is no more room.
    pub(super) fn restore(&self, user: UserDigest, name: Arc<str>) -> bool {
        let mut shard = self.shard(user).0.write().unwrap_or_else(PoisonError::into_inner);
        match shard.entry(user) {
            Entry::Occupied(mut entry) => drop(entry.insert(name)),
            Entry::Vacant(entry) => {
                if !self.take_room() {
                    return false;
                }
                entry.insert(name);
            }
        }
        true
    }

    fn take_room(&self) -> bool {
        let more = |users| (users < self.users_max).then_some(users + 1);
        let taken = self
            .users
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok()
    }
}
