//! Sticky buckets: a user stays in the variant of an experiment that it was first given, also when weights change.
//!
//! Which variant a user is given first follows from a hash of the user and the weights then in force ([`crate::route::Split`]); what is kept
//! here is what was given. There are three places to keep it ([`BucketStore`]). All have a map in the process that answers at once, for at most
//! [`BUCKETS_MAX`] users.
//!
//! What can't be kept is not made up: the user gets what the hash says, [`Event::BucketByHash`] says why, and nothing remembers it. As long
//! as weights stay, that is the same variant.
//!
//! A variant that is no longer in the experiment keeps nobody: its users are given one of those that are there, and stay in that. One whose
//! weight becomes zero keeps its users and gets no new ones.

mod assigned;
mod embedded;
mod journal;
mod redis;
mod rows;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::assigned::Assigned;
use self::embedded::Embedded;
use self::redis::Redis;
use crate::route::{Event, Experiment, Observe, RouteTable, UserDigest};

/// For how many users the process remembers their variants, those of all experiments together.
pub const BUCKETS_MAX: usize = 1_000_000;
/// How long a store elsewhere may take to answer before the hash decides.
pub const REDIS_DEADLINE: Duration = Duration::from_millis(25);

/// Where it is kept which variant a user has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketStore {
    /// In the process, and gone with it.
    Memory,
    /// In this folder: in a journal before the user is answered, so that it is there after `kill -9`; soon after in a database, synced, so that
    /// it is there after a loss of power. Weights that changed take force only when all that was given under the old ones is synced.
    Embedded(PathBuf),
    /// In a Redis, 7.0 or newer, that several gateways share. Users that the process does not know are asked for there.
    Redis {
        /// `host:port` or a `redis://` URL.
        address: String,
        /// How long it may take, such as [`REDIS_DEADLINE`].
        deadline: Duration,
    },
}

/// Why buckets can't be kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BucketError {
    /// The folder, the journal or the database could not be used.
    #[error("cannot {doing} {path}: {why}")]
    Folder {
        /// What was being done.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What it said.
        why: String,
    },
    /// The address of a Redis is none.
    #[error("{address:?} is no address of a Redis: {why}; give host:port or redis://host:port")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// A Redis was asked for outside of a tokio runtime.
    #[error("buckets in Redis need a tokio runtime to be opened in")]
    Runtime,
    /// Something could not be written, so weights that change must not take force yet.
    #[error("what users were given so far could not be written: {0}; the table in force stays")]
    Unwritten(String),
}

/// Why a user's variant was taken from the hash and not remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ByHash {
    /// There are [`BUCKETS_MAX`] users already.
    Full,
    /// The disk took no more.
    Unwritten,
    /// The store elsewhere is away.
    Away,
    /// It did not answer in time, or not with an answer.
    Unanswered,
    /// Too many questions are under way already.
    Busy,
}

/// Which variant a user has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// This one, by its place in the experiment.
    Variant(usize),
    /// Only a store elsewhere knows: see [`Buckets::ask`].
    Elsewhere,
}

enum Keeper {
    Process,
    Embedded(Embedded),
    Redis(Redis),
}

/// See the module.
pub(crate) struct Buckets {
    assigned: Assigned,
    keeper: Keeper,
    observe: Arc<dyn Observe>,
    full: AtomicBool,
}

impl Buckets {
    pub(crate) fn open(store: &BucketStore, observe: Arc<dyn Observe>) -> Result<Self, BucketError> {
        Self::with_room(BUCKETS_MAX, store, observe)
    }

    fn with_room(
        users_max: usize,
        store: &BucketStore,
        observe: Arc<dyn Observe>,
    ) -> Result<Self, BucketError> {
        let assigned = Assigned::new(users_max);
        let keeper = match store {
            BucketStore::Memory => Keeper::Process,
            BucketStore::Embedded(folder) => {
                Keeper::Embedded(Embedded::open(folder, &assigned, Arc::clone(&observe))?)
            }
            BucketStore::Redis { address, deadline } => {
                Keeper::Redis(Redis::open(address, *deadline, Arc::clone(&observe))?)
            }
        };
        Ok(Self {
            assigned,
            keeper,
            observe,
            full: AtomicBool::new(false),
        })
    }

    /// The variant of a user, which it has from now on if it had none.
    pub(crate) fn find(&self, experiment: &Experiment, user: UserDigest) -> Found {
        let given = match self.known(experiment, user) {
            Ok(variant) => return Found::Variant(variant),
            Err(given) => given,
        };
        let name = &experiment.variants[given].name;
        let kept = match &self.keeper {
            Keeper::Process => self.assigned.give(user, name, experiment, || true),
            Keeper::Embedded(embedded) => self
                .assigned
                .give(user, name, experiment, || embedded.append(user, name)),
            Keeper::Redis(redis) if redis.is_away() => Err(ByHash::Away),
            Keeper::Redis(_) => return Found::Elsewhere,
        };
        Found::Variant(kept.unwrap_or_else(|why| {
            self.tell(why);
            given
        }))
    }

    /// The same for a user that only the store elsewhere may know.
    pub(crate) async fn ask(&self, experiment: &Experiment, user: UserDigest) -> usize {
        let given = match self.known(experiment, user) {
            Ok(variant) => return variant,
            Err(given) => given,
        };
        let Keeper::Redis(redis) = &self.keeper else {
            return given;
        };
        match redis.assign(experiment, user, given).await {
            Ok(variant) => {
                let name = &experiment.variants[variant].name;
                // Where there is no room it is asked for again next time.
                let _ = self.assigned.give(user, name, experiment, || true);
                variant
            }
            Err(why) => {
                self.tell(why);
                given
            }
        }
    }

    /// Returns once this table may follow that one: what users were given by weights that are no longer in it is on disk.
    pub(crate) async fn settle(&self, before: &RouteTable, after: &RouteTable) -> Result<(), BucketError> {
        let stays = |old: &Arc<Experiment>| after.experiments.iter().any(|new| new.gives_as(old));
        match &self.keeper {
            Keeper::Embedded(embedded) if !before.experiments.iter().all(stays) => embedded.sync().await,
            _ => Ok(()),
        }
    }

    /// The variant that a user has, or else the one that it is to be given.
    fn known(&self, experiment: &Experiment, user: UserDigest) -> Result<usize, usize> {
        self.assigned.look_up(user, |had| {
            let has = had.and_then(|name| experiment.variant(name));
            has.ok_or_else(|| experiment.give(user, had))
        })
    }

    fn tell(&self, why: ByHash) {
        if why == ByHash::Full && !self.full.swap(true, Ordering::Relaxed) {
            self.observe.note(&Event::BucketsFull {
                users: self.assigned.users_max(),
            });
        }
        self.observe.note(&Event::BucketByHash { why });
    }
}
