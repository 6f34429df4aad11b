//! What is told to whoever watches.

use crate::bucket::ByHash;
use crate::plugin::{PluginError, PluginFailure};

/// Something that happened. Most are rare; those that say so come with single requests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Another table is in force.
    TableApplied {
        /// How many rules it has beside the default.
        rules: usize,
    },
    /// A plug-in is in force.
    PluginSwapped {
        /// Which push it was, counted from 1.
        number: u64,
    },
    /// A plug-in was pushed and refused; what was in force still is.
    PluginRefused {
        /// Which push it was, counted from 1.
        number: u64,
        /// Why.
        error: &'a PluginError,
    },
    /// No plug-in is in force any more.
    PluginRemoved {
        /// The one that was.
        number: u64,
    },
    /// A request went where the table says since the plug-in failed. Comes with single requests.
    PluginFailed {
        /// The plug-in.
        number: u64,
        /// Why.
        failure: PluginFailure,
    },
    /// A plug-in failed so often in a row that it is asked no more, until another, or another table, is in force.
    PluginQuarantined {
        /// The plug-in.
        number: u64,
    },
    /// A user got the variant that the hash says, and nothing remembers it. Comes with single requests.
    BucketByHash {
        /// Why.
        why: ByHash,
    },
    /// No more users are remembered. Told once.
    BucketsFull {
        /// How many are.
        users: usize,
    },
    /// The store of buckets can't be used.
    BucketStoreAway {
        /// What it said.
        why: &'a str,
    },
    /// The store of buckets can be used again.
    BucketStoreBack,
}

/// Someone who watches. Called in the midst of a request, so it must return soon, must not block and must not panic.
pub trait Observe: Send + Sync + 'static {
    /// Takes note.
    fn note(&self, event: &Event<'_>);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observe for Unobserved {
    fn note(&self, _: &Event<'_>) {}
}
