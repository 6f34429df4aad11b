//! What a client tells whoever watches it.

use crate::key::ConfigKey;

/// Something that happened to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incident {
    /// The server answers, for the first time or again.
    Connected,
    /// It does not.
    Away {
        /// What was tried, and what came of it.
        reason: String,
        /// Whether it did before.
        was_connected: bool,
    },
    /// It has been asked for its heartbeat and answered.
    Heartbeat,
    /// A newer version is shown from now on.
    Updated {
        /// Of which configuration.
        key: ConfigKey,
        /// Its version.
        version: u64,
    },
    /// The server said something older than what is held, which stays.
    Stale {
        /// Of which configuration.
        key: ConfigKey,
        /// The version that is held.
        held: u64,
        /// The version that the server has, where it says so.
        seen: Option<u64>,
    },
    /// The server is there and does not give a configuration. Told once, until it does; it is asked for again meanwhile.
    Refused {
        /// Which.
        key: ConfigKey,
        /// What it said.
        reason: String,
    },
    /// A content did not have the MD5 that came with it; it is asked for again.
    Mismatch {
        /// Of which configuration.
        key: ConfigKey,
    },
    /// A snapshot is shown, as the server is away, does not give the configuration, or has older data.
    FromSnapshot {
        /// Of which configuration.
        key: ConfigKey,
        /// Its version.
        version: u64,
    },
    /// A snapshot cannot be used and is passed over.
    SnapshotIgnored {
        /// The file.
        file: String,
        /// Why.
        what: String,
    },
    /// A snapshot could not be written. The version is shown all the same, and a restart may show an older one. Or none can be written
    /// any more, since the thread that does it has ended: then the client has ended too, and says so to whoever asks it.
    SnapshotFailed {
        /// The file; the folder, where it is of all.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// A configuration is no longer in memory, since others were read more recently.
    Evicted {
        /// Which.
        key: ConfigKey,
    },
}

/// Whoever watches a client. Called on the client's own thread: it must not block.
pub trait Observe: Send + Sync {
    /// Something happened.
    fn note(&self, incident: &Incident);
}

/// Nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observe for Unobserved {
    fn note(&self, _: &Incident) {}
}
